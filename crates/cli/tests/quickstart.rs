//! `chancery quickstart` as a user runs it: once, again, interrupted.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use common::{Home, node_pid};

fn check_files(home: &Home) {
    let good = home.openssl_verify("leaf.pem");
    assert!(good.status.success(), "{good:?}");
    let revoked = home.openssl_verify("revoked.pem");
    assert_eq!(revoked.status.code(), Some(2), "{revoked:?}");
    let said = String::from_utf8(revoked.stderr).unwrap();
    assert!(said.contains("error 23"), "{said}");
}

/// What must not change by a second run: the keys of every token, as its own descriptions and the center know them.
fn keys(home: &Home) -> (serde_json::Value, serde_json::Value, serde_json::Value) {
    let (_, signers) = home.json(&["signer", "list"]);
    let (_, people) = home.json(&["person", "list"]);
    let (_, hsms) = home.json(&["hsm", "list"]);
    let custodians: Vec<_> = hsms
        .as_array()
        .unwrap()
        .iter()
        .map(|hsm| serde_json::json!({ "kcv": hsm["kcv"], "device": hsm["device"], "signers": hsm["signers"] }))
        .collect();
    (signers[0]["key"].clone(), people, custodians.into())
}

#[test]
fn two_runs_leave_a_trust_center_and_one_more_certificate() {
    let home = Home::new();
    let first = home.run(&["quickstart"]).ok();
    assert!(
        first
            .out
            .contains("hsm-a: quorum 1 of 2; answered: alice; could: bob, carol"),
        "{}",
        first.out
    );
    check_files(&home);
    let before = keys(&home);

    let (code, second) = home.json(&["quickstart"]);
    assert_eq!(code, 0, "{second}");
    assert_eq!(second["one_more"], "more-2");
    assert!(home.openssl_verify("more-2.pem").status.success());
    check_files(&home);
    assert_eq!(keys(&home), before);

    // With the node gone and every HSM locked it is all found again.
    home.run(&["stop"]).ok();
    let third = home.run(&["quickstart"]).ok();
    assert!(!third.out.contains("$ chancery hsm init"), "{}", third.out);
    assert!(home.openssl_verify("more-3.pem").status.success());
    assert_eq!(keys(&home), before);
}

#[test]
fn a_first_certificate_that_was_revoked_since_is_named_and_another_one_issued() {
    let home = Home::new();
    let (code, first) = home.json(&["quickstart"]);
    assert_eq!(code, 0, "{first}");
    let leaf = format!("#{}", first["certificates"][0]["request"]);
    home.run(&["cert", "revoke", &leaf, "--reason", "superseded", "--as", "carol"])
        .ok();
    let again = home.run(&["quickstart"]).ok();
    let serial = first["certificates"][0]["serial"].as_str().unwrap();
    assert!(
        again
            .out
            .contains(&format!("leaf.pem, certificate {serial} of request")),
        "{}",
        again.out
    );
    assert!(home.openssl_verify("more-2.pem").status.success());
    assert!(!home.openssl_verify("leaf.pem").status.success());
}

#[test]
fn a_request_from_elsewhere_is_issued() {
    let home = Home::new();
    let csr = home.dir.path().join("own.csr");
    let made = Command::new("openssl")
        .args([
            "req",
            "-new",
            "-newkey",
            "rsa:3072",
            "-nodes",
            "-subj",
            "/CN=own.example.org",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:own.example.org",
            "-keyout",
            "/dev/null",
            "-out",
        ])
        .arg(&csr)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    home.run(&[
        "quickstart",
        "--csr",
        csr.to_str().unwrap(),
        "--algorithm",
        "ec:P-384",
    ])
    .ok();
    check_files(&home);
    let shown = Command::new("openssl")
        .args(["x509", "-noout", "-text", "-in"])
        .arg(home.out("leaf.pem"))
        .output()
        .unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(
        text.contains("DNS:own.example.org") && text.contains("(3072 bit)"),
        "{text}"
    );
    assert!(text.contains("ecdsa-with-SHA384"), "{text}");
}

/// Kills quickstart, and its node with it, when it has shown so many commands; whether it was killed.
fn killed_after(home: &Home, commands: usize) -> bool {
    let mut child = home
        .command(&["quickstart"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let shown = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.starts_with("$ chancery"))
        .take(commands)
        .count();
    let killed = shown == commands;
    if killed {
        let mut pids = vec![i32::try_from(child.id()).unwrap()];
        pids.extend(node_pid(&home.data()));
        for pid in pids {
            // It may have ended by itself.
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).output();
        }
    }
    child.wait().unwrap();
    killed
}

#[test]
fn a_run_that_was_killed_anywhere_is_finished_by_the_next() {
    let home = Home::new();
    let mut kills = 0;
    for commands in [2, 3, 5, 4, 8, 6, 9, 12, 10, 16, 14, 20, 18, 24, 22] {
        kills += usize::from(killed_after(&home, commands));
    }
    assert!(kills > 8, "only {kills} kills");
    let last = home.run(&["quickstart"]).ok();
    assert!(last.out.contains("the log holds"), "{}", last.out);
    check_files(&home);
    home.run(&["audit", "verify"]).ok();
}

#[test]
fn an_installation_for_real_use_is_not_touched() {
    let home = Home::ready();
    let file = home.data().join("installation.json");
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("\"rehearsal\": true", "\"rehearsal\": false");
    fs::write(&file, text).unwrap();
    let ended = home.run(&["quickstart"]);
    assert_eq!(ended.code, 6, "{}", ended.err);
    assert!(
        ended.err.contains("real use") && ended.err.contains("--data-dir"),
        "{}",
        ended.err
    );
}
