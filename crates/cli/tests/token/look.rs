//! Lists, and one token.

use super::Bench;

#[test]
fn tokens_are_listed_and_named_by_device_id_label_and_name() {
    let bench = Bench::new(&["hsm-a", "hsm-b"]);
    bench.init("hsm-a", &["--label", "signer"]).ok();
    let (code, list) = bench.home.json(&["token", "list"]);
    assert_eq!(code, 0);
    let tokens = list["tokens"].as_array().unwrap();
    let virtual_tokens: Vec<_> = tokens
        .iter()
        .filter(|token| token["transport"] == "virtual")
        .collect();
    assert_eq!(virtual_tokens.len(), 2, "{list}");
    assert_eq!(virtual_tokens[0]["label"], "signer");
    assert_eq!(virtual_tokens[1]["label"], serde_json::Value::Null);
    let device = bench.device("hsm-a");
    assert!(device.starts_with("UTCHD"), "{device}");
    for name in ["signer", "hsm-a", device.as_str(), "label:signer", "name:hsm-a"] {
        assert_eq!(bench.info(name)["device"], device.as_str());
    }
}

#[test]
fn a_name_that_fits_two_tokens_fits_none() {
    let bench = Bench::new(&["hsm-a", "hsm-b"]);
    bench.init("hsm-a", &["--label", "twin"]).ok();
    bench.init("hsm-b", &["--label", "twin"]).ok();
    let ambiguous = bench.home.run(&["token", "info", "twin"]);
    assert_eq!(ambiguous.code, 3, "{}", ambiguous.err);
    for part in [
        bench.device("hsm-a"),
        bench.device("hsm-b"),
        "device:ID".to_owned(),
    ] {
        assert!(ambiguous.err.contains(&part), "{}", ambiguous.err);
    }
    let missing = bench.home.run(&["token", "info", "hsm-x"]);
    assert_eq!(missing.code, 5);
    assert!(missing.err.contains("chancery token list"), "{}", missing.err);
}

#[test]
fn info_says_what_is_proven_and_spends_no_try() {
    let bench = Bench::new(&["hsm-a"]);
    bench
        .init("hsm-a", &["--label", "signer", "--domain-shares", "1,3"])
        .ok();
    for _ in 0..5 {
        let info = bench.info("hsm-a");
        assert_eq!(info["genuine"]["verdict"], "proven");
        assert_eq!(info["genuine"]["production"], false);
        assert_eq!(info["genuine"]["kind"], "virtual token");
        assert_eq!(
            info["pin"],
            serde_json::json!({ "state": "set", "tries_left": 3 })
        );
        assert_eq!(info["so_pin"]["tries_left"], 15);
        assert_eq!(info["options"]["hex"], "0001");
        assert_eq!(info["domains"].as_array().unwrap().len(), 2);
        assert_eq!(info["domains"][1]["outstanding"], 3);
        assert_eq!(info["free_key_ids"], 255);
        assert!(!info["bugs"].as_array().unwrap().is_empty());
    }
    let text = bench.home.run(&["token", "info", "hsm-a"]).ok();
    assert!(text.out.contains("virtual token:"), "{}", text.out);
}

#[test]
fn a_machine_without_tokens_or_data_directory_says_what_to_do() {
    let home = crate::common::Home::new();
    let none = home.run(&["token", "info"]);
    assert_eq!(none.code, 5, "{}", none.err);
    assert!(none.err.contains("chancery vtoken create"), "{}", none.err);
    home.run(&["token", "list"]).ok();
    home.run(&["token", "journal"]).ok();
}

#[test]
fn a_damaged_token_takes_nothing_from_the_others() {
    let bench = Bench::new(&["hsm-a", "hsm-b"]);
    std::fs::write(bench.home.data().join("tokens/hsm-a/about"), "?").unwrap();
    let (code, list) = bench.home.json(&["token", "list"]);
    assert_eq!(code, 0);
    let damaged = list["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "hsm-a")
        .unwrap();
    assert_eq!(damaged["state"], "unusable");
    assert!(
        damaged["why"].as_str().unwrap().contains("is damaged"),
        "{damaged}"
    );
    assert_eq!(bench.info("hsm-b")["genuine"]["verdict"], "proven");
    let (code, list) = bench.home.json(&["vtoken", "list"]);
    assert_eq!(code, 0);
    assert_eq!(
        (&list[0]["name"], &list[1]["name"]),
        (&"hsm-b".into(), &"hsm-a".into())
    );
    assert!(list[1]["why"].as_str().unwrap().contains("is damaged"), "{list}");
    let unusable = bench.home.run(&["token", "info", "hsm-a"]);
    assert_eq!(unusable.code, 8, "{}", unusable.err);
    assert!(unusable.err.contains("is damaged"), "{}", unusable.err);
}

#[test]
fn before_the_first_token_lists_are_empty_and_pins_without_a_terminal_come_from_files() {
    let home = crate::common::Home::new();
    let none = home.run(&["vtoken", "list"]).ok();
    assert!(none.out.contains("chancery vtoken create NAME"), "{}", none.out);
    // Without a controlling terminal.
    let words = ["vtoken", "create", "alice", "--init"];
    let command = home.command(&words);
    let mut alone = std::process::Command::new("setsid");
    alone
        .arg("--wait")
        .arg(command.get_program())
        .args(words)
        .env("CHANCERY_DATA_DIR", home.data())
        .stdin(std::process::Stdio::null());
    let refused = crate::common::Ended::from(alone.output().unwrap());
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(
        refused.err.contains("chancery token init alice --pin-file"),
        "{}",
        refused.err
    );
}
