//! A trust center whose leases are asked for.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::common::Home;

/// A trust center with a signing key, its HSMs locked.
pub(crate) struct Scene {
    pub(crate) home: Home,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let home = Home::ready();
        home.make_signer();
        home.run(&["hsm", "lock"]).ok();
        Self { home }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        let path = self.home.dir.path().join(name);
        fs::write(&path, name).unwrap();
        path.display().to_string()
    }

    pub(crate) fn digests(&self, names: &[&str]) -> String {
        let files: Vec<String> = names.iter().map(|name| self.file(name)).collect();
        let sums = Command::new("sha256sum").args(&files).output().unwrap();
        self.home
            .private("SHA256SUMS", &String::from_utf8(sums.stdout).unwrap())
    }

    /// Asks for a lease; its identifier.
    pub(crate) fn ask(&self, more: &[&str]) -> String {
        let words = [&["unlock", "request", "--signer", "firmware"], more].concat();
        let (code, lease) = self.home.json(&words);
        assert_eq!((code, &lease["state"]), (0, &Value::from("waiting")), "{lease}");
        lease["lease"].as_str().unwrap().to_owned()
    }

    pub(crate) fn approve(&self, lease: &str, who: &str) -> Value {
        let (code, answer) = self.home.json(&["approve", lease, "--as", who]);
        assert_eq!(code, 0, "{answer}");
        answer
    }

    pub(crate) fn state(&self, lease: &str) -> String {
        let (code, view) = self.home.json(&["lease", "show", lease]);
        assert_eq!(code, 0, "{view}");
        view["state"].as_str().unwrap().to_owned()
    }

    /// A request that waits, and the lease it waits for.
    #[expect(clippy::zombie_processes, reason = "who asked waits for it")]
    pub(crate) fn waiting(&self, more: &[&str]) -> (Child, String) {
        let before = self.open();
        let words = [
            &["unlock", "request", "--signer", "firmware", "--for-time", "10m"],
            more,
            &["--wait"],
        ]
        .concat();
        let child = self
            .home
            .command(&words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        loop {
            if let Some(lease) = self.open().into_iter().find(|lease| !before.contains(lease)) {
                return (child, lease);
            }
            assert!(began.elapsed() < Duration::from_secs(30), "no lease came");
        }
    }

    pub(crate) fn open(&self) -> Vec<String> {
        let (code, leases) = self.home.json(&["lease", "list", "--open"]);
        assert_eq!(code, 0, "{leases}");
        leases
            .as_array()
            .unwrap()
            .iter()
            .map(|lease| lease["lease"].as_str().unwrap().to_owned())
            .collect()
    }
}
