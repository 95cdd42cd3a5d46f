//! A node with an HSM behind an agent, and a client that asks for signatures.

use std::{fs, net::TcpListener, process::Command};

use serde_json::Value;

use crate::{
    background::Background,
    common::{Ended, Home},
    cupboard,
    line::Line,
};

/// A node with one HSM, behind an agent, and a client.
pub(crate) struct World {
    pub(crate) home: Home,
    pub(crate) line: Line,
    api: String,
    /// Of the signing key in the HSM.
    number: String,
    pub(crate) agent: Background,
    _node: Background,
}

impl World {
    pub(crate) fn new() -> Self {
        let home = Home::ready();
        home.make_signer();
        home.run(&[
            "signer",
            "replicate",
            "firmware",
            "--to",
            "hsm-b",
            "--as",
            "alice",
        ])
        .ok();
        let (_, keys) = home.json(&["signer", "keys"]);
        let number = keys[0]["key_id"].to_string();
        home.run(&["hsm", "lock"]).ok();
        home.run(&["stop"]).ok();

        // Both are held until both are known, so that they differ.
        let free = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [tokens, api] = free.each_ref().map(|free| free.local_addr().unwrap().to_string());
        drop(free);
        let words = ["serve", "--listen", &tokens, "--api-listen", &api];
        let node = Background::start(home.command(&words), "the node is ready");
        for hsm in ["hsm-a", "hsm-b"] {
            home.run(&["hsm", "detach", hsm, "--as", "alice"]).ok();
        }
        let directory = home.dir.path().join(LINE);
        let line = Line::to(&tokens, &home.data().join("network/node.pem"), &directory);
        cupboard::add(&home);
        let agent = connect(&home, &line, &number);
        cupboard::attach(&home).ok();
        let key = home.dir.path().join("build.key").display().to_string();
        home.run(&["client", "key", "--out", &key]).ok();
        let public = format!("{key}.crt");
        home.run(&["client", "add", "build", "--key", &public]).ok();
        Self {
            home,
            line,
            api,
            number,
            agent,
            _node: node,
        }
    }

    /// The agent, anew.
    pub(crate) fn connect(&self) -> Background {
        connect(&self.home, &self.line, &self.number)
    }

    /// A command of the client's, over the network.
    pub(crate) fn client(&self, words: &[&str]) -> Command {
        let url = format!("https://{}", self.api);
        let certificate = self.home.data().join("network/node.pem").display().to_string();
        let node = [
            "--node",
            &url,
            "--node-cert",
            &certificate,
            "--client-key",
            "build.key",
        ];
        self.home.command(&[words, &node].concat())
    }

    pub(crate) fn file(&self, name: &str) -> String {
        let path = self.home.dir.path().join(name);
        fs::write(&path, name).unwrap();
        path.display().to_string()
    }

    pub(crate) fn sign(&self, file: &str, out: &str) -> Command {
        self.client(&["sign", file, "--signer", "firmware", "--out", out])
    }

    /// Asks for a lease of so many digests; custodians agree.
    pub(crate) fn lease(&self, count: &str) -> String {
        let words = ["unlock", "request", "--signer", "firmware", "--count", count];
        let more = ["--for-time", "10m", "--for", "firmware 4.2", "--json"];
        let mut ask = self.client(&[&words[..], &more].concat());
        let asked = Ended::from(ask.output().unwrap()).ok();
        let lease: Value = serde_json::from_str(&asked.out).unwrap();
        let lease = lease["lease"].as_str().unwrap().to_owned();
        self.approve(&lease);
        lease
    }

    /// Both custodians agree.
    pub(crate) fn approve(&self, lease: &str) {
        for custodian in ["alice", "bob"] {
            self.home.run(&["approve", lease, "--as", custodian]).ok();
        }
    }

    /// What `openssl` says of a signature.
    pub(crate) fn verify(&self, file: &str, signature: &str) {
        self.home
            .run(&["signer", "key", "firmware", "--out", "firmware.pub"])
            .ok();
        let words = [
            "dgst",
            "-sha256",
            "-verify",
            "firmware.pub",
            "-signature",
            signature,
        ];
        let judged = Command::new("openssl")
            .args(words)
            .arg(file)
            .current_dir(self.home.dir.path())
            .output()
            .unwrap();
        fs::remove_file(self.home.dir.path().join("firmware.pub")).unwrap();
        assert!(judged.status.success(), "{judged:?}");
    }

    /// Digests that were signed, as the audit log has them.
    pub(crate) fn signed(&self) -> usize {
        let (_, log) = self.home.json(&["audit", "log", "--limit", "1000"]);
        let leaves = log["leaves"].as_array().unwrap();
        leaves
            .iter()
            .filter(|leaf| leaf["event"]["event"] == "digest-signed")
            .count()
    }

    /// Every PIN and SO-PIN of this installation.
    pub(crate) fn pins(&self) -> Vec<Vec<u8>> {
        let text = fs::read(self.home.data().join("rehearsal-pins.json")).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let mut pins = Vec::new();
        for token in file["tokens"].as_object().unwrap().values() {
            if let Some(pin) = token["user_pin"].as_str() {
                pins.push(pin.as_bytes().to_vec());
            }
            pins.push(hex::decode(token["so_pin"].as_str().unwrap()).unwrap());
        }
        assert!(pins.len() > 4, "custodians' and HSMs'");
        pins
    }
}

/// Folder of the line.
const LINE: &str = "line";

/// Starts the agent, which lets the node use key `number`.
fn connect(home: &Home, line: &Line, number: &str) -> Background {
    let pinned = home.dir.path().join(LINE).join("agent/node.pem");
    let pinned = pinned.display().to_string();
    let words = cupboard::connect(&line.url, &pinned, number);
    Background::start(home.command(&words), "connected")
}
