//! The right verdict for each real vector, alone and together.

use crate::common::{NITROKEY, OF_2016, REQUEST, data, examine, production, said, text, today};
use chancery_attest::{
    Attestation, ChainVerdict, Input, Kind, NamedInput, Outcome, Seen, Verdict, Verification,
};
use chancery_cvc::{
    AuthenticatedRequest, CertificateBody, Curve, CvKey, EcPublicKey, PublicKey, Reference, Validity,
};
use openssl::ec::EcKey;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509NameBuilder, X509Req, X509ReqBuilder};
use time::{Date, Month, OffsetDateTime};

fn day(year: i32, month: Month, day: u8) -> Date {
    Date::from_calendar_date(year, month, day).unwrap()
}

#[test]
fn a_nitrokey_of_today_is_authentic() {
    let found = examine(&[("chain", &text(NITROKEY))], today());
    assert_eq!(said(&found), ["chain chain authentic"]);
    assert_eq!(found.outcome, Outcome::Holds);
    let device = found.devices.first().unwrap();
    assert_eq!(
        (
            device.serial.as_str(),
            device.path.as_str(),
            device.genuineness,
            device.hardware
        ),
        (
            "DENK0404144",
            "/DESRCACC1/DEDINK04/DENK0404144",
            "production",
            true
        )
    );
    assert_eq!(
        found.claims[0].detail.as_deref(),
        Some("DENK0404144, hardware under the maker's root")
    );
}

#[test]
fn a_device_of_2016_is_authentic_and_expired() {
    let chain = text(OF_2016);
    let found = examine(&[("chain", &chain)], today());
    assert_eq!(said(&found), ["chain chain authentic-expired"]);
    assert_eq!(found.outcome, Outcome::OutOfDate);
    let detail = found.claims[0].detail.as_deref().unwrap();
    assert!(
        detail.contains("DECM010444800000 expired on 2024-01-27"),
        "{detail}"
    );
    for (at, verdict) in [
        (day(2024, Month::January, 27), "authentic"),
        (day(2024, Month::January, 28), "authentic-expired"),
        (day(2016, Month::March, 30), "authentic-not-yet-valid"),
    ] {
        let found = examine(&[("chain", &chain)], at);
        assert_eq!(said(&found), [format!("chain chain {verdict}")]);
    }
}

#[test]
fn the_key_of_the_nitrokey_is_proven_with_its_chain_only() {
    let (chain, request, other) = (text(NITROKEY), text(REQUEST), text(OF_2016));
    let found = examine(&[("request", &request), ("chain", &chain)], today());
    assert_eq!(
        said(&found),
        [
            "request origin proven",
            "request possession shown",
            "chain chain authentic"
        ]
    );
    assert_eq!(found.outcome, Outcome::Holds);
    let key = found.keys.first().unwrap();
    assert_eq!(
        (
            key.algorithm.as_str(),
            key.name.as_str(),
            key.device.as_str(),
            key.proven
        ),
        ("secp256k1", "DENK040414400001", "DENK040414400000", true)
    );

    let found = examine(&[("request", &request)], today());
    assert_eq!(
        said(&found),
        ["request origin no-chain", "request possession shown"]
    );
    assert_eq!(found.outcome, Outcome::NotProven);
    assert!(!found.keys[0].proven);

    let found = examine(
        &[("request", &request), ("chain", &other)],
        day(2020, Month::January, 1),
    );
    assert_eq!(said(&found)[0], "request origin other-device");
    assert_eq!(found.outcome, Outcome::Differs);

    // Several chains: the right one is found.
    let found = examine(&[("a", &other), ("request", &request), ("b", &chain)], today());
    assert_eq!(said(&found)[1], "request origin proven");
}

#[test]
fn without_the_root_nothing_is_proven() {
    let inputs: Vec<NamedInput> = [("chain", NITROKEY), ("request", REQUEST)]
        .map(|(name, file)| (name.to_owned(), Input::recognise(&text(file))))
        .into();
    let mut anchors = chancery_cvc::TrustAnchors::none();
    anchors.add_test_root().unwrap().add_pico_roots().unwrap();
    let found = Verification::of(&inputs, &anchors, today());
    assert_eq!(
        said(&found),
        [
            "chain chain unknown-issuer",
            "request origin chain-not-authentic",
            "request possession shown"
        ]
    );
    assert_eq!(found.outcome, Outcome::UnknownIssuer);
    assert!(found.devices.is_empty() && !found.keys[0].proven);
}

#[test]
fn roots_are_no_devices_and_shares_and_blobs_no_evidence() {
    let found = examine(&[("root", &text("roots/DESRCACC100001.hex"))], today());
    assert_eq!(said(&found), ["root chain wrong-role"]);
    for root in [
        "UTSRCACC100001",
        "DESCHSMCVCA00001",
        "ESPICOHSMCA00001",
        "ESPICOHSMCA00002",
    ] {
        let found = examine(&[("root", &text(&format!("roots/{root}.hex")))], today());
        assert_eq!(said(&found), ["root chain unknown-issuer"], "{root}");
    }
    for file in [
        "dkek-share.pbe.hex",
        "wrapped-ec-p256.hex",
        "sm-session.txt",
        "rsa2048-key.pkcs1.der.hex",
    ] {
        let found = examine(&[("file", &text(&format!("vectors/{file}")))], today());
        assert_eq!(said(&found), ["file readable unreadable"], "{file}");
        assert_eq!(found.outcome, Outcome::Malformed);
    }
}

#[test]
fn binary_hexadecimal_and_bare_content_are_the_same_evidence() {
    let request = data(REQUEST);
    let chain = data(NITROKEY);
    let content = request.get(4..).unwrap();
    for form in [
        &request,
        content,
        hex::encode(&request).as_bytes(),
        &text(REQUEST),
    ] {
        let found = examine(&[("request", form), ("chain", &chain)], today());
        assert_eq!(said(&found)[0], "request origin proven");
    }
}

/// A PKCS#10 request of a key made here.
fn csr() -> (X509Req, PKey<Private>) {
    let group = openssl::ec::EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "test").unwrap();
    let mut request = X509ReqBuilder::new().unwrap();
    request.set_subject_name(&name.build()).unwrap();
    request.set_pubkey(&key).unwrap();
    request.sign(&key, MessageDigest::sha256()).unwrap();
    (request.build(), key)
}

#[test]
fn what_is_for_another_key_does_not_match() {
    let (csr, key) = csr();
    let (pem, der) = (csr.to_pem().unwrap(), csr.to_der().unwrap());
    let spki = key.public_key_to_pem().unwrap();
    let (chain, request) = (text(NITROKEY), text(REQUEST));
    let found = examine(
        &[
            ("chain", &chain),
            ("request", &request),
            ("csr", &pem),
            ("der", &der),
            ("spki", &spki),
        ],
        today(),
    );
    assert_eq!(
        said(&found)[3..],
        [
            "csr possession shown",
            "csr matches no",
            "der possession shown",
            "der matches no",
            "spki matches no"
        ]
    );
    assert_eq!(found.outcome, Outcome::Differs);
    let found = examine(&[("chain", &chain), ("csr", &pem)], today());
    assert_eq!(said(&found)[2], "csr matches no-evidence");

    let mut forged = der.clone();
    *forged.last_mut().unwrap() ^= 1;
    let found = examine(&[("csr", &forged)], today());
    assert_eq!(said(&found)[0], "csr possession bad-signature");
    assert_eq!(found.outcome, Outcome::Refused);
    let trailing = [&der[..], &[0]].concat();
    assert_eq!(
        said(&examine(&[("csr", &trailing)], today())),
        ["csr readable unreadable"]
    );
}

#[test]
fn what_is_for_the_same_key_matches() {
    let request = AuthenticatedRequest::parse(&data(REQUEST)).unwrap();
    let spki = request.request().public_key().to_spki_der().unwrap();
    let pem = PKey::public_key_from_der(&spki)
        .unwrap()
        .public_key_to_pem()
        .unwrap();
    let found = examine(
        &[
            ("chain", &text(NITROKEY)),
            ("request", &text(REQUEST)),
            ("der", &spki),
            ("pem", &pem),
        ],
        today(),
    );
    assert_eq!(said(&found)[3..], ["der matches yes", "pem matches yes"]);
    assert_eq!(found.outcome, Outcome::Holds);
}

#[test]
fn a_wrapped_key_brings_its_request_along() {
    let blob = data("vectors/wrapped-ec-p256.hex");
    let request = data(REQUEST);
    let container = chancery_schsm::KeyContainer::new(&blob, None, Some(&request))
        .unwrap()
        .encode();
    assert_eq!(Input::recognise(&container).unwrap().kind(), Kind::Container);
    let found = examine(&[("key", &container), ("chain", &text(NITROKEY))], today());
    assert_eq!(
        said(&found)[..3],
        [
            "key origin proven",
            "key possession shown",
            "key wrapped not-shown"
        ]
    );
    // Nothing signed covers the blob: any blob can be put beside any request.
    assert_eq!(found.outcome, Outcome::NotProven);
    let bare = chancery_schsm::KeyContainer::new(&blob, None, None)
        .unwrap()
        .encode();
    assert_eq!(
        said(&examine(&[("key", &bare)], today())),
        ["key origin no-request"]
    );
}

#[test]
fn an_attestation_proves_by_itself() {
    let seen = Seen {
        label: Some("Schlüssel".into()),
        key_id: Some(1),
        ..Seen::default()
    };
    let saved = OffsetDateTime::from_unix_timestamp(1_760_000_000).unwrap();
    let attestation = Attestation::new(&data(REQUEST), &data(NITROKEY), saved, seen).unwrap();
    let file = attestation.encode();
    assert_eq!(Attestation::parse(&file).unwrap(), attestation);
    assert_eq!(
        attestation.file_stem(),
        format!("DENK0404144-{}", attestation.key().short())
    );
    let found = examine(&[("kept", &file)], today());
    assert_eq!(
        said(&found),
        [
            "kept chain authentic",
            "kept origin proven",
            "kept possession shown"
        ]
    );
    // The fingerprint is what others compute.
    let request = AuthenticatedRequest::parse(&data(REQUEST)).unwrap();
    let spki = request.request().public_key().to_spki_der().unwrap();
    let digest = openssl::hash::hash(MessageDigest::sha256(), &spki).unwrap();
    assert_eq!(attestation.key().to_string(), hex::encode(digest));
}

#[test]
fn strangers_in_a_chain_are_noticed() {
    let good = data(NITROKEY);
    let other = data(OF_2016);
    let root = data("roots/DESRCACC100001.hex");
    let verdict = |bytes: &[u8]| match examine(&[("chain", bytes)], today()).claims[0].verdict {
        Verdict::Chain(verdict) => verdict,
        other => panic!("{other:?}"),
    };
    let certificates = chancery_cvc::DeviceChain::parse(&other).unwrap();
    let stranger = certificates.certificates()[1].as_bytes();
    assert_eq!(
        verdict(&[&good[..], stranger].concat()),
        ChainVerdict::NotCanonical
    );
    assert_eq!(
        verdict(&[&good[..], &data(REQUEST)].concat()),
        ChainVerdict::NotCanonical
    );
    let issuer = chancery_cvc::DeviceChain::parse(&good).unwrap().certificates()[1].clone();
    assert_eq!(
        verdict(&[&good[..], issuer.as_bytes()].concat()),
        ChainVerdict::NotCanonical
    );
    // The root itself may stand there.
    assert_eq!(verdict(&[&good[..], &root].concat()), ChainVerdict::Authentic);
    // A device certificate whose issuer is another.
    let device = certificates.device_certificate().unwrap();
    assert_eq!(
        verdict(&[device.as_bytes(), issuer.as_bytes()].concat()),
        ChainVerdict::UnknownIssuer
    );
    assert_eq!(verdict(issuer.as_bytes()), ChainVerdict::WrongRole);
}

/// A plain ECDSA signature with SHA-256 on a 256-bit curve.
fn sign(key: &EcKey<Private>, message: &[u8]) -> Vec<u8> {
    let digest = openssl::hash::hash(MessageDigest::sha256(), message).unwrap();
    let der = openssl::ecdsa::EcdsaSig::sign(&digest, key)
        .unwrap()
        .to_der()
        .unwrap();
    chancery_cvc::der_to_plain(&der, 32).unwrap()
}

#[test]
fn under_a_root_that_was_merely_asked_for_a_request_proves_no_generation() {
    let keys: [EcKey<Private>; 4] =
        std::array::from_fn(|_| EcKey::generate(&Curve::BrainpoolP256r1.group().unwrap()).unwrap());
    let public =
        |key: &EcKey<Private>| CvKey::with_sha256(PublicKey::Ec(EcPublicKey::from_ec_key(key).unwrap()));
    let name = |text| Reference::new(text).unwrap();
    let validity = Validity::new(day(2025, Month::May, 1), day(2035, Month::May, 1)).unwrap();
    let signed = |body: CertificateBody, key: &EcKey<Private>| {
        body.sign(|bytes| Ok::<_, std::fmt::Error>(sign(key, bytes)))
            .unwrap()
    };
    let (root, issuer, device) = (name("ESROOT00001"), name("ESISSUER00001"), name("ESDEVICE00000"));
    let root_certificate = signed(
        CertificateBody::root(&root, public(&keys[0]), validity).unwrap(),
        &keys[0],
    );
    let issuer_certificate = signed(
        CertificateBody::issuer(&root, &issuer, &public(&keys[1]), validity),
        &keys[0],
    );
    let device_certificate = signed(
        CertificateBody::device(&issuer, &device, &public(&keys[2]), validity),
        &keys[1],
    );
    let inner = signed(
        CertificateBody::key_request(&name("UTCA00001"), &name("ESKEY00001"), public(&keys[3])).unwrap(),
        &keys[3],
    );
    let request = AuthenticatedRequest::build(&inner, &device, |bytes| {
        Ok::<_, std::fmt::Error>(sign(&keys[2], bytes))
    })
    .unwrap()
    .to_bytes();
    let chain = [device_certificate.as_bytes(), issuer_certificate.as_bytes()].concat();
    let inputs: Vec<NamedInput> = [("chain", &chain), ("request", &request)]
        .map(|(name, bytes)| (name.to_owned(), Input::recognise(bytes)))
        .into();
    let mut anchors = production();
    anchors.add(root_certificate).unwrap();
    let found = Verification::of(&inputs, &anchors, today());
    assert_eq!(
        said(&found),
        [
            "chain chain authentic",
            "request origin signed-by-device",
            "request possession shown"
        ]
    );
    assert_eq!(found.outcome, Outcome::NotProven);
    assert!(!found.devices[0].hardware && !found.keys[0].proven);

    // A request that another key signed in the name of the device.
    let forged = AuthenticatedRequest::build(&inner, &device, |bytes| {
        Ok::<_, std::fmt::Error>(sign(&keys[3], bytes))
    })
    .unwrap()
    .to_bytes();
    let inputs: Vec<NamedInput> = [("chain", &chain), ("request", &forged)]
        .map(|(name, bytes)| (name.to_owned(), Input::recognise(bytes)))
        .into();
    let found = Verification::of(&inputs, &anchors, today());
    assert_eq!(said(&found)[1], "request origin bad-signature");
    assert_eq!(found.outcome, Outcome::Refused);
}

#[test]
fn json_has_one_flat_object_for_each_claim() {
    let found = examine(&[("chain", &text(NITROKEY))], today());
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        json["claims"][0],
        serde_json::json!({
            "file": "chain", "kind": "chain", "claim": "chain", "verdict": "authentic", "holds": true,
            "outcome": "holds", "text": "authentic", "detail": "DENK0404144, hardware under the maker's root"
        })
    );
    assert_eq!(
        (&json["at"], &json["outcome"]),
        (&"2026-11-21".into(), &"holds".into())
    );
}
