//! A trust center with one HSM, whose node listens for clients.

use std::net::TcpListener;

use serde_json::Value;

use crate::{background::Background, common::Home, elsewhere::invite};

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
        let serve = home.command(&["serve", "--api-listen", &api]);
        let node = Background::start(serve, "the node is ready");
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
