//! Making, certifying and deleting keys; what proves their origin is kept.

use chancery_cvc::{AuthenticatedRequest, Curve, TrustAnchors};
use chancery_driver::{AesSize, KeyCertificate};
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, fid};
use chancery_tokens::key::KeyDetails;
use chancery_tokens::keys::{
    KeyError, Matched, NewKey, NewKeyKind, Origin, delete, delete_certificate, generate, store_certificate,
};

use crate::bench::{AES, Bench, FIRST, P256, certificate_for, new_key, now};

#[test]
fn every_kind_of_key_is_made_described_and_its_proof_kept() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let mut kinds: Vec<NewKeyKind> = Curve::ALL.into_iter().map(NewKeyKind::Ec).collect();
    kinds.push(NewKeyKind::Rsa(1024));
    kinds.push(NewKeyKind::Rsa(2048));
    let aes = [AesSize::Bits128, AesSize::Bits192, AesSize::Bits256];
    kinds.extend(aes.map(NewKeyKind::Aes));
    for kind in kinds {
        let new = NewKey {
            cka_id: Some(b"an id".to_vec()),
            ..new_key(kind, "a label")
        };
        let made = bench.make_with(&token, &new);
        let details = KeyDetails::read(&mut token.login(), made.id).unwrap().unwrap();
        assert_eq!(details.algorithm(), kind.name());
        let description = details.description.known().unwrap();
        assert_eq!(
            (description.label.as_str(), description.id.as_slice()),
            ("a label", &b"an id"[..])
        );
        if let NewKeyKind::Aes(_) = kind {
            assert!(matches!(made.origin, Origin::Secret));
            assert!(details.attributes.algorithms.allows(Algorithm::AesCmac));
            continue;
        }
        assert!(matches!(made.origin, Origin::Proven { .. }));
        let Some(KeyCertificate::Request(request)) = details.certificate else {
            panic!("{kind:?} has no request");
        };
        let request = AuthenticatedRequest::parse(&request).unwrap();
        assert_eq!(request.request().chr().sequence(), format!("{:05}", made.id.0));
        assert!(made.kept.unwrap().exists());
    }
}

#[test]
fn kinds_are_understood_by_name() {
    for (name, kind) in [
        ("P-256", P256),
        ("prime256v1", P256),
        ("ec:secp256r1", P256),
        ("BRAINPOOLP512T1", NewKeyKind::Ec(Curve::BrainpoolP512t1)),
        ("rsa-3072", NewKeyKind::Rsa(3072)),
        ("RSA:4096", NewKeyKind::Rsa(4096)),
        ("rsa2048", NewKeyKind::Rsa(2048)),
        ("aes-256", AES),
    ] {
        assert_eq!(NewKeyKind::from_name(name), Some(kind), "{name}");
    }
    for bad in ["", "rsa", "rsa-1000", "aes-512", "x25519", "rsa--2048"] {
        assert_eq!(NewKeyKind::from_name(bad), None, "{bad}");
    }
}

#[test]
fn an_id_that_anything_occupies_is_refused_and_nothing_is_replaced() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    bench.make(&token, P256, "one");
    let mut card = token.login();
    card.write_file(fid::certificate(KeyId(7)), &[0x30, 0x00])
        .unwrap();
    for taken in [0, 1, 7] {
        let new = NewKey {
            id: Some(KeyId(taken)),
            ..new_key(P256, "x")
        };
        let refused = generate(&mut card, &new, &bench.anchors, &bench.archive(), now());
        assert!(matches!(refused, Err(KeyError::Taken { id, .. }) if id.0 == taken));
    }
    let long = new_key(P256, &"x".repeat(65));
    let refused = generate(&mut card, &long, &bench.anchors, &bench.archive(), now());
    assert!(matches!(refused, Err(KeyError::Label(65))));
    let next = generate(
        &mut card,
        &new_key(P256, "y"),
        &bench.anchors,
        &bench.archive(),
        now(),
    )
    .unwrap();
    assert_eq!(next.id, KeyId(2));
}

#[test]
fn a_token_of_an_unknown_maker_makes_keys_whose_origin_is_not_proven() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let made = generate(
        &mut token.login(),
        &new_key(P256, "k"),
        &TrustAnchors::none(),
        &bench.archive(),
        now(),
    )
    .unwrap();
    assert!(matches!(made.origin, Origin::UnknownDevice { why } if !why.is_empty()));
    assert!(made.kept.is_some());
}

#[test]
fn a_certificate_is_stored_only_with_its_own_key_and_the_request_is_kept_before() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let journal = bench.journal();
    let made = bench.make(&token, P256, "k");
    let other = bench.make(&token, P256, "other");
    let key = made.public_key.unwrap();
    let mut card = token.login();
    std::fs::remove_file(made.kept.unwrap()).unwrap();
    let wrong = certificate_for(other.public_key.as_ref().unwrap(), "other");
    let refused = store_certificate(
        &mut card,
        FIRST,
        &wrong,
        &bench.archive(),
        now(),
        &token.noted(&journal),
    );
    assert!(matches!(refused, Err(KeyError::OtherKey(FIRST))));
    assert!(bench.archive().list().unwrap().len() == 1, "only the other key's");

    let der = certificate_for(&key, "k");
    let mut trailing = der.clone();
    trailing.extend_from_slice(b"\0\0");
    let stored = store_certificate(
        &mut card,
        FIRST,
        &trailing,
        &bench.archive(),
        now(),
        &token.noted(&journal),
    )
    .unwrap();
    assert_eq!(stored.matched, Matched::ByUse);
    assert!(matches!(stored.old, Some(KeyCertificate::Request(_))));
    assert!(stored.kept.unwrap().exists());
    assert_eq!(card.read_file(fid::certificate(FIRST)).unwrap().unwrap(), der);

    // PEM; and in place of a longer one nothing of it is left.
    let pem = openssl::x509::X509::from_der(&certificate_for(&key, "a much longer name than before"))
        .unwrap()
        .to_pem()
        .unwrap();
    let again = store_certificate(
        &mut card,
        FIRST,
        &pem,
        &bench.archive(),
        now(),
        &token.noted(&journal),
    )
    .unwrap();
    assert!(again.kept.is_none(), "a certificate proves no origin");
    let short = store_certificate(
        &mut card,
        FIRST,
        &der,
        &bench.archive(),
        now(),
        &token.noted(&journal),
    )
    .unwrap();
    assert!(matches!(short.old, Some(KeyCertificate::X509(_))));
    assert_eq!(card.read_file(fid::certificate(FIRST)).unwrap().unwrap(), der);
    for bad in [
        &b""[..],
        b"nonsense",
        &der[..der.len() - 1],
        b"-----BEGIN CERTIFICATE-----\n",
    ] {
        let refused = store_certificate(
            &mut card,
            FIRST,
            bad,
            &bench.archive(),
            now(),
            &token.noted(&journal),
        );
        assert!(matches!(refused, Err(KeyError::NoCertificate)));
    }
    let missing = store_certificate(
        &mut card,
        KeyId(77),
        &der,
        &bench.archive(),
        now(),
        &token.noted(&journal),
    );
    assert!(matches!(missing, Err(KeyError::NoSuchKey(_))));
}

#[test]
fn counted_uses_and_custodian_answers_are_not_spent_on_a_comparison() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let journal = bench.journal();
    let counted = NewKey {
        use_counter: Some(1),
        ..new_key(P256, "counted")
    };
    let custodian = NewKey {
        algorithms: AlgorithmList::new(&[Algorithm::EcdsaSha256]).unwrap(),
        ..new_key(NewKeyKind::Ec(Curve::BrainpoolP256r1), "custodian")
    };
    for new in [counted, custodian] {
        let made = bench.make_with(&token, &new);
        let mut card = token.login();
        let der = certificate_for(made.public_key.as_ref().unwrap(), "k");
        token.log.clear();
        let stored = store_certificate(
            &mut card,
            made.id,
            &der,
            &bench.archive(),
            now(),
            &token.noted(&journal),
        )
        .unwrap();
        assert_eq!(stored.matched, Matched::ByWhatStoodThere);
        assert_eq!(token.log.count_of(0x68), 0, "no signature");
        delete_certificate(&mut card, made.id, &bench.archive(), now()).unwrap();
        let refused = store_certificate(
            &mut card,
            made.id,
            &der,
            &bench.archive(),
            now(),
            &token.noted(&journal),
        );
        assert!(matches!(refused, Err(KeyError::Unverifiable(_))));
        let nothing = delete_certificate(&mut card, made.id, &bench.archive(), now());
        assert!(matches!(nothing, Err(KeyError::NothingThere(_))));
    }
}

#[test]
fn deleting_takes_everything_and_says_what_there_was() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    bench.make(&token, P256, "k");
    let aes = bench.make(&token, AES, "a");
    let mut card = token.login();
    let gone = delete(&mut card, FIRST, &bench.archive(), now()).unwrap();
    assert!(gone.key && gone.description && gone.certificate && gone.kept.is_some());
    let gone = delete(&mut card, aes.id, &bench.archive(), now()).unwrap();
    assert!(gone.key && gone.description && !gone.certificate && gone.kept.is_none());
    assert!(matches!(
        delete(&mut card, FIRST, &bench.archive(), now()),
        Err(KeyError::NoSuchKey(FIRST))
    ));
    assert!(card.enumerate().unwrap().keys().is_empty());
}

#[test]
fn a_key_whose_proof_could_not_be_kept_is_said_to_be_there() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    // Where the archive is to be, there is a file.
    std::fs::write(bench.archive().directory(), "").unwrap();
    let new = new_key(P256, "k");
    let error = generate(&mut token.login(), &new, &bench.anchors, &bench.archive(), now()).unwrap_err();
    assert!(matches!(error, KeyError::Unkept { id: FIRST, .. }), "{error}");
    assert!(error.to_string().starts_with("key 1 was made"), "{error}");
    let mut card = token.login();
    assert!(KeyDetails::read(&mut card, FIRST).unwrap().is_some());
    std::fs::remove_file(bench.archive().directory()).unwrap();
    assert!(bench.archive().keep(&mut card, FIRST, now()).unwrap().is_some());
}
