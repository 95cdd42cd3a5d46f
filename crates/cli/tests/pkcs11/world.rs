//! A plugged token, and programs that find it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{
    common::{Ended, Home},
    pkcs11::module,
};

pub(crate) const PIN: &str = "648219";
const SO_PIN: &str = "3537363231383830";

/// A virtual token `one`, labelled `signer`, served on its socket.
pub(crate) struct World {
    pub(crate) home: Home,
    plugged: Child,
}

impl World {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        home.run(&["vtoken", "create", "one"]).ok();
        let (pin, so_pin) = (home.private("pin", PIN), home.private("so-pin", SO_PIN));
        let init = [
            "token",
            "init",
            "one",
            "--label",
            "signer",
            "--pin-file",
            &pin,
            "--so-pin-file",
            &so_pin,
            "--yes",
        ];
        home.run(&init).ok();
        let mut plugged = home
            .command(&["vtoken", "plug", "one", "--via", "socket", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(plugged.stdout.take().unwrap()).lines();
        let served = lines.any(|line| line.unwrap().contains("\"served\""));
        assert!(served, "the token is not served");
        let socket = home.data().join("readers/one.sock");
        let config = format!(
            "[tokens]\nreaders = \"none\"\nsockets = [{:?}]\n",
            socket.display().to_string()
        );
        fs::write(home.dir.path().join("pkcs11.toml"), config).unwrap();
        fs::write(
            home.dir.path().join("engine.cnf"),
            format!(
                "openssl_conf = all\n[all]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\n\
                 MODULE_PATH = {}\ninit = 0\n",
                module().display()
            ),
        )
        .unwrap();
        fs::write(home.dir.path().join("message"), "what is signed here\n").unwrap();
        Self { home, plugged }
    }

    /// With a key of this kind, of id 10 and label `key`.
    pub(crate) fn with_key(kind: &str) -> Self {
        let world = Self::new();
        world
            .tool(&[
                "--login",
                "--pin",
                PIN,
                "--keypairgen",
                "--key-type",
                kind,
                "--id",
                "10",
                "--label",
                "key",
            ])
            .ok();
        // pkcs11-tool 0.23 cannot write public keys on longer curves.
        let out = world.path("key.der").display().to_string();
        let words = [
            "token", "keys", "public", "one", "1", "--format", "der", "--out", &out,
        ];
        world.home.run(&words).ok();
        world
    }

    /// A program in the folder of the test's files, without a terminal.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Ended {
        let mut command = Command::new(program);
        if args.contains(&"-engine") {
            command.env("OPENSSL_CONF", self.path("engine.cnf"));
        }
        let output = command
            .current_dir(self.home.dir.path())
            .env("CHANCERY_PKCS11_CONFIG", self.path("pkcs11.toml"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("PKCS11_MODULE_PATH", module())
            .env("SOURCE_DATE_EPOCH", "1")
            .env("MKIMAGE_SIGN_PIN", PIN)
            .env("GNUTLS_PIN", PIN)
            .stdin(Stdio::null())
            .args(args)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `pkcs11-tool` with the module.
    pub(crate) fn tool(&self, args: &[&str]) -> Ended {
        let module = module().display().to_string();
        self.run("pkcs11-tool", &[&["--module", &module], args].concat())
    }

    /// `openssl`, with the engine when it is asked for.
    #[track_caller]
    pub(crate) fn openssl(&self, args: &[&str]) -> Ended {
        self.run("openssl", args).ok()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.dir.path().join(name)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.plugged.kill();
        let _ = self.plugged.wait();
    }
}
