//! What people did who used it for the first time.

use chancery_api::{FailureKind, Intent};

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_with_an_rsa_key_issues_and_revokes() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world.unlock_all().await;
    world.create_ca("rsa:2048").await;
    let request = world.approved("www.example.com").await;
    let detail = world.sign(request).await.unwrap();
    let root = world.center.ca_show("root").await.unwrap().certificate.unwrap();
    let root = openssl::x509::X509::from_der(&root.0).unwrap();
    let leaf = openssl::x509::X509::from_der(&detail.der.unwrap().0).unwrap();
    assert_eq!(root.public_key().unwrap().bits(), 2048);
    assert!(leaf.verify(&root.public_key().unwrap()).unwrap());
    let serial = detail.certificate.unwrap().serial;
    let revoke = Intent::CertificateRevoke {
        certificate: serial,
        reason: "superseded".into(),
    };
    world.act("carol", revoke).await.unwrap();
    world
        .act("carol", Intent::CrlCreate { ca: "root".into() })
        .await
        .unwrap();
    let crl = world.center.crl_show("root").await.unwrap();
    let crl = openssl::x509::X509Crl::from_der(&crl.der.0).unwrap();
    assert!(crl.verify(&root.public_key().unwrap()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_token_is_no_hsm() {
    let mut world = World::new().await;
    world.add_people().await;
    for token in ["alice", "bob"] {
        let failure = world
            .act(
                "alice",
                Intent::HsmAttach {
                    token: token.into(),
                    connector: None,
                },
            )
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
        assert!(
            failure.message.contains(&format!("belongs to {token}")),
            "{failure:?}"
        );
    }
    // The tokens were given back.
    world.local.open("bob").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_could_not_be_put_on_a_list_is_refused() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    let serial = world.sign(request).await.unwrap().certificate.unwrap().serial;
    for reason in ["remove-from-crl", "certificate-hold", "stolen"] {
        let revoke = Intent::CertificateRevoke {
            certificate: serial.clone(),
            reason: reason.into(),
        };
        let failure = world.act("carol", revoke).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid, "{reason}: {failure:?}");
        assert!(!failure.remedy.unwrap().contains("remove-from-crl"));
    }
    world
        .act("carol", Intent::CrlCreate { ca: "root".into() })
        .await
        .unwrap();
}
