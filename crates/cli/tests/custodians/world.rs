//! A trust center with one HSM, whose node listens for clients.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;

use crate::{common::Home, elsewhere::invite};

const PATIENCE: Duration = Duration::from_secs(30);

/// A process that is ended when the test is.
pub(crate) struct Background(pub(crate) Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The center: alice is its manager and first custodian, two more can be registered.
pub(crate) struct Center {
    pub(crate) home: Home,
    pub(crate) url: String,
    _node: Background,
}

impl Center {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        home.run(&["vtoken", "create", "hsm-a", "hsm-b"]).ok();
        home.run(&["vtoken", "create", "alice", "--init", "--rehearsal"])
            .ok();
        home.run(&["init", "--manager", "alice", "--token", "alice", "--rehearsal"])
            .ok();
        home.run(&["hsm", "init", "hsm-a", "--quorum", "2of3", "--as", "alice"])
            .ok();
        home.run(&[
            "custodian",
            "register",
            "alice",
            "--hsm",
            "hsm-a",
            "--as",
            "alice",
        ])
        .ok();
        home.run(&["stop"]).ok();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = free.local_addr().unwrap().to_string();
        drop(free);
        let mut node = Background(
            home.command(&["serve", "--api-listen", &api])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let (told, lines) = mpsc::channel();
        let log = node.0.stderr.take().unwrap();
        // Read to the end, so that the process never waits for a reader.
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = told.send(line);
            }
        });
        let mut said = Vec::new();
        while !said
            .iter()
            .any(|line: &String| line.contains("the node is ready"))
        {
            let line = lines.recv_timeout(PATIENCE);
            said.push(line.unwrap_or_else(|error| panic!("{error}: {said:?}")));
        }
        home.run(&["hsm", "attach", "hsm-a", "--as", "alice"]);
        Self {
            home,
            url: format!("https://{api}"),
            _node: node,
        }
    }

    pub(crate) fn invitation(&self) -> String {
        invite(&self.home, Some(&self.url), "center.invitation")
    }

    /// A key for signing, once the custodians open the HSM for it.
    pub(crate) fn signer(&self, open: impl FnOnce()) {
        open();
        self.home
            .run(&["signer", "create", "firmware", "--hsm", "hsm-a", "--as", "alice"])
            .ok();
        self.home.run(&["hsm", "lock"]).ok();
    }

    /// A lease that waits.
    pub(crate) fn lease(&self, purpose: &str) -> String {
        let words = [
            "unlock",
            "request",
            "--signer",
            "firmware",
            "--for",
            purpose,
            "--count",
            "2",
            "--for-time",
            "10m",
        ];
        let (code, lease) = self.home.json(&words);
        assert_eq!(code, 0, "{lease}");
        lease["lease"].as_str().unwrap().to_owned()
    }

    pub(crate) fn show(&self, lease: &str) -> Value {
        let (code, view) = self.home.json(&["lease", "show", lease]);
        assert_eq!(code, 0, "{view}");
        view
    }
}
