//! Keys are for CAs or for signing, for life; and rows that were altered give nothing.

use chancery_api::{CaCreate, FailureKind, LeaseState, Mechanism, ReceiptShow, SignerVerify};

use crate::support::{
    World,
    leases::{BUILDER, digest, digests, signing, wanted},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_never_signs_under_a_lease_and_a_signing_key_never_issues() {
    let world = World::ready().await;
    world.create_signer("firmware", "ec:P-256").await.unwrap();
    let mut call = wanted(vec![], 1);
    call.signer = "root".into();
    let failure = world.center.lease_request(call, &BUILDER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    let mut sign = signing(&[digest(1)]);
    sign.signer = "root".into();
    let failure = world.center.signing_sign(sign, &BUILDER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    let keys = world.center.signing_keys().await.unwrap();
    assert_eq!(
        keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(),
        ["firmware"]
    );
    let signers = world.center.signer_list().await.unwrap();
    let purposes: Vec<_> = signers
        .iter()
        .map(|view| (view.ca.as_str(), view.purpose.as_str()))
        .collect();
    assert_eq!(purposes, [("root", "ca"), ("firmware", "signing")]);
    // Names are unique among both.
    let failure = world.create_signer("root", "ec:P-256").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    let ca = CaCreate {
        name: "firmware".into(),
        subject: "CN=x".into(),
        algorithm: "ec:P-256".into(),
        hsm: "hsm-a".into(),
        profile: "root".into(),
    };
    let failure = world.center.ca_create(ca, 0).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    // An edited database makes no signing key of a CA's.
    world
        .edit(
            "UPDATE signing_key SET signer_id = (SELECT signer_id FROM ca), key_id = (SELECT key_id FROM ca)",
        )
        .await;
    for cover in ["SELECT 1", "UPDATE ca SET signer_id = NULL"] {
        if cover.starts_with("UPDATE") {
            world.edit(cover).await;
        }
        let failure = world.request(wanted(vec![], 1)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_generation_is_carried_on() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    // Approved while the HSM is locked: nothing is generated yet.
    let failure = world.create_signer("firmware", "rsa:2048").await.unwrap_err();
    assert!(
        failure.message.contains("is approved, but not yet carried out"),
        "{failure:?}"
    );
    let number = world.last_request().await;
    let why = world.center.request_why(number).await.unwrap();
    assert_eq!(why.action.as_deref(), Some("resume"));
    assert_eq!(why.unmet[0].code, "quorum");
    world.unlock_all().await;
    world.center.request_resume(number).await.unwrap();
    assert_eq!(world.state(number).await, "done");
    let verify = SignerVerify {
        ca: "firmware".into(),
        hsm: None,
    };
    world.center.signer_verify(&verify, 0).await.unwrap();
    // RSA signs both ways, and not by ECDSA.
    let failure = world.request(wanted(vec![], 1)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid, "{failure:?}");
    for mechanism in [Mechanism::RsaPkcs1, Mechanism::RsaPss] {
        let mut call = wanted(vec![], 1);
        call.mechanism = mechanism;
        world.live(call).await;
        let mut sign = signing(&[digest(1)]);
        sign.mechanism = mechanism;
        let signed = world.center.signing_sign(sign, &BUILDER).await.unwrap();
        assert_eq!(signed[0].signature.0.len(), 256);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_stored_for_its_own_key_alone() {
    let world = World::open_signing().await;
    let call = |certificate: Vec<u8>| chancery_api::SigningCertificate {
        signer: "firmware".into(),
        certificate: chancery_api::Base64(certificate),
    };
    let failure = world
        .center
        .signing_certificate(call(b"no".to_vec()), 0)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    let keys = world.center.signing_keys().await.unwrap();
    let key = openssl::pkey::PKey::public_key_from_der(&keys[0].public_key.0).unwrap();
    for (public, right) in [(key, true), (other_key(), false)] {
        let stored = world
            .center
            .signing_certificate(call(certificate(&public)), 0)
            .await;
        assert_eq!(stored.is_ok(), right);
    }
    assert!(
        world.center.signing_keys().await.unwrap()[0]
            .certificate
            .is_some()
    );
}

fn other_key() -> openssl::pkey::PKey<openssl::pkey::Public> {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = openssl::ec::EcKey::generate(&group).unwrap();
    let key = openssl::ec::EcKey::from_public_key(&group, key.public_key()).unwrap();
    openssl::pkey::PKey::from_ec_key(key).unwrap()
}

/// A certificate for a public key, signed by somebody.
fn certificate(public: &openssl::pkey::PKey<openssl::pkey::Public>) -> Vec<u8> {
    let issuer = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_pubkey(public).unwrap();
    let days = |days| openssl::asn1::Asn1Time::days_from_now(days).unwrap();
    builder.set_not_before(&days(0)).unwrap();
    builder.set_not_after(&days(9)).unwrap();
    builder
        .sign(&issuer, openssl::hash::MessageDigest::sha256())
        .unwrap();
    builder.build().to_der().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_rows_of_leases_are_noticed() {
    // At a restart: text, statements, counts, signatures.
    for edit in [
        "UPDATE lease SET text = CAST(REPLACE(CAST(text AS TEXT), 'firmware 4.2', 'firmware 9.9') AS BLOB)",
        "UPDATE lease SET requester = 'local:1001'",
        "UPDATE lease_manifest SET digests = ZEROBLOB(96)",
        "UPDATE lease_answer SET statement = ZEROBLOB(64) WHERE place = 1",
        "UPDATE lease_answer SET challenge = ZEROBLOB(8) WHERE place = 2",
        "UPDATE lease_signature SET signature = ZEROBLOB(64)",
    ] {
        let mut world = World::signing().await;
        let lease = world.live(wanted(digests(0..3), 1)).await;
        world.sign_digests(&[digest(1)]).await.unwrap();
        world.stop().await;
        world.edit(edit).await;
        world.start().await;
        let record = world.lease_state(lease).await;
        assert_eq!(record, LeaseState::Revoked.name(), "{edit}");
        world.sign_digests(&[digest(2)]).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_rows_make_no_receipt() {
    let world = World::signing().await;
    let lease = world.live(wanted(digests(0..3), 0)).await;
    world.sign_digests(&digests(0..2)).await.unwrap();
    let call = ReceiptShow {
        lease,
        digest: digest(0),
    };
    world.center.receipt_show(&call, None).await.unwrap();
    for (edit, back) in [
        (
            "UPDATE lease_signature SET signed_ms = signed_ms + 1000",
            "UPDATE lease_signature SET signed_ms = signed_ms - 1000",
        ),
        (
            "UPDATE lease_answer SET person = 'mallory' WHERE place = 1",
            "UPDATE lease_answer SET person = 'alice' WHERE place = 1",
        ),
        (
            "UPDATE lease_answer SET log_size = log_size + 1",
            "UPDATE lease_answer SET log_size = log_size - 1",
        ),
        (
            "UPDATE lease_signature SET attempt = 2",
            "UPDATE lease_signature SET attempt = 1",
        ),
    ] {
        world.edit(edit).await;
        let failure = world.center.receipt_show(&call, None).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{edit}: {failure:?}");
        world.edit(back).await;
        world.center.receipt_show(&call, None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_is_open_for_leases_alone_serves_no_ca() {
    let world = World::ready().await;
    world.create_signer("firmware", "ec:P-256").await.unwrap();
    let request = world.approved("www.example.org").await;
    world.lock_all().await;
    world.live(wanted(vec![], 3)).await;
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked, "{failure:?}");
    let verify = SignerVerify {
        ca: "root".into(),
        hsm: Some("hsm-a".into()),
    };
    world.center.signer_verify(&verify, 0).await.unwrap_err();
    let failure = world.create_signer("second", "ec:P-256").await.unwrap_err();
    assert!(failure.message.contains("not yet carried out"), "{failure:?}");
    let failure = world.answer("hsm-a", "alice").await.unwrap_err();
    assert!(failure.message.contains("open for leases"), "{failure:?}");
    world.lock_all().await;
    for person in ["alice", "bob"] {
        world.unlock("hsm-a", person).await.unwrap();
    }
    world.sign(request).await.unwrap();
}
