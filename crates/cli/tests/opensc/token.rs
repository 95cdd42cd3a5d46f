//! A token that Debian's programs initialised.

use crate::{
    common::{Ended, Home},
    pcscd::{Pcscd, Plugged, judge},
};

pub(crate) const PIN: &str = "648219";
pub(crate) const SO_PIN: &str = "3537363231383830";

/// A home with one plugged token.
pub(crate) struct Token {
    pub(crate) plugged: Plugged,
    pub(crate) pcscd: Pcscd,
    pub(crate) home: Home,
}

impl Token {
    /// As it comes from the factory.
    pub(crate) fn new() -> Self {
        let home = Home::new();
        home.run(&["vtoken", "create", "one"]).ok();
        Self::plug(home)
    }

    fn plug(home: Home) -> Self {
        let pcscd = Pcscd::start();
        let plugged = Plugged::into(&pcscd, &home, &["one"]);
        Self { plugged, pcscd, home }
    }

    /// Initialised, without key domains.
    pub(crate) fn initialised() -> Self {
        let token = Self::new();
        token.initialise(&[]);
        token
    }

    /// `sc-hsm-tool --initialize`.
    #[track_caller]
    pub(crate) fn initialise(&self, more: &[&str]) {
        let words = ["--initialize", "--so-pin", SO_PIN, "--pin", PIN];
        self.pcscd
            .client("sc-hsm-tool", &[&words[..], more].concat())
            .ok();
    }

    /// `sc-hsm-tool` says nothing that contains this.
    pub(crate) fn status(&self) -> String {
        self.pcscd.client("sc-hsm-tool", &[]).ok().out
    }

    /// `pkcs11-tool --login`.
    pub(crate) fn logged_in(&self, args: &[&str]) -> Ended {
        self.pcscd
            .pkcs11(&[&["--login", "--pin", PIN][..], args].concat())
    }

    /// Generates a key pair; its public key, as OpenSC wrote it, is in `ID.pub`, PEM.
    #[track_caller]
    pub(crate) fn generate(&self, kind: &str, id: &str, label: &str) {
        self.logged_in(&["--keypairgen", "--key-type", kind, "--id", id, "--label", label])
            .ok();
        self.pcscd
            .client(
                "pkcs15-tool",
                &["--read-public-key", id, "--output", &format!("{id}.pub")],
            )
            .ok();
    }

    /// `openssl` in the folder of the clients' files.
    #[track_caller]
    pub(crate) fn openssl(&self, args: &[&str]) -> Ended {
        judge(&self.pcscd.file(""), "openssl", args)
    }
}

/// A data directory with tokens of these names.
pub(crate) fn home_with(names: &[&str]) -> Home {
    let home = Home::new();
    home.run(&[&["vtoken", "create"][..], names].concat()).ok();
    home
}
