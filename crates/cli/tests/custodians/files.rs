//! Cards and invitations that are not what they should be.

use std::fs;

use serde_json::Value;

use crate::{
    elsewhere::{Elsewhere, fingerprint, invite},
    terminal::Terminal,
    world::Center,
};

#[test]
fn what_was_exchanged_on_its_way_is_not_accepted() {
    let center = Center::new();
    let bob = Elsewhere::new("bob");
    let invitation = center.invitation();
    let right = fingerprint(&center.home, &invitation);
    let accept = |file: &str, more: &[&str]| {
        bob.home
            .run(&[&["custodian", "accept", file, "--as", "bob"], more].concat())
    };

    // Nobody at a terminal and no fingerprint; a wrong one; half of the right one.
    let nobody = accept(&invitation, &[]);
    assert_eq!(nobody.code, 4, "{}", nobody.err);
    for wrong in ["ba78 16bf 8f01 cfea 4141 40de 5dae 2223 b003 61a3", &right[..24]] {
        let ended = accept(&invitation, &["--fingerprint", wrong]);
        assert_eq!(ended.code, 7, "{}", ended.err);
        assert!(ended.err.contains("FINGERPRINT IS ANOTHER ONE"), "{}", ended.err);
        // It cannot be copied from where it has to be typed.
        assert!(!ended.err.contains(&right[..9]), "{}", ended.err);
    }
    assert!(accepted(&bob).is_empty());

    // An HSM's key exchanged in the file: certificates and key contradict each other, whatever is typed.
    let text = fs::read_to_string(&invitation).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["hsms"][0]["key"] = "00".repeat(32).into();
    let forged = bob.file("forged.invitation");
    fs::write(&forged, value.to_string()).unwrap();
    let ended = accept(&forged, &["--fingerprint", &right]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(
        ended.err.contains("another device by its certificates"),
        "{}",
        ended.err
    );
    for broken in [
        "",
        "{}",
        "[]",
        &text[..text.len() / 2],
        &text.replace("\"v\": 1", "\"v\": 2"),
    ] {
        fs::write(&forged, broken).unwrap();
        assert_eq!(accept(&forged, &["--fingerprint", &right]).code, 3, "{broken:?}");
    }
    assert!(accepted(&bob).is_empty());

    // Typed by somebody who heard it, in capitals.
    let words = ["custodian", "accept", &invitation, "--as", "bob"];
    let mut terminal = Terminal::start(&bob.home.command(&words), 200, 50);
    let before = terminal.wait_for("Type it as you hear it");
    assert!(!before.contains(&right[..9]), "{before}");
    terminal.type_line(&right.to_uppercase());
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(accepted(&bob), ["hsm-a"]);

    // Another installation's HSM under a known name never takes its place; here it is another installation, kept apart.
    let other = Center::new();
    let theirs = other.invitation();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let foreign: Value = serde_json::from_str(&fs::read_to_string(&theirs).unwrap()).unwrap();
    value["hsms"] = foreign["hsms"].clone();
    value["root"] = foreign["root"].clone();
    fs::write(&forged, value.to_string()).unwrap();
    let ended = accept(&forged, &["--fingerprint", &right]);
    assert_eq!(ended.code, 3, "the root is another one: {}", ended.err);
    value["log_key"] = foreign["log_key"].clone();
    value["installation"] = foreign["installation"].clone();
    value["name"] = "somebody".into();
    fs::write(&forged, value.to_string()).unwrap();
    let ended = accept(&forged, &["--fingerprint", &fingerprint(&other.home, &theirs)]);
    assert_eq!(
        ended.code, 7,
        "its name is covered by the fingerprint: {}",
        ended.err
    );
    // Accepted again it says so, and changes nothing.
    let again = accept(&invitation, &["--fingerprint", &right]).ok();
    assert!(again.err.contains("accepted before"), "{}", again.err);
    assert_eq!(accepted(&bob), ["hsm-a"]);
}

#[test]
fn hsms_are_added_by_another_invitation_and_a_known_name_never_changes() {
    let center = Center::new();
    let bob = Elsewhere::new("bob");
    bob.accept(&center.home, &center.invitation()).ok();
    center
        .home
        .run(&["hsm", "init", "hsm-b", "--quorum", "2of3", "--as", "alice"])
        .ok();
    let both = invite(&center.home, Some(&center.url), "both.invitation");
    bob.accept(&center.home, &both).ok();
    assert_eq!(accepted(&bob), ["hsm-a", "hsm-b"]);

    // The same installation presents another device as hsm-a: its own other HSM, with certificates that hold.
    let text = fs::read_to_string(&both).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let hsms = value["hsms"].as_array_mut().unwrap();
    hsms.remove(0);
    hsms[0]["name"] = "hsm-a".into();
    let forged = bob.file("forged.invitation");
    fs::write(&forged, value.to_string()).unwrap();
    let words = [
        "custodian",
        "accept",
        &forged,
        "--as",
        "bob",
        "--fingerprint",
        "any",
    ];
    let ended = bob.home.run(&words);
    assert_eq!(ended.code, 7, "{}", ended.err);
    assert!(ended.err.contains("IT IS ANOTHER DEVICE NOW"), "{}", ended.err);
    assert_eq!(accepted(&bob), ["hsm-a", "hsm-b"]);
}

#[test]
fn a_card_counts_only_as_its_token_vouches_for_it() {
    let center = Center::new();
    let bob = Elsewhere::new("bob");
    let (card, heard) = bob.card_and_fingerprint();
    let register = |card: &str| {
        center.home.run(&[
            "person",
            "add",
            "bob",
            "--role",
            "subscriber",
            "--card",
            card,
            "--fingerprint",
            &heard,
            "--as",
            "alice",
        ])
    };
    // A virtual token of another machine needs somebody here who vouches for it.
    let unvouched = register(&card);
    assert_eq!(unvouched.code, 7, "{}", unvouched.err);
    assert!(unvouched.err.contains("custodian vouch"), "{}", unvouched.err);
    let vouched = bob.vouched(&center.home, &card, &heard);
    let other = center.home.dir.path().join("again.card").display().to_string();

    // Keys of another token under bob's certificates.
    let eve = Elsewhere::new("eve");
    let of = |file: &str| -> Value { serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap() };
    let mut mixed = of(&vouched);
    mixed["act_key"] = of(&eve.card())["act_key"].clone();
    fs::write(&other, mixed.to_string()).unwrap();
    let ended = register(&other);
    assert_eq!(ended.code, 3, "{}", ended.err);
    // The two keys exchanged: one that opens HSMs would sign acts.
    let mut turned = of(&vouched);
    let act = turned["act_key"].take();
    turned["act_key"] = turned["custodian_key"].take();
    turned["custodian_key"] = act;
    fs::write(&other, turned.to_string()).unwrap();
    assert_eq!(register(&other).code, 3);
    register(&vouched).ok();
    // A second token of that name is not vouched for.
    fs::remove_file(&other).unwrap();
    let twice = center.home.run(&["custodian", "vouch", &card, "--out", &other]);
    assert_eq!(twice.code, 6, "{}", twice.err);
}

#[test]
fn an_exchanged_card_is_refused_wherever_it_is_taken() {
    let center = Center::new();
    let (bob, eve) = (Elsewhere::new("bob"), Elsewhere::new("eve"));
    let (theirs, heard) = bob.card_and_fingerprint();
    let file = |name: &str| center.home.dir.path().join(name).display().to_string();
    let of = |file: &str| -> Value { serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap() };

    // Eve's card in place of bob's, and bob's with the key of eve's machine, which no token vouches for.
    let mut machine = of(&theirs);
    machine["client"] = of(&eve.card())["client"].clone();
    let mixed = file("mixed.card");
    fs::write(&mixed, machine.to_string()).unwrap();
    let vouched = file("bob-vouched.card");
    let vouch = ["custodian", "vouch", "", "--out", &vouched];
    let add = [
        "person",
        "add",
        "bob",
        "--role",
        "subscriber",
        "--card",
        "",
        "--as",
        "alice",
    ];
    let register = [
        "custodian",
        "register",
        "bob",
        "--card",
        "",
        "--hsm",
        "hsm-a",
        "--as",
        "alice",
    ];
    let enrol = ["client", "add", "bob", "--key", "", "--custodian", "bob"];
    let with = |words: &[&str], card: &str, more: &[&str]| {
        let words = words.iter().map(|word| if word.is_empty() { card } else { word });
        let words: Vec<&str> = words.chain(more.iter().copied()).collect();
        center.home.run(&words)
    };
    let refused = |words: &[&str], card: &str| {
        let ended = with(words, card, &["--fingerprint", &heard]);
        assert_eq!(ended.code, 7, "{words:?}: {}", ended.err);
        assert!(ended.err.contains("IS ANOTHER ONE"), "{words:?}: {}", ended.err);
        let nobody = with(words, card, &[]);
        assert_eq!(nobody.code, 4, "{words:?}: {}", nobody.err);
    };
    for card in [&eve.card(), &mixed] {
        refused(&vouch, card);
    }
    assert!(!fs::exists(&vouched).unwrap());
    with(&vouch, &theirs, &["--fingerprint", &heard]).ok();

    // What is vouched for has the fingerprint that bob read out.
    let good = of(&vouched);
    let mut exchanged = good.clone();
    exchanged["client"] = of(&eve.card())["client"].clone();
    fs::write(&mixed, exchanged.to_string()).unwrap();
    for words in [&add[..], &register, &enrol] {
        refused(words, &mixed);
        if words != enrol {
            with(words, &vouched, &["--fingerprint", &heard]).ok();
        }
    }
    // A bare key of eve's machine in place of a card, and eve's whole card.
    let bare = file("bare.card");
    fs::write(&bare, of(&eve.card())["client"].as_str().unwrap()).unwrap();
    refused(&enrol, &bare);
    refused(&enrol, &eve.card());
    let (_, clients) = center.home.json(&["client", "list"]);
    assert_eq!(clients.as_array().unwrap().len(), 0, "{clients}");

    // Certificates of another token of this installation in place of those that vouch for bob's.
    let other = file("eve-vouched.card");
    let (cards, fingerprint) = eve.card_and_fingerprint();
    let words = ["custodian", "vouch", &cards, "--out", &other];
    center
        .home
        .run(&[&words[..], &["--fingerprint", &fingerprint]].concat())
        .ok();
    let mut exchanged = good.clone();
    exchanged["vouched"] = of(&other)["vouched"].clone();
    fs::write(&mixed, exchanged.to_string()).unwrap();
    let ended = with(&enrol, &mixed, &["--fingerprint", &heard]);
    assert_eq!(ended.code, 3, "{}", ended.err);

    // Typed at the terminal, from what was heard; it cannot be copied from there.
    let enrol = ["client", "add", "bob", "--key", &vouched, "--custodian", "bob"];
    let mut terminal = Terminal::start(&center.home.command(&enrol), 200, 50);
    let before = terminal.wait_for("Type it as you hear it");
    assert!(!before.contains(&heard[..9]), "{before}");
    assert!(before.contains("vouched for here"), "{before}");
    terminal.type_line(&heard.to_uppercase());
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
}

/// Names of the HSMs bob's machine accepted.
fn accepted(bob: &Elsewhere) -> Vec<String> {
    let Ok(entries) = fs::read_dir(bob.kept()) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for place in entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        for file in fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".json") && !name.contains(".custodian.") && !name.contains(".log.") {
                let value: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
                names.extend(value.as_object().unwrap().keys().cloned());
            }
        }
    }
    names
}
