//! What is kept of keys' origin.

use std::{fs, path::Path};

use chancery_driver::{Card, Pin};
use chancery_schsm::{KeyId, fid};
use serde_json::Value;

use crate::{
    common::Home,
    token::{Token, open},
    verdicts,
};

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
