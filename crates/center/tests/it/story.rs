//! From tokens to a certificate and its revocation, and what is refused on the way.

use chancery_api::{FailureKind, HsmState, Intent, Performed, SignerVerify};

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_csr_becomes_a_certificate_that_two_custodians_made_possible() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;

    let one = world.unlock("hsm-a", "alice").await.unwrap();
    assert!(
        matches!(one.state, HsmState::Quorum { have: 1, need: 2, .. }),
        "{:?}",
        one.state
    );
    assert_eq!(
        one.state.sentence(),
        "quorum 1 of 2; answered: alice; could: bob, carol"
    );
    let two = world.unlock("hsm-a", "bob").await.unwrap();
    assert!(matches!(two.state, HsmState::Unlocked { .. }), "{:?}", two.state);

    world.create_ca("ec:P-256").await;
    let request = world.approved("www.example.com").await;
    let detail = world.sign(request).await.unwrap();
    assert_eq!(detail.request.state, "done");
    let root = world.center.ca_show("root").await.unwrap().certificate.unwrap();
    let root = openssl::x509::X509::from_der(&root.0).unwrap();
    let leaf = openssl::x509::X509::from_der(&detail.der.unwrap().0).unwrap();
    assert!(leaf.verify(&root.public_key().unwrap()).unwrap());
    assert_eq!(root.issued(&leaf), openssl::x509::X509VerifyResult::OK);

    for name in ["alice", "bob"] {
        world.unlock("hsm-b", name).await.unwrap();
    }
    let copied = world
        .act(
            "alice",
            Intent::SignerReplicate {
                ca: "root".into(),
                hsm: "hsm-b".into(),
            },
        )
        .await
        .unwrap();
    let Performed::Signer { signer } = copied else {
        panic!("{copied:?}")
    };
    assert!(
        signer
            .replicas
            .iter()
            .any(|replica| replica.hsm == "hsm-b" && replica.state == "verified")
    );

    world
        .act("alice", Intent::HsmDetach { hsm: "hsm-a".into() })
        .await
        .unwrap();
    let second = world.approved("mail.example.com").await;
    let second = world.sign(second).await.unwrap();
    assert_eq!(second.request.state, "done");

    let serial = second.certificate.unwrap().serial;
    let revoke = Intent::CertificateRevoke {
        certificate: serial,
        reason: "key-compromise".into(),
    };
    world.act("carol", revoke).await.unwrap();
    let crl = world
        .act("carol", Intent::CrlCreate { ca: "root".into() })
        .await
        .unwrap();
    let Performed::Crl { crl } = crl else {
        panic!("{crl:?}")
    };
    assert_eq!((crl.number, crl.entries), (1, 1));
    let verified = SignerVerify {
        ca: "root".into(),
        hsm: None,
    };
    world.center.signer_verify(&verified, 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_custodian_is_not_enough_and_the_reason_is_told() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    world
        .center
        .hsm_lock(&chancery_api::HsmLock { hsms: vec![] }, 0)
        .await
        .unwrap();
    world.unlock("hsm-a", "carol").await.unwrap();
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    let first = &failure.unmet[0];
    assert_eq!(first.what, "quorum 1 of 2 on hsm-a");
    assert_eq!(first.who, ["alice", "bob"]);
    let why = world.center.request_why(request).await.unwrap();
    assert_eq!(why.unmet, failure.unmet);
    world.unlock("hsm-a", "bob").await.unwrap();
    assert_eq!(world.sign(request).await.unwrap().request.state, "done");
}
