//! Real vectors, certificates of others, and the documentation of the verdicts.

use std::{fs, process::Command};

use crate::{
    common::{self, Home},
    verdicts,
};

fn vector(name: &str) -> String {
    format!("{}/../../testdata/vectors/{name}.hex", env!("CARGO_MANIFEST_DIR"))
}

fn nitrokey() -> [String; 2] {
    [
        vector("nitrokey-hsm2-fw4.1-ef2f02"),
        vector("nitrokey-hsm2-fw4.1-efce01"),
    ]
}

#[test]
fn real_vectors_get_their_verdicts_and_exit_codes() {
    let home = Home::new();
    let [chain, request] = &nitrokey();
    let of_2016 = &vector("smartcardhsm-2016-ef2f02");
    let share = &vector("dkek-share.pbe");
    for (words, code, expected) in [
        (
            vec![chain.as_str(), request],
            0,
            vec!["chain authentic", "origin proven", "possession shown"],
        ),
        (vec![request], 12, vec!["origin no-chain", "possession shown"]),
        (vec![of_2016], 11, vec!["chain authentic-expired"]),
        (
            vec![of_2016, "--allow-expired"],
            0,
            vec!["chain authentic-expired"],
        ),
        (vec![of_2016, "--at", "2020-02-29"], 0, vec!["chain authentic"]),
        (
            vec![of_2016, "--at", "2016-01-01T00:00:00Z"],
            11,
            vec!["chain authentic-not-yet-valid"],
        ),
        (
            vec![chain, "--trust", "test", "--trust", "pico"],
            13,
            vec!["chain unknown-issuer"],
        ),
        (
            vec![chain, "--trust", "test", "--trust", "production"],
            0,
            vec!["chain authentic"],
        ),
        (
            vec![of_2016, request],
            14,
            vec![
                "chain authentic-expired",
                "origin other-device",
                "possession shown",
            ],
        ),
        (vec![share], 3, vec!["readable unreadable"]),
    ] {
        let (found, value) = home.json(&[&["attest", "verify"], &words[..]].concat());
        assert_eq!(
            (found, verdicts(&value)),
            (code, expected.iter().map(ToString::to_string).collect()),
            "{words:?}"
        );
    }
    // Nothing was made for it.
    assert!(!home.data().exists());
    let text = home.run(&["attest", "verify", chain, of_2016]);
    assert_eq!(text.code, 11);
    assert!(
        text.out.contains("authentic, expired") && text.out.contains("expired on 2024-01-27"),
        "{}",
        text.out
    );
    assert!(
        text.out.contains("hardware under the maker's root"),
        "{}",
        text.out
    );
}

#[test]
fn damage_and_misuse_have_their_exit_codes() {
    let home = Home::new();
    let [chain, request] = &nitrokey();
    let bytes = hex::decode(fs::read_to_string(chain).unwrap().trim()).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = home.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let mut forged = bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    let forged = write("forged", &forged);
    let (code, value) = home.json(&["attest", "verify", &forged, request]);
    assert_eq!((code, value["outcome"].as_str()), (7, Some("refused")));
    let longer = write("longer", &[&bytes[..], &[0]].concat());
    assert_eq!(home.run(&["attest", "verify", &longer]).code, 3);
    let two = write("two", &[&bytes[..], &bytes].concat());
    assert_eq!(home.run(&["attest", "verify", &two]).code, 3);
    let text = home.run(&["attest", "verify", &forged]);
    assert!(text.out.contains("DO NOT TRUST"), "{}", text.out);
    assert_eq!(home.run(&["attest", "verify", "missing"]).code, 5);
    assert_eq!(
        home.run(&["attest", "verify", chain, "--trust", "missing"]).code,
        5
    );
    assert_eq!(home.run(&["attest", "verify", chain, "--trust", "own"]).code, 5);
    assert_eq!(home.run(&["attest", "verify", chain, "--trust", chain]).code, 3);
    assert_eq!(home.run(&["attest", "verify", chain, "--at", "never"]).code, 2);
    assert_eq!(home.run(&["attest", "verify"]).code, 2);
    // A root from a file.
    let root = format!(
        "{}/../../testdata/roots/DESRCACC100001.hex",
        env!("CARGO_MANIFEST_DIR")
    );
    assert_eq!(home.run(&["attest", "verify", chain, "--trust", &root]).code, 0);
}

#[test]
fn certificates_and_requests_are_compared() {
    let home = Home::new();
    let [chain, request] = &nitrokey();
    let made = |args: &[&str]| {
        let done = Command::new("openssl")
            .current_dir(home.dir.path())
            .args(args)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    made(&[
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        "key.pem",
    ]);
    made(&[
        "req", "-new", "-key", "key.pem", "-subj", "/CN=x", "-out", "leaf.csr",
    ]);
    made(&[
        "req", "-new", "-x509", "-key", "key.pem", "-subj", "/CN=x", "-outform", "DER", "-out", "leaf.der",
    ]);
    made(&["pkey", "-in", "key.pem", "-pubout", "-out", "leaf.pub"]);
    for file in ["leaf.csr", "leaf.der", "leaf.pub"] {
        let (code, value) = home.json(&["attest", "verify", chain, request, file]);
        assert_eq!(code, 14, "{value}");
        assert_eq!(verdicts(&value).last().unwrap(), "matches no");
        let (code, _) = home.json(&["attest", "verify", chain, file]);
        assert_eq!(code, 12);
    }
}

#[test]
fn every_verdict_is_documented() {
    use chancery_attest::{
        Binding, ChainVerdict, ChannelVerdict, ExportPath, InputVerdict, MatchVerdict, OriginVerdict,
        PossessionVerdict, WrappedVerdict,
    };
    let text = common::documented();
    let row = |claim: &str, codes: Vec<&str>| {
        let codes: Vec<_> = codes.into_iter().map(|code| format!("`{code}`")).collect();
        let row = format!("| `{claim}` | {} |", codes.join(", "));
        assert!(text.contains(&row), "{row}");
    };
    row(
        "readable",
        InputVerdict::ALL.iter().map(|verdict| verdict.code()).collect(),
    );
    row(
        "chain",
        ChainVerdict::ALL.iter().map(|verdict| verdict.code()).collect(),
    );
    row(
        "origin",
        OriginVerdict::ALL.iter().map(|verdict| verdict.code()).collect(),
    );
    row(
        "possession",
        PossessionVerdict::ALL
            .iter()
            .map(|verdict| verdict.code())
            .collect(),
    );
    row(
        "matches",
        MatchVerdict::ALL.iter().map(|verdict| verdict.code()).collect(),
    );
    row(
        "wrapped",
        WrappedVerdict::ALL.iter().map(|verdict| verdict.code()).collect(),
    );
    row(
        "channel",
        ChannelVerdict::ALL.iter().map(|verdict| verdict.code()).collect(),
    );
    for binding in Binding::ALL {
        assert!(
            text.contains(&format!("`{}`", binding.code())),
            "{}",
            binding.code()
        );
    }
    for path in ExportPath::ALL {
        assert!(text.contains(&format!("`{}`", path.code())), "{}", path.code());
        assert!(!path.text().to_lowercase().contains("extractable"));
    }
}
