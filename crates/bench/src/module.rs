//! Signatures through our own PKCS#11 module, as a program has them that loads it by its path.
//!
//! A virtual token is served on a Unix socket here. The client is a process of its own with the module's C functions: it logs in once and
//! waits to be told when to sign, so that its passes alternate with those of the driver. It takes the time of the signatures alone. Programs
//! that sign once are measured from before `C_Initialize` to after the signature.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use chancery_iso7816::{Transport, TransportError};
use chancery_reader::{
    Stop, WithAtr,
    socket::{Offer, SocketReader},
};
use chancery_vtoken::VirtualToken;
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::{Attribute, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use zeroize::Zeroizing;

use crate::{
    line::{Counts, Goal, Line, Sample, Stopwatch, for_a_pass},
    opensc::{KEYS, PIN, prepare},
    options::Options,
    raw::{HASH, SHA256_INFO},
    workshop::Workshop,
};

/// First argument of the client.
pub(crate) const CLIENT: &str = "--module-client";
/// Word of the client that signs as long as it is told to; any other is the label of a key that signs once.
const PASSES: &str = "passes";
/// Signatures counted.
const COUNTED: u32 = 64;
/// Programs started in a round.
const STARTS: u32 = 8;

const LINES: [(&str, &str, &str, Option<f64>); 2] = [
    ("module P-256", "p256", "driver P-256", None),
    ("module RSA-2048", "rsa2048", "driver RSA-2048", Some(0.8)),
];

pub(crate) fn lines(options: &Options) -> Vec<Line> {
    let shared: Rc<RefCell<Option<World>>> = Rc::default();
    let with = |act: fn(&mut World, &str) -> anyhow::Result<Sample>, label: &'static str| {
        let (shared, options) = (Rc::clone(&shared), options.clone());
        move || act(World::of(&mut shared.borrow_mut(), &options)?, label)
    };
    let counted = |act: fn(&mut World, &str) -> anyhow::Result<f64>, label: &'static str| {
        let (shared, options) = (Rc::clone(&shared), options.clone());
        move || {
            Ok(Counts {
                apdus: Some(act(World::of(&mut shared.borrow_mut(), &options)?, label)?),
                commits: None,
            })
        }
    };
    let mut lines = Vec::new();
    for (name, label, baseline, goal) in LINES {
        lines.push(
            Line::new(name, with(World::pass, label))
                .beside(baseline)
                .goal(goal.map(Goal::Ratio))
                .counted(counted(World::apdus_of_signature, label))
                .in_passes(),
        );
    }
    // CardContact's module takes 5 commands and 2 a key.
    let keys = u8::try_from(KEYS.len()).unwrap_or(u8::MAX);
    lines.push(
        Line::new(
            "module, a program's first start",
            with(World::first_starts, "p256"),
        )
        .goal(Some(Goal::Commands(f64::from(5 + 2 * keys))))
        .counted(counted(World::apdus_of_first_start, "p256")),
    );
    lines.push(
        Line::new("module, a program's next start", with(World::next_starts, "p256"))
            .goal(Some(Goal::Commands(4.0)))
            .counted(counted(World::apdus_of_next_start, "p256")),
    );
    lines
}

/// A token on a socket, and a client that has it.
struct World {
    apdus: Arc<AtomicU64>,
    stop: Stop,
    served: Option<JoinHandle<std::io::Result<()>>>,
    client: Option<Client>,
    module: PathBuf,
    workshop: Workshop,
}

impl World {
    /// Made when it is first needed.
    fn of<'a>(shared: &'a mut Option<Self>, options: &Options) -> anyhow::Result<&'a mut Self> {
        let world = match shared.take() {
            Some(made) => made,
            None => Self::new(options)?,
        };
        Ok(shared.insert(world))
    }

    fn new(options: &Options) -> anyhow::Result<Self> {
        let workshop = Workshop::new(options)?;
        let directory = workshop.make("module")?;
        prepare(VirtualToken::open(&directory, &workshop.at_rest)?)?;
        let token = VirtualToken::open(&directory, &workshop.at_rest)?;
        let atr = token.atr().to_vec();
        let apdus = Arc::new(AtomicU64::new(0));
        let counting = Counting {
            token,
            apdus: Arc::clone(&apdus),
        };
        let socket = fs::canonicalize(workshop.path())?.join("readers/module.sock");
        let reader = SocketReader::bind(&socket)?;
        let stop = Stop::new();
        let stopped = stop.clone();
        let served = thread::spawn(move || {
            reader.serve("module", Offer::Token(WithAtr::new(counting, atr)), &stopped)
        });
        let text = format!("[tokens]\nreaders = \"none\"\nsockets = [{socket:?}]\n");
        fs::write(workshop.path().join("pkcs11.toml"), text)?;
        Ok(Self {
            apdus,
            stop,
            served: Some(served),
            client: None,
            module: module()?,
            workshop,
        })
    }

    /// A program with the module, what it remembers in a folder of that name.
    fn program(&self, word: &str, cache: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(CLIENT)
            .arg(&self.module)
            .arg(word)
            .env("CHANCERY_PKCS11_CONFIG", self.workshop.path().join("pkcs11.toml"))
            .env(
                "XDG_CACHE_HOME",
                fs::canonicalize(self.workshop.path())?.join(cache),
            );
        Ok(command)
    }

    /// The client that has the token.
    fn client(&mut self) -> anyhow::Result<&mut Client> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::start(&mut self.program(PASSES, "kept")?)?,
        };
        Ok(self.client.insert(client))
    }

    fn pass(&mut self, label: &str) -> anyhow::Result<Sample> {
        // What the token's thread computes belongs to it.
        let watch = Stopwatch::start();
        let theirs = self.client()?.sign(label)?;
        let ours = watch.stop(theirs.pieces);
        Ok(Sample {
            computed: ours
                .computed
                .zip(theirs.computed)
                .map(|(ours, theirs)| ours + theirs),
            ..theirs
        })
    }

    fn apdus_of_signature(&mut self, label: &str) -> anyhow::Result<f64> {
        let mut signatures = 0;
        self.client()?.sign(label)?;
        let before = self.apdus.load(Ordering::Relaxed);
        while signatures < COUNTED {
            signatures += self.client()?.sign(label)?.pieces;
        }
        self.apdus_since(before, signatures)
    }

    fn apdus_since(&self, before: u64, pieces: u32) -> anyhow::Result<f64> {
        let apdus = u32::try_from(self.apdus.load(Ordering::Relaxed) - before)?;
        Ok(f64::from(apdus) / f64::from(pieces))
    }

    fn first_starts(&mut self, label: &str) -> anyhow::Result<Sample> {
        Ok(self.starts(label, true)?.0)
    }

    fn next_starts(&mut self, label: &str) -> anyhow::Result<Sample> {
        Ok(self.starts(label, false)?.0)
    }

    fn apdus_of_first_start(&mut self, label: &str) -> anyhow::Result<f64> {
        Ok(self.starts(label, true)?.1)
    }

    fn apdus_of_next_start(&mut self, label: &str) -> anyhow::Result<f64> {
        Ok(self.starts(label, false)?.1)
    }

    /// Programs that sign once, one after the other, each with nothing remembered or with what the one before it left; and the commands
    /// of each until it had its signature.
    fn starts(&mut self, label: &str, anew: bool) -> anyhow::Result<(Sample, f64)> {
        // While the other client is logged in nobody else gets the token.
        self.client = None;
        let folder = fs::canonicalize(self.workshop.path())?.join("starts");
        if !anew {
            self.start(label)?;
        }
        let mut took = Duration::ZERO;
        let mut apdus = 0;
        for _ in 0..STARTS {
            if anew && folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            let one = self.start(label)?;
            took += one.0;
            apdus += one.1;
        }
        let sample = Sample {
            pieces: STARTS,
            took,
            computed: None,
        };
        Ok((sample, f64::from(u32::try_from(apdus)?) / f64::from(STARTS)))
    }

    fn start(&self, label: &str) -> anyhow::Result<(Duration, u64)> {
        let before = self.apdus.load(Ordering::Relaxed);
        let mut client = Client::start(&mut self.program(label, "starts")?)?;
        let mut answer = String::new();
        client.answers.read_line(&mut answer)?;
        // Now it has signed, and waits before it logs out.
        let apdus = self.apdus.load(Ordering::Relaxed) - before;
        let nanoseconds = answer.trim().parse().context("the client ended, and said why")?;
        Ok((Duration::from_nanos(nanoseconds), apdus))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.client = None;
        self.stop.stop();
        if let Some(served) = self.served.take() {
            // It has nothing left to tell.
            let _ = served.join();
        }
    }
}

/// A token that counts what it is asked.
struct Counting {
    token: VirtualToken,
    apdus: Arc<AtomicU64>,
}

impl Transport for Counting {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.apdus.fetch_add(1, Ordering::Relaxed);
        self.token.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

/// A process with the module that signs when it is told to.
struct Client {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Client {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().context("no way back from the client")?;
        Ok(Self {
            child,
            orders,
            answers: BufReader::new(answers),
        })
    }

    /// Has it sign for a pass.
    fn sign(&mut self, label: &str) -> anyhow::Result<Sample> {
        let orders = self.orders.as_mut().context("no way to the client")?;
        writeln!(orders, "{label}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let mut words = answer.split_whitespace();
        let mut next = || -> anyhow::Result<u64> {
            Ok(words.next().context("the client ended, and said why")?.parse()?)
        };
        Ok(Sample {
            pieces: next()?.try_into()?,
            took: Duration::from_nanos(next()?),
            computed: Some(Duration::from_nanos(next()?)),
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It ends when nothing more can come, and has said what it had to say.
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// The module beside this program.
pub(crate) fn module() -> anyhow::Result<PathBuf> {
    let module = std::env::current_exe()?.with_file_name("libchancery_pkcs11.so");
    ensure!(
        module.is_file(),
        "{} is not there: cargo build --release -p chancery-pkcs11-module",
        module.display()
    );
    Ok(module)
}

/// The client: either one signature from the start on, or passes as they are asked for.
pub(crate) fn client(
    mut arguments: impl Iterator<Item = String>,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<()> {
    let mut next = || arguments.next().context("an argument is missing");
    let (module, word) = (next()?, next()?);
    let watch = Stopwatch::start();
    let loaded = load(Path::new(&module))?;
    let session = session(&loaded)?;
    if word != PASSES {
        let key = find(&session, &word)?;
        let (mechanism, input) = work(&word);
        session.sign(&mechanism, key, &input)?;
        tell(&watch.elapsed().as_nanos().to_string());
        // Commands are counted until here, not those of the end.
        std::io::stdin().lines().for_each(drop);
        return Ok(());
    }
    let mut keys = BTreeMap::new();
    for label in std::io::stdin().lines() {
        let label = label?;
        let (mechanism, input) = work(&label);
        let key = match keys.get(&label) {
            Some(key) => *key,
            None => {
                let key = find(&session, &label)?;
                // The first signature of a key is verified.
                session.sign(&mechanism, key, &input)?;
                keys.insert(label, key);
                key
            }
        };
        let sample = for_a_pass(|| {
            std::hint::black_box(session.sign(&mechanism, key, &input)?);
            Ok(())
        })?;
        let (took, computed) = (sample.took, sample.computed.unwrap_or_default());
        tell(&format!(
            "{} {} {}",
            sample.pieces,
            took.as_nanos(),
            computed.as_nanos()
        ));
    }
    Ok(())
}

/// Loads a module.
pub(crate) fn load(module: &Path) -> anyhow::Result<Pkcs11> {
    let module = Pkcs11::new(module)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    Ok(module)
}

fn session(module: &Pkcs11) -> anyhow::Result<Session> {
    let slots = module.get_slots_with_token()?;
    let session = module.open_ro_session(*slots.first().context("there is no token")?)?;
    session.login(UserType::User, Some(&AuthPin::new(PIN.into())))?;
    Ok(session)
}

/// The private key of that name.
pub(crate) fn find(session: &Session, label: &str) -> anyhow::Result<ObjectHandle> {
    let wanted = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let keys = session.find_objects(&wanted)?;
    keys.first().copied().context("there is no such key")
}

/// What a key is asked to do.
pub(crate) fn work(label: &str) -> (Mechanism<'static>, Vec<u8>) {
    if label.starts_with("rsa") {
        (Mechanism::RsaPkcs, [&SHA256_INFO[..], &HASH].concat())
    } else {
        (Mechanism::Ecdsa, HASH.to_vec())
    }
}
