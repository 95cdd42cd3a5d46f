//! Requests that become certificates, and those that do not.

use chancery_agent::ShownAct;
use chancery_api::{Decision, FailureKind, Hash32, Intent};
use openssl::x509::X509;

use super::csr::Csr;
use crate::support::{World, csr};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_key_is_certified() {
    let world = World::ready().await;
    let root = X509::from_der(&world.center.ca_show("root").await.unwrap().certificate.unwrap().0).unwrap();
    for kind in ["Ed25519", "P-384", "RSA-3072"] {
        let made = Csr::new(kind, "www.example.com");
        let request = world.import(&made.to_der()).await.unwrap();
        world.approve("bob", &[request]).await.unwrap();
        let done = world.sign(request).await.unwrap();
        let leaf = X509::from_der(&done.der.unwrap().0).unwrap();
        assert!(leaf.verify(&root.public_key().unwrap()).unwrap(), "{kind}");
        assert!(leaf.public_key().unwrap().public_eq(&made.key), "{kind}");
        let names = leaf.subject_alt_names().unwrap();
        assert_eq!(names.get(0).unwrap().dnsname(), Some("www.example.com"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_request_stays_rejected() {
    let world = World::ready().await;
    let open = world.import(&csr("www.example.com")).await.unwrap();
    let approved = world.approved("mail.example.com").await;
    let reject = |requests, reason: &str| Intent::RequestReject {
        requests,
        reason: reason.into(),
    };
    let failure = world.act("carol", reject(vec![open], "no")).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.unmet[0].code.as_str()),
        (FailureKind::Blocked, "role")
    );
    for (requests, reason) in [(vec![], "no"), (vec![open], " "), (vec![open, open], "no")] {
        let failure = world.act("bob", reject(requests, reason)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid);
    }
    world
        .act("bob", reject(vec![open, approved], "nobody knows it"))
        .await
        .unwrap();
    for request in [open, approved] {
        let shown = world.center.request_show(request).await.unwrap();
        assert_eq!(shown.request.state, "rejected");
        let last = shown.decisions.last().unwrap();
        assert_eq!((last.decision.as_str(), last.person.as_str()), ("reject", "bob"));
        assert_eq!(last.reason.as_deref(), Some("nobody knows it"));
        let why = world.center.request_why(request).await.unwrap();
        assert_eq!((why.action, why.unmet.len()), (None, 0));
        let failure = world.sign(request).await.unwrap_err();
        assert_eq!(failure.unmet[0].code, "state", "{failure:?}");
        for intent in [
            Intent::RequestApprove {
                requests: vec![request],
            },
            reject(vec![request], "no"),
        ] {
            let failure = world.act("bob", intent).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
        }
        let failure = world.center.request_resume(request).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
    }
    world.watch_signatures();
    world.holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_done_is_done() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    // Two decisions to sign, drafted before either was handed in.
    let first = world.sign_intent(request).await;
    let second = world.sign_intent(request).await;
    let before = world.signs();
    world.perform(first).await.unwrap();
    let failure = world.perform(second).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    assert_eq!(failure.unmet[0].code, "state");
    assert_eq!(world.signs() - before, 1);
    let failure = world.approve("bob", &[request]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.message.contains("is done"), "{failure:?}");
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "state");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_decisions_at_the_same_time_sign_once() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    let first = world.sign_intent(request).await;
    let second = world.sign_intent(request).await;
    let before = world.signs();
    let (first, second) = tokio::join!(world.perform(first), world.perform(second));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert_eq!(world.signs() - before, 1);
    assert_eq!(world.state(request).await, "done");
    let of_request = world
        .certificates()
        .await
        .iter()
        .filter(|one| one.request == Some(request))
        .count();
    assert_eq!(of_request, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_bytes_are_made_anew_and_shown() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    let prepared = world
        .ask(&format!("SELECT tbs FROM request WHERE number = {request}"))
        .await;
    let shown = |act: &chancery_api::SignedAct| {
        let shown = ShownAct::read(&act.payload.0, world.installation.id, "carol", "request-sign").unwrap();
        let Decision::RequestSign { items } = shown.decision() else {
            panic!("{shown:?}")
        };
        items[0].clone()
    };
    // As long as they are fresh, the approved bytes are the ones.
    let act = world.sign_intent(request).await;
    assert_eq!(shown(&act).tbs, Hash32::of(&prepared));

    world.pass(2 * 3600);
    let failure = world.perform(act).await.unwrap_err();
    assert_eq!(
        failure.kind,
        FailureKind::Refused,
        "the draft is too old: {failure:?}"
    );
    let act = world.sign_intent(request).await;
    let item = shown(&act);
    assert_ne!(item.tbs, Hash32::of(&prepared));
    world.perform(act).await.unwrap();
    let done = world.center.request_show(request).await.unwrap();
    assert_eq!(done.certificate.unwrap().serial, item.serial);
    let stored = world
        .ask(&format!(
            "SELECT tbs FROM certificate WHERE request_number = {request}"
        ))
        .await;
    assert_eq!(Hash32::of(&stored), item.tbs);
    let leaf = X509::from_der(&done.der.unwrap().0).unwrap();
    let now = world.clock.0.load(std::sync::atomic::Ordering::Relaxed) / 1000;
    let hour_ago = openssl::asn1::Asn1Time::from_unix(now - 3600).unwrap();
    assert!(leaf.not_before() > hour_ago, "{}", leaf.not_before());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_ca_is_told_from_one_that_is_asked_for() {
    let world = World::ready().await;
    world
        .center
        .hsm_lock(&chancery_api::HsmLock { hsms: vec![] }, 0)
        .await
        .unwrap();
    let request = world.ca_request("second").await;
    world.approve("alice", &[request]).await.unwrap();
    let state = async || {
        world
            .center
            .ca_list()
            .await
            .unwrap()
            .into_iter()
            .find(|ca| ca.name == "second")
            .unwrap()
            .state
    };
    assert_eq!(state().await, "requested");
    let reject = Intent::RequestReject {
        requests: vec![request],
        reason: "no".into(),
    };
    world.act("alice", reject).await.unwrap();
    assert_eq!(state().await, "rejected");
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "state");
}
