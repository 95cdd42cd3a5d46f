//! `sc-hsm-tool`, unmodified, on virtual tokens: what it makes opens here, what is made here opens there.

use std::{fs, sync::OnceLock};

use crate::{
    common::{Ended, Home},
    pcscd::{Pcscd, Plugged, judge, opensc_module},
    terminal::Terminal,
    tokens::{PIN, token},
    world::{share_file, testdata},
};

/// What the tool made, and what it showed.
static MADE: OnceLock<(Vec<u8>, String)> = OnceLock::new();

/// A pcscd with two tokens that want one share each.
pub(crate) struct Pair {
    pub(crate) home: Home,
    pub(crate) pcscd: Pcscd,
    _plugged: Plugged,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        token(&home, "hsm-a", "1");
        token(&home, "hsm-b", "1");
        Self::plug(home)
    }

    pub(crate) fn plug(home: Home) -> Self {
        let pcscd = Pcscd::start();
        let plugged = Plugged::into(&pcscd, &home, &["hsm-a", "hsm-b"]);
        Self {
            home,
            pcscd,
            _plugged: plugged,
        }
    }

    /// A share file that the tool made with four password shares, two of which open it, and what it showed. It makes one for all tests,
    /// because that takes it many seconds.
    pub(crate) fn tool_shares(&self, file: &str) -> String {
        let (made, shown) = MADE.get_or_init(|| {
            let shown = self.pcscd.tool_shares("made.pbe");
            (self.pcscd.read("made.pbe"), shown)
        });
        fs::write(self.theirs(file), made).unwrap();
        shown.clone()
    }

    /// Has the tool import a share file with these shares, as they are typed.
    pub(crate) fn tool_import(
        &self,
        reader: &str,
        file: &str,
        prime: &str,
        shares: &[(String, String)],
    ) -> String {
        let words = [
            "--reader",
            reader,
            "--import-dkek-share",
            file,
            "--pwd-shares-total",
            &shares.len().to_string(),
        ];
        let mut typed = format!("{prime}\n");
        for (id, value) in shares {
            typed.push_str(&format!("\n{id}\n{value}\n"));
        }
        self.pcscd
            .client_with_input("sc-hsm-tool", &words, &typed)
            .ok()
            .out
    }

    /// Our program, which reaches plugged tokens through pcscd as the tool does.
    pub(crate) fn ours(&self, words: &[&str]) -> Ended {
        let mut command = self.home.command(words);
        command.env("PCSCLITE_CSOCK_NAME", self.pcscd.socket());
        Ended::from(command.output().unwrap())
    }

    /// A file of the tool's, for us.
    pub(crate) fn theirs(&self, name: &str) -> String {
        self.pcscd.file(name).display().to_string()
    }
}

/// The key check value in what the tool says.
pub(crate) fn tool_kcv(said: &str) -> String {
    let line = said
        .lines()
        .find(|line| line.starts_with("DKEK key check value"))
        .unwrap();
    line.split_once(": ").unwrap().1.trim().to_owned()
}

/// The tool made this file once. It takes many seconds for that, and the guide has it make one anyway.
#[test]
fn a_file_under_a_password_gives_its_key_to_a_token_the_tool_works_with() {
    let pair = Pair::new();
    let password = pair.home.private("pw", "secret\n");
    let theirs = share_file(&pair.home, "vectors/dkek-share.pbe.hex");
    let words = ["dkek", "import", &theirs, "hsm-b", "--password-file", &password];
    let imported = pair.ours(&words).ok();
    let tool = |words: &[&str]| pair.pcscd.client("sc-hsm-tool", words).ok().out;
    let status = tool(&["--reader", "1"]);
    assert!(
        imported.out.contains(&tool_kcv(&status)),
        "{}: {status}",
        imported.out
    );
    assert!(tool(&["--reader", "0"]).contains("1 share(s) still missing"));
    away_and_back(&pair);
}

/// An RSA key of the second token is wrapped by the tool, deleted, and the same when it is unwrapped.
fn away_and_back(pair: &Pair) {
    let module = opensc_module();
    let logged_in = |words: &[&str]| {
        let head = ["--module", &module, "--slot-index", "1", "--login", "--pin", PIN];
        pair.pcscd.client("pkcs11-tool", &[&head[..], words].concat())
    };
    let words = [
        "--keypairgen",
        "--key-type",
        "rsa:2048",
        "--id",
        "11",
        "--label",
        "k",
    ];
    logged_in(&words).ok();
    let words = ["--reader", "1", "--read-public-key", "11", "--output", "key.pub"];
    pair.pcscd.client("pkcs15-tool", &words).ok();
    let moved = |what: &str, more: &[&str]| {
        let words = [
            "--reader",
            "1",
            what,
            "k.bin",
            "--key-reference",
            "1",
            "--pin",
            PIN,
        ];
        pair.pcscd
            .client("sc-hsm-tool", &[&words[..], more].concat())
            .ok();
    };
    moved("--wrap-key", &[]);
    logged_in(&["--delete-object", "--type", "privkey", "--id", "11"]).ok();
    let left = logged_in(&["--list-objects", "--type", "privkey"]).ok().out;
    assert!(!left.contains("ID:         11"), "{left}");
    moved("--unwrap-key", &["--force"]);
    pair.pcscd.write("message", "signed after its return");
    let words = [
        "--sign",
        "--id",
        "11",
        "-m",
        "SHA256-RSA-PKCS",
        "--input-file",
        "message",
        "--output-file",
        "signature",
    ];
    logged_in(&words).ok();
    let words = [
        "dgst",
        "-sha256",
        "-verify",
        "key.pub",
        "-signature",
        "signature",
        "message",
    ];
    judge(&pair.pcscd.file(""), "openssl", &words).ok();
}

#[test]
fn the_tool_imports_the_wrong_key_that_the_doctor_computes() {
    let pair = Pair::new();
    let file = share_file(&pair.home, "dkek/wrong-share.pbe.hex");
    let notes = testdata("dkek/wrong-share-typed.txt");
    let typed: Vec<_> = notes
        .lines()
        .map(|line| line.split_once(": ").unwrap().1.to_owned())
        .collect();
    let shares: Vec<_> = typed[1..]
        .chunks(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect();
    let said = pair.tool_import("0", &file, &typed[0], &shares);
    assert_eq!(
        tool_kcv(&said),
        "C4DA565080E886D9",
        "it takes nonsense for a share"
    );

    let printed = pair
        .home
        .private("printed.txt", &testdata("dkek/wrong-share-printed.txt"));
    let notes = pair.home.private("typed.txt", &notes);
    // The new password is typed twice at our prompt.
    let mut doctor = pair.home.command(&[
        "dkek",
        "doctor",
        &file,
        "--share-file",
        &printed,
        "--as-typed",
        &notes,
        "--token",
        "hsm-a",
        "--mend",
        "real.pbe",
    ]);
    doctor.env("PCSCLITE_CSOCK_NAME", pair.pcscd.socket());
    let mut terminal = Terminal::start(&doctor, 80, 24);
    for prompt in ["New password for real.pbe: ", "New password again: "] {
        terminal.wait_for(prompt);
        terminal.type_unseen("correct horse");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("has a wrong DKEK") && !screen.contains("correct horse"),
        "{screen}"
    );
    // The mended file gives another token the key that the first one really has.
    let password = pair.home.private("pw", "correct horse\n");
    let words = [
        "dkek",
        "import",
        "real.pbe",
        "hsm-b",
        "--password-file",
        &password,
    ];
    pair.ours(&words).ok();
    let status = pair.pcscd.client("sc-hsm-tool", &["--reader", "1"]).ok().out;
    assert_eq!(tool_kcv(&status), "C4DA565080E886D9");
}
