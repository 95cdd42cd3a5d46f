//! A data directory in which `chancery quickstart` was run, and what is done to its processes.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, Weak},
};

use chancery_agent::{LocalTokens, OwnToken, PinSource};
use chancery_api::{Failure, RequestNumber, RequestPage, RequestView};
use chancery_driver::PinStatus;
use chancery_node::DataDir;
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

/// An installation of its own, copied from one that was made once.
pub(crate) struct World {
    pub(crate) base: Arc<Base>,
    directory: PathBuf,
    /// Removed with the world.
    scratch: Option<TempDir>,
}

/// The installation that all others are copies of: the quickstart's, with requests that are approved and not yet signed.
pub(crate) struct Base {
    scratch: TempDir,
    pub(crate) approved: Vec<RequestNumber>,
}

/// Requests that wait for a signature.
const APPROVED: usize = 48;

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) args: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Base {
    /// Made once; gone with the last world.
    fn shared() -> Arc<Self> {
        static BASE: Mutex<Weak<Base>> = Mutex::new(Weak::new());
        let mut slot = BASE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(base) = slot.upgrade() {
            return base;
        }
        let base = Arc::new(Self::make());
        *slot = Arc::downgrade(&base);
        base
    }

    fn make() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        let run = |args: &[&str]| Ended::of(args, command(&data, args).output().unwrap()).ok();
        run(&["quickstart"]);
        let csr = data.join("out/leaf.csr").display().to_string();
        let import = ["request", "import", &csr, "--ca", "root", "--json"];
        let approved: Vec<_> = (0..APPROVED)
            .map(|_| run(&import).json::<RequestView>().request)
            .collect();
        let numbers: Vec<_> = approved.iter().map(ToString::to_string).collect();
        let mut approve = vec!["request", "approve", "--as", "bob"];
        approve.extend(numbers.iter().map(String::as_str));
        run(&approve);
        run(&["stop"]);
        Self { scratch, approved }
    }

    fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// A request that can be imported again and again.
    pub(crate) fn csr(&self) -> String {
        self.data().join("out/leaf.csr").display().to_string()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("data");
        let mut world = Self::at(directory);
        world.scratch = Some(scratch);
        world
    }

    /// In a place of the caller's.
    pub(crate) fn at(directory: PathBuf) -> Self {
        let base = Base::shared();
        copy(&base.data(), &directory);
        Self {
            base,
            directory,
            scratch: None,
        }
    }

    pub(crate) fn data(&self) -> DataDir {
        DataDir::open(&self.directory).unwrap()
    }

    /// A file in the data directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        command(&self.directory, args)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::of(args, self.command(args).output().unwrap())
    }

    /// Runs a command that has to succeed, with `--json`.
    pub(crate) fn json<T: DeserializeOwned>(&self, args: &[&str]) -> T {
        self.run(&[args, &["--json"]].concat()).ok().json()
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// The process that holds the data directory.
    pub(crate) fn node(&self) -> Option<u32> {
        self.data().node().unwrap().filter(|pid| *pid > 0)
    }

    /// `kill -9`.
    pub(crate) fn kill(&self, node: u32) {
        let pid = Pid::from_raw(i32::try_from(node).unwrap()).unwrap();
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }

    /// Waits until a killed node is gone: its lock is given back by the operating system.
    pub(crate) fn wait_for_the_end_of(&self, node: u32) {
        if self.node() == Some(node) {
            File::open(self.data().lock()).unwrap().lock().unwrap();
        }
    }

    /// Has two custodians open HSMs.
    pub(crate) fn unlock(&self, hsms: &[&str]) {
        for custodian in ["alice", "bob"] {
            self.run(&[&["hsm", "unlock", "--as", custodian], hsms].concat())
                .ok();
        }
    }

    /// Every request.
    pub(crate) fn requests(&self) -> Vec<RequestView> {
        let page: RequestPage = self.json(&["request", "list", "--limit", "200"]);
        assert_eq!(page.next, None, "more requests than a page holds");
        page.requests
    }

    /// A new request, not yet approved.
    pub(crate) fn import(&self) -> RequestNumber {
        self.json::<RequestView>(&["request", "import", &self.base.csr(), "--ca", "root"])
            .request
    }

    /// A token, in this process.
    pub(crate) fn token(&self, name: &str) -> OwnToken {
        let data = self.data();
        LocalTokens::new(&data.tokens(), data.at_rest(), None)
            .unwrap()
            .open(name)
            .unwrap()
    }

    /// Tries left of a token's PIN; 0 when it is blocked.
    pub(crate) fn tries(&self, name: &str) -> u8 {
        match self.token(name).card().pin_status().unwrap() {
            PinStatus::NotVerified { tries_left } => tries_left,
            PinStatus::Blocked => 0,
            other => panic!("token {name}: {other:?}"),
        }
    }

    /// Presents a token's right PIN.
    pub(crate) fn present_right_pin(&self, name: &str) {
        drop(
            self.token(name)
                .unlock(&PinSource::Rehearsal(self.path("rehearsal-pins.json")))
                .unwrap(),
        );
    }

    /// A file with a PIN that is not the token's.
    pub(crate) fn wrong_pin(&self, name: &str) -> String {
        let pins: serde_json::Value =
            serde_json::from_slice(&fs::read(self.path("rehearsal-pins.json")).unwrap()).unwrap();
        let pin = pins["tokens"][name]["user_pin"].as_str().unwrap();
        let (first, rest) = pin.split_at(1);
        let wrong = if first == "0" { "1" } else { "0" };
        let path = self.path("wrong-pin");
        fs::write(&path, format!("{wrong}{rest}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// The log holds, checked without the node.
    pub(crate) fn audit_holds(&self, when: &str) {
        let ended = self.run(&["audit", "verify"]);
        assert_eq!(ended.code, Some(0), "{when}: {ended:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The directory may be gone, or half made, when a test fails.
        let holder = DataDir::open(&self.directory)
            .ok()
            .and_then(|data| data.node().ok().flatten());
        if let Some(node) = holder.filter(|pid| *pid > 0) {
            self.kill(node);
            self.wait_for_the_end_of(node);
        }
    }
}

impl Ended {
    pub(crate) fn of(args: &[&str], output: Output) -> Self {
        Self {
            args: args.join(" "),
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Waits for a child.
    pub(crate) fn wait(args: &[&str], child: Child) -> Self {
        Self::of(args, child.wait_with_output().unwrap())
    }

    /// It succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// It failed with this exit code and a sentence that contains these words.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(
            self.err.contains("chancery: ") && self.err.contains(words),
            "{words:?}: {self:#?}"
        );
        self
    }

    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// How it failed, of a command with `--json`.
    #[track_caller]
    pub(crate) fn failure(&self) -> Failure {
        self.json()
    }
}

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
    command
        .env_remove("XDG_DATA_HOME")
        .env_remove("CHANCERY_LOG")
        .env("CHANCERY_DATA_DIR", directory)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Copies a data directory without what the quickstart wrote for its user.
fn copy(from: &Path, to: &Path) {
    DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to).unwrap();
        } else if entry.file_name() != "out" {
            copy(&entry.path(), &to);
        }
    }
}
