//! What a token must survive.

mod crash;
mod damage;
mod full_disk;
mod kill;

use std::path::{Path, PathBuf};

use chancery_cvc::Reference;
use time::macros::date;

use super::*;
use crate::name::TokenName;
use crate::pin::PinRecord;
use crate::replay::{ReplayFiles, Survival};
use crate::secret::SecretBytes;
use crate::state::{
    DeviceRecord, ExchangeDomain, Initialisation, KeyKind, KeyRecord, PinReference, Pka, SharedDomain,
};
use crate::token_dir::About;

/// Small, so that a short story is compacted several times.
const COMPACT_MINIMUM: u64 = 8 << 10;
const LOG: &str = "/tokens/hsm/state.log";

/// A token on a disk in memory, its machine secret in a real directory.
struct Bench {
    _dir: tempfile::TempDir,
    at_rest: AtRest,
    disk: ReplayFiles,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("machine-secret"));
        let disk = ReplayFiles::new();
        let bench = Self {
            _dir: dir,
            at_rest,
            disk,
        };
        bench.make("hsm");
        bench
    }

    fn make(&self, name: &str) {
        make(
            Arc::new(self.disk.clone()),
            Path::new("/tokens"),
            name,
            &self.at_rest,
        );
    }

    fn open(&self, disk: &ReplayFiles) -> Result<Persistent, OpenError> {
        let directory = Path::new("/tokens/hsm");
        Persistent::open_compacting(Arc::new(disk.clone()), directory, &self.at_rest, COMPACT_MINIMUM)
    }

    fn log(&self, disk: &ReplayFiles) -> Vec<u8> {
        disk.read(Path::new(LOG), u64::MAX).unwrap()
    }
}

/// Opens a token on the machine's own files.
fn open_real(directory: &Path, at_rest: &AtRest) -> Result<Persistent, OpenError> {
    Persistent::open(Arc::new(crate::RealFiles), directory, at_rest)
}

fn make(files: Arc<dyn Files>, tokens_dir: &Path, name: &str, at_rest: &AtRest) -> PathBuf {
    let name = TokenName::new(name).unwrap();
    let chr = "UTCHDABCDEF00000";
    let device = DeviceRecord {
        private_key: SecretBytes::from(&[0x42; 32][..]),
        chr: chr.to_owned(),
        certificates: vec![0x7F, 0x21, 0x00],
    };
    let about = About {
        device_id: Reference::new(chr).unwrap(),
        created: date!(2026 - 11 - 21),
    };
    let made = State {
        device,
        ..State::default()
    };
    token_dir::create(&files, tokens_dir, &name, at_rest, &made, &about).unwrap();
    tokens_dir.join(name.as_str())
}

fn key(fill: u8, use_counter: Option<u32>) -> KeyRecord {
    KeyRecord {
        kind: KeyKind::Aes,
        secret: SecretBytes::from(&[fill; 32][..]),
        algorithms: Some(vec![0x10, 0x11]),
        use_counter,
        key_domain: Some(0),
        made_here: true,
    }
}

fn initialise() -> Change {
    Change::Initialise(Initialisation {
        options: 1,
        user_pin: Some(PinRecord::new(b"648219", 3, false, [1; 16])),
        so_pin: Some(PinRecord::new(b"57621880", 15, false, [2; 16])),
        key_domains: vec![Some(SharedDomain::awaiting(2)), None],
        random_kek: None,
        pka: Some(Pka {
            required: 2,
            slots: vec![None; 3],
        }),
    })
}

/// Some of everything, in commits of one or several changes.
fn short_story() -> Vec<Vec<Change>> {
    vec![
        vec![initialise()],
        vec![Change::PinTries {
            reference: PinReference::User,
            left: 2,
        }],
        vec![
            Change::PutKey {
                id: 1,
                key: key(1, Some(10)),
            },
            Change::PutFile {
                fid: 0xC401,
                contents: vec![0x30; 700],
            },
            Change::PutFile {
                fid: 0xCE01,
                contents: vec![0x67; 1300],
            },
        ],
        vec![Change::SetUseCounter { id: 1, left: 9 }],
        vec![Change::PutExchangeDomain {
            index: 1,
            domain: ExchangeDomain {
                uid: vec![0x77; 64],
                kek: Some(SecretBytes::from(&[0x78; 32][..])),
            },
        }],
        vec![Change::DeleteKey { id: 1 }, Change::DeleteFile { fid: 0xC401 }],
        vec![Change::PutFile {
            fid: 0xCD00,
            contents: Vec::new(),
        }],
    ]
}

/// Long enough that the log is compacted on the way, more than once.
fn long_story() -> Vec<Vec<Change>> {
    let mut story = short_story();
    for number in 0..20u8 {
        let contents = vec![number; 1500];
        story.push(vec![Change::PutFile {
            fid: 0xCF00 | u16::from(number % 3),
            contents,
        }]);
        story.push(vec![Change::PutKey {
            id: 2,
            key: key(number, Some(u32::from(number))),
        }]);
        story.push(vec![Change::SetUseCounter { id: 2, left: 7 }]);
    }
    story
}

/// The state before the first commit and after each.
fn states(start: &State, story: &[Vec<Change>]) -> Vec<State> {
    let mut states = vec![start.clone()];
    let mut state = start.clone();
    for commit in story {
        commit.iter().for_each(|change| state.apply(change));
        states.push(state.clone());
    }
    states
}

#[test]
fn commits_are_there_after_opening_again() {
    let bench = Bench::new();
    let mut token = bench.open(&bench.disk).unwrap();
    for commit in long_story() {
        token.commit(&commit).unwrap();
    }
    let (state, mark) = (token.state().clone(), token.mark());
    assert_eq!(mark.sequence, u64::try_from(long_story().len()).unwrap());
    drop(token);
    let token = bench.open(&bench.disk).unwrap();
    assert_eq!(*token.state(), state);
    assert_eq!(token.mark(), mark, "compacting on open leaves the mark alone");
}

#[test]
fn the_log_is_compacted_when_it_has_grown() {
    let bench = Bench::new();
    let mut token = bench.open(&bench.disk).unwrap();
    let mut largest = 0;
    let contents = vec![7; 600];
    for _ in 0..60 {
        token
            .commit(&[Change::PutFile {
                fid: 0xCF00,
                contents: contents.clone(),
            }])
            .unwrap();
        largest = largest.max(bench.log(&bench.disk).len());
    }
    assert!((8 << 10..(8 << 10) + 1000).contains(&largest), "{largest}");
}

#[test]
fn an_empty_commit_is_no_change() {
    let bench = Bench::new();
    let mut token = bench.open(&bench.disk).unwrap();
    let before = token.mark();
    token.commit(&[]).unwrap();
    assert_eq!(token.mark(), before);
}

#[test]
fn nothing_of_the_state_is_readable_on_disk() {
    let bench = Bench::new();
    let mut token = bench.open(&bench.disk).unwrap();
    token
        .commit(&[Change::PutKey {
            id: 1,
            key: key(0x5A, None),
        }])
        .unwrap();
    drop(token);
    let log = bench.log(&bench.disk);
    for secret in [[0x42; 16], [0x5A; 16]] {
        assert!(!log.windows(16).any(|window| window == secret));
    }
}

#[test]
fn one_opener_at_a_time_also_within_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let at_rest = AtRest::MachineSecret(dir.path().join("machine-secret"));
    let path = make(
        Arc::new(crate::RealFiles),
        &dir.path().join("tokens"),
        "hsm",
        &at_rest,
    );
    let first = open_real(&path, &at_rest).unwrap();
    let me = std::process::id();
    assert!(matches!(open_real(&path, &at_rest), Err(OpenError::InUse { pid }) if pid == me));
    drop(first);
    open_real(&path, &at_rest).map(drop).unwrap();
}

#[test]
fn what_is_no_token_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let at_rest = AtRest::MachineSecret(dir.path().join("machine-secret"));
    for path in [dir.path().to_owned(), dir.path().join("absent")] {
        assert!(matches!(open_real(&path, &at_rest), Err(OpenError::NotFound(named)) if named == path));
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "looking leaves nothing behind"
    );
}

#[test]
fn a_wrong_passphrase_and_a_missing_secret_are_told_apart() {
    let disk: Arc<dyn Files> = Arc::new(ReplayFiles::new());
    let passphrase = |text: &str| AtRest::Passphrase(Zeroizing::new(text.to_owned()));
    let path = make(
        Arc::clone(&disk),
        Path::new("/tokens"),
        "hsm",
        &passphrase("right"),
    );
    let open = |at_rest: &AtRest| Persistent::open(Arc::clone(&disk), &path, at_rest).map(drop);
    use crate::seal::SealError;
    assert!(matches!(
        open(&passphrase("wrong")),
        Err(OpenError::Seal(SealError::WrongPassphrase))
    ));
    let absent = AtRest::MachineSecret(PathBuf::from("/nonexistent/machine-secret"));
    assert!(matches!(
        open(&absent),
        Err(OpenError::Seal(SealError::NeedsPassphrase))
    ));
    open(&passphrase("right")).unwrap();

    let bench = Bench::new();
    let AtRest::MachineSecret(secret) = &bench.at_rest else {
        unreachable!("the bench uses a machine secret")
    };
    std::fs::remove_file(secret).unwrap();
    assert!(
        matches!(bench.open(&bench.disk), Err(OpenError::Seal(SealError::SecretMissing(path))) if path == *secret)
    );
}
