//! A node with signing keys, a client that is enrolled, and custodians.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    common::{Ended, Home},
    pkcs11::module,
    programs::{Desk, Program},
};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What custodians do about requests.
#[derive(Clone, Copy)]
pub(crate) enum Custodians {
    /// Two of them agree.
    Agree,
    /// Two of them agree, in another second than the one they were asked in.
    AgreeLater,
    /// One agrees and one refuses, for this reason.
    Refuse(&'static str),
    /// Nobody answers.
    Silent,
}

/// The two ways to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    AtSign,
    AtLogin,
}

impl Waits {
    pub(crate) const BOTH: [Self; 2] = [Self::AtSign, Self::AtLogin];

    fn lines(self, count: u64) -> String {
        match self {
            Self::AtSign => format!("count = {count}"),
            Self::AtLogin => format!("wait = \"login\"\ncount = {count}"),
        }
    }
}

/// An RSA key `firmware` and an EC key `release` in a locked HSM; a client `build`; a node on a network address.
pub(crate) struct World {
    pub(crate) home: Arc<Home>,
    node: Child,
    address: String,
    custodians: Arc<Mutex<Custodians>>,
    stop: Arc<AtomicBool>,
    driver: Option<JoinHandle<()>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let home = Arc::new(Home::ready());
        home.run(&["hsm", "attach", "hsm-a", "--as", "alice"]);
        for custodian in ["alice", "bob"] {
            home.run(&["hsm", "unlock", "hsm-a", "--as", custodian]);
        }
        for (name, algorithm) in [("firmware", "rsa:2048"), ("release", "ec:P-256")] {
            home.run(&[
                "signer",
                "create",
                name,
                "--algorithm",
                algorithm,
                "--hsm",
                "hsm-a",
                "--as",
                "alice",
            ])
            .ok();
        }
        home.run(&["hsm", "lock"]).ok();
        home.run(&["stop"]).ok();
        let node = home
            .command(&["serve", "--idle-stop", "0", "--api-listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.dir.path().join("node.log")).unwrap())
            .spawn()
            .unwrap();
        let address = until("the node answers", || {
            let (_, status) = home.json(&["status"]);
            status["api_listen"].as_str().map(str::to_owned)
        });
        home.run(&["client", "key", "--out", "build.key"]).ok();
        home.run(&["client", "add", "build", "--key", "build.key.crt"])
            .ok();
        let world = Self {
            node,
            address,
            custodians: Arc::new(Mutex::new(Custodians::Agree)),
            stop: Arc::default(),
            driver: None,
            home,
        };
        fs::create_dir(world.path("run")).unwrap();
        let engine = format!(
            "openssl_conf = top\n[top]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = \
             pkcs11\nMODULE_PATH = {}\n[req]\ndistinguished_name = name\n[name]\n",
            module().display()
        );
        fs::write(world.path("openssl.cnf"), engine).unwrap();
        world
    }

    /// One in which custodians answer.
    pub(crate) fn with_custodians() -> Self {
        let mut world = Self::new();
        let (home, custodians, stop) = (
            Arc::clone(&world.home),
            Arc::clone(&world.custodians),
            Arc::clone(&world.stop),
        );
        world.driver = Some(thread::spawn(move || {
            let mut refused = Vec::new();
            while !stop.load(Ordering::Acquire) {
                let policy = *custodians.lock().unwrap();
                for lease in open_leases(&home, "waiting") {
                    match policy {
                        Custodians::Agree | Custodians::AgreeLater => {
                            if matches!(policy, Custodians::AgreeLater) {
                                thread::sleep(Duration::from_millis(1100));
                            }
                            for who in ["alice", "bob"] {
                                home.run(&["approve", &lease, "--as", who]);
                            }
                        }
                        Custodians::Refuse(why) if !refused.contains(&lease) => {
                            home.run(&["approve", &lease, "--as", "alice"]);
                            home.run(&["approve", &lease, "--as", "carol", "--refuse", why]);
                            refused.push(lease);
                        }
                        Custodians::Refuse(_) | Custodians::Silent => {}
                    }
                }
                thread::sleep(Duration::from_millis(50));
            }
        }));
        world
    }

    pub(crate) fn set(&self, custodians: Custodians) {
        *self.custodians.lock().unwrap() = custodians;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.dir.path().join(name)
    }

    /// Writes a configuration with one node section; its lines beyond the least are `more`.
    pub(crate) fn configuration(&self, name: &str, more: &str) -> PathBuf {
        let file = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "[tokens]\nreaders = \"none\"\nsockets = [{:?}]\n[notices]\nsyslog = false\n[[node]]\nurl = \
             \"https://{}\"\nnode_cert = {:?}\nclient_cert = {:?}\nclient_key = {:?}\n{more}\n",
            self.home.dir.path(),
            self.address,
            self.home.data().join("network/node.pem"),
            file("build.key.crt"),
            file("build.key"),
        );
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A configuration that waits in this way, for so many digests at once.
    pub(crate) fn waiting(&self, waits: Waits, count: u64) -> PathBuf {
        let name = match waits {
            Waits::AtSign => "sign.toml",
            Waits::AtLogin => "login.toml",
        };
        self.configuration(name, &waits.lines(count))
    }

    /// A program with the module and this configuration, and no terminal.
    pub(crate) fn program(&self, configuration: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command
            .current_dir(self.home.dir.path())
            .stdin(Stdio::null())
            .env_remove("SOURCE_DATE_EPOCH")
            .env("HOME", self.home.dir.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("CHANCERY_PKCS11_CONFIG", configuration)
            .env("PKCS11_MODULE_PATH", module())
            .args(&words[1..]);
        if words[0] == "openssl" {
            command.env("OPENSSL_CONF", self.path("openssl.cnf"));
        }
        command
    }

    pub(crate) fn run(&self, configuration: &Path, words: &[&str]) -> Ended {
        ended(&mut self.program(configuration, words))
    }

    /// `openssl` with the engine set up.
    pub(crate) fn openssl(&self, configuration: &Path, words: &[&str]) -> Ended {
        self.run(configuration, &[&["openssl"], words].concat())
    }

    /// One of the programs that sign, with the digests it needs as the count.
    pub(crate) fn signs(&self, program: Program, waits: Waits, desk: &Desk<'_>) -> Command {
        let count = program.digests().max(1);
        let configuration = if program == Program::Test {
            self.configuration(
                "tested.toml",
                &format!("{}\nprehashed = false", waits.lines(count)),
            )
        } else {
            self.waiting(waits, count)
        };
        let words = program.words(desk);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = self.program(&configuration, &words);
        command.envs(program.environment(desk));
        command
    }

    /// The key `firmware` as programs are told of it.
    pub(crate) fn desk<'a>(&'a self, pin: Option<&'a str>) -> Desk<'a> {
        Desk {
            folder: self.home.dir.path(),
            token: "firmware",
            key: "firmware",
            pin,
        }
    }

    /// Writes what is signed, and the public key `firmware`; has `openssl req` make a self-signed certificate for it, and stores that
    /// beside the key.
    pub(crate) fn prepare(&self) {
        let configuration = self.waiting(Waits::AtSign, 1);
        let key = uri("firmware");
        self.openssl(
            &configuration,
            &[
                "req",
                "-new",
                "-x509",
                "-engine",
                "pkcs11",
                "-keyform",
                "engine",
                "-key",
                &key,
                "-subj",
                "/CN=firmware",
                "-days",
                "30",
                "-out",
                "certificate.pem",
            ],
        )
        .ok();
        self.home
            .run(&["signer", "certificate", "firmware", "certificate.pem"])
            .ok();
        self.home
            .run(&["signer", "key", "firmware", "--out", "key.pem"])
            .ok();
        self.desk(None).prepare();
        self.end_leases();
    }

    pub(crate) fn leases(&self, state: &str) -> Vec<String> {
        open_leases(&self.home, state)
    }

    /// Leases of all times.
    pub(crate) fn all_leases(&self) -> Vec<Value> {
        let (code, leases) = self.home.json(&["lease", "list"]);
        assert_eq!(code, 0, "{leases}");
        leases.as_array().unwrap().clone()
    }

    /// Ends every lease, so that what was permitted before permits nothing now; one whose digests are all signed gives its
    /// signatures again until its time is over.
    pub(crate) fn end_leases(&self) {
        for lease in self.all_leases() {
            if lease["state"] == "live" || lease["state"] == "exhausted" {
                let lease = lease["lease"].as_str().unwrap();
                self.home
                    .run(&["lease", "revoke", lease, "--reason", "the next test begins"]);
            }
        }
    }

    /// The receipt of a signature made under any lease.
    pub(crate) fn receipt(&self, digest: &str) -> Value {
        let leases = self.all_leases();
        let receipt = leases.iter().find_map(|lease| {
            let (code, receipt) =
                self.home
                    .json(&["receipt", "show", lease["lease"].as_str().unwrap(), digest]);
            (code == 0).then_some(receipt)
        });
        receipt.unwrap_or_else(|| panic!("no receipt of {digest}"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(driver) = self.driver.take() {
            let _ = driver.join();
        }
        let _ = self.home.command(&["stop"]).output();
        let _ = self.node.wait();
    }
}

/// The private key of a signer.
pub(crate) fn uri(key: &str) -> String {
    format!("pkcs11:token={key};object={key};type=private")
}

/// Runs a program that must end by itself.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    assert_eq!(output.status.signal(), None, "{command:?}: {output:?}");
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits for something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn open_leases(home: &Home, state: &str) -> Vec<String> {
    let (_, leases) = home.json(&["lease", "list", "--open"]);
    let leases = leases.as_array().cloned().unwrap_or_default();
    leases
        .iter()
        .filter(|lease| lease["state"] == state)
        .map(|lease| lease["lease"].as_str().unwrap().to_owned())
        .collect()
}
