//! Keys made through a recorded secure channel.

use std::fs;

use serde_json::Value;

use crate::{common::Home, token::Token, verdicts};

#[test]
fn a_recorded_key_shows_its_attributes_to_who_recorded_it() {
    let home = Home::new();
    let token = Token::make(&home, "hsm", Some(1));
    let generate = [
        "attest",
        "generate",
        "hsm",
        "secp384r1",
        "--label",
        "release",
        "--permit",
        "73,70",
        "--uses",
        "5",
        "--pin-file",
        &token.pin_file,
    ];
    let (code, value) = home.json(&generate);
    assert_eq!(code, 0, "{value}");
    let transcript = value["transcript"].as_str().unwrap();
    let attestation = value["attestation"].as_str().unwrap();
    let (code, value) = home.json(&["attest", "verify", transcript, attestation]);
    assert_eq!(code, 0, "{value}");
    assert_eq!(
        verdicts(&value)[..4],
        [
            "chain authentic",
            "channel authentic-to-holder",
            "origin proven-virtual",
            "possession shown"
        ]
    );
    let channel = &value["channels"][0];
    assert_eq!(channel["asked"]["use_counter"], 5);
    assert_eq!(channel["asked"]["algorithms"], serde_json::json!(["73", "70"]));
    assert_eq!(channel["domain"]["shares"], 1);
    assert_eq!(channel["held"], "own-archive");
    let text = home.run(&["attest", "verify", transcript]).ok().out;
    assert!(text.contains("others have only that party's word"), "{text}");
    // Who has another data directory was not there, and has to say so to rely on it.
    let root = home.data().join("factory").join("root.cvc");
    let elsewhere = Home::new();
    let outside = ["attest", "verify", transcript, "--trust", root.to_str().unwrap()];
    let (code, value) = elsewhere.json(&outside);
    assert_eq!(code, 12, "{value}");
    assert_eq!(
        verdicts(&value)[1..3],
        ["channel consistent", "origin proven-virtual"]
    );
    assert_eq!(value["channels"][0]["held"], Value::Null);
    let text = elsewhere.run(&outside);
    assert!(text.out.contains("--held-channel"), "{}", text.out);
    let (code, value) = elsewhere.json(&[&outside[..], &["--held-channel"]].concat());
    assert_eq!(
        (code, &value["channels"][0]["held"]),
        (0, &"said-by-caller".into()),
        "{value}"
    );
    // Nor does archiving it there make it count.
    let (_, value) = elsewhere.json(&["attest", "archive", transcript]);
    assert_eq!(value["kept"], serde_json::json!([]), "{value}");
    assert_eq!(elsewhere.run(&outside).code, 12);
    // A link in an archive is no file of the archive.
    let links = elsewhere.data().join("attestations");
    fs::create_dir_all(&links).unwrap();
    std::os::unix::fs::symlink(transcript, links.join("x.transcript.json")).unwrap();
    assert_eq!(elsewhere.run(&outside).code, 12);
    // The transcript is as private as the data directory.
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(
        fs::metadata(transcript).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (code, _) = home.json(&["attest", "verify", transcript, "--trust", "production"]);
    assert_eq!(code, 13);
    // The key is described, and a wrong PIN or a taken id makes none.
    let (_, value) = home.json(&["attest", "passport", "hsm"]);
    assert_eq!(value[0]["labels"]["label"], "release");
    assert_eq!(value[0]["export"]["wrap_listed"], false);
    assert_eq!(value[0]["export"]["path"], "not-listed", "{value}");
    let again = home.run(&[&generate[..], &["--id", "1"]].concat());
    assert_eq!(again.code, 6, "{}", again.err);
    let wrong = home.private("wrong.pin", "111111\n");
    let refused = home.run(&[
        "attest",
        "generate",
        "hsm",
        "secp256r1",
        "--label",
        "x",
        "--pin-file",
        &wrong,
    ]);
    assert_eq!(refused.code, 10, "{}", refused.err);
}
