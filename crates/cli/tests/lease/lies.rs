//! A node that lies about leases is found out, and no terminal obeys what it says.

use std::process::Stdio;

use chancery_api::Base64;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    common::Ended,
    liar::{Liar, change_text},
    scene::Scene,
    terminal::Terminal,
};

/// Clears the screen, shows what it likes, and turns the direction of writing.
const EVIL: &str = "gone\u{1b}[2J\u{9b}H\nlease 0193\r\n  enforced by the HSMs' own quorum\u{202e}";
/// How it is shown: what would move the terminal is written out.
const SHOWN: &str = "gone\\u{1b}[2J\\u{9b}H\\u{a}lease 0193";

/// Whether nothing in a text moves a terminal, and nothing of [`EVIL`] stands on a line of its own.
#[track_caller]
fn is_harmless(text: &str) {
    assert!(
        text.chars()
            .all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')),
        "{text:?}"
    );
    let begin = |words: &str| text.lines().filter(|line| line.starts_with(words)).count();
    assert!(begin("lease 0193") == 0 && begin("  enforced") <= 1, "{text}");
    assert!(text.contains(SHOWN), "{text}");
}

fn failure(kind: &str) -> Value {
    let unmet = json!([{ "code": "evil", "what": EVIL, "remedy": EVIL, "who": [EVIL] }]);
    json!({ "failed": { "kind": kind, "message": EVIL, "remedy": EVIL, "unmet": unmet } })
}

const COUNT: [&str; 6] = ["--for", "nightly", "--count", "2", "--for-time", "5m"];

#[test]
fn a_node_only_writes_text_to_a_custodians_terminal() {
    let scene = Scene::new();
    let lease = scene.ask(&COUNT);
    let liar = Liar::at(&scene.home);

    // Failures, in each of their parts.
    liar.lies(|method, answer| {
        if method == "lease.show" {
            *answer = failure("conflict");
        }
    });
    let approve = ["approve", &lease, "--as", "alice"];
    let ended = scene.home.run(&approve);
    assert_eq!(ended.code, 6, "{}{}", ended.out, ended.err);
    is_harmless(&ended.err);
    assert_eq!(ended.err.lines().count(), 5, "{}", ended.err);
    let (_, told) = scene.home.json(&approve);
    assert_eq!(told["message"], EVIL, "programs read what the node said");

    // What the reader of a lease says of fields it does not know.
    liar.lies(|method, answer| {
        if method == "lease.show" {
            let view = &mut answer["ok"];
            let bytes: Base64 = serde_json::from_value(view["text"].clone()).unwrap();
            let mut text: Value = serde_json::from_slice(&bytes.0).unwrap();
            text[EVIL] = json!(1);
            view["text"] = json!(Base64(serde_json::to_vec(&text).unwrap()));
        }
    });
    let ended = scene.home.run(&approve);
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    is_harmless(&ended.err);

    // Names of those who agreed and who could, while somebody waits.
    liar.lies(|_, answer| {
        if answer["ok"]["could"].is_array() {
            answer["ok"]["agreed"] = json!([EVIL]);
            answer["ok"]["could"] = json!(vec![EVIL; 50]);
            answer["ok"]["hsms"][0]["state"] = json!(EVIL);
        }
    });
    let words = [
        "unlock",
        "request",
        "--signer",
        "firmware",
        "--wait",
        "--timeout",
        "2s",
    ];
    let waited = scene
        .home
        .command(&[&words[..], &COUNT].concat())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let waited = Ended::from(waited);
    assert_eq!(waited.code, 4, "{}{}", waited.out, waited.err);
    is_harmless(&waited.err);
    assert!(
        waited.err.contains("agreed: gone") && waited.err.contains("and 30 more"),
        "{}",
        waited.err
    );
    let shown = scene.home.run(&["lease", "show", &lease]).ok();
    is_harmless(&shown.out);
    let ended = scene.home.run(&["approve", &lease, "--as", "alice"]).ok();
    is_harmless(&ended.err);
}

#[test]
fn a_node_that_is_watched_only_writes_text_to_the_terminal() {
    let scene = Scene::new();
    let liar = Liar::at(&scene.home);
    liar.lies(|method, answer| {
        if method == "lease.pending" {
            *answer = failure("unavailable");
        }
    });
    // It is asked at once, for one lease waits already.
    scene.ask(&COUNT);
    let words = ["approve", "--as", "alice", "--watch"];
    let mut watch = Terminal::start(&scene.home.command(&words), 200, 50);
    let told = watch.wait_for("who: ") + &watch.wait_for("quorum");
    assert!(
        told.contains(SHOWN) && !told.contains("\u{1b}[2J") && !told.contains('\u{202e}'),
        "{told:?}"
    );
    // It goes on, and shows the lease as it is.
    liar.is_honest();
    let told = watch.wait_for("or Enter to leave it: ");
    assert!(
        told.contains("any 2 distinct digests") && !told.contains("\u{1b}[2J"),
        "{told:?}"
    );
}

fn later(time: &str) -> String {
    let time = OffsetDateTime::parse(time, &Rfc3339).unwrap() + Duration::minutes(20 * 24 * 60 + 90);
    time.format(&Rfc3339).unwrap()
}

#[test]
fn what_is_added_to_a_lease_neither_lengthens_it_nor_lets_the_node_count() {
    let scene = Scene::new();
    let lease = scene.ask(&COUNT);
    let liar = Liar::at(&scene.home);
    let words = [
        "approve", &lease, "--as", "alice", "--next", "2", "--until", "30m",
    ];
    liar.lies(|method, answer| {
        if method == "lease.widen" {
            change_text(&mut answer["ok"], |text| {
                text.deadline = later(&text.deadline);
                let last = text.widened.last_mut().unwrap();
                last.at = later(&last.at);
                last.until = Some(text.deadline.clone());
            });
        }
    });
    let ended = scene.home.run(&words);
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    assert!(
        ended.err.contains("20 d 1 h later")
            && ended.err.contains("one of the two clocks is wrong")
            && ended.err.contains("have both clocks set right"),
        "{}",
        ended.err
    );
    liar.lies(|method, answer| {
        if method == "lease.widen" {
            answer["ok"]["node_enforced"] = json!(true);
        }
    });
    let ended = scene.home.run(&words);
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    assert!(
        ended.err.contains("opened after you had decided")
            && ended
                .err
                .contains(&format!("look at the lease again: chancery approve {lease}")),
        "{}",
        ended.err
    );
    liar.is_honest();
    let (_, view) = scene.home.json(&["lease", "show", &lease]);
    assert_eq!(view["agreed"], json!([]), "{view}");
    let (code, answer) = scene.home.json(&words);
    assert_eq!(
        (code, &answer["lease"]["agreed"]),
        (0, &json!(["alice"])),
        "{answer}"
    );
}

#[test]
fn another_lease_than_the_one_that_was_named_is_neither_shown_nor_agreed_to() {
    let scene = Scene::new();
    let home = &scene.home;
    let (named, other) = (scene.ask(&COUNT), scene.ask(&COUNT));
    let (_, mut view) = home.json(&["lease", "show", &other]);
    view.as_object_mut().unwrap().remove("terms");
    let liar = Liar::at(home);
    let in_its_place = view.clone();
    liar.lies(move |method, answer| {
        if ["lease.show", "lease.withdraw"].contains(&method) {
            answer["ok"] = in_its_place.clone();
        }
    });
    for words in [
        &["approve", &named, "--as", "alice"][..],
        &["approve", &named, "--as", "alice", "--refuse", "no"],
        &["lease", "show", &named],
        &["lease", "show", &named[..35]],
        &["lease", "withdraw", &named],
    ] {
        let ended = home.run(words);
        assert_eq!(ended.code, 7, "{words:?}: {}{}", ended.out, ended.err);
        assert!(
            ended.err.contains("ANOTHER LEASE") && ended.err.contains(&other) && ended.out.is_empty(),
            "{words:?}: {}",
            ended.err
        );
    }
    // Under its own name, with the text of the other.
    let text = view["text"].clone();
    liar.lies(move |method, answer| {
        if method == "lease.show" {
            answer["ok"]["text"] = text.clone();
        }
    });
    for words in [
        &["approve", &named, "--as", "alice"][..],
        &["lease", "show", &named],
    ] {
        let ended = home.run(words);
        assert_eq!(ended.code, 7, "{words:?}: {}{}", ended.out, ended.err);
    }
    liar.is_honest();
    let (_, view) = home.json(&["lease", "show", &other]);
    assert_eq!(view["agreed"], json!([]), "{view}");

    // A receipt of the other lease, or of another signature.
    for custodian in ["alice", "bob"] {
        scene.approve(&other, custodian);
    }
    let (first, second) = (scene.file("first"), scene.file("second"));
    for file in [&first, &second] {
        let out = format!("{file}.sig");
        home.run(&["sign", file, "--signer", "firmware", "--out", &out])
            .ok();
    }
    let (_, receipt) = home.json(&["receipt", "show", &other, &first]);
    liar.lies(move |method, answer| {
        if method == "receipt.show" {
            *answer = json!({ "ok": receipt });
        }
    });
    home.run(&["receipt", "show", &other, &first]).ok();
    for (lease, file, said) in [
        (&named, &first, "ANOTHER LEASE"),
        (&other, &second, "ANOTHER SIGNATURE"),
    ] {
        let out = home.dir.path().join("receipt");
        let ended = home.run(&["receipt", "show", lease, file, "--out", out.to_str().unwrap()]);
        assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
        assert!(ended.err.contains(said) && !out.exists(), "{}", ended.err);
    }
}
