//! A pcscd of our own, with virtual tokens in its readers, and Debian's programs at work on them.
//!
//! pcscd's socket and pid file have fixed paths: it runs in a mount namespace in which a folder of the test's is bound over
//! them. That takes root, or user namespaces.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Ended, Home};

/// A private pcscd with a reader of two slots.
pub(crate) struct Pcscd {
    dir: TempDir,
    port: u16,
    auto_exit: bool,
    process: Option<Child>,
}

/// How long anything that should happen at once may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest a client may run, in seconds.
const CLIENT: &str = "300";
const PAUSE: Duration = Duration::from_millis(10);
/// The entry of Debian's package, on another port.
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// `$0` is the test's folder, the arguments are pcscd's.
const IN_NAMESPACE: &str = r#"
set -e
[ -d /run/pcscd ] || { mount -t tmpfs none /run; mkdir /run/pcscd; }
mount --bind "$0/run" /run/pcscd
exec /usr/sbin/pcscd --foreground --config "$0/conf" "$@"
"#;

impl Pcscd {
    /// One that stays.
    pub(crate) fn start() -> Self {
        Self::new(false)
    }

    /// One that ends 60 s after its last client, as Debian's does.
    pub(crate) fn with_auto_exit() -> Self {
        Self::new(true)
    }

    fn new(auto_exit: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_ports(4);
        fs::create_dir(dir.path().join("run")).unwrap();
        fs::create_dir(dir.path().join("conf")).unwrap();
        fs::write(
            dir.path().join("conf/vpcd"),
            format!(
                "FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:{port}\nLIBPATH {DRIVER}\nCHANNELID {port}\n"
            ),
        )
        .unwrap();
        let mut pcscd = Self {
            dir,
            port,
            auto_exit,
            process: None,
        };
        pcscd.run();
        pcscd
    }

    /// Starts it, with the readers that its configuration names now.
    pub(crate) fn run(&mut self) {
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = Command::new("unshare");
        if !getuid().is_root() {
            command.arg("--map-root-user");
        }
        command
            .args(["--mount", "sh", "-c", IN_NAMESPACE])
            .arg(self.dir.path());
        if self.auto_exit {
            command.arg("--auto-exit");
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let ready = || self.socket().exists() && TcpListener::bind(("0.0.0.0", self.port)).is_err();
        until("pcscd listens", ready, || self.log());
    }

    /// Ends it, as a restart of the service does.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.process.take() {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let end = Instant::now() + PATIENCE;
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > end {
                    child.kill().unwrap();
                }
                thread::sleep(PAUSE);
            }
            let _ = fs::remove_file(self.socket());
        }
    }

    /// Whether it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Port of the first slot. Three ports after it are free.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its readers.
    pub(crate) fn conf(&self) -> PathBuf {
        self.dir.path().join("conf")
    }

    /// What its clients are told in `PCSCLITE_CSOCK_NAME`.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("run/pcscd.comm")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// A program that is a client of this pcscd, with nothing of the caller's surroundings.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", CLIENT, program])
            .args(args)
            .current_dir(self.dir.path())
            .env("PCSCLITE_CSOCK_NAME", self.socket())
            .env("HOME", self.dir.path())
            .env_remove("OPENSC_DEBUG")
            .env_remove("OPENSC_CONF")
            .env_remove("XDG_CONFIG_HOME")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a client to its end.
    pub(crate) fn client(&self, program: &str, args: &[&str]) -> Ended {
        Ended::from(self.command(program, args).output().unwrap())
    }

    /// Runs a client that reads its standard input.
    pub(crate) fn client_with_input(&self, program: &str, args: &[&str], input: &str) -> Ended {
        let mut child = self.command(program, args).stdin(Stdio::piped()).spawn().unwrap();
        // A client that ends early needs no more input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ended::from(child.wait_with_output().unwrap())
    }

    /// Has `sc-hsm-tool` make a share file with four password shares, two of which open it; what it showed.
    pub(crate) fn tool_shares(&self, file: &str) -> String {
        let words = [
            "--create-dkek-share",
            file,
            "--pwd-shares-threshold",
            "2",
            "--pwd-shares-total",
            "4",
        ];
        loop {
            let made = self
                .client_with_input("sc-hsm-tool", &words, &"\n".repeat(12))
                .ok();
            // One file in 256 it cannot open itself: those are for the tests of `dkek doctor`.
            if !begins_with_zero(&made.out) {
                return made.out;
            }
        }
    }

    /// `pkcs11-tool` with OpenSC's module on the first reader.
    pub(crate) fn pkcs11(&self, args: &[&str]) -> Ended {
        let module = opensc_module();
        self.client("pkcs11-tool", &[&["--module", &module], args].concat())
    }

    /// A file for clients, which run in its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file for clients.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.file(name), content).unwrap();
    }

    /// Reads a file that a client wrote.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Number of readers with a card.
    pub(crate) fn cards(&self) -> usize {
        let list = self.client("opensc-tool", &["--list-readers"]).out;
        list.lines()
            .filter(|line| line.split_whitespace().nth(1) == Some("Yes"))
            .count()
    }

    /// Waits until so many readers have a card.
    pub(crate) fn wait_for_cards(&self, number: usize) {
        until(
            &format!("{number} cards are there"),
            || self.cards() == number,
            || self.log(),
        );
    }
}

impl Drop for Pcscd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `chancery vtoken plug` at work.
pub(crate) struct Plugged {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Plugged {
    /// Plugs tokens of a home into a pcscd and waits until it has them.
    pub(crate) fn into(pcscd: &Pcscd, home: &Home, names: &[&str]) -> Self {
        let mut plugged = Self::begin(pcscd, home, names, &[]);
        for _ in names {
            plugged.wait_for("inserted");
        }
        pcscd.wait_for_cards(names.len());
        plugged
    }

    /// Begins plugging in, with further options.
    pub(crate) fn begin(pcscd: &Pcscd, home: &Home, names: &[&str], options: &[&str]) -> Self {
        let port = pcscd.port().to_string();
        let words = [&["vtoken", "plug", "--json", "--port", &port][..], options, names].concat();
        let process = home
            .command(&words)
            .env("PCSCLITE_CSOCK_NAME", pcscd.socket())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self::from(process)
    }

    /// The next line about this.
    pub(crate) fn wait_for(&mut self, event: &str) -> Value {
        let mut seen = String::new();
        loop {
            let before = seen.len();
            let read = self.lines.read_line(&mut seen).unwrap();
            assert!(read > 0, "it ended before {event}: {seen}");
            let line: Value =
                serde_json::from_str(&seen[before..]).unwrap_or_else(|error| panic!("{error}: {seen}"));
            if line["event"] == event {
                return line;
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`, and the end of it.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ends it as Ctrl-C does; its exit code.
    pub(crate) fn interrupt(mut self) -> i32 {
        kill_process(Pid::from_child(&self.process), Signal::INT).unwrap();
        self.process.wait().unwrap().code().unwrap()
    }

    /// Waits until it ends by itself; its exit code.
    pub(crate) fn ended(mut self) -> i32 {
        self.process.wait().unwrap().code().unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

impl From<Child> for Plugged {
    fn from(mut process: Child) -> Self {
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the password of which these are shares, two being enough, begins with a zero byte, which the tool drops.
fn begins_with_zero(shown: &str) -> bool {
    let number = |line: &str| {
        let digits: String = line
            .split_once(": ")
            .unwrap()
            .1
            .chars()
            .filter(char::is_ascii_hexdigit)
            .collect();
        u128::from_str_radix(&digits, 16).unwrap()
    };
    let all = |name: &str| -> Vec<u128> {
        shown
            .lines()
            .filter(|line| line.trim_start().starts_with(name))
            .map(number)
            .collect()
    };
    let prime = all("Prime ")[0];
    assert_eq!(all("Share ID ")[..2], [1, 2], "{shown}");
    let values = all("Share value ");
    // The line through the first two of them, at 0.
    let secret = (2 * values[0] + prime - values[1]) % prime;
    secret >> 56 == 0
}

/// OpenSC's PKCS#11 module; its folder bears the machine's name.
pub(crate) fn opensc_module() -> String {
    let folders = fs::read_dir("/usr/lib").unwrap();
    folders
        .filter_map(|entry| Some(entry.ok()?.path().join("opensc-pkcs11.so")))
        .find(|path| path.exists())
        .expect("OpenSC's PKCS#11 module is installed")
        .display()
        .to_string()
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool, explain: impl Fn() -> String) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain until {what}: {}", explain());
        thread::sleep(PAUSE);
    }
}

/// Ports that nobody listens on, the first of so many. They are below those that the system gives out by itself.
fn free_ports(number: u16) -> u16 {
    // Several test programs run at a time: what one of them was given bears a name that the others meet, until it ends.
    static GIVEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().unwrap();
    let spread = u16::try_from(std::process::id() % 1500).unwrap();
    let (first, name) = (0..1500_u16)
        .map(|step| 20_000 + (spread + step) % 1500 * 8)
        .find_map(|first| {
            let name = SocketAddr::from_abstract_name(format!("chancery-test-ports-{first}")).unwrap();
            let name = UnixListener::bind_addr(&name).ok()?;
            let mut ports = first..first + number;
            let free = ports.all(|port| TcpListener::bind(("0.0.0.0", port)).is_ok());
            free.then_some((first, name))
        })
        .expect("free ports");
    given.push(name);
    first
}

/// Runs a program that is no client, such as openssl; what it says on standard output.
pub(crate) fn judge(directory: &Path, program: &str, args: &[&str]) -> Ended {
    let output = Command::new(program)
        .args(args)
        .current_dir(directory)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended::from(output)
}
