//! Wrapped keys between tokens, by container files.

use chancery_cvc::Curve;
use chancery_schsm::{Algorithm, AlgorithmList, KeyContainer, KeyId, PrivateKeyDescription, fid};
use chancery_tokens::key::KeyDetails;
use chancery_tokens::keys::{KeyError, NewKey, NewKeyKind};
use chancery_tokens::operate::{HashOn, KeyInUse, Scheme, SignatureForm, Signing};
use chancery_tokens::transfer::{
    ImportLabels, Parcel, ParcelError, TransferError, Verified, install, wrap, wrap_to_file,
};

use crate::bench::{
    AES, Bench, FIRST, OTHER_SHARES, P256, SHARES, certificate_for, kek, new_key, openssl_accepts,
};

fn parcel(container: &KeyContainer) -> Parcel {
    Parcel::from_container(container, None, None, "a test", None).unwrap()
}

#[test]
fn every_kind_of_key_travels_with_description_and_certificate() {
    let bench = Bench::new();
    let first = bench.token("first", &SHARES);
    let second = bench.token("second", &SHARES);
    let journal = bench.journal();
    let kinds = [
        P256,
        NewKeyKind::Ec(Curve::Secp521r1),
        NewKeyKind::Ec(Curve::BrainpoolP384r1),
        NewKeyKind::Rsa(2048),
        NewKeyKind::Rsa(4096),
        AES,
    ];
    for (kind, certified) in kinds.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let made = bench.make(&first, kind, "traveller");
        let mut source = first.login();
        if let (Some(key), true) = (&made.public_key, certified) {
            let der = certificate_for(key, "traveller");
            source.write_file(fid::certificate(made.id), &der).unwrap();
        }
        let wrapped = wrap(&mut source, made.id).unwrap();
        assert_eq!(wrapped.kcv, kek(&SHARES).kcv());
        assert_eq!(wrapped.proven, made.public_key);
        let again = KeyContainer::parse(&wrapped.container.encode()).unwrap();
        let mut target = second.login();
        let arrived = install(&mut target, &parcel(&again), None, &second.noted(&journal)).unwrap();
        let secret = kind == AES;
        assert_eq!(
            arrived.verified,
            if secret {
                Verified::NothingToCompare
            } else {
                Verified::ByUse
            }
        );
        assert_eq!((arrived.described, arrived.certified), (true, !secret));
        let here = KeyDetails::read(&mut target, arrived.id).unwrap().unwrap();
        let there = KeyDetails::read(&mut source, made.id).unwrap().unwrap();
        assert_eq!(here.certificate, there.certificate);
        assert_eq!(here.description.label(), "traveller");
        if let (Some(key), false) = (&made.public_key, secret) {
            let in_use = KeyInUse::open(&mut target, arrived.id).unwrap();
            let signing = Signing {
                scheme: Scheme::Default,
                hash: chancery_schsm::Hash::Sha256,
                hash_on: HashOn::Either,
                form: SignatureForm::Der,
            };
            let signature = in_use.sign(&mut target, &signing, b"message").unwrap();
            assert!(openssl_accepts(key, b"message", &signature, &["-sha256"]));
        }
        assert!(journal.list().unwrap().is_empty());
        source.delete_key(made.id).unwrap();
    }
}

#[test]
fn a_key_under_another_id_is_described_with_its_new_number() {
    let bench = Bench::new();
    let first = bench.token("first", &SHARES);
    let second = bench.token("second", &SHARES);
    bench.make(&first, P256, "k");
    let wrapped = wrap(&mut first.login(), FIRST).unwrap();
    let mut target = second.login();
    let journal = bench.journal();
    let id = Some(KeyId(40));
    let arrived = install(
        &mut target,
        &parcel(&wrapped.container),
        id,
        &second.noted(&journal),
    )
    .unwrap();
    assert_eq!(arrived.id, KeyId(40));
    let content = target.read_file(fid::prkd(KeyId(40))).unwrap().unwrap();
    assert_eq!(
        PrivateKeyDescription::parse(&content).unwrap().key_reference,
        Some(40)
    );
    // The same place again: taken, whatever stands there.
    let taken = install(
        &mut target,
        &parcel(&wrapped.container),
        id,
        &second.noted(&journal),
    );
    assert!(matches!(taken, Err(TransferError::Id(KeyError::Taken { .. }))));
}

#[test]
fn a_wrong_key_encryption_key_is_named_before_anything_is_sent() {
    let bench = Bench::new();
    let first = bench.token("first", &SHARES);
    let second = bench.token("second", &OTHER_SHARES);
    let third = bench.token("third", &[]);
    let journal = bench.journal();
    bench.make(&first, P256, "k");
    let wrapped = wrap(&mut first.login(), FIRST).unwrap();
    for (token, theirs) in [
        (&second, kek(&OTHER_SHARES).kcv().to_string()),
        (&third, "no complete key domain".to_owned()),
    ] {
        let mut card = token.login();
        token.log.clear();
        let refused = install(
            &mut card,
            &parcel(&wrapped.container),
            None,
            &token.noted(&journal),
        )
        .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "wrapped under key domain KCV {}, this token has {theirs}",
                kek(&SHARES).kcv()
            )
        );
        let sent: Vec<u8> = token
            .log
            .entries()
            .iter()
            .map(|entry| entry.instruction())
            .collect();
        assert!(sent.iter().all(|instruction| *instruction == 0x52), "{sent:02X?}");
    }
    assert!(journal.list().unwrap().is_empty());
    // And a token whose keys never leave says so.
    bench.make(&third, P256, "k");
    assert!(matches!(
        wrap(&mut third.login(), FIRST),
        Err(TransferError::NoDomain { domain: None, .. })
    ));
}

#[test]
fn parts_for_another_key_are_refused_before_and_after_they_are_sent() {
    let bench = Bench::new();
    let first = bench.token("first", &SHARES);
    let second = bench.token("second", &SHARES);
    let journal = bench.journal();
    let ec = bench.make(&first, P256, "ec");
    let twin = bench.make(&first, P256, "twin");
    let rsa = bench.make(&first, NewKeyKind::Rsa(2048), "rsa");
    let large = bench.make(&first, NewKeyKind::Ec(Curve::Secp384r1), "large");
    let mut source = first.login();
    let [ec, twin, rsa, large] =
        [ec, twin, rsa, large].map(|made| wrap(&mut source, made.id).unwrap().container);
    let mix = |blob: &KeyContainer, description: &KeyContainer, certificate: &KeyContainer| {
        KeyContainer::new(blob.blob(), description.description(), certificate.certificate()).unwrap()
    };
    let open = |container: &KeyContainer, shares: Option<&[[u8; 32]]>| {
        Parcel::from_container(container, shares.map(kek).as_ref(), None, "", None)
    };
    assert!(matches!(
        open(&mix(&ec, &rsa, &ec), None),
        Err(ParcelError::Kind {
            part: "description",
            ..
        })
    ));
    assert!(matches!(
        open(&mix(&rsa, &rsa, &ec), None),
        Err(ParcelError::Kind { .. })
    ));
    assert!(matches!(
        open(&mix(&ec, &large, &ec), None),
        Err(ParcelError::Size {
            described: 384,
            bits: 256,
            ..
        })
    ));
    // Of the same kind: seen with the key encryption key, or when the key has to prove itself.
    let wrong = mix(&ec, &ec, &twin);
    assert!(matches!(open(&wrong, Some(&SHARES)), Err(ParcelError::OtherKey)));
    assert!(open(&ec, Some(&SHARES)).is_ok());
    assert!(matches!(
        open(&ec, Some(&OTHER_SHARES)),
        Err(ParcelError::Blob(_))
    ));
    let mut target = second.login();
    let refused = install(&mut target, &parcel(&wrong), None, &second.noted(&journal));
    assert!(matches!(refused, Err(TransferError::NotProven)));
    assert!(target.enumerate().unwrap().keys().is_empty(), "deleted again");
    assert!(journal.list().unwrap().is_empty());
    // A key whose certificate is another's does not leave at all.
    source
        .write_file(fid::certificate(FIRST), twin.certificate().unwrap())
        .unwrap();
    assert!(matches!(
        wrap(&mut source, FIRST),
        Err(TransferError::Parcel(ParcelError::OtherKey))
    ));
}

#[test]
fn with_the_key_encryption_key_even_a_secret_key_proves_itself() {
    let bench = Bench::new();
    let first = bench.token("first", &SHARES);
    let second = bench.token("second", &SHARES);
    let journal = bench.journal();
    let lists: [&[Algorithm]; 4] = [
        &[],
        &[Algorithm::AesCbcDecrypt, Algorithm::Wrap],
        &[Algorithm::AesCmac, Algorithm::Wrap],
        &[Algorithm::AesDerive, Algorithm::Wrap],
    ];
    for list in lists {
        let made = bench.make_with(
            &first,
            &NewKey {
                algorithms: AlgorithmList::new(list).unwrap(),
                ..new_key(AES, "secret")
            },
        );
        let wrapped = wrap(&mut first.login(), made.id).unwrap();
        let parcel = Parcel::from_container(&wrapped.container, Some(&kek(&SHARES)), None, "", None).unwrap();
        let arrived = install(&mut second.login(), &parcel, None, &second.noted(&journal)).unwrap();
        let expected = if list == [Algorithm::AesDerive, Algorithm::Wrap] {
            Verified::NothingToCompare
        } else {
            Verified::ByUse
        };
        assert_eq!(arrived.verified, expected, "{list:?}");
    }
}

#[test]
fn containers_without_description_or_certificate_are_taken_and_can_be_described() {
    let bench = Bench::new();
    let first = bench.token("first", &SHARES);
    let second = bench.token("second", &SHARES);
    let journal = bench.journal();
    bench.make(&first, P256, "k");
    let full = wrap(&mut first.login(), FIRST).unwrap().container;
    let bare = KeyContainer::new(full.blob(), None, None).unwrap();
    let mut target = second.login();
    let arrived = install(&mut target, &parcel(&bare), None, &second.noted(&journal)).unwrap();
    assert_eq!(arrived.verified, Verified::NothingToCompare);
    assert!(!arrived.described && !arrived.certified);
    let labels = || ImportLabels {
        label: "named".to_owned(),
        cka_id: Some(vec![0xAB]),
    };
    // Without the key encryption key nobody knows its size.
    assert!(matches!(
        Parcel::from_container(&bare, None, Some(labels()), "", None),
        Err(ParcelError::Unsupported(_))
    ));
    let described = Parcel::from_container(&bare, Some(&kek(&SHARES)), Some(labels()), "", None).unwrap();
    let arrived = install(&mut target, &described, None, &second.noted(&journal)).unwrap();
    assert_eq!(arrived.verified, Verified::ByUse);
    let details = KeyDetails::read(&mut target, arrived.id).unwrap().unwrap();
    let description = details.description.known().unwrap();
    assert_eq!(
        (
            description.label.as_str(),
            description.id.as_slice(),
            description.key_size
        ),
        ("named", &[0xAB][..], 256)
    );
}

#[test]
fn a_file_is_written_for_its_owner_and_never_over_another() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    bench.make(&token, P256, "k");
    let path = bench.path("k.wky");
    let mut card = token.login();
    let wrapped = wrap_to_file(&mut card, FIRST, &path, &token.noted(&journal)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), wrapped.container.encode());
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let refused = wrap_to_file(&mut card, FIRST, &path, &token.noted(&journal));
    assert!(matches!(refused, Err(TransferError::File { .. })));
    assert!(journal.list().unwrap().is_empty());
    assert!(matches!(
        wrap_to_file(&mut card, KeyId(50), &bench.path("none"), &token.noted(&journal)),
        Err(TransferError::NoSuchKey(_))
    ));
    assert!(journal.list().unwrap().is_empty());
}
