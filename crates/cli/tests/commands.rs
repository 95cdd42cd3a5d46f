//! The commands as a user types them: outcomes, refusals, exit codes.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::PathBuf, process::Stdio};

use common::{Ended, Home, documented};

#[test]
fn with_one_custodian_a_signature_is_blocked_and_the_others_are_named() {
    let home = Home::ready();
    let number = home.approved();
    home.run(&["hsm", "lock"]).ok();
    home.run(&["hsm", "unlock", "hsm-a", "--as", "carol"]).ok();

    let blocked = home.run(&["request", "sign", &number, "--as", "carol"]);
    assert_eq!(blocked.code, 4, "{}", blocked.err);
    insta::assert_snapshot!("blocked", blocked.err);

    let (code, mut why) = home.json(&["request", "why", &number]);
    assert_eq!(code, 0);
    assert!(why["request"]["created"].is_string(), "{why}");
    why["request"]["created"] = "[time]".into();
    insta::assert_json_snapshot!("why", why);
    let (code, failure) = home.json(&["request", "sign", &number, "--as", "carol"]);
    assert_eq!((code, &failure["kind"]), (4, &"blocked".into()));
    assert_eq!(failure["unmet"], why["unmet"]);

    home.run(&["hsm", "unlock", "hsm-a", "--as", "bob"]).ok();
    let signed = home.run(&["request", "sign", &number, "--as", "carol"]).ok();
    assert!(signed.out.contains("is done"), "{}", signed.out);
}

#[test]
fn an_unlock_of_several_hsms_does_what_it_can_and_says_what_it_could_not() {
    let home = Home::ready();
    home.run(&["hsm", "lock"]).ok();
    home.run(&["hsm", "unlock", "hsm-a", "--as", "carol"]).ok();
    let mixed = home.run(&["hsm", "unlock", "hsm-a", "hsm-x", "hsm-b", "--as", "carol"]);
    assert_eq!(mixed.code, 5, "{}", mixed.err);
    assert!(
        mixed.out.contains("hsm-a: carol has answered already"),
        "{}",
        mixed.out
    );
    assert!(mixed.out.contains("hsm-x: not answered"), "{}", mixed.out);
    assert!(mixed.out.contains("hsm-b: quorum 1 of 2"), "{}", mixed.out);
    assert!(mixed.err.contains("hsm-x"), "{}", mixed.err);
    home.run(&["hsm", "unlock", "hsm-a", "hsm-b", "--as", "bob"]).ok();
    let again = home
        .run(&["hsm", "unlock", "hsm-a", "hsm-b", "--as", "alice"])
        .ok();
    assert_eq!(again.out.matches("unlocked already").count(), 2, "{}", again.out);
}

#[test]
fn a_lost_installation_file_is_not_replaced_by_init() {
    let home = Home::ready();
    home.run(&["stop"]).ok();
    fs::remove_file(home.data().join("installation.json")).unwrap();
    for command in [
        ["init", "--manager", "alice", "--token", "alice"].as_slice(),
        &["hsm", "list"],
    ] {
        let refused = home.run(command);
        assert_eq!(refused.code, 7, "{}", refused.err);
        assert!(
            refused
                .err
                .contains("installation.json is missing beside a database: restore it from a backup"),
            "{}",
            refused.err
        );
    }
}

#[test]
fn a_request_that_could_not_be_approved_at_once_is_named() {
    let home = Home::ready();
    home.run(&["vtoken", "create", "dave", "--init", "--rehearsal"])
        .ok();
    let refused = home.run(&[
        "person", "add", "dave", "--role", "auditor", "--token", "dave", "--as", "carol",
    ]);
    assert_eq!(refused.code, 4, "{}", refused.err);
    let said = "is open; go on with: chancery request approve ";
    assert!(refused.err.contains(said), "{}", refused.err);
    assert!(refused.err.trim_end().ends_with("--as carol"), "{}", refused.err);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anything_is_decided() {
    let home = Home::ready();
    let nowhere = home.out("none/crl.pem");
    let refused = home.run(&[
        "crl",
        "create",
        "root",
        "--as",
        "nobody",
        "--out",
        nowhere.to_str().unwrap(),
    ]);
    assert_eq!(refused.code, 5, "{}", refused.err);
    assert!(refused.err.contains("cannot write"), "{}", refused.err);
}

#[test]
fn who_approved_cannot_sign_and_who_has_no_role_can_do_neither() {
    let home = Home::ready();
    let number = home.approved();
    let by_bob = home.run(&["request", "sign", &number, "--as", "bob"]);
    assert_eq!(by_bob.code, 4, "{}", by_bob.err);
    assert!(
        by_bob.err.contains("Certification Officer") && by_bob.err.contains("who: carol"),
        "{}",
        by_bob.err
    );
    let (code, request) = home.json(&["request", "import", home.out("second.csr").to_str().unwrap()]);
    assert_eq!(code, 0);
    let by_alice = home.run(&[
        "request",
        "approve",
        &request["request"].to_string(),
        "--as",
        "alice",
    ]);
    assert_eq!(by_alice.code, 4, "{}", by_alice.err);
    assert!(by_alice.err.contains("who: bob"), "{}", by_alice.err);
}

#[test]
fn another_persons_token_is_refused() {
    let home = Home::ready();
    // One key cannot stand for two people.
    let twice = home.run(&[
        "person", "add", "mallory", "--role", "auditor", "--token", "bob", "--as", "alice",
    ]);
    assert_eq!(twice.code, 7, "{}", twice.err);
    assert!(twice.err.contains("is the key of bob already"), "{}", twice.err);

    // carol's token put in bob's place: its own certificates give it away.
    let about = |name: &str| -> PathBuf {
        fs::read_dir(home.data().join("tokens").join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("UTCHD")))
            .unwrap()
    };
    let (bob, carol) = (fs::read(about("bob")).unwrap(), fs::read(about("carol")).unwrap());
    fs::write(about("bob"), &carol).unwrap();
    fs::write(about("carol"), &bob).unwrap();
    let (code, request) = home.json(&["request", "import", home.out("leaf.csr").to_str().unwrap()]);
    assert_eq!(code, 0);
    let number = request["request"].to_string();
    let wrong = home.run(&["request", "approve", &number, "--as", "bob"]);
    assert_eq!(wrong.code, 7, "{}", wrong.err);
    assert!(wrong.err.contains("it is not used"), "{}", wrong.err);
    let (_, detail) = home.json(&["request", "show", &number]);
    assert_eq!(detail["request"]["state"], "open");
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let home = Home::new();
    let code = |words: &[&str]| home.run(words).code;
    assert_eq!(code(&["status"]), 5, "no data directory");
    assert_eq!(code(&["request", "list"]), 5);
    home.run(&["vtoken", "create", "alice", "--init", "--rehearsal"])
        .ok();
    assert_eq!(code(&["status"]), 8, "no node");
    assert_eq!(code(&["hsm", "list"]), 5, "not initialised");
    assert_eq!(code(&["nonsense"]), 2);
    assert_eq!(code(&["request", "show", "zero"]), 2);
    assert_eq!(code(&["vtoken", "destroy", "alice"]), 2, "nobody to ask");
    assert_eq!(code(&["vtoken", "create", "Alice"]), 3);
    assert_eq!(code(&["vtoken", "create", "alice", "--init", "--rehearsal"]), 6);
    assert_eq!(code(&["init", "--manager", "alice", "--token", "nobody"]), 5);

    let wrong = home.private("wrong", "11111111\n");
    let init = ["init", "--manager", "alice", "--token", "alice", "--rehearsal"];
    let (refused, failure) = home.json(&[init.as_slice(), &["--pin-file", &wrong]].concat());
    assert_eq!((refused, &failure["kind"]), (10, &"token".into()), "{failure}");
    insta::assert_json_snapshot!("wrong-pin", failure);
    assert!(!home.data().join("installation.json").exists());

    home.run(&init).ok();
    assert_eq!(code(&init), 6, "a second time");
    assert_eq!(code(&["person", "list"]), 0);
    assert_eq!(code(&["request", "show", "99"]), 5);
    assert_eq!(code(&["request", "approve", "99", "--as", "nobody"]), 5);
    let serve = home.run(&["serve"]);
    assert_eq!(serve.code, 6, "{}", serve.err);
    assert!(serve.err.contains("in use by process"), "{}", serve.err);
    let loud = home.command(&["serve"]).env("CHANCERY_LOG", "loud=ish").output();
    let loud = Ended::from(loud.unwrap());
    assert_eq!(loud.code, 3, "{}", loud.err);
    assert!(
        loud.err.contains("CHANCERY_LOG=warn,chancery_gateway=debug"),
        "{}",
        loud.err
    );
    let garbage = home.private("garbage.csr", "not a request");
    assert_eq!(code(&["request", "import", &garbage]), 3);
    home.run(&["stop"]).ok();
    assert_eq!(code(&["status"]), 8);

    // The table in the documentation names each code once.
    let text = documented();
    for code in 0..=14 {
        let rows = text
            .lines()
            .filter(|line| line.starts_with(&format!("| {code} |")))
            .count();
        assert_eq!(rows, 1, "exit code {code}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    let mut child = home
        .command(&["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The script is larger than a pipe holds or is written after this: either way nobody reads it.
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(ended.stderr, b"");
}

#[test]
fn an_audit_bundle_is_checked_anywhere_and_a_changed_one_is_refused() {
    let home = Home::ready();
    home.run(&["audit", "log", "--export", "audit.jsonl"]).ok();
    let again = home.run(&["audit", "log", "--export", "audit.jsonl"]);
    assert_eq!(again.code, 6, "{}", again.err);
    let root = home.out("root.pem");
    let elsewhere = Home::new();
    let bundle = home.dir.path().join("audit.jsonl");
    let (bundle_name, root_name) = (bundle.to_str().unwrap(), root.to_str().unwrap());
    let verify = ["audit", "verify", "--bundle", bundle_name, "--root", root_name];
    let good = elsewhere.run(&verify).ok();
    assert!(
        good.out.contains("the log holds") && good.out.contains("certified by CA root"),
        "{}",
        good.out
    );

    let text = fs::read_to_string(&bundle).unwrap();
    let leaf = text
        .lines()
        .position(|line| line.contains("certificates-issued"))
        .unwrap();
    let without: Vec<_> = text
        .lines()
        .enumerate()
        .filter(|(index, _)| *index != leaf)
        .map(|(_, line)| line)
        .collect();
    for bad in [
        without.join("\n"),
        text.replace("www.example.com", "www.example.org"),
    ] {
        fs::write(&bundle, bad).unwrap();
        let (code, verdict) = elsewhere.json(&verify);
        assert_eq!((code, &verdict["holds"]), (7, &false.into()), "{verdict}");
    }
    fs::write(&bundle, &text).unwrap();
    let other = elsewhere.run(&[
        "audit",
        "verify",
        "--bundle",
        bundle_name,
        "--root",
        home.out("leaf.pem").to_str().unwrap(),
    ]);
    assert_eq!(other.code, 7, "{}", other.out);
}

#[test]
fn output_goes_through_no_link_that_somebody_planted_beside_it() {
    let home = Home::new();
    home.run(&["vtoken", "create", "bob", "--init", "--rehearsal"])
        .ok();
    let victim = home.dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    // The shell becomes the program, with its number.
    let words = ["custodian", "card", "--out", "bob.card"];
    let program = home.command(&words);
    let plant = "ln -s victim \"bob.card.$$.new\" && exec \"$0\" \"$@\"";
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(home.dir.path())
        .stdin(Stdio::null())
        .env("CHANCERY_DATA_DIR", home.data())
        .args(["-c", plant])
        .arg(program.get_program())
        .args(words);
    Ended::from(shell.output().unwrap()).ok();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    let card = home.dir.path().join("bob.card");
    assert!(!card.is_symlink());
    assert!(
        fs::read_to_string(&card)
            .unwrap()
            .contains("chancery-custodian-card")
    );
}
