//! The driver against virtual tokens: keys, attestation, key store.

use crate::common::Shared;
use crate::common::rehearsal::{Rehearsal, Token, login, name, openssl_accepts, pin};
use chancery_cvc::{Curve, TrustAnchors};
use chancery_driver::keystore::{self, KeyDescription};
use chancery_driver::{
    AttestError, Authenticated, Card, Error, KeyAlgorithm, KeyCertificate, KeySpec, PinStatus, attest,
};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, AlgorithmList, Fid, KeyId, fid};

const KINDS: [(u8, KeyAlgorithm, Algorithm); 3] = [
    (1, KeyAlgorithm::Ec(Curve::Secp256r1), Algorithm::EcdsaSha256),
    (2, KeyAlgorithm::Ec(Curve::Secp384r1), Algorithm::EcdsaSha256),
    (3, KeyAlgorithm::Rsa(2048), Algorithm::RsaPkcs1Sha256),
];

fn spec(id: u8, algorithm: KeyAlgorithm) -> KeySpec {
    KeySpec {
        id: KeyId(id),
        algorithm,
        chr: name("UTCA00001"),
        algorithms: AlgorithmList::unrestricted(),
        key_domain: None,
        use_counter: None,
    }
}

#[test]
fn keys_are_attested_described_and_sign_in_one_apdu() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[]);
    let log = rehearsal.log("hsm").clone();
    let mut hsm = login(token.clone());
    let device = rehearsal.identity(&mut hsm);
    for (id, algorithm, signing) in KINDS {
        assert_eq!(keystore::next_free_id(&mut hsm).unwrap(), KeyId(id));
        let (generated, attested) = hsm.generate_attested(&spec(id, algorithm), &device).unwrap();
        assert_eq!(attested.public_key(), &generated.public_key);
        hsm.describe_key(
            KeyId(id),
            &generated.public_key,
            &KeyDescription::new(format!("key {id}")),
        )
        .unwrap();
        log.clear();
        let signature = hsm.sign(KeyId(id), signing, b"to be signed").unwrap();
        assert_eq!(log.count(), 1, "a signature is one APDU");
        assert!(
            openssl_accepts(&generated.public_key, b"to be signed", &signature),
            "{algorithm:?}"
        );
        assert!(
            !openssl_accepts(&generated.public_key, b"to be Signed", &signature),
            "{algorithm:?}"
        );
    }
    assert!(matches!(
        hsm.generate(&spec(1, KINDS[0].1)),
        Err(Error::KeyExists { .. })
    ));

    // Locked again: the list is free, the keys are not.
    let mut hsm = hsm.logout().unwrap();
    log.clear();
    let keys = keystore::list(&mut hsm).unwrap();
    assert_eq!(
        log.count(),
        1 + 2 * 3,
        "one list, a description and a certificate for each key"
    );
    let shown: Vec<_> = keys
        .iter()
        .map(|key| (key.id.0, key.label(), key.cka_id(), key.size()))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "key 1", &[1][..], Some(256)),
            (2, "key 2", &[2][..], Some(384)),
            (3, "key 3", &[3][..], Some(2048))
        ]
    );
    assert!(
        keys.iter()
            .all(|key| matches!(key.certificate, Some(KeyCertificate::Request(_))))
    );
    assert_eq!(
        hsm.pin_status().unwrap(),
        PinStatus::NotVerified { tries_left: 3 }
    );
}

#[test]
fn a_locked_token_and_a_wrong_pin_are_told_apart() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[]);
    let mut hsm = login(token.clone());
    let device = rehearsal.identity(&mut hsm);
    hsm.generate_attested(&spec(1, KINDS[0].1), &device).unwrap();
    // Somebody else pulls the card's power while we think it is unlocked.
    Card::new(token.clone()).reset().unwrap();
    let locked = hsm.sign(KeyId(1), Algorithm::EcdsaSha256, b"x").unwrap_err();
    assert!(matches!(locked, Error::NotSelected { .. }), "{locked}");
    assert!(locked.is_locked() && !locked.is_link_loss());

    let mut card = Card::new(token).select().unwrap();
    for left in [2, 1] {
        let failed = card
            .verify_pin(&chancery_driver::Pin::new("999999").unwrap())
            .err()
            .unwrap();
        assert!(
            matches!(failed.error, Error::WrongPin { tries_left, .. } if tries_left == left),
            "{}",
            failed.error
        );
        card = failed.card;
    }
    let failed = card
        .verify_pin(&chancery_driver::Pin::new("999999").unwrap())
        .err()
        .unwrap();
    assert!(
        matches!(failed.error, Error::PinBlocked { .. }),
        "{}",
        failed.error
    );
    let failed = failed.card.verify_pin(&pin()).err().unwrap();
    assert!(
        matches!(failed.error, Error::PinBlocked { .. }),
        "{}",
        failed.error
    );
}

#[test]
fn attestation_is_refused_for_another_token_or_root() {
    let mut rehearsal = Rehearsal::new();
    let (first, second) = (
        rehearsal.hsm_with_pin("first", &[]),
        rehearsal.hsm_with_pin("second", &[]),
    );
    let (mut first, mut second) = (login(first), login(second));
    let other = rehearsal.identity(&mut second);
    let spec = spec(1, KINDS[0].1);
    assert!(matches!(
        first.generate_attested(&spec, &other),
        Err(AttestError::Request(_))
    ));
    assert!(
        !first.enumerate().unwrap().has_key(KeyId(1)),
        "the key is not left behind"
    );
    assert!(first.read_file(fid::certificate(KeyId(1))).unwrap().is_none());
    let device = rehearsal.identity(&mut first);
    let (generated, _) = first.generate_attested(&spec, &device).unwrap();
    assert!(attest::verify(&generated, &spec, &other).is_err());
    let strangers = TrustAnchors::production().unwrap();
    assert!(matches!(first.device_identity(&strangers), Err(Error::Chain(_))));
}

#[test]
fn use_is_limited_by_list_and_counter() {
    let mut rehearsal = Rehearsal::new();
    let mut hsm = login(rehearsal.hsm_with_pin("hsm", &[]));
    let limited = KeySpec {
        algorithms: AlgorithmList::new(&[Algorithm::EcdsaSha256]).unwrap(),
        use_counter: Some(2),
        ..spec(1, KINDS[0].1)
    };
    hsm.generate(&limited).unwrap();
    let attributes = hsm.key_attributes(KeyId(1)).unwrap().unwrap();
    assert_eq!(
        (attributes.use_counter, attributes.algorithms.ids()),
        (Some(2), &[0x73][..])
    );
    let sign = |hsm: &mut Authenticated<Token>, algorithm| hsm.sign(KeyId(1), algorithm, &[7; 32]);
    assert!(matches!(
        sign(&mut hsm, Algorithm::Ecdsa),
        Err(Error::UseNotPermitted { .. })
    ));
    sign(&mut hsm, Algorithm::EcdsaSha256).unwrap();
    sign(&mut hsm, Algorithm::EcdsaSha256).unwrap();
    assert!(matches!(
        sign(&mut hsm, Algorithm::EcdsaSha256),
        Err(Error::UseCounterSpent { .. })
    ));
    assert!(matches!(
        hsm.sign(KeyId(9), Algorithm::Ecdsa, &[7; 32]),
        Err(Error::NoSuchKey { .. })
    ));
    assert!(hsm.key_attributes(KeyId(9)).unwrap().is_none());
}

#[test]
fn decipher_and_key_agreement_give_what_the_library_gives() {
    let mut rehearsal = Rehearsal::new();
    let mut hsm = login(rehearsal.hsm_with_pin("hsm", &[]));
    let ec = hsm.generate(&spec(1, KINDS[0].1)).unwrap().public_key;
    let rsa = hsm.generate(&spec(3, KINDS[2].1)).unwrap().public_key;

    let group = Curve::Secp256r1.group().unwrap();
    let mine = openssl::ec::EcKey::generate(&group).unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let point = mine
        .public_key()
        .to_bytes(
            &group,
            openssl::ec::PointConversionForm::UNCOMPRESSED,
            &mut context,
        )
        .unwrap();
    let mine = openssl::pkey::PKey::from_ec_key(mine).unwrap();
    let theirs = ec.to_pkey().unwrap();
    let mut deriver = openssl::derive::Deriver::new(&mine).unwrap();
    deriver.set_peer(&theirs).unwrap();
    assert_eq!(
        *hsm.ecdh(KeyId(1), &point).unwrap(),
        deriver.derive_to_vec().unwrap()
    );

    let rsa = rsa.to_pkey().unwrap().rsa().unwrap();
    let mut block = vec![0x5A; 256];
    block[0] = 0;
    let mut cryptogram = vec![0; 256];
    rsa.public_encrypt(&block, &mut cryptogram, openssl::rsa::Padding::NONE)
        .unwrap();
    assert_eq!(*hsm.decipher(KeyId(3), &cryptogram).unwrap(), block);
}

#[test]
fn certificates_replace_requests_of_their_own_key_only() {
    let mut rehearsal = Rehearsal::new();
    let mut hsm = login(rehearsal.hsm_with_pin("hsm", &[]));
    let key = hsm.generate(&spec(1, KINDS[0].1)).unwrap();
    let other = hsm.generate(&spec(2, KINDS[0].1)).unwrap();
    let certificate = self_made_certificate(&key.public_key);
    let stored = hsm
        .store_certificate(KeyId(1), &key.public_key, &certificate)
        .unwrap();
    assert_eq!(stored.unwrap().bytes(), key.request);
    let wrong = hsm.store_certificate(KeyId(2), &other.public_key, &certificate);
    assert!(matches!(wrong, Err(Error::Disagreement { .. })));
    let wrong = hsm.store_certificate(KeyId(2), &key.public_key, &certificate);
    assert!(matches!(wrong, Err(Error::Disagreement { .. })));
    assert!(matches!(
        hsm.store_certificate(KeyId(2), &other.public_key, b"\x04\x00"),
        Err(Error::Input { .. })
    ));
    let entry = keystore::entry(&mut hsm, KeyId(1)).unwrap().unwrap();
    assert_eq!(entry.certificate, Some(KeyCertificate::X509(certificate)));
    assert_eq!(entry.public_key, Some(key.public_key));
    hsm.delete_key(KeyId(1)).unwrap();
    hsm.delete_key(KeyId(1)).unwrap();
    assert!(keystore::entry(&mut hsm, KeyId(1)).unwrap().is_none());
    assert_eq!(keystore::next_free_id(&mut hsm).unwrap(), KeyId(1));
}

/// A certificate for a foreign key, signed by a key of the test.
fn self_made_certificate(key: &chancery_cvc::PublicKey) -> Vec<u8> {
    let issuer = openssl::pkey::PKey::from_ec_key(
        openssl::ec::EcKey::generate(&Curve::Secp256r1.group().unwrap()).unwrap(),
    )
    .unwrap();
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_pubkey(&key.to_pkey().unwrap()).unwrap();
    builder
        .set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&openssl::asn1::Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder
        .sign(&issuer, openssl::hash::MessageDigest::sha256())
        .unwrap();
    builder.build().to_der().unwrap()
}

#[test]
fn files_of_any_length_go_there_and_back_in_small_commands() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[]);
    let limits = chancery_driver::Limits {
        max_command: 128,
        ..chancery_driver::Limits::default()
    };
    let card = Card::with_limits(token, limits).select().unwrap();
    let mut hsm = card.verify_pin(&pin()).unwrap();
    let data = Fid(0xCF01);
    for length in [0, 1, 112, 113, 114, 127, 128, 226, 1000, 255, 3, 5000] {
        let content: Vec<u8> = (0..length)
            .map(|index: usize| index.to_be_bytes()[7] | 1)
            .collect();
        hsm.write_file(data, &content).unwrap();
        assert_eq!(hsm.read_file(data).unwrap().unwrap(), content, "{length}");
    }
    assert!(hsm.delete_file(data).unwrap());
    assert!(!hsm.delete_file(data).unwrap());
}

#[test]
fn every_kind_of_transport_fits() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[]);
    let boxed: Box<dyn Transport> = Box::new(Shared::clone(&token));
    assert_eq!(login(boxed).firmware().to_string(), "4.1");
}
