//! What custodians decide, and what comes of it.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{background::Background, common::Ended, scene::Scene, terminal::Terminal};

#[test]
fn a_quorum_permits_digests_and_receipts_show_it() {
    let scene = Scene::new();
    let home = &scene.home;
    let list = scene.digests(&["fit-1", "fit-2"]);
    let lease = scene.ask(&["--for", "firmware 4.2", "--digests", &list, "--for-time", "2h"]);
    let (image, other) = (scene.file("fit-1"), scene.file("other"));

    // One custodian is not enough; the own build is compared; nothing is hidden from who agrees.
    let ended = home.run(&[
        "approve",
        &lease,
        "--as",
        "alice",
        "--compare",
        &image,
        &scene.file("fit-2"),
    ]);
    assert_eq!(
        ended.code, 2,
        "one --compare takes one file: {}{}",
        ended.out, ended.err
    );
    let compared = [
        "approve",
        &lease,
        "--as",
        "alice",
        "--compare",
        &image,
        "--compare",
        &scene.file("fit-2"),
    ];
    let ended = home.run(&compared).ok();
    for shown in [
        "firmware 4.2",
        "exactly 2 distinct digests",
        "2 of 2 digests of the lease are those of your files",
        "open for ALL its keys",
        "user ",
    ] {
        assert!(ended.err.contains(shown), "{shown}: {}", ended.err);
    }
    assert_eq!(scene.state(&lease), "waiting");
    let early = home.run(&["sign", &image, "--signer", "firmware"]);
    assert_eq!(early.code, 4, "{}{}", early.out, early.err);
    let own = home.run(&["approve", &lease, "--as", "bob", "--compare", &other]);
    assert_eq!(own.code, 7, "{}{}", own.out, own.err);
    assert!(own.err.contains("NOT YOURS") && own.err.contains("your own build differs"));
    let answer = scene.approve(&lease, "bob");
    assert_eq!(answer["lease"]["state"], "live", "{answer}");

    // What is named is signed, as openssl sees it; what is not is not.
    let (signature, key) = (home.dir.path().join("sig"), home.dir.path().join("pub"));
    let (signature, key) = (signature.to_str().unwrap(), key.to_str().unwrap());
    home.run(&["sign", &image, "--signer", "firmware", "--out", signature])
        .ok();
    home.run(&["signer", "key", "firmware", "--out", key]).ok();
    let openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify", key, "-signature", signature, &image])
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{openssl:?}");
    let refused = home.run(&["sign", &other, "--signer", "firmware"]);
    assert_eq!(refused.code, 4, "{}{}", refused.out, refused.err);

    // The receipt holds without the node, every claim of it, and no other does.
    let receipt = home.dir.path().join("receipt.json");
    let receipt = receipt.to_str().unwrap();
    let began = Instant::now();
    loop {
        let (code, value) = home.json(&["receipt", "show", &lease, &image, "--out", receipt]);
        assert_eq!(code, 0, "{value}");
        if !value["inclusion"].is_null() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no head was signed");
    }
    home.run(&["stop"]).ok();
    let ended = home.run(&["attest", "verify", receipt, key]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(
        ended.out.contains("alice with token") && ended.out.contains("not hardware"),
        "{}",
        ended.out
    );
    let text = fs::read_to_string(receipt).unwrap();
    let moved = text.replacen("\"time\": \"2", "\"time\": \"3", 1);
    assert_ne!(text, moved);
    fs::write(receipt, moved).unwrap();
    let ended = home.run(&["attest", "verify", receipt]);
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    fs::write(receipt, text.replacen("  \"", "   \"", 1)).unwrap();
    assert_eq!(home.run(&["attest", "verify", receipt]).code, 3);
}

#[test]
fn who_waits_is_told_why_it_ends() {
    let scene = Scene::new();
    let home = &scene.home;
    let (waits, lease) = scene.waiting(&["--for", "nightly", "--count", "3"]);
    let (code, answer) = home.json(&[
        "approve",
        &lease,
        "--as",
        "carol",
        "--refuse",
        "wrong kernel version",
    ]);
    assert_eq!(code, 0, "{answer}");
    assert_eq!(answer["decision"], "refused");
    let ended = Ended::from(waits.wait_with_output().unwrap());
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    let last = ended.err.lines().last().unwrap();
    assert!(
        last.contains("carol") && last.contains("wrong kernel version"),
        "{last}"
    );

    // Nobody answers in time.
    let (waits, lease) = scene.waiting(&["--for", "nightly", "--count", "3", "--timeout", "2s"]);
    scene.approve(&lease, "alice");
    let ended = Ended::from(waits.wait_with_output().unwrap());
    assert_eq!(ended.code, 4, "{}{}", ended.out, ended.err);
    assert!(
        ended.err.contains("agreed: alice") && ended.err.contains("not given in time"),
        "{}",
        ended.err
    );
    assert_eq!(scene.state(&lease), "timed-out");

    // An interrupt takes the request back.
    let (waits, lease) = scene.waiting(&["--for", "nightly", "--count", "3"]);
    let pid = Pid::from_raw(i32::try_from(waits.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = Ended::from(waits.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("withdrawn"), "{}", ended.err);
    assert_eq!(scene.state(&lease), "withdrawn");

    // A lease is given up, and revoked, with nobody's agreement.
    let count = ["--for", "nightly", "--count", "1", "--for-time", "5m"];
    let lease = scene.ask(&count);
    let (code, view) = home.json(&["lease", "withdraw", &lease[..13]]);
    assert_eq!((code, &view["state"]), (0, &Value::from("withdrawn")), "{view}");
    let lease = scene.ask(&count);
    let (code, view) = home.json(&["lease", "revoke", &lease, "--reason", "not today"]);
    assert_eq!((code, &view["state"]), (0, &Value::from("revoked")), "{view}");
    assert!(scene.open().is_empty());

    // Nobody agrees without saying to what.
    scene.ask(&count);
    let ended = home.run(&["approve", "--as", "alice"]);
    assert_eq!(ended.code, 4, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("nothing was decided"), "{}", ended.err);
}

#[test]
fn a_hook_is_told_and_decides_nothing() {
    let scene = Scene::new();
    let home = &scene.home;
    let told = home.dir.path().join("told");
    let hook = format!(
        "cat > {0}.json; echo \"$CHANCERY_LEASE $CHANCERY_PURPOSE\" >> {0}.new; mv {0}.new {0}",
        told.display()
    );
    let watch = Background::begin(home.command(&["approve", "--as", "alice", "--watch", "--hook", &hook]));
    let lease = scene.ask(&["--for", "nightly \u{e9}", "--count", "1", "--for-time", "5m"]);
    // Shown after the hook was run, so that both are there.
    watch.says("not decided: chancery approve");
    watch.kill();
    let line = fs::read_to_string(&told).unwrap();
    assert!(line.starts_with(&lease), "{line}");
    assert!(line.trim_end().ends_with("nightly \u{e9}"), "{line:?}");
    let details: Value =
        serde_json::from_str(&fs::read_to_string(told.with_extension("json")).unwrap()).unwrap();
    assert_eq!(details["lease"]["lease"], lease.as_str());
    assert_eq!(scene.state(&lease), "waiting");
}

#[test]
fn somebody_at_the_terminal_decides_and_nothing_else_does() {
    let scene = Scene::new();
    let words = ["approve", "--as", "alice", "--watch"];
    let mut watch = Terminal::start(&scene.home.command(&words), 200, 50);
    watch.wait_for("waiting for leases that alice could agree to");
    let count = ["--for", "nightly", "--count", "2", "--for-time", "5m"];
    let question = "Type `agree`, `agree and the next N`, `refuse REASON`, or Enter to leave it: ";
    let lease = scene.ask(&count);
    let shown = watch.wait_for(question);
    assert!(
        shown.contains("any 2 distinct digests: DIGESTS UNKNOWN") && shown.contains(&lease),
        "{shown}"
    );
    watch.type_line("yes");
    watch.wait_for("not decided");
    assert_eq!(scene.state(&lease), "waiting");
    let agreed = scene.ask(&count);
    watch.wait_for(question);
    watch.type_line("agree");
    watch.wait_for("alice agreed; lease");
    let (_, view) = scene.home.json(&["lease", "show", &agreed]);
    assert_eq!(view["agreed"], serde_json::json!(["alice"]), "{view}");
    // Bob adds to it: alice is shown the other text, and adds to that.
    let (code, view) = scene
        .home
        .json(&["approve", &agreed, "--as", "bob", "--next", "2"]);
    assert_eq!(
        (code, &view["lease"]["agreed"]),
        (0, &serde_json::json!(["bob"])),
        "{view}"
    );
    let shown = watch.wait_for(question);
    assert!(
        shown.contains("\"bob\" added THE NEXT 2 DIGESTS") && shown.contains("any 4 distinct digests"),
        "{shown}"
    );
    watch.type_line("agree and the next 3");
    watch.wait_for("alice agreed; lease");
    let (_, view) = scene.home.json(&["lease", "show", &agreed]);
    assert_eq!(view["agreed"], serde_json::json!(["alice"]), "{view}");
    assert_eq!(view["terms"]["extent"]["count"], 7, "{view}");
    let refused = scene.ask(&count);
    watch.wait_for(question);
    watch.type_line("refuse not on a Friday");
    watch.wait_for("alice refused; lease");
    assert_eq!(scene.state(&refused), "refused");
    watch.type_key(3);
    let (code, _) = watch.end();
    assert_ne!(code, 0);
}
