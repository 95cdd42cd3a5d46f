//! A data directory of its own, the program under test, and the end of its node.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A data directory and a folder for files beside it.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// One in which `chancery quickstart` was run.
    pub(crate) fn ready() -> Self {
        let home = Self::new();
        home.run(&["quickstart"]).ok();
        home
    }

    /// Makes the signing key `firmware`; afterwards both HSMs of the quickstart are open.
    pub(crate) fn make_signer(&self) {
        for hsm in ["hsm-a", "hsm-b"] {
            // The quickstart leaves one of them as it was found; both have to be open for a new key.
            self.run(&["hsm", "attach", hsm, "--as", "alice"]);
            for custodian in ["alice", "bob"] {
                self.run(&["hsm", "unlock", hsm, "--as", custodian]);
            }
        }
        self.run(&["signer", "create", "firmware", "--hsm", "hsm-a", "--as", "alice"])
            .ok();
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.data().join("out").join(name)
    }

    /// The program, on this data directory, with nothing of the caller's surroundings.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command
            .current_dir(self.dir.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("CHANCERY_LOG")
            .env("CHANCERY_DATA_DIR", self.data())
            .stdin(std::process::Stdio::null())
            .args(words);
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        Ended::from(self.command(words).output().unwrap())
    }

    /// Runs a command with `--json`; the JSON of success or failure.
    pub(crate) fn json(&self, words: &[&str]) -> (i32, Value) {
        let ended = self.run(&[words, &["--json"]].concat());
        let value = serde_json::from_str(&ended.out)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", ended.out));
        (ended.code, value)
    }

    /// A private file beside the data directory.
    pub(crate) fn private(&self, name: &str, content: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// Imports the request of the quickstart again and has it approved; its number.
    pub(crate) fn approved(&self) -> String {
        let csr = self.out("leaf.csr").display().to_string();
        let (code, request) = self.json(&["request", "import", &csr]);
        assert_eq!(code, 0, "{request}");
        let number = request["request"].to_string();
        self.run(&["request", "approve", &number, "--as", "bob"]).ok();
        number
    }

    /// What `openssl verify` says of a file under the CRL.
    pub(crate) fn openssl_verify(&self, name: &str) -> Output {
        Command::new("openssl")
            .args(["verify", "-x509_strict", "-crl_check", "-CRLfile"])
            .arg(self.out("crl.pem"))
            .arg("-CAfile")
            .arg(self.out("root.pem"))
            .arg(self.out(name))
            .output()
            .unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.command(&["stop"]).output();
    }
}

impl Ended {
    /// Insists on success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The file that describes exit codes and JSON.
pub(crate) fn documented() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-codes-and-json.md");
    fs::read_to_string(path).unwrap()
}

/// The process that holds the data directory, from its lock file.
pub(crate) fn node_pid(data: &Path) -> Option<i32> {
    fs::read_to_string(data.join("node.lock"))
        .ok()?
        .trim()
        .parse()
        .ok()
}
