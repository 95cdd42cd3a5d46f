//! A sequence of commands to a virtual token. Never a panic; an error leaves the durable state as it was, retry counters
//! excepted; what was answered is still there after the plug was pulled.
//!
//! Input: one byte chooses the token to begin with, then each command follows its length (two bytes, big endian); FFFF is a
//! power cycle.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chancery_vtoken::{AtRest, Factory, StateMark, TokenName, VirtualToken};
use libfuzzer_sys::fuzz_target;
use time::{Date, Month};

fuzz_target!(|bytes: &[u8]| {
    let Some((start, mut rest)) = bytes.split_first() else {
        return;
    };
    let directory = BENCH.fresh(*start);
    let mut token = BENCH.open(&directory);
    for _ in 0..MOST_COMMANDS {
        let Some(([high, low], after)) = rest.split_first_chunk() else {
            break;
        };
        let length = u16::from_be_bytes([*high, *low]);
        if length == u16::MAX {
            token.power_cycle();
            rest = after;
            continue;
        }
        let (command, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        if !is_slow(command) {
            send(&mut token, command);
        }
    }
    let mark = token.mark();
    drop(token);
    assert_eq!(
        BENCH.open(&directory).mark(),
        mark,
        "what was answered is not there after opening again"
    );
});

/// Sends one command and checks what may have changed.
fn send(token: &mut VirtualToken, command: &[u8]) -> u16 {
    let before = token.mark();
    let answer = token.process(command);
    let (_, status) = answer
        .split_last_chunk()
        .expect("every answer ends with a status word");
    let status = u16::from_be_bytes(*status);
    if !is_success(status) {
        unchanged(before, token.mark(), command, status);
    }
    status
}

fn unchanged(before: StateMark, after: StateMark, command: &[u8], status: u16) {
    let instruction = command.get(1).copied().unwrap_or_default();
    if COUNTED_TRIES.contains(&instruction) {
        // A try is taken, and given back where the PIN was right and something else wrong.
        assert!(
            after.sequence - before.sequence <= 2,
            "{instruction:02X} answered {status:04X} and changed more than a counter"
        );
    } else {
        assert_eq!(
            before, after,
            "{instruction:02X} answered {status:04X} and changed the state"
        );
    }
}

/// Success, or success with a warning (reference: ISO/IEC 7816-4 5.6).
const fn is_success(status: u16) -> bool {
    matches!(status, 0x9000 | 0x6100..=0x62FF)
}

/// Generating RSA keys takes seconds and looks at nothing but its parameters.
fn is_slow(command: &[u8]) -> bool {
    let rsa = |window: &[u8]| window.starts_with(RSA_OID);
    command.get(1) == Some(&GENERATE) && command.windows(RSA_OID.len()).any(rsa)
}

/// Tokens to begin with, kept in memory as far as the machine allows.
struct Bench {
    folder: PathBuf,
    at_rest: AtRest,
}

static BENCH: LazyLock<Bench> = LazyLock::new(Bench::prepare);

impl Bench {
    fn prepare() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        sweep(&parent);
        let folder = parent.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for tokens");
        let at_rest = AtRest::MachineSecret(folder.join("secret"));
        let bench = Self { folder, at_rest };

        let today = Date::from_calendar_date(2026, Month::January, 1).expect("a day");
        let factory =
            Factory::open_or_create(&bench.folder.join("factory"), &bench.at_rest, today).expect("a factory");
        for name in STARTS {
            let name = TokenName::new(name).expect("a name");
            factory
                .create(&bench.folder.join("tokens"), &name, today)
                .expect("a token");
        }
        bench.run(
            "used",
            &[
                SELECT,
                INITIALISE,
                IMPORT_SHARE,
                VERIFY,
                UNWRAP_EC,
                UNWRAP_AES,
                UNWRAP_RSA,
                WRITE,
            ],
        );
        bench.run("quorum", &[SELECT, INITIALISE_QUORUM]);
        bench
    }

    fn run(&self, name: &str, commands: &[&[u8]]) {
        let mut token = self.open(&self.folder.join("tokens").join(name));
        for command in commands {
            let status = send(&mut token, command);
            assert_eq!(status, 0x9000, "preparing {name}: {:02X?}", &command[..4]);
        }
    }

    fn open(&self, directory: &Path) -> VirtualToken {
        VirtualToken::open(directory, &self.at_rest).expect("a token that opens")
    }

    /// A fresh copy of one of the tokens.
    fn fresh(&self, start: u8) -> PathBuf {
        let from = self
            .folder
            .join("tokens")
            .join(STARTS[usize::from(start) % STARTS.len()]);
        let to = self.folder.join("run");
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).expect("a folder");
        for entry in fs::read_dir(from).expect("a token") {
            let entry = entry.expect("a file of a token");
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
        to
    }
}

/// Removes what runs that are gone left behind: the engine ends without cleaning up.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

const PREFIX: &str = "chancery-fuzz-token-";

/// As it leaves the factory; with PINs, a key domain and keys; with a quorum of custodians.
const STARTS: [&str; 3] = ["new", "used", "quorum"];

/// More than a host sends in one procedure.
const MOST_COMMANDS: usize = 64;

const GENERATE: u8 = 0x46;
const RSA_OID: &[u8] = &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x01];

/// VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, INITIALIZE DEVICE: a wrong PIN costs a try.
const COUNTED_TRIES: [u8; 4] = [0x20, 0x24, 0x2C, 0x50];

const SELECT: &[u8] = &[
    0x00, 0xA4, 0x04, 0x00, 11, 0xE8, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x02, 0x01, 0x00,
];
/// User PIN 648219, SO-PIN 3537363231383830, three tries, one share.
const INITIALISE: &[u8] =
    b"\x80\x50\x00\x00\x1C\x80\x02\x00\x01\x81\x06648219\x82\x0857621880\x91\x01\x03\x92\x01\x01";
/// No user PIN, two of three custodians, one share.
const INITIALISE_QUORUM: &[u8] =
    b"\x80\x50\x00\x00\x15\x80\x02\x00\x00\x82\x0857621880\x92\x01\x01\x93\x02\x03\x02";
/// The share 00, 01, … 1F: the published blobs are wrapped under it.
const IMPORT_SHARE: &[u8] =
    b"\x80\x52\x00\x00\x20\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
      \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x00";
const VERIFY: &[u8] = b"\x00\x20\x00\x81\x06648219";
const UNWRAP_EC: &[u8] = include_bytes!("../fixtures/unwrap-ec.apdu");
const UNWRAP_AES: &[u8] = include_bytes!("../fixtures/unwrap-aes.apdu");
const UNWRAP_RSA: &[u8] = include_bytes!("../fixtures/unwrap-rsa.apdu");
/// Token information.
const WRITE: &[u8] =
    b"\x00\xD7\x2F\x03\x12\x54\x02\x00\x00\x53\x0C\x30\x0A\x02\x01\x00\x80\x01T\x03\x02\x05\x20";
