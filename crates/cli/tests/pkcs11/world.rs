//! A plugged token, and programs that find it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{
    common::{Ended, Home},
    pkcs11::{documented, module},
    programs::{Desk, Program},
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
        let engine = documented("### OpenSSL engine");
        fs::write(home.dir.path().join("engine.cnf"), engine).unwrap();
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
        for format in ["der", "pem"] {
            let out = world.path(&format!("key.{format}")).display().to_string();
            let words = [
                "token", "keys", "public", "one", "1", "--format", format, "--out", &out,
            ];
            world.home.run(&words).ok();
        }
        world
    }

    /// With an RSA key and a certificate for it, `certificate.der` and `certificate.pem`, which has its id and label.
    pub(crate) fn certified() -> Self {
        let world = Self::with_key("rsa:2048");
        let uri = format!("pkcs11:token=signer;object=key;type=private?pin-value={PIN}");
        world.openssl(&[
            "req",
            "-x509",
            "-engine",
            "pkcs11",
            "-keyform",
            "engine",
            "-new",
            "-key",
            &uri,
            "-subj",
            "/CN=signer",
            "-days",
            "30",
            "-out",
            "certificate.pem",
        ]);
        world.openssl(&[
            "x509",
            "-in",
            "certificate.pem",
            "-outform",
            "DER",
            "-out",
            "certificate.der",
        ]);
        world
            .tool(&[
                "--login",
                "--pin",
                PIN,
                "--write-object",
                "certificate.der",
                "--type",
                "cert",
                "--id",
                "10",
                "--label",
                "key",
            ])
            .ok();
        world
    }

    /// The key as programs are told of it, with this PIN.
    pub(crate) fn desk<'a>(&'a self, pin: &'a str) -> Desk<'a> {
        Desk {
            folder: self.home.dir.path(),
            token: "signer",
            key: "key",
            pin: Some(pin),
        }
    }

    /// A program in the folder of the test's files, without a terminal.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.home.dir.path())
            .env("CHANCERY_PKCS11_CONFIG", self.path("pkcs11.toml"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("PKCS11_MODULE_PATH", module())
            .stdin(Stdio::null());
        command
    }

    /// Runs a program that must end by itself.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Ended {
        let mut command = self.command(program);
        if args.contains(&"-engine") {
            command.env("OPENSSL_CONF", self.path("engine.cnf"));
        }
        ended(command.args(args))
    }

    /// Runs one of the programs that sign, which must end by itself.
    pub(crate) fn signs(&self, program: Program, desk: &Desk<'_>) -> Ended {
        let words = program.words(desk);
        let mut command = self.command(&words[0]);
        if words[0] == "openssl" {
            command.env("OPENSSL_CONF", self.path("engine.cnf"));
        }
        ended(command.args(&words[1..]).envs(program.environment(desk)))
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

/// Runs a program that must end by itself.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    assert_eq!(output.status.signal(), None, "{command:?}: {output:?}");
    Ended::from(output)
}

impl Drop for World {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.plugged.kill();
        let _ = self.plugged.wait();
    }
}
