//! Setting a token up, and going on after an interruption.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, process::Stdio};

use serde_json::{Value, json};

use super::{Bench, PIN, SO_PIN};
use crate::{common::Ended, terminal::Terminal};

#[test]
fn a_dry_run_shows_the_command_without_pins_and_does_nothing() {
    let bench = Bench::new(&["hsm-a"]);
    let before = bench.info("hsm-a");
    let dry = bench
        .init("hsm-a", &["--label", "signer", "--dkek-shares", "2", "--dry-run"])
        .ok();
    assert!(
        dry.out
            .contains("80 50 00 00 **  80 02 00 01  81 ** **  82 ** **  91 01 03  92 01 02"),
        "{}",
        dry.out
    );
    assert!(
        dry.out.contains("0001: the SO-PIN can unblock the PIN"),
        "{}",
        dry.out
    );
    assert!(dry.out.contains("nothing was done"), "{}", dry.out);
    for secret in [PIN, SO_PIN, "36 34 38"] {
        assert!(!dry.out.contains(secret));
    }
    assert_eq!(bench.info("hsm-a"), before);
    assert!(bench.journals().is_empty());
}

#[test]
fn a_token_becomes_what_the_flags_say() {
    let bench = Bench::new(&["a", "b", "c"]);
    bench
        .init("a", &["--label", "one", "--transport-pin", "--unblock", "tries"])
        .ok();
    let a = bench.info("a");
    assert_eq!(
        (&a["options"]["hex"], &a["pin"]["state"]),
        (&json!("0023"), &json!("transport"))
    );
    assert_eq!(a["label"], "one");

    let fixed = ["token", "init", "b", "--so-pin-file", &bench.so_pin, "--yes"];
    let quorum = ["--no-pin", "--quorum", "2of3", "--domains", "4", "--label", "two"];
    bench.home.run(&[&fixed[..], &quorum].concat()).ok();
    let b = bench.info("b");
    assert_eq!(
        b["quorum"],
        json!({ "required": 2, "total": 3, "missing": 3, "authenticated": 0 })
    );
    assert_eq!(b["label"], "two");

    let long = bench.home.private("long", "12345678");
    let fixed = [
        "token",
        "init",
        "c",
        "--pin-file",
        &long,
        "--so-pin-file",
        &bench.so_pin,
        "--yes",
    ];
    bench.home.run(&fixed).ok();
    assert_eq!(bench.info("c")["pin"]["tries_left"], 10);
    assert!(bench.journals().is_empty());
}

#[test]
fn rules_are_told_before_anything_is_asked_or_done() {
    let bench = Bench::new(&["hsm-a"]);
    for (options, code, words) in [
        (&["--tries", "4"][..], 3, "1 to 3 tries"),
        (&["--quorum", "3of2"], 2, "quorum"),
        (
            &["--dkek-shares", "1", "--domains", "2"],
            2,
            "cannot be used with",
        ),
        (&["--domains", "17"], 3, "1 to 16"),
        (&["--no-pin"], 2, "--no-pin"),
        (&["--domain-shares", "1,0"], 3, "at least one share"),
    ] {
        let ended = bench.init("hsm-a", options);
        assert_eq!(ended.code, code, "{options:?}: {}", ended.err);
        assert!(ended.err.contains(words), "{options:?}: {}", ended.err);
    }
    assert_eq!(bench.info("hsm-a")["pin"]["state"], "absent");
    // Nobody is there to confirm.
    let fixed = [
        "token",
        "init",
        "hsm-a",
        "--pin-file",
        &bench.pin,
        "--so-pin-file",
        &bench.so_pin,
    ];
    let unconfirmed = bench.home.run(&fixed);
    assert_eq!(unconfirmed.code, 2, "{}", unconfirmed.err);
    assert!(unconfirmed.err.contains("--yes"), "{}", unconfirmed.err);
    assert_eq!(bench.info("hsm-a")["pin"]["state"], "absent");
}

#[test]
fn pins_may_come_from_standard_input_line_by_line() {
    let bench = Bench::new(&["hsm-a"]);
    let words = [
        "token",
        "init",
        "hsm-a",
        "--pin-file",
        "-",
        "--so-pin-file",
        "-",
        "--yes",
    ];
    let mut child = bench
        .home
        .command(&words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PIN}\n{SO_PIN}").unwrap();
    Ended::from(child.wait_with_output().unwrap()).ok();
    bench
        .home
        .run(&[
            "token",
            "so-pin",
            "check",
            "hsm-a",
            "--so-pin-file",
            &bench.so_pin,
        ])
        .ok();
}

#[test]
fn a_file_that_others_may_read_holds_no_pin() {
    let bench = Bench::new(&["hsm-a"]);
    fs::set_permissions(&bench.pin, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = bench.init("hsm-a", &[]);
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(refused.err.contains("chmod 600"), "{}", refused.err);
}

/// A token that holds keys: those of a test that was killed.
fn with_keys(bench: &Bench) -> usize {
    bench.init("hsm-a", &["--label", "old"]).ok();
    super::test::killed_test(bench, "hsm-a");
    let keys = bench.info("hsm-a")["keys"].as_array().unwrap().len();
    assert!(keys > 0);
    keys
}

#[test]
fn keys_are_erased_only_when_that_is_said_and_confirmed() {
    let bench = Bench::new(&["hsm-a"]);
    let keys = with_keys(&bench);
    let device = bench.device("hsm-a");
    let refused = bench.init("hsm-a", &[]);
    assert_eq!(refused.code, 6, "{}", refused.err);
    assert!(refused.err.contains("--erase-keys"), "{}", refused.err);
    // --yes is not enough, and another device id is none.
    let refused = bench.init("hsm-a", &["--erase-keys"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    let refused = bench.init("hsm-a", &["--erase-keys", "--confirm", "UTCHDXXXXXX"]);
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert_eq!(bench.info("hsm-a")["keys"].as_array().unwrap().len(), keys);
    bench.init("hsm-a", &["--erase-keys", "--confirm", &device]).ok();
    assert!(bench.info("hsm-a")["keys"].as_array().unwrap().is_empty());
}

#[test]
fn a_wrong_so_pin_changes_nothing_and_leaves_nothing_open() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &["--label", "old"]).ok();
    let wrong = bench.home.private("wrong", "0000000000000000");
    let words = [
        "token",
        "init",
        "hsm-a",
        "--pin-file",
        &bench.pin,
        "--so-pin-file",
        &wrong,
        "--yes",
        "--label",
        "new",
    ];
    let refused = bench.home.run(&words);
    assert_eq!(refused.code, 10, "{}", refused.err);
    assert!(refused.err.contains("SO-PIN"), "{}", refused.err);
    let info = bench.info("hsm-a");
    assert_eq!(
        (&info["label"], &info["so_pin"]["tries_left"]),
        (&json!("old"), &json!(14))
    );
    assert!(bench.journals().is_empty());
}

/// Puts a journal where an initialisation would have left it when the token was pulled.
fn interrupted(bench: &Bench, token: &str, steps: &[Value]) {
    let device = bench.device(token);
    let plan = json!({
        "blueprint": {
            "options": 1, "with_pin": true, "retry": 3, "dkek_shares": 1, "domains": null,
            "domain_shares": [], "quorum": null, "label": "signer",
        },
        "before": { "keys": [], "files": [], "label": null },
    });
    let head = json!({ "head": {
        "version": 1, "kind": "init", "device": device, "token": token, "begun": 1_700_000_000, "plan": plan,
    } });
    let directory = bench.home.data().join("journal");
    fs::create_dir_all(&directory).unwrap();
    let lines: Vec<_> = std::iter::once(&head)
        .chain(steps)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(directory.join("init-1.journal"), lines.concat()).unwrap();
}

#[test]
fn an_interrupted_initialisation_is_shown_and_finished() {
    let bench = Bench::new(&["hsm-a"]);
    interrupted(
        &bench,
        "hsm-a",
        &[json!({ "step": { "name": "erase and set up", "done": false } })],
    );
    let shown = bench.home.run(&["token", "journal"]).ok();
    assert!(
        shown.out.contains("init-1") && shown.out.contains("begun, not known to be done"),
        "{}",
        shown.out
    );
    let undo = bench.home.run(&["token", "undo"]);
    assert_eq!(undo.code, 6, "{}", undo.err);
    assert!(undo.err.contains("chancery token resume init-1"), "{}", undo.err);
    bench
        .home
        .run(&[
            "token",
            "resume",
            "init-1",
            "--pin-file",
            &bench.pin,
            "--so-pin-file",
            &bench.so_pin,
        ])
        .ok();
    let info = bench.info("hsm-a");
    assert_eq!(
        (&info["label"], &info["pin"]["tries_left"]),
        (&json!("signer"), &json!(3))
    );
    assert!(bench.journals().is_empty());
    assert_eq!(bench.home.run(&["token", "resume"]).code, 5);
}

#[test]
fn what_had_not_begun_is_undone_and_what_is_given_up_is_forgotten() {
    let bench = Bench::new(&["hsm-a"]);
    interrupted(&bench, "hsm-a", &[]);
    bench.home.run(&["token", "undo"]).ok();
    assert!(bench.journals().is_empty());
    interrupted(
        &bench,
        "hsm-a",
        &[json!({ "step": { "name": "erase and set up", "done": true } })],
    );
    assert_eq!(bench.home.run(&["token", "undo"]).code, 6);
    bench.home.run(&["token", "undo", "init-1", "--forget"]).ok();
    assert!(bench.journals().is_empty());
}

#[test]
fn the_wizard_asks_one_question_after_the_other() {
    let bench = Bench::new(&["hsm-a"]);
    let words = [
        "token",
        "init",
        "hsm-a",
        "--wizard",
        "--so-pin-file",
        &bench.so_pin,
    ];
    let mut terminal = Terminal::start(&bench.home.command(&words), 200, 50);
    // Nonsense is asked again.
    for (question, answer) in [
        ("Label, ", "wizard"),
        ("Who opens it?", "7"),
        ("Who opens it?", "1"),
        ("Backup: ", "2"),
        ("Of how many shares", "3"),
        ("A blocked PIN: ", "1"),
    ] {
        terminal.wait_for(question);
        terminal.wait_for("]:");
        terminal.type_line(answer);
    }
    for question in ["New ", "again: "] {
        terminal.wait_for(question);
        terminal.type_unseen(PIN);
    }
    terminal.wait_for("Type yes:");
    terminal.type_line("yes");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("is no answer to that"), "{screen}");
    let info = bench.info("hsm-a");
    assert_eq!(
        (&info["label"], &info["domains"][0]["shares"]),
        (&json!("wizard"), &json!(3))
    );
}
