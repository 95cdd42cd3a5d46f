//! The acceptance test.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{Bench, PIN};

/// Begins a long test and kills it when it has made keys.
pub(crate) fn killed_test(bench: &Bench, token: &str) {
    let words = [
        "token",
        "test",
        token,
        "--operations",
        "1000000",
        "--pin-file",
        &bench.pin,
    ];
    let mut child = bench
        .home
        .command(&words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let journal = bench.home.data().join("journal/test-1.journal");
    let begun = Instant::now();
    while !fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"name\":\"operations\"")) {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no operation was noted"
        );
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_token_is_tested_and_its_log_plays_the_same_on_another() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &[]).ok();
    let log = bench.home.dir.path().join("a.apdu").display().to_string();
    let words = [
        "token",
        "test",
        "hsm-a",
        "--operations",
        "120",
        "--pin-file",
        &bench.pin,
        "--log",
        &log,
    ];
    let (code, outcome) = bench.home.json(&words);
    assert_eq!((code, &outcome["passed"]), (0, &true.into()), "{outcome}");
    assert!(bench.info("hsm-a")["keys"].as_array().unwrap().is_empty());
    assert!(bench.journals().is_empty());
    let text = fs::read_to_string(&log).unwrap();
    let hex = PIN.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
    assert!(!text.contains(&hex));
    assert!(
        text.starts_with("{\"chancery_apdu_log\":1,"),
        "{}",
        text.lines().next().unwrap()
    );

    let (code, played) = bench.home.json(&["token", "test", "--replay", &log]);
    assert_eq!((code, &played["same"]), (0, &true.into()), "{played}");
    // Another answer in the log, and the difference is shown.
    let altered = text.replacen("\"a\":\"63C3\"", "\"a\":\"6983\"", 1);
    assert_ne!(altered, text);
    fs::write(&log, altered).unwrap();
    let played = bench.home.run(&["token", "test", "--replay", &log]);
    assert_eq!(played.code, 7, "{}", played.err);
    assert!(
        played.out.contains("status 6983 in the log, 63C3 here"),
        "{}",
        played.out
    );
    fs::write(&log, "nonsense").unwrap();
    assert_eq!(bench.home.run(&["token", "test", "--replay", &log]).code, 3);
}

#[test]
fn killed_it_is_gone_on_with_or_cleaned_up() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &[]).ok();
    killed_test(&bench, "hsm-a");
    assert!(!bench.info("hsm-a")["keys"].as_array().unwrap().is_empty());
    let shown = bench.home.run(&["token", "journal"]).ok();
    assert!(shown.out.contains("test-1"), "{}", shown.out);
    bench
        .home
        .run(&["token", "undo", "test-1", "--pin-file", &bench.pin])
        .ok();
    assert!(bench.info("hsm-a")["keys"].as_array().unwrap().is_empty());
    assert!(bench.journals().is_empty());
}

#[test]
fn a_token_that_waits_for_shares_is_not_tested() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &["--dkek-shares", "2"]).ok();
    let refused = bench
        .home
        .run(&["token", "test", "hsm-a", "--pin-file", &bench.pin]);
    assert_eq!(refused.code, 6, "{}", refused.err);
    assert!(refused.err.contains("lacks 2 shares"), "{}", refused.err);
    assert!(bench.journals().is_empty());
}
