//! Signatures through pcscd, vpcd and OpenSC, as an unchanged program has them made.
//!
//! Two tokens stand in a private pcscd: a virtual token, and one that answers every signature command with the first answer it
//! gave. What the second takes is the way there and back; the first may add to it hardly more than the crypto library takes.
//! The client is a process of its own: it logs in once, signs again and again, and takes the time of that alone.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    rc::Rc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use chancery_cvc::{Curve, Reference};
use chancery_driver::{Card, Initialize, KeyAlgorithm, KeyDescription, KeySpec, Pin, SoPin};
use chancery_iso7816::{Transport, TransportError};
use chancery_reader::{
    Stop, WithAtr,
    vpcd::{Slot, SlotError},
};
use chancery_schsm::{AlgorithmList, InitializeOptions, KeyId};
use chancery_vtoken::VirtualToken;
use cryptoki::{session::UserType, types::AuthPin};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{
    line::{Goal, Line, Sample},
    module,
    options::Options,
    raw,
    workshop::Workshop,
};

pub(crate) const PIN: &str = "648219";
const SO_PIN: &str = "3537363231383830";
/// Signatures in a round.
const SIGNATURES: u32 = 2000;
/// What a token with stored answers takes longer, at most.
const GOAL: f64 = 1.1;
/// First argument of the client.
pub(crate) const CLIENT: &str = "--opensc-client";
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// `$0` is the folder.
const IN_NAMESPACE: &str = r#"
set -e
[ -d /run/pcscd ] || { mount -t tmpfs none /run; mkdir /run/pcscd; }
mount --bind "$0/run" /run/pcscd
exec /usr/sbin/pcscd --foreground --config "$0/conf"
"#;
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Kinds of keys: label, name of the two lines, what the crypto library does.
pub(crate) const KEYS: [(&str, KeyAlgorithm, [&str; 2], &str); 2] = [
    (
        "p256",
        KeyAlgorithm::Ec(Curve::Secp256r1),
        ["OpenSC P-256, stored answer", "OpenSC P-256"],
        raw::P256,
    ),
    (
        "rsa2048",
        KeyAlgorithm::Rsa(2048),
        ["OpenSC RSA-2048, stored answer", "OpenSC RSA-2048"],
        raw::RSA_2048,
    ),
];

pub(crate) fn lines(options: &Options) -> Vec<Line> {
    // Made when it is first needed.
    let world: Rc<RefCell<Option<World>>> = Rc::default();
    let mut lines = Vec::new();
    for (label, _, [stored, real], library) in KEYS {
        for (slot, name) in [(1, stored), (0, real)] {
            let (world, options) = (Rc::clone(&world), options.clone());
            let line = Line::new(name, move || {
                let mut world = world.borrow_mut();
                let world = match world.take() {
                    Some(made) => world.insert(made),
                    None => world.insert(World::new(&options)?),
                };
                world.sign(slot, label)
            });
            let goal = Goal::Sum {
                of: [stored, library],
                most: GOAL,
            };
            lines.push(line.goal((slot == 0).then_some(goal)));
        }
    }
    lines
}

/// A pcscd with two tokens.
struct World {
    stop: Stop,
    plugged: Vec<JoinHandle<Result<(), SlotError>>>,
    pcscd: Pcscd,
    _workshop: Workshop,
}

impl World {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let workshop = Workshop::new(options)?;
        let pcscd = Pcscd::start()?;
        let stop = Stop::new();
        let mut plugged = Vec::new();
        for (port, name) in [(pcscd.port, "real"), (pcscd.port + 1, "stored")] {
            let directory = workshop.make(name)?;
            prepare(VirtualToken::open(&directory, &workshop.at_rest)?)?;
            let token = VirtualToken::open(&directory, &workshop.at_rest)?;
            let atr = token.atr().to_vec();
            let slot = Slot::new("127.0.0.1", port)?;
            let stop = stop.clone();
            plugged.push(if name == "real" {
                thread::spawn(move || slot.keep_inserted(&mut WithAtr::new(token, atr), &stop, |_| ()))
            } else {
                let token = Stored {
                    token,
                    answers: BTreeMap::new(),
                };
                thread::spawn(move || slot.keep_inserted(&mut WithAtr::new(token, atr), &stop, |_| ()))
            });
        }
        let world = Self {
            stop,
            plugged,
            pcscd,
            _workshop: workshop,
        };
        // pcscd looks for cards now and then.
        let end = Instant::now() + PATIENCE;
        while let Err(error) = world.client(1, "p256", 1) {
            if Instant::now() > end {
                return Err(error.context("the tokens do not appear in pcscd"));
            }
            thread::sleep(PAUSE);
        }
        Ok(world)
    }

    fn sign(&self, slot: usize, label: &str) -> anyhow::Result<Sample> {
        self.client(slot, label, SIGNATURES)
    }

    /// Has the client sign so often.
    fn client(&self, slot: usize, label: &str, signatures: u32) -> anyhow::Result<Sample> {
        let output = Command::new(std::env::current_exe()?)
            .args([CLIENT, &slot.to_string(), label, &signatures.to_string()])
            .env("PCSCLITE_CSOCK_NAME", self.pcscd.socket())
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            output.status.success(),
            "the client failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let nanoseconds = String::from_utf8_lossy(&output.stdout).trim().parse()?;
        Ok(Sample {
            pieces: signatures,
            took: Duration::from_nanos(nanoseconds),
            computed: None,
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.stop();
        for token in self.plugged.drain(..) {
            // It has nothing left to tell.
            let _ = token.join();
        }
    }
}

/// Answers the same signature command with the first answer it had.
struct Stored {
    token: VirtualToken,
    answers: BTreeMap<u8, Vec<u8>>,
}

impl Transport for Stored {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let [_, 0x68, key, ..] = *command else {
            return self.token.transmit(command);
        };
        if let Some(answer) = self.answers.get(&key) {
            return Ok(Zeroizing::new(answer.clone()));
        }
        let answer = self.token.transmit(command)?;
        if answer.ends_with(&[0x90, 0x00]) {
            self.answers.insert(key, answer.to_vec());
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

/// PIN and keys.
pub(crate) fn prepare(token: VirtualToken) -> anyhow::Result<()> {
    let mut card = Card::new(token).select().map_err(|failed| failed.error)?;
    card.initialize(&Initialize {
        options: InitializeOptions(0x0001),
        user_pin: Some(Pin::new(PIN)?),
        so_pin: SoPin::from_hex(SO_PIN)?,
        retry: 3,
        dkek_shares: None,
        quorum: None,
        domains: None,
    })?;
    let mut card = card.verify_pin(&Pin::new(PIN)?).map_err(|failed| failed.error)?;
    for (id, (label, algorithm, ..)) in (1_u8..).zip(KEYS) {
        let key = card.generate(&KeySpec {
            id: KeyId(id),
            algorithm,
            chr: Reference::new("UTCA00001")?,
            algorithms: AlgorithmList::unrestricted(),
            key_domain: None,
            use_counter: None,
        })?;
        card.describe_key(KeyId(id), &key.public_key, &KeyDescription::new(label))?;
    }
    Ok(())
}

/// A private pcscd; its mount namespace takes root or user namespaces.
struct Pcscd {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Pcscd {
    fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let port = free_ports()?;
        fs::create_dir(dir.path().join("run"))?;
        fs::create_dir(dir.path().join("conf"))?;
        let entry = format!(
            "FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:{port}\nLIBPATH {DRIVER}\nCHANNELID {port}\n"
        );
        fs::write(dir.path().join("conf/vpcd"), entry)?;
        let log = File::create(dir.path().join("log"))?;
        let mut command = Command::new("unshare");
        if !Command::new("id").arg("-u").output()?.stdout.starts_with(b"0\n") {
            command.arg("--map-root-user");
        }
        let child = command
            .args(["--mount", "sh", "-c", IN_NAMESPACE])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start unshare")?;
        let pcscd = Self { dir, port, child };
        let end = Instant::now() + PATIENCE;
        while !pcscd.socket().exists() {
            if Instant::now() > end {
                let log = fs::read_to_string(pcscd.dir.path().join("log")).unwrap_or_default();
                bail!("pcscd does not start: {log}");
            }
            thread::sleep(PAUSE);
        }
        Ok(pcscd)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/pcscd.comm")
    }
}

impl Drop for Pcscd {
    fn drop(&mut self) {
        // It keeps nothing that would be lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two ports nobody listens on, below those that the system gives out by itself.
fn free_ports() -> anyhow::Result<u16> {
    let free = |port: u16| TcpListener::bind(("0.0.0.0", port)).is_ok();
    (18_000..20_000)
        .step_by(2)
        .find(|port| free(*port) && free(*port + 1))
        .context("no free ports")
}

/// The client: logs in to the token in a slot, signs, and says how many nanoseconds that took.
pub(crate) fn client(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<String> {
    let mut next = || arguments.next().context("an argument is missing");
    let (slot, label, signatures) = (next()?.parse::<usize>()?, next()?, next()?.parse::<u32>()?);
    let loaded = module::load(&opensc_module()?)?;
    let slots = loaded.get_slots_with_token()?;
    let slot = *slots.get(slot).context("there is no such token")?;
    let session = loaded.open_ro_session(slot)?;
    session.login(UserType::User, Some(&AuthPin::new(PIN.into())))?;
    let key = module::find(&session, &label)?;
    let (mechanism, input) = module::work(&label);
    // The first use of a key parses it, and a stored answer is stored.
    session.sign(&mechanism, key, &input)?;
    let begun = Instant::now();
    for _ in 0..signatures {
        std::hint::black_box(session.sign(&mechanism, key, &input)?);
    }
    Ok(begun.elapsed().as_nanos().to_string())
}

/// OpenSC's module; its folder bears the machine's name.
fn opensc_module() -> anyhow::Result<PathBuf> {
    let folders = fs::read_dir(Path::new("/usr/lib"))?;
    folders
        .flatten()
        .map(|folder| folder.path().join("opensc-pkcs11.so"))
        .find(|module| module.exists())
        .context("OpenSC is not installed (Debian: apt install opensc opensc-pkcs11)")
}
