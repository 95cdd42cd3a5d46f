//! Generating keys, proving where they come from, copying them.

use chancery_cvc::{AuthenticatedRequest, DeviceChain};
use chancery_driver::{Card, keystore};
use chancery_keys::{GenerateSpec, HsmError, ImportState, Initialise, KeyAlgorithm, VirtualConnect};
use chancery_schsm::{Kcv, Kek, KekShare, KeyId};
use chancery_vtoken::VirtualToken;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKey, PKeyRef};
use openssl::x509::{X509, X509NameBuilder};

use crate::bench::{Installation, KEY, parameters, spec, unlock};

#[tokio::test]
async fn every_kind_of_key_is_generated_attested_and_found_again() {
    let installation = Installation::new();
    let (bench, mut custodians, _) = installation.open_hsm().await;
    let hsm = &bench.hsm;
    let identity = DeviceChain::parse(&hsm.identity().chain)
        .unwrap()
        .verify(&installation.anchors, None)
        .unwrap();
    let kinds = [KeyAlgorithm::EcP384, KeyAlgorithm::EcP521, KeyAlgorithm::Rsa2048];
    for (key_id, algorithm) in (2..).zip(kinds) {
        let spec = GenerateSpec {
            key_id,
            ..spec(algorithm)
        };
        let key = hsm.generate(spec.clone()).await.unwrap();
        let attested = AuthenticatedRequest::parse(&key.request)
            .unwrap()
            .verify(&identity)
            .unwrap();
        assert_eq!(attested.public_key().to_spki_der().unwrap(), key.public_key_spki);
        assert_eq!(attested.chr().sequence(), format!("{key_id:05}"));
        PKey::public_key_from_der(&key.public_key_spki).unwrap();
        // Asked again, the same key comes back.
        assert_eq!(hsm.generate(spec.clone()).await.unwrap(), key);
        let other = GenerateSpec {
            algorithm: KeyAlgorithm::Rsa3072,
            ..spec
        };
        let refused = hsm.generate(other).await.unwrap_err();
        assert!(matches!(refused, HsmError::WrongKey { .. }), "{refused}");
        hsm.lock().await.unwrap();
        assert_eq!(hsm.key(key_id).await.unwrap(), Some(key));
        unlock(hsm, &mut custodians).await;
    }
    assert_eq!(hsm.inspect().await.unwrap().keys, [1, 2, 3, 4]);
    assert_eq!(hsm.key(9).await.unwrap(), None);
    assert!(matches!(
        hsm.export(9).await,
        Err(HsmError::NoSuchKey { key_id: 9, .. })
    ));
    for bad in [
        GenerateSpec {
            key_id: 0,
            ..spec(KeyAlgorithm::EcP256)
        },
        GenerateSpec {
            key_id: 9,
            label: "x".repeat(65),
            ..spec(KeyAlgorithm::EcP256)
        },
        GenerateSpec {
            key_id: 9,
            chr: Some("?".to_owned()),
            ..spec(KeyAlgorithm::EcP256)
        },
    ] {
        let refused = hsm.generate(bad).await.unwrap_err();
        assert!(matches!(refused, HsmError::Input { .. }), "{refused}");
    }
    assert_eq!(hsm.inspect().await.unwrap().keys, [1, 2, 3, 4]);

    // Other software sees label and kind.
    hsm.close("looked at from outside");
    let token = VirtualToken::open(&bench.line.dir(), &installation.at_rest()).unwrap();
    let mut token = Card::new(token).select().unwrap();
    let entries = keystore::list(&mut token).unwrap();
    assert_eq!(entries.len(), 4);
    assert!(entries.iter().all(|entry| entry.label() == "root"));
    assert_eq!(entries[3].size(), Some(2048));
}

#[tokio::test]
async fn a_key_whose_request_is_not_its_own_is_not_taken_for_generated() {
    let installation = Installation::new();
    let (a, b, mut custodians) = installation.two_hsms().await;
    for hsm in [&a.hsm, &b.hsm] {
        unlock(hsm, &mut custodians).await;
    }
    let key = a.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
    let copy = a.hsm.export(KEY).await.unwrap();
    // A copy names the device that generated it.
    b.hsm
        .import(KEY, copy.clone(), &key.public_key_spki)
        .await
        .unwrap();
    let copied = b.hsm.key(KEY).await.unwrap_err();
    assert!(matches!(copied, HsmError::Unattested { .. }), "{copied}");
    let copied = b.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap_err();
    assert!(matches!(copied, HsmError::Unattested { .. }), "{copied}");
    // Without any request there is no proof at all.
    let bare = chancery_keys::KeyCopy {
        request: None,
        prkd: None,
        ..copy
    };
    let refused = b.hsm.import(7, bare.clone(), &key.public_key_spki).await.unwrap();
    assert_eq!(refused, ImportState::Copied);
    let unproven = b.hsm.key(7).await.unwrap_err();
    assert!(matches!(unproven, HsmError::Unattested { .. }), "{unproven}");
}

#[tokio::test]
async fn a_copy_is_the_same_key_and_is_made_once() {
    let installation = Installation::new();
    let (a, b, mut custodians) = installation.two_hsms().await;
    for hsm in [&a.hsm, &b.hsm] {
        unlock(hsm, &mut custodians).await;
    }
    for (key_id, algorithm) in [(1, KeyAlgorithm::EcP256), (2, KeyAlgorithm::Rsa2048)] {
        let key = a
            .hsm
            .generate(GenerateSpec {
                key_id,
                ..spec(algorithm)
            })
            .await
            .unwrap();
        let copy = a.hsm.export(key_id).await.unwrap();
        assert_eq!(copy.request.as_deref(), Some(&*key.request));
        assert!(format!("{copy:?}").len() < 60, "{copy:?}");
        let import = |copy| b.hsm.import(key_id, copy, &key.public_key_spki);
        assert_eq!(import(copy.clone()).await.unwrap(), ImportState::Copied);
        assert_eq!(import(copy.clone()).await.unwrap(), ImportState::Unchanged);
        assert_eq!(b.hsm.export(key_id).await.unwrap().prkd, copy.prkd);
    }
    assert_eq!(b.hsm.inspect().await.unwrap().keys, [1, 2]);
}

#[tokio::test]
async fn a_copy_of_another_key_is_refused_and_nothing_is_overwritten() {
    let installation = Installation::new();
    let (a, b, mut custodians) = installation.two_hsms().await;
    for hsm in [&a.hsm, &b.hsm] {
        unlock(hsm, &mut custodians).await;
    }
    let key = a.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
    let other = a
        .hsm
        .generate(GenerateSpec {
            key_id: 2,
            ..spec(KeyAlgorithm::EcP256)
        })
        .await
        .unwrap();
    let copy = a.hsm.export(KEY).await.unwrap();

    // The request is for another key than expected.
    let refused = b
        .hsm
        .import(KEY, copy.clone(), &other.public_key_spki)
        .await
        .unwrap_err();
    assert!(matches!(refused, HsmError::WrongKey { .. }), "{refused}");
    // The request is as expected, the blob is another key: it is removed again.
    let mut swapped = copy.clone();
    swapped.request = Some(other.request.clone());
    let refused = b
        .hsm
        .import(KEY, swapped, &other.public_key_spki)
        .await
        .unwrap_err();
    assert!(matches!(refused, HsmError::WrongKey { .. }), "{refused}");
    assert!(b.hsm.inspect().await.unwrap().keys.is_empty());
    // A damaged blob.
    let mut damaged = copy.clone();
    *damaged.blob.last_mut().unwrap() ^= 1;
    b.hsm
        .import(KEY, damaged, &key.public_key_spki)
        .await
        .unwrap_err();
    assert!(b.hsm.inspect().await.unwrap().keys.is_empty());
    // Another key stands there, of the same and of another kind.
    for (key_id, algorithm) in [
        (1, KeyAlgorithm::EcP256),
        (2, KeyAlgorithm::Rsa2048),
        (3, KeyAlgorithm::EcP384),
    ] {
        let own = b
            .hsm
            .generate(GenerateSpec {
                key_id,
                ..spec(algorithm)
            })
            .await
            .unwrap();
        let refused = b
            .hsm
            .import(key_id, copy.clone(), &key.public_key_spki)
            .await
            .unwrap_err();
        assert!(matches!(refused, HsmError::WrongKey { .. }), "{refused}");
        assert_eq!(b.hsm.key(key_id).await.unwrap(), Some(own));
    }
    let nonsense = b.hsm.import(4, copy, b"no key").await.unwrap_err();
    assert!(matches!(nonsense, HsmError::Input { .. }), "{nonsense}");
}

#[tokio::test]
async fn another_key_domain_is_named_before_anything_is_written() {
    let installation = Installation::new();
    let (a, mut custodians, key) = installation.open_hsm().await;
    let copy = a.hsm.export(KEY).await.unwrap();
    let b = installation.hsm("hsm-b");
    let foreign = vec![KekShare::new([9; 32])];
    let there = Kek::from_shares(&foreign).unwrap().kcv();
    b.hsm
        .initialise(Initialise {
            shares: foreign,
            ..parameters()
        })
        .await
        .unwrap();
    for custodian in &custodians {
        b.hsm
            .register(custodian.chain.clone(), custodian.request.clone())
            .await
            .unwrap();
    }
    unlock(&b.hsm, &mut custodians).await;
    let before = b.line.log().count_of(0x74);
    let refused = b.hsm.import(KEY, copy, &key.public_key_spki).await.unwrap_err();
    let here: Kcv = Kek::from_shares(&crate::bench::shares()).unwrap().kcv();
    let HsmError::OtherKeyDomain { hsm, kcv, expected } = &refused else {
        panic!("{refused}")
    };
    assert_eq!((hsm.as_str(), *kcv, *expected), ("hsm-b", there, here));
    assert!(refused.to_string().contains(&here.to_string()));
    assert!(refused.to_string().contains(&there.to_string()));
    assert_eq!(b.line.log().count_of(0x74), before);
}

#[tokio::test]
async fn a_certificate_takes_the_place_of_the_request_of_its_own_key_only() {
    let installation = Installation::new();
    let (bench, _, key) = installation.open_hsm().await;
    let public = PKey::public_key_from_der(&key.public_key_spki).unwrap();
    let stranger = PKey::from_ec_key(
        EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap(),
    )
    .unwrap();
    let refused = bench
        .hsm
        .put_certificate(KEY, certificate_for(&stranger))
        .await
        .unwrap_err();
    assert!(matches!(refused, HsmError::WrongKey { .. }), "{refused}");
    let refused = bench
        .hsm
        .put_certificate(KEY, b"nothing".to_vec())
        .await
        .unwrap_err();
    assert!(matches!(refused, HsmError::Input { .. }), "{refused}");
    let refused = bench
        .hsm
        .put_certificate(5, certificate_for(&public))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, HsmError::NoSuchKey { key_id: 5, .. }),
        "{refused}"
    );
    assert!(bench.hsm.key(KEY).await.unwrap().is_some());
    let certificate = certificate_for(&public);
    bench.hsm.put_certificate(KEY, certificate.clone()).await.unwrap();
    bench.hsm.close("looked at from outside");
    let connect = VirtualConnect::new(bench.line.dir(), installation.at_rest());
    let token = VirtualToken::open(&connect.dir, &connect.at_rest).unwrap();
    let mut token = Card::new(token).select().unwrap();
    let entry = keystore::entry(&mut token, KeyId(KEY)).unwrap().unwrap();
    assert_eq!(entry.certificate.unwrap().bytes(), certificate);
}

/// A certificate for this public key, signed by nobody in particular.
fn certificate_for<T: HasPublic>(key: &PKeyRef<T>) -> Vec<u8> {
    let signer = PKey::from_ec_key(
        EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap(),
    )
    .unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "test").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
        .set_not_before(&Asn1Time::from_unix(1_700_000_000).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::from_unix(1_800_000_000).unwrap())
        .unwrap();
    builder.sign(&signer, MessageDigest::sha256()).unwrap();
    builder.build().to_der().unwrap()
}
