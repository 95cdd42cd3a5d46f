//! Revocation, and lists of what is revoked.

use chancery_api::{CrlDetail, Failure, FailureKind, Intent, Performed, RequestNumber};
use chancery_pki::RevocationList;
use openssl::{
    asn1::Asn1Time,
    x509::{CrlStatus, X509, X509Crl},
};

use crate::support::World;

fn revoke(certificate: &str, reason: &str) -> Intent {
    Intent::CertificateRevoke {
        certificate: certificate.to_owned(),
        reason: reason.to_owned(),
    }
}

async fn crl(world: &World) -> Result<CrlDetail, Failure> {
    match world
        .act("carol", Intent::CrlCreate { ca: "root".into() })
        .await?
    {
        Performed::Crl { crl } => Ok(crl),
        other => panic!("{other:?}"),
    }
}

async fn issued(world: &World, name: &str) -> (RequestNumber, X509, String) {
    let request = world.approved(name).await;
    let done = world.sign(request).await.unwrap();
    let certificate = X509::from_der(&done.der.unwrap().0).unwrap();
    (request, certificate, done.certificate.unwrap().serial)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_revoked() {
    let world = World::ready().await;
    let (_, _, serial) = issued(&world, "www.example.com").await;
    let failure = world.act("carol", revoke(&serial, "boredom")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert!(failure.remedy.unwrap().contains("key-compromise"));
    assert_eq!(
        world
            .act("carol", revoke("00", "superseded"))
            .await
            .unwrap_err()
            .kind,
        FailureKind::NotFound
    );
    let failure = world
        .act("alice", revoke(&serial, "superseded"))
        .await
        .unwrap_err();
    assert_eq!(failure.unmet[0].who, ["bob", "carol"]);
    let root = world
        .certificates()
        .await
        .into_iter()
        .find(|one| one.profile == "root")
        .unwrap();
    let failure = world
        .act("carol", revoke(&hex::encode(&root.serial), "superseded"))
        .await
        .unwrap_err();
    assert!(
        failure.message.contains("a root cannot revoke itself"),
        "{failure:?}"
    );

    world.act("bob", revoke(&serial, "superseded")).await.unwrap();
    let failure = world
        .act("carol", revoke(&serial, "key-compromise"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.message.contains("revoked already"), "{failure:?}");

    let request = world.approved("mail.example.com").await;
    let act = world.sign_intent(request).await;
    world.line.cut_after(0, false);
    world.perform(act).await.unwrap_err();
    let failure = world
        .act("carol", revoke(&format!("#{request}"), "superseded"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.message.contains("not signed yet"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_decisions_to_revoke_revoke_once() {
    let world = World::ready().await;
    let (_, _, serial) = issued(&world, "www.example.com").await;
    let first = world
        .signed("carol", "carol", revoke(&serial, "superseded"))
        .await
        .unwrap();
    let second = world
        .signed("bob", "bob", revoke(&serial, "key-compromise"))
        .await
        .unwrap();
    world.perform(first).await.unwrap();
    let failure = world.perform(second).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    let shown = world.center.cert_show(&serial).await.unwrap();
    assert_eq!(shown.certificate.revoked.unwrap().1, "superseded");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_numbered_and_say_when_the_next_comes() {
    let world = World::ready().await;
    world.watch_signatures();
    let (_, certificate, serial) = issued(&world, "www.example.com").await;
    let (_, good, _) = issued(&world, "mail.example.com").await;
    assert_eq!(
        world.center.crl_show("root").await.unwrap_err().kind,
        FailureKind::NotFound
    );
    let first = crl(&world).await.unwrap();
    world.pass(60);
    world
        .act("carol", revoke(&serial, "key-compromise"))
        .await
        .unwrap();
    let second = crl(&world).await.unwrap();
    assert_eq!((first.number, first.entries), (1, 0));
    assert_eq!((second.number, second.entries), (2, 1));
    assert_eq!(second.this_update, "2026-11-21T12:01:00Z");
    assert_eq!(second.next_update, "2026-11-28T12:01:00Z");

    // OpenSSL reads the same.
    let root = X509::from_der(&world.center.ca_show("root").await.unwrap().certificate.unwrap().0).unwrap();
    let list = X509Crl::from_der(&second.der.0).unwrap();
    assert!(list.verify(&root.public_key().unwrap()).unwrap());
    assert!(matches!(list.get_by_cert(&certificate), CrlStatus::Revoked(_)));
    assert!(matches!(list.get_by_cert(&good), CrlStatus::NotRevoked));
    let now = world.clock.0.load(std::sync::atomic::Ordering::Relaxed) / 1000;
    let week = Asn1Time::from_unix(now + 7 * 24 * 3600).unwrap();
    assert!(list.next_update().unwrap() == week);
    assert_eq!(world.center.crl_show("root").await.unwrap().number, 2);
    world.holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_list_is_finished_with_its_own_bytes() {
    for delivered in [false, true] {
        let mut world = World::ready().await;
        world.watch_signatures();
        let (_, _, serial) = issued(&world, "www.example.com").await;
        world
            .act("carol", revoke(&serial, "key-compromise"))
            .await
            .unwrap();
        let act = world
            .signed("carol", "carol", Intent::CrlCreate { ca: "root".into() })
            .await
            .unwrap();
        world.line.cut_after(0, delivered);
        let failure = world.perform(act).await.unwrap_err();
        assert!(
            failure.message.contains("CRL 1 is recorded and not yet signed"),
            "{failure:?}"
        );
        let recorded = world.ask("SELECT tbs FROM crl WHERE number = 1").await;
        world.restart().await;
        world.unlock_all().await;
        // Something else was revoked meanwhile: that is for the next list.
        let (_, _, other) = issued(&world, "mail.example.com").await;
        world.act("carol", revoke(&other, "superseded")).await.unwrap();
        world.pass(60);
        let second = crl(&world).await.unwrap();
        assert_eq!((second.number, second.entries), (2, 2));
        assert_eq!(world.ask("SELECT tbs FROM crl WHERE number = 1").await, recorded);
        let first = RevocationList::parse(&world.ask("SELECT der FROM crl WHERE number = 1").await).unwrap();
        assert_eq!((first.number, first.entries.len()), (1, 1));
        world.holds(0).await;
    }
}

/// A row of the table of lists is a claim: the CA's key signs no other bytes because they stand there.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_list_is_not_signed() {
    let mut world = World::ready().await;
    let (_, _, serial) = issued(&world, "www.example.com").await;
    world
        .act("carol", revoke(&serial, "key-compromise"))
        .await
        .unwrap();
    let act = world
        .signed("carol", "carol", Intent::CrlCreate { ca: "root".into() })
        .await
        .unwrap();
    world.line.cut_after(0, false);
    world.perform(act).await.unwrap_err();
    world.restart().await;
    world.unlock_all().await;
    world.run("CREATE TABLE kept AS SELECT * FROM crl").await;
    for sql in [
        // To-be-signed bytes of a certificate.
        "UPDATE crl SET tbs = (SELECT tbs FROM certificate WHERE profile = 'server')",
        "UPDATE crl SET number = 7",
        "UPDATE crl SET next_update_seconds = next_update_seconds + 1",
        "UPDATE crl SET act_id = (SELECT id FROM act WHERE verb = 'request-sign' LIMIT 1)",
        "UPDATE act SET signature = zeroblob(70) WHERE verb = 'crl-create'",
        // An entry goes: the list says more than is revoked.
        "UPDATE certificate SET state = 'issued', revoked_seconds = NULL, revoked_reason = NULL, revoked_act_id = NULL WHERE state = 'revoked'",
    ] {
        world.edit(sql).await;
        let before = world.signs();
        let failure = crl(&world).await.expect_err(sql);
        assert_eq!(failure.kind, FailureKind::Refused, "{sql}: {failure:?}");
        assert!(failure.message.contains("was altered"), "{sql}: {failure:?}");
        assert_eq!(world.signs(), before, "{sql}");
        world.edit("DELETE FROM crl").await;
        world.edit("INSERT INTO crl SELECT * FROM kept").await;
    }
}
