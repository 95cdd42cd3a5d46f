//! `chancery token` as a user types it: lists, set-up, PINs, tests, interrupted work.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod init;
mod look;
#[path = "../common/pcscd.rs"]
mod pcscd;
mod pins;
mod plugged;
#[path = "../common/terminal.rs"]
mod terminal;
mod test;

use std::fs;

use common::Home;
use serde_json::Value;

pub(crate) const PIN: &str = "648219";
pub(crate) const SO_PIN: &str = "3537363231383830";

/// A data directory with virtual tokens, and files with their PINs.
pub(crate) struct Bench {
    pub(crate) home: Home,
    pub(crate) pin: String,
    pub(crate) so_pin: String,
}

impl Bench {
    pub(crate) fn new(tokens: &[&str]) -> Self {
        let home = Home::new();
        home.run(&[&["vtoken", "create"], tokens].concat()).ok();
        let pin = home.private("pin", PIN);
        let so_pin = home.private("so-pin", SO_PIN);
        Self { home, pin, so_pin }
    }

    /// Initialises a token with these further options.
    pub(crate) fn init(&self, token: &str, options: &[&str]) -> common::Ended {
        let fixed = [
            "token",
            "init",
            token,
            "--pin-file",
            &self.pin,
            "--so-pin-file",
            &self.so_pin,
            "--yes",
        ];
        self.home.run(&[&fixed, options].concat())
    }

    pub(crate) fn info(&self, token: &str) -> Value {
        let (code, info) = self.home.json(&["token", "info", token]);
        assert_eq!(code, 0, "{info}");
        info
    }

    /// Gives a token a key, by the test that makes some and is killed.
    pub(crate) fn device(&self, token: &str) -> String {
        self.info(token)["device"].as_str().unwrap().to_owned()
    }

    /// Files of the journal.
    pub(crate) fn journals(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.home.data().join("journal")) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}
