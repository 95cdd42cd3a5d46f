//! `sc-hsm-tool`, unmodified, on virtual tokens: what it makes opens here, what is made here opens there.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{
    common::{Ended, Home},
    pcscd::{Pcscd, Plugged},
    terminal::Terminal,
    tokens::token,
    world::{Shared, share_file, testdata},
};

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

    /// Has the tool make a share file with password shares; what it showed.
    pub(crate) fn tool_shares(&self, file: &str, threshold: &str, shares: u8) -> String {
        let words = [
            "--create-dkek-share",
            file,
            "--pwd-shares-threshold",
            threshold,
            "--pwd-shares-total",
            &shares.to_string(),
        ];
        let enters = "\n".repeat(1 + 2 * usize::from(shares));
        self.pcscd
            .client_with_input("sc-hsm-tool", &words, &enters)
            .ok()
            .out
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

#[test]
fn shares_made_by_us_are_imported_by_the_tool() {
    let home = Home::new();
    token(&home, "hsm-a", "1");
    token(&home, "hsm-b", "1");
    let shared = Shared::within(home);
    let pages: Vec<_> = (1..=4).map(|id| shared.page(id)).collect();
    let (file, kcv) = (shared.file.clone(), shared.kcv.clone());
    let pair = Pair::plug(shared.home);
    for (reader, ids) in [("0", [2, 4]), ("1", [3, 1])] {
        let shares = ids.map(|id: usize| (id.to_string(), pages[id - 1].value.clone()));
        let said = pair.tool_import(reader, &file, &pages[0].prime, &shares);
        assert_eq!(tool_kcv(&said), kcv);
    }
}

#[test]
fn passwords_typed_at_the_tools_prompt_and_at_ours_open_each_others_files() {
    let pair = Pair::new();
    let password = pair.home.private("pw", "correct horse\n");
    // Ours typed twice, the tool's prompt once.
    let mut terminal = Terminal::start(&pair.home.command(&["dkek", "create", "ours.pbe"]), 80, 24);
    for prompt in ["New password for ours.pbe: ", "New password again: "] {
        terminal.wait_for(prompt);
        terminal.type_unseen("correct horse");
    }
    let (code, created) = terminal.end();
    assert_eq!(code, 0, "{created}");
    assert!(!created.contains("correct horse"), "{created}");
    let line = created.lines().find(|line| line.starts_with("KCV")).unwrap();
    let kcv = line.split_whitespace().last().unwrap();
    let ours = pair.home.dir.path().join("ours.pbe").display().to_string();
    let command = pair.pcscd.command("sc-hsm-tool", &["--import-dkek-share", &ours]);
    let mut terminal = Terminal::start(&command, 80, 24);
    terminal.wait_for("Enter password to decrypt DKEK share : ");
    terminal.type_unseen("correct horse");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains(kcv), "{screen}");

    let command = pair.pcscd.command(
        "sc-hsm-tool",
        &["--reader", "1", "--create-dkek-share", "theirs.pbe"],
    );
    let mut terminal = Terminal::start(&command, 80, 24);
    for prompt in [
        "Enter password to encrypt DKEK share : ",
        "Please retype password to confirm : ",
    ] {
        terminal.wait_for(prompt);
        terminal.type_unseen("correct horse");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    let theirs = pair.theirs("theirs.pbe");
    let words = ["dkek", "import", &theirs, "hsm-b", "--password-file", &password];
    let imported = pair.ours(&words).ok();
    let status = pair.pcscd.client("sc-hsm-tool", &["--reader", "1"]).ok().out;
    assert!(
        imported.out.contains(&tool_kcv(&status)),
        "{}: {status}",
        imported.out
    );
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
    let new = pair.home.private("pw", "a new password\n");
    let words = [
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
        "--new-password-file",
        &new,
    ];
    let mended = pair.ours(&words).ok();
    assert!(mended.out.contains("has a wrong DKEK"), "{}", mended.out);
    // The mended file gives another token the key that the first one really has; by the tool, too.
    let real = pair.home.dir.path().join("real.pbe");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
    let words = [
        "--reader",
        "1",
        "--import-dkek-share",
        real.to_str().unwrap(),
        "--password",
        "a new password",
    ];
    let said = pair.pcscd.client("sc-hsm-tool", &words).ok().out;
    assert_eq!(tool_kcv(&said), "C4DA565080E886D9");
}
