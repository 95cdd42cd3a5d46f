//! Cards of other people than are named, and names that nobody can have.

use std::fs;

use serde_json::Value;

use crate::{
    elsewhere::{Elsewhere, fingerprint},
    world::Center,
};

#[test]
fn the_card_of_another_person_is_refused_and_nothing_registered() {
    let center = Center::new();
    let (bob, carol, dave) = (
        Elsewhere::new("bob"),
        Elsewhere::new("carol"),
        Elsewhere::new("dave"),
    );
    let [(_, _), (carols, heard), (daves, heard_dave)] =
        [(&bob, true), (&carol, true), (&dave, false)].map(|(custodian, is_person)| {
            let (card, heard) = custodian.card_and_fingerprint();
            let name = custodian.name.as_str();
            let vouched = center.home.dir.path().join(format!("{name}.card"));
            let vouched = vouched.display().to_string();
            let vouch = ["custodian", "vouch", &card, "--out", &vouched];
            center
                .home
                .run(&[&vouch[..], &["--fingerprint", &heard]].concat())
                .ok();
            let add = ["person", "add", name, "--role", "subscriber", "--card", &vouched];
            if is_person {
                center
                    .home
                    .run(&[&add[..], &["--fingerprint", &heard, "--as", "alice"]].concat())
                    .ok();
            }
            (vouched, heard)
        });
    let state = || {
        let (_, people) = center.home.json(&["person", "list"]);
        let (_, clients) = center.home.json(&["client", "list"]);
        let (_, requests) = center.home.json(&["request", "list"]);
        (people, clients, requests)
    };
    let device = |name: &str| -> String {
        let people = state().0;
        let known = people
            .as_array()
            .unwrap()
            .iter()
            .find(|person| person["name"] == name)
            .unwrap();
        known["device"].as_str().unwrap().to_owned()
    };
    let before = state();
    assert!(before.2.to_string().contains("person bob"), "{}", before.2);
    // carol is known, and named; dave is nobody here.
    for (card, heard, whose, next) in [
        (
            &carols,
            &heard,
            "the card of carol (token",
            "if carol is meant, name carol",
        ),
        (
            &daves,
            &heard_dave,
            "the card of nobody who is known here",
            "chancery person add NAME",
        ),
    ] {
        let register = ["custodian", "register", "bob", "--card", card, "--hsm", "hsm-a"];
        let register = [&register[..], &["--as", "alice"]].concat();
        let enrol = ["client", "add", "carol", "--key", card, "--custodian", "bob"];
        for words in [&register[..], &register[..register.len() - 2], &enrol] {
            let ended = center
                .home
                .run(&[words, &["--fingerprint", heard, "--json"]].concat());
            assert_eq!(ended.code, 7, "{words:?}: {}{}", ended.out, ended.err);
            let failure: Value = serde_json::from_str(&ended.out).unwrap();
            assert_eq!(failure["kind"], "refused", "{failure}");
            let message = failure["message"].as_str().unwrap();
            assert!(message.contains(whose), "{message}");
            assert!(
                message.contains(&format!("not that of bob (token {}", device("bob"))),
                "{message}"
            );
            let remedy = failure["remedy"].as_str().unwrap();
            assert!(remedy.contains("take the card of bob"), "{remedy}");
            assert!(remedy.contains(next), "{remedy}");
            assert_eq!(state(), before, "{words:?}");
        }
    }
    // Who is not known is not known, whatever the card.
    let unknown = [
        "custodian",
        "register",
        "zoe",
        "--card",
        &carols,
        "--hsm",
        "hsm-a",
    ];
    let ended = center
        .home
        .run(&[&unknown[..], &["--fingerprint", &heard]].concat());
    assert_eq!(ended.code, 5, "{}", ended.err);
    // The right card is taken.
    carol.enrol(&center.home, "alice", "hsm-a", &carols, &heard);
}

#[test]
fn a_name_that_nobody_can_have_is_not_accepted_and_a_wrong_one_can_be_corrected() {
    let center = Center::new();
    let bob = Elsewhere::new("bob");
    let invitation = center.invitation();
    let heard = fingerprint(&center.home, &invitation);
    let accept = |name: &str| {
        let words = ["custodian", "accept", &invitation, "--as", name];
        bob.home.run(&[&words[..], &["--fingerprint", &heard]].concat())
    };
    for name in ["Bob", "b ob", "", "b\u{f6}b", &"b".repeat(33)] {
        let ended = accept(name);
        assert_eq!(ended.code, 3, "{name:?}: {}", ended.err);
        assert!(ended.err.contains("is no name"), "{}", ended.err);
        assert!(ended.err.contains("1 to 32 of a-z, 0-9 and -"), "{}", ended.err);
    }
    assert!(!bob.kept().exists(), "nothing was written");

    // A name that could be right, and is not.
    accept("rob").ok();
    let ended = accept("bob");
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(
        ended.err.contains("this token answers for another person there"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("Ask the administrator"), "{}", ended.err);
    let file = bob.membership();
    assert!(
        ended.err.contains(&format!("remove {}", file.display())),
        "{}",
        ended.err
    );
    // What it says helps, and the HSMs are still those that were accepted.
    fs::remove_file(&file).unwrap();
    let again = accept("bob").ok();
    assert!(
        again.err.contains("accepted before, and still the same: hsm-a"),
        "{}",
        again.err
    );
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept.contains("\"person\": \"bob\""), "{kept}");
}
