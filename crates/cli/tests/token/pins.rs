//! PIN and SO-PIN.

use std::fs;

use serde_json::json;

use super::{Bench, PIN, SO_PIN};

#[test]
fn tries_are_told_before_and_the_last_one_is_warned_of() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &[]).ok();
    let wrong = bench.home.private("wrong", "000000");
    let new = bench.home.private("new", "111111");
    let change = |pin: &str| {
        bench.home.run(&[
            "token",
            "pin",
            "change",
            "hsm-a",
            "--pin-file",
            pin,
            "--new-pin-file",
            &new,
        ])
    };
    for (left, words) in [(3, "3 tries left"), (2, "2 tries left"), (1, "LAST TRY")] {
        assert_eq!(bench.info("hsm-a")["pin"]["tries_left"], left);
        let refused = change(&wrong);
        assert_eq!(refused.code, 10, "{}", refused.err);
        assert!(refused.err.contains(words), "{}", refused.err);
    }
    let (code, status) = bench.home.json(&["token", "pin", "status", "hsm-a"]);
    assert_eq!((code, &status["pin"]["state"]), (0, &json!("blocked")));
    let refused = change(&bench.pin);
    assert_eq!(refused.code, 10);
    assert!(
        refused.err.contains("chancery token pin unblock"),
        "{}",
        refused.err
    );

    let unblock = ["token", "pin", "unblock", "hsm-a", "--so-pin-file", &bench.so_pin];
    bench.home.run(&[&unblock[..], &["--keep"]].concat()).ok();
    change(&bench.pin).ok();
    bench
        .home
        .run(&[&unblock[..], &["--new-pin-file", &bench.pin]].concat())
        .ok();
    change(&bench.pin).ok();
}

#[test]
fn unblocking_does_what_the_token_was_set_up_for_and_no_more() {
    let bench = Bench::new(&["tries", "never"]);
    bench.init("tries", &["--unblock", "tries"]).ok();
    bench.init("never", &["--unblock", "nothing"]).ok();
    let unblock = |token: &str, how: &[&str]| {
        let words = ["token", "pin", "unblock", token, "--so-pin-file", &bench.so_pin];
        bench.home.run(&[&words[..], how].concat())
    };
    let refused = unblock("tries", &["--new-pin-file", &bench.pin]);
    assert_eq!(refused.code, 10, "{}", refused.err);
    assert!(refused.err.contains("--keep"), "{}", refused.err);
    unblock("tries", &["--keep"]).ok();
    let refused = unblock("never", &["--keep"]);
    assert_eq!(refused.code, 10, "{}", refused.err);
    // Refused before the SO-PIN was presented.
    assert_eq!(bench.info("never")["so_pin"]["tries_left"], 15);
}

#[test]
fn a_transport_pin_is_replaced_before_use() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &["--transport-pin"]).ok();
    let new = bench.home.private("new", "12345678");
    assert_eq!(bench.info("hsm-a")["pin"]["state"], "transport");
    let test = bench
        .home
        .run(&["token", "test", "hsm-a", "--pin-file", &bench.pin]);
    assert_eq!(test.code, 10, "{}", test.err);
    assert!(test.err.contains("chancery token pin change"), "{}", test.err);
    bench
        .home
        .run(&[
            "token",
            "pin",
            "change",
            "hsm-a",
            "--pin-file",
            &bench.pin,
            "--new-pin-file",
            &new,
        ])
        .ok();
    assert_eq!(bench.info("hsm-a")["pin"]["state"], "set");
}

#[test]
fn the_so_pin_is_checked_and_changed() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &[]).ok();
    let new = bench.home.private("new", "AABBCCDDEEFF0011");
    let check = |file: &str| {
        bench
            .home
            .run(&["token", "so-pin", "check", "hsm-a", "--so-pin-file", file])
    };
    assert_eq!(check(&new).code, 10);
    assert_eq!(bench.info("hsm-a")["so_pin"]["tries_left"], 14);
    check(&bench.so_pin).ok();
    let change = [
        "token",
        "so-pin",
        "change",
        "hsm-a",
        "--so-pin-file",
        &bench.so_pin,
        "--new-so-pin-file",
        &new,
    ];
    bench.home.run(&change).ok();
    check(&new).ok();
    assert_eq!(check(&bench.so_pin).code, 10);
    let malformed = bench.home.private("malformed", "12345678");
    let refused = check(&malformed);
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert_eq!(bench.info("hsm-a")["so_pin"]["tries_left"], 14);
}

#[test]
fn a_stored_pin_follows_a_change_and_never_costs_the_last_try() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &[]).ok();
    let stored = bench.home.data().join("rehearsal-pins.json");
    let store = |pin: &str| {
        let pins = json!({
            "for": "rehearsal only: real PINs belong in heads",
            "tokens": { "hsm-a": { "user_pin": pin, "so_pin": SO_PIN } },
        });
        fs::rename(bench.home.private("stored", &pins.to_string()), &stored).unwrap();
    };
    let open = |options: &[&str]| {
        let words = ["token", "explore", "hsm-a", "--login"];
        bench.home.run(&[&words, options].concat())
    };
    store(PIN);
    open(&[]).ok();
    let new = bench.home.private("new", "11111111");
    let changed = bench
        .home
        .run(&["token", "pin", "change", "hsm-a", "--new-pin-file", &new])
        .ok();
    assert!(changed.err.contains("rehearsal"), "{}", changed.err);
    open(&[]).ok();
    let new_so = bench.home.private("new-so", "AABBCCDDEEFF0011");
    bench
        .home
        .run(&[
            "token",
            "so-pin",
            "change",
            "hsm-a",
            "--so-pin-file",
            &bench.so_pin,
            "--new-so-pin-file",
            &new_so,
        ])
        .ok();
    let kept = fs::read_to_string(&stored).unwrap();
    assert!(
        kept.contains("11111111") && kept.contains("AABBCCDDEEFF0011"),
        "{kept}"
    );

    // Somebody changed the PIN elsewhere.
    store("22222222");
    for left in [2, 1] {
        let refused = open(&[]);
        assert_eq!(refused.code, 10, "{}", refused.err);
        assert_eq!(bench.info("hsm-a")["pin"]["tries_left"], left);
    }
    for _ in 0..2 {
        let refused = open(&[]);
        assert_eq!(refused.code, 3, "{}", refused.err);
        assert!(
            refused.err.contains("not tried") && refused.err.contains("LAST TRY"),
            "{}",
            refused.err
        );
        assert_eq!(bench.info("hsm-a")["pin"]["tries_left"], 1);
    }
    // A file that is named is taken, and the last try is warned of.
    let opened = open(&["--pin-file", &new]).ok();
    assert!(opened.err.contains("LAST TRY"), "{}", opened.err);
}

#[test]
fn a_token_that_is_changed_has_to_be_named() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &[]).ok();
    let refused = bench
        .home
        .run(&["token", "pin", "change", "--pin-file", &bench.pin]);
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(refused.err.contains("which token"), "{}", refused.err);
}
