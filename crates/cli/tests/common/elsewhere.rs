//! A custodian's own machine: a data directory that knows nothing of the installation, with a virtual token.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{fs, path::PathBuf, process::Command};

use crate::common::{Ended, Home};

/// The custodian's side; files go to and fro by hand.
pub(crate) struct Elsewhere {
    pub(crate) home: Home,
    pub(crate) name: String,
    /// Socket of the pcscd in whose reader the token is.
    pub(crate) reader: Option<PathBuf>,
}

impl Elsewhere {
    /// A machine with a token of this name, for rehearsal.
    pub(crate) fn new(name: &str) -> Self {
        let home = Home::new();
        home.run(&["vtoken", "create", name, "--init", "--rehearsal"])
            .ok();
        Self {
            home,
            name: name.to_owned(),
            reader: None,
        }
    }

    /// The program, on this machine.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.home.command(words);
        if let Some(socket) = &self.reader {
            command.env("PCSCLITE_CSOCK_NAME", socket);
        }
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        Ended::from(self.command(words).output().unwrap())
    }

    /// A file of this machine.
    pub(crate) fn file(&self, name: &str) -> String {
        self.home.dir.path().join(name).display().to_string()
    }

    /// The file that says who it is at the center it joined.
    pub(crate) fn membership(&self) -> PathBuf {
        let entries = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let place = entries(self.kept()).find(|path| path.is_dir()).unwrap();
        entries(place)
            .find(|path| path.to_string_lossy().ends_with(".custodian.json"))
            .unwrap()
    }

    /// Writes the card; its file.
    pub(crate) fn card(&self) -> String {
        self.card_and_fingerprint().0
    }

    /// Writes the card; its file, and the fingerprint as the custodian reads it out.
    pub(crate) fn card_and_fingerprint(&self) -> (String, String) {
        let file = self.file("own.card");
        let told = self.run(&["custodian", "card", "--out", &file, "--json"]).ok();
        let told: serde_json::Value = serde_json::from_str(&told.out).unwrap();
        (file, told["fingerprint"].as_str().unwrap().to_owned())
    }

    /// Joins a center: the administrator's part is done by `manager` on `center`, the custodian's here. Fingerprints are compared, by
    /// reading them from both sides.
    pub(crate) fn join(&self, center: &Home, manager: &str, hsms: &str, invitation: &str) -> Ended {
        let (card, heard) = self.card_and_fingerprint();
        let vouched = self.vouched(center, &card, &heard);
        self.enrol(center, manager, hsms, &vouched, &heard);
        self.accept(center, invitation)
    }

    /// Has a center vouch for the token of its card; the vouched card's file.
    pub(crate) fn vouched(&self, center: &Home, card: &str, heard: &str) -> String {
        let vouched = center.dir.path().join(format!("{}.card", self.name));
        let vouched = vouched.display().to_string();
        let words = [
            "custodian",
            "vouch",
            card,
            "--out",
            &vouched,
            "--fingerprint",
            heard,
        ];
        center.run(&words).ok();
        vouched
    }

    /// The administrator's part.
    pub(crate) fn enrol(&self, center: &Home, manager: &str, hsms: &str, card: &str, heard: &str) {
        let name = self.name.as_str();
        let (_, people) = center.json(&["person", "list"]);
        let known = people
            .as_array()
            .unwrap()
            .iter()
            .any(|person| person["name"] == name);
        if !known {
            center
                .run(&[
                    "person",
                    "add",
                    name,
                    "--role",
                    "subscriber",
                    "--card",
                    card,
                    "--fingerprint",
                    heard,
                    "--as",
                    manager,
                ])
                .ok();
        }
        center
            .run(&[
                "custodian",
                "register",
                name,
                "--card",
                card,
                "--fingerprint",
                heard,
                "--hsm",
                hsms,
                "--as",
                manager,
            ])
            .ok();
        center
            .run(&[
                "client",
                "add",
                name,
                "--key",
                card,
                "--custodian",
                name,
                "--fingerprint",
                heard,
            ])
            .ok();
    }

    /// The custodian's part.
    pub(crate) fn accept(&self, center: &Home, invitation: &str) -> Ended {
        let fingerprint = fingerprint(center, invitation);
        let words = [
            "custodian",
            "accept",
            invitation,
            "--as",
            &self.name,
            "--fingerprint",
            &fingerprint,
        ];
        self.run(&words)
    }

    /// What this machine keeps of installations.
    pub(crate) fn kept(&self) -> PathBuf {
        self.home.data().join("custodians")
    }
}

/// Writes an invitation; its fingerprint goes another way.
pub(crate) fn invite(center: &Home, node: Option<&str>, name: &str) -> String {
    let file = center.dir.path().join(name).display().to_string();
    let words = ["custodian", "invitation", "--out", &file];
    let node: Vec<&str> = node.into_iter().flat_map(|node| ["--node", node]).collect();
    center.run(&[&words[..], &node].concat()).ok();
    file
}

/// The fingerprint, as the administrator reads it.
pub(crate) fn fingerprint(center: &Home, invitation: &str) -> String {
    let other = format!("{invitation}.again");
    let text = fs::read_to_string(invitation).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut words = vec!["custodian", "invitation", "--out", &other];
    if let Some(url) = value["node"]["url"].as_str() {
        words.extend(["--node", url]);
    }
    let hsms: Vec<&str> = value["hsms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hsm| hsm["name"].as_str().unwrap())
        .collect();
    let hsms = hsms.join(",");
    words.extend(["--hsm", &hsms]);
    let (code, told) = center.json(&words);
    assert_eq!(code, 0, "{told}");
    told["fingerprint"].as_str().unwrap().to_owned()
}
