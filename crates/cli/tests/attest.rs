//! `chancery attest`: verdicts and exit codes on real vectors, archive, passports and transcripts of virtual tokens.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::Path, process::Command};

use chancery_driver::{Card, Initialize, KeyAlgorithm, KeySpec, Pin, SoPin, keystore::KeyDescription};
use chancery_schsm::{AlgorithmList, InitializeOptions, KekShare, KeyContainer, KeyId, fid};
use chancery_vtoken::{AtRest, VirtualToken};
use common::Home;
use serde_json::Value;

fn vector(name: &str) -> String {
    format!("{}/../../testdata/vectors/{name}.hex", env!("CARGO_MANIFEST_DIR"))
}

fn nitrokey() -> [String; 2] {
    [
        vector("nitrokey-hsm2-fw4.1-ef2f02"),
        vector("nitrokey-hsm2-fw4.1-efce01"),
    ]
}

fn verdicts(value: &Value) -> Vec<String> {
    value["claims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|claim| {
            format!(
                "{} {}",
                claim["claim"].as_str().unwrap(),
                claim["verdict"].as_str().unwrap()
            )
        })
        .collect()
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

/// A virtual token with a PIN and, with shares, a DKEK, and one key; its files.
struct Token {
    pin_file: String,
}

impl Token {
    fn make(home: &Home, name: &str, shares: Option<u8>) -> Self {
        home.run(&["vtoken", "create", name]).ok();
        let mut card = Card::new(open(home, name)).select().unwrap();
        card.initialize(&Initialize {
            options: InitializeOptions::NONE,
            user_pin: Some(Pin::new("648219").unwrap()),
            so_pin: SoPin::new(*b"57621880"),
            retry: 3,
            dkek_shares: shares,
            quorum: None,
            domains: None,
        })
        .unwrap();
        for _ in 0..shares.unwrap_or(0) {
            card.import_share(0, &KekShare::new([7; 32])).unwrap();
        }
        Self {
            pin_file: home.private(&format!("{name}.pin"), "648219\n"),
        }
    }

    /// Generates a key as other software would, keeping nothing.
    fn generate(home: &Home, name: &str, id: u8) {
        let mut card = Card::new(open(home, name))
            .select()
            .unwrap()
            .verify_pin(&Pin::new("648219").unwrap())
            .unwrap();
        let key = card
            .generate(&KeySpec {
                id: KeyId(id),
                algorithm: KeyAlgorithm::Ec(chancery_cvc::Curve::Secp256r1),
                chr: chancery_cvc::Reference::new("UTCA00001").unwrap(),
                algorithms: AlgorithmList::unrestricted(),
                key_domain: None,
                use_counter: None,
            })
            .unwrap();
        card.describe_key(KeyId(id), &key.public_key, &KeyDescription::new("release"))
            .unwrap();
    }
}

fn open(home: &Home, name: &str) -> VirtualToken {
    let at_rest = AtRest::MachineSecret(home.data().join("machine.secret"));
    VirtualToken::open(&home.data().join("tokens").join(name), &at_rest).unwrap()
}

#[test]
fn a_virtual_token_is_no_hardware_and_its_proof_is_kept_once() {
    let home = Home::new();
    Token::make(&home, "alice", None);
    Token::generate(&home, "alice", 1);
    let (code, value) = home.json(&["attest", "archive", "alice"]);
    assert_eq!(
        (code, &value["kept"][0]["new"]),
        (0, &Value::Bool(true)),
        "{value}"
    );
    let file = value["kept"][0]["file"].as_str().unwrap().to_owned();
    assert!(Path::new(&file).starts_with(home.data().join("attestations")));
    let before = fs::read(&file).unwrap();
    let (_, value) = home.json(&["attest", "archive", "alice"]);
    assert_eq!(value["kept"][0]["new"], false);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(fs::read_dir(home.data().join("attestations")).unwrap().count(), 1);

    let (code, value) = home.json(&["attest", "verify", &file]);
    assert_eq!(code, 0, "{value}");
    assert_eq!(
        verdicts(&value),
        ["chain authentic", "origin proven-virtual", "possession shown"]
    );
    assert_eq!(value["devices"][0]["hardware"], false);
    let text = home.run(&["attest", "verify", &file]).ok();
    assert!(text.out.contains("virtual token, not hardware"), "{}", text.out);
    let (code, value) = home.json(&["attest", "verify", &file, "--trust", "production"]);
    assert_eq!(code, 13, "{value}");
    assert!(
        value["claims"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("virtual token, not hardware")
    );
    // Somebody else's installation does not trust it either.
    let elsewhere = Home::new();
    elsewhere.run(&["vtoken", "create", "bob"]).ok();
    assert_eq!(elsewhere.run(&["attest", "verify", &file]).code, 13);

    // A changed copy is damaged.
    let text = String::from_utf8(before)
        .unwrap()
        .replacen("release", "Release", 1);
    let changed = home.private("changed.json", &text);
    assert_eq!(home.run(&["attest", "verify", &changed]).code, 3);
}

#[test]
fn a_certificate_takes_the_place_of_the_proof_and_the_archive_keeps_it() {
    let home = Home::new();
    let token_of = Token::make(&home, "alice", None);
    Token::generate(&home, "alice", 1);
    home.run(&["attest", "archive", "alice"]).ok();
    {
        let mut card = Card::new(open(&home, "alice"))
            .select()
            .unwrap()
            .verify_pin(&Pin::new("648219").unwrap())
            .unwrap();
        let request = card.read_file(fid::certificate(KeyId(1))).unwrap().unwrap();
        let request = chancery_cvc::AuthenticatedRequest::parse(&request).unwrap();
        let spki = request.request().public_key().to_spki_der().unwrap();
        let certificate = certificate_for(&spki);
        card.write_file(fid::certificate(KeyId(1)), &certificate).unwrap();
    }
    let (_, value) = home.json(&["attest", "archive", "alice"]);
    assert_eq!(value["kept"].as_array().unwrap().len(), 0);
    assert_eq!(
        value["without"][0]["why"],
        "a certificate stands where its request was"
    );
    let (_, value) = home.json(&["attest", "passport", "alice"]);
    assert_eq!(value[0]["origin"]["verdict"], "proven-virtual", "{value}");
    assert!(
        value[0]["origin"]["evidence"]
            .as_str()
            .unwrap()
            .starts_with("the archive")
    );
    // Anybody's certificate in CE01 leads to the request of that certificate's key: it is of this token, and that the key
    // under the certificate is that one shows its use only.
    let token = &value[0]["token"];
    assert_eq!(
        (
            &token["binding"],
            &token["generated_here"],
            &token["request_of_this_token"]
        ),
        (&"not-checked".into(), &Value::Null, &true.into()),
        "{value}"
    );
    let pin = ["attest", "passport", "alice", "--pin-file", &token_of.pin_file];
    let (_, value) = home.json(&pin);
    assert_eq!(value[0]["token"]["generated_here"], true, "{value}");
    Token::generate(&home, "alice", 2);
    {
        let mut card = Card::new(open(&home, "alice"))
            .select()
            .unwrap()
            .verify_pin(&Pin::new("648219").unwrap())
            .unwrap();
        let certificate = card.read_file(fid::certificate(KeyId(1))).unwrap().unwrap();
        card.write_file(fid::certificate(KeyId(2)), &certificate).unwrap();
    }
    let (_, value) = home.json(&pin);
    let second = &value[1];
    assert_eq!(
        (
            &second["token"]["binding"],
            &second["token"]["generated_here"],
            &second["origin"]["verdict"]
        ),
        (&"other-key".into(), &Value::Null, &"other-key".into()),
        "{value}"
    );
    fs::remove_dir_all(home.data().join("attestations")).unwrap();
    let (_, value) = home.json(&["attest", "passport", "alice"]);
    assert_eq!(value[0]["origin"]["verdict"], "no-request");
}

/// A certificate of anybody's for this key.
fn certificate_for(spki: &[u8]) -> Vec<u8> {
    use openssl::{
        asn1::Asn1Time,
        ec::{EcGroup, EcKey},
        hash::MessageDigest,
        nid::Nid,
        pkey::PKey,
        x509::X509,
    };
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let issuer = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut builder = X509::builder().unwrap();
    builder
        .set_pubkey(&PKey::public_key_from_der(spki).unwrap())
        .unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder.sign(&issuer, MessageDigest::sha256()).unwrap();
    builder.build().to_der().unwrap()
}

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
    home.run(&[
        "token",
        "keys",
        "generate",
        "hsm",
        "secp256r1",
        "--label",
        "release",
        "--pin-file",
        pin,
    ])
    .ok();
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
}

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
