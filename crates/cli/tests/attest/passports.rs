//! Passports: where a key comes from, who could hold copies.

use std::fs;

use chancery_driver::{Card, Pin};
use chancery_schsm::{KeyContainer, KeyId, fid};
use serde_json::Value;

use crate::{
    common::Home,
    token::{Token, open},
    verdicts,
};

#[test]
fn a_passport_says_who_could_hold_copies_and_never_that_nobody_can() {
    let home = Home::new();
    Token::make(&home, "alice", None);
    Token::generate(&home, "alice", 1);
    let (code, value) = home.json(&["attest", "passport", "alice"]);
    assert_eq!(code, 0, "{value}");
    let passport = &value[0];
    assert_eq!(passport["origin"]["verdict"], "proven-virtual");
    assert_eq!(passport["token"]["generated_here"], Value::Null);
    assert_eq!(passport["token"]["request_of_this_token"], true);
    assert_eq!(passport["token"]["device"]["hardware"], false);
    assert_eq!(passport["export"]["path"], "none-known");
    assert_eq!(passport["labels"]["label"], "release");
    assert_eq!(passport["token"]["binding"], "not-checked");

    let hsm = Token::make(&home, "hsm", Some(1));
    Token::generate(&home, "hsm", 2);
    let (_, value) = home.json(&["attest", "passport", "hsm", "--key", "release"]);
    let export = &value[0]["export"];
    assert_eq!(
        (&export["path"], &export["shares"]),
        (&"dkek".into(), &1.into()),
        "{value}"
    );
    let kcv = hex::encode_upper(chancery_schsm::Kek::new([7; 32]).kcv().0);
    assert_eq!(export["kcv"], kcv.as_str());
    let text = home.run(&["attest", "passport", "hsm"]).ok().out;
    assert!(
        text.contains("nobody used it")
            && text.contains("--prove")
            && !text.contains("made in this very token"),
        "{text}"
    );
    assert!(text.contains("everybody who can assemble the shares"), "{text}");
    let lower = text.to_lowercase();
    for claim in ["not extractable", "non-extractable", "never extractable", "cka_"] {
        assert!(!lower.contains(claim), "{text}");
    }
    assert_eq!(home.run(&["attest", "passport", "hsm", "--key", "99"]).code, 5);

    // Somebody puts the request of this key beside another one.
    let prove = [
        "attest",
        "passport",
        "hsm",
        "--prove",
        "--pin-file",
        &hsm.pin_file,
    ];
    let (_, value) = home.json(&prove);
    assert_eq!(value[0]["token"]["binding"], "by-use", "{value}");
    assert_eq!(value[0]["token"]["generated_here"], true);
    let text = home.run(&prove).ok().out;
    assert!(text.contains("made in this very token"), "{text}");
    Token::generate(&home, "hsm", 3);
    {
        let mut card = Card::new(open(&home, "hsm"))
            .select()
            .unwrap()
            .verify_pin(&Pin::new("648219").unwrap())
            .unwrap();
        let request = card.read_file(fid::certificate(KeyId(2))).unwrap().unwrap();
        card.write_file(fid::certificate(KeyId(3)), &request).unwrap();
    }
    let (_, value) = home.json(&prove);
    assert_eq!(value[1]["token"]["binding"], "other-key", "{value}");
    assert_eq!(value[1]["origin"]["verdict"], "other-key");
    assert_eq!(value[1]["origin"]["device"], Value::Null);
    assert_eq!(value[1]["token"]["generated_here"], Value::Null);

    // A copy on a second token, and one in a file.
    home.run(&["attest", "archive", "hsm"]).ok();
    let spare = Token::make(&home, "spare", Some(1));
    let (blob, request) = {
        let mut card = Card::new(open(&home, "hsm"))
            .select()
            .unwrap()
            .verify_pin(&Pin::new("648219").unwrap())
            .unwrap();
        let request = card.read_file(fid::certificate(KeyId(2))).unwrap().unwrap();
        (card.wrap(KeyId(2)).unwrap(), request)
    };
    {
        let mut card = Card::new(open(&home, "spare"))
            .select()
            .unwrap()
            .verify_pin(&Pin::new("648219").unwrap())
            .unwrap();
        card.unwrap(KeyId(1), &blob).unwrap();
        card.write_file(fid::certificate(KeyId(1)), &request).unwrap();
    }
    let wrapped = home.dir.path().join("release.wky");
    fs::write(
        &wrapped,
        KeyContainer::new(&blob, None, Some(&request)).unwrap().encode(),
    )
    .unwrap();
    let wrapped = wrapped.display().to_string();
    let (_, value) = home.json(&["attest", "passport", "spare", "--wrapped", &wrapped]);
    let passport = &value[0];
    assert_eq!(passport["origin"]["verdict"], "proven-virtual", "{value}");
    assert_eq!(passport["token"]["generated_here"], Value::Null);
    assert_eq!(passport["token"]["request_of_this_token"], false);
    let places: Vec<_> = passport["copies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| copy["basis"].as_str().unwrap())
        .collect();
    assert_eq!(places, ["seen-on-token", "wrapped-file"]);
    let text = home.run(&["attest", "passport", "spare"]).ok().out;
    assert!(
        text.contains("that is a copy") && !text.contains("this is a copy"),
        "{text}"
    );
    let prove = ["attest", "passport", "spare", "--pin-file", &spare.pin_file];
    let (_, value) = home.json(&prove);
    assert_eq!(value[0]["token"]["generated_here"], false, "{value}");
    let text = home.run(&prove).ok().out;
    assert!(text.contains("this is a copy"), "{text}");

    // The file itself.
    let (_, value) = home.json(&["attest", "passport", &wrapped]);
    assert_eq!(value[0]["export"]["path"], "in-file");
    assert_eq!(
        value[0]["origin"]["verdict"], "proven-virtual",
        "the chain comes from the archive: {value}"
    );
    let text = home.run(&["attest", "passport", &wrapped]).ok().out;
    assert!(text.contains("shows only who unwraps it"), "{text}");
    assert_eq!(value[0]["wrapped"], "not-shown");
    assert_eq!(home.run(&["attest", "verify", &wrapped]).code, 12);
    // The request in it is proven with the attestation beside it, and the wrapped key is still anybody's.
    let kept = fs::read_dir(home.data().join("attestations"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| fs::read_to_string(path).unwrap().contains(&hex::encode(&request)))
        .unwrap();
    let (code, value) = home.json(&["attest", "verify", &wrapped, kept.to_str().unwrap()]);
    assert_eq!(code, 12, "{value}");
    assert_eq!(
        verdicts(&value)[..3],
        ["origin proven-virtual", "possession shown", "wrapped not-shown"]
    );
}

#[test]
fn our_own_tools_note_the_copies_they_make() {
    let home = Home::new();
    let hsm = Token::make(&home, "hsm", Some(1));
    let spare = Token::make(&home, "spare", Some(1));
    let pin = hsm.pin_file.as_str();
    let (_, value) = home.json(&[
        "token",
        "keys",
        "generate",
        "hsm",
        "secp256r1",
        "--label",
        "release",
        "--pin-file",
        pin,
    ]);
    assert_eq!(value["origin"], "proven-virtual", "{value}");
    let (_, value) = home.json(&["attest", "passport", "hsm"]);
    assert_eq!(value[0]["copies"], serde_json::json!([]), "{value}");
    home.run(&[
        "token",
        "wrap",
        "hsm",
        "release",
        "release.wky",
        "--pin-file",
        pin,
    ])
    .ok();
    let spare_pin = spare.pin_file.as_str();
    home.run(&["token", "unwrap", "spare", "release.wky", "--pin-file", spare_pin])
        .ok();
    let (_, value) = home.json(&["attest", "passport", "hsm"]);
    let copies = value[0]["copies"].as_array().unwrap();
    let mut kinds: Vec<_> = copies
        .iter()
        .map(|copy| copy["basis"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["seen-on-token", "wrapped-file"], "{value}");
    // A file is no copy of itself, by whatever path it is given.
    let (_, value) = home.json(&["attest", "passport", "./release.wky"]);
    let places = value[0]["copies"].to_string();
    assert!(
        places.contains("token ") && !places.contains("release.wky"),
        "{value}"
    );
}
