//! Tokens with PINs and, where asked for, one key encryption key.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chancery_driver::Card;
use chancery_node::DataDir;
use chancery_schsm::KekShare;
use chancery_vtoken::VirtualToken;
use serde_json::Value;

use crate::common::{Ended, Home};

pub(crate) const PIN: &str = "648219";
pub(crate) const SO_PIN: &str = "3537363231383830";

/// What the tokens under one key encryption key have been given: its only share, which sc-hsm-tool put into a file under
/// the password `secret`.
pub(crate) const SHARE: &str = "e430483f7edcda52ee9a6997317d27775c0a91624e77b0bbe20376421b573d41";
/// That of another key domain.
pub(crate) const OTHER_SHARE: &str = "c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3";

/// A home with tokens.
pub(crate) struct World {
    pub(crate) home: Home,
    pin: String,
    /// The socket of a private pcscd that our commands are to use.
    pub(crate) pcscd: Option<PathBuf>,
}

impl World {
    /// Tokens that were initialised, for so many DKEK shares if any; the shares are still to come.
    pub(crate) fn new(tokens: &[&str], shares: Option<u8>) -> Self {
        let home = Home::new();
        let pin = home.private("pin", &format!("{PIN}\n"));
        let world = Self {
            home,
            pin,
            pcscd: None,
        };
        world.home.run(&[&["vtoken", "create"], tokens].concat()).ok();
        for token in tokens {
            world.initialise(token, shares);
        }
        world
    }

    pub(crate) fn initialise(&self, token: &str, shares: Option<u8>) {
        let so_pin = self.home.private("so-pin", &format!("{SO_PIN}\n"));
        let label = format!("label of {token}");
        let shares = shares.map(|shares| shares.to_string());
        let mut words = vec![
            "token",
            "init",
            token,
            "--label",
            &label,
            "--pin-file",
            &self.pin,
            "--so-pin-file",
            &so_pin,
            "--yes",
        ];
        if let Some(shares) = &shares {
            words.extend(["--dkek-shares", shares]);
        }
        self.home.run(&words).ok();
    }

    /// Tokens under one key encryption key.
    pub(crate) fn with_share(tokens: &[&str]) -> Self {
        let world = Self::new(tokens, Some(1));
        for token in tokens {
            world.import_share(token, SHARE);
        }
        world
    }

    /// Imports the share itself: to open a share file takes seconds, and others test that.
    pub(crate) fn import_share(&self, token: &str, share: &str) {
        let data = DataDir::open(&self.home.data()).unwrap();
        let token = VirtualToken::open(&data.tokens().join(token), &data.at_rest()).unwrap();
        let mut card = Card::new(token).select().unwrap();
        let share = KekShare::from_slice(&hex::decode(share).unwrap()).unwrap();
        card.import_share(0, &share).unwrap();
    }

    /// The file that holds [`SHARE`], and one with its password.
    pub(crate) fn share_file(&self) -> (String, String) {
        let vector = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/vectors/dkek-share.pbe.hex"
        );
        let text: String = fs::read_to_string(vector).unwrap().split_whitespace().collect();
        let password = self.home.private("password", "secret\n");
        (self.write("dkek.pbe", hex::decode(text).unwrap()), password)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.home.command(words);
        if let Some(socket) = &self.pcscd {
            command.env("PCSCLITE_CSOCK_NAME", socket);
        }
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        // Keys in clear are taken from private files only.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `chancery token ..` with the PIN.
    pub(crate) fn token(&self, words: &[&str]) -> Ended {
        let words = [&["token"], words, &["--pin-file", &self.pin]].concat();
        Ended::from(self.command(&words).output().unwrap())
    }

    /// The same with `--json`.
    pub(crate) fn token_json(&self, words: &[&str]) -> (i32, Value) {
        let ended = self.token(&[words, &["--json"]].concat());
        let value = serde_json::from_str(&ended.out)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}{}", ended.out, ended.err));
        (ended.code, value)
    }

    /// The same with bytes on standard input; the bytes on standard output.
    pub(crate) fn pipe(&self, words: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = self
            .command(&[&["token"], words, &["--pin-file", &self.pin]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// Makes a key; its id. Its public key is in `LABEL.pub`.
    pub(crate) fn generate(&self, token: &str, algorithm: &str, label: &str, more: &[&str]) -> String {
        let words = [&["keys", "generate", token, algorithm, "--label", label], more].concat();
        let (code, made) = self.token_json(&words);
        assert_eq!(code, 0, "{made}");
        if let Some(key) = made["public_key"].as_str() {
            self.write(&format!("{label}.pub"), hex::decode(key).unwrap());
        }
        made["id"].to_string()
    }

    /// Runs openssl in the home; what it says.
    pub(crate) fn openssl(&self, words: &[&str]) -> Ended {
        openssl(self.home.dir.path(), words)
    }

    /// Whether openssl verifies a signature of `message` by the key of `LABEL.pub`.
    pub(crate) fn verifies(&self, label: &str, signature: &str, options: &[&str]) -> bool {
        let public = format!("{label}.pub");
        let words = [
            &[
                "dgst",
                "-keyform",
                "DER",
                "-verify",
                &public,
                "-signature",
                signature,
            ],
            options,
            &["message"],
        ]
        .concat();
        self.openssl(&words).code == 0
    }
}

/// Runs openssl; what it says.
pub(crate) fn openssl(directory: &Path, words: &[&str]) -> Ended {
    let output = Command::new("openssl")
        .args(words)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended::from(output)
}
