//! Challenges and answers: whose answer counts, for which HSM, and how often.

use chancery_api::{FailureKind, HsmLock, HsmState, Role, UnlockChallenge};

use crate::support::World;

async fn custodians_registered() -> World {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world
}

async fn locked(world: &World, hsm: &str) -> bool {
    matches!(
        world.center.hsm_status(hsm).await.unwrap().state,
        HsmState::Locked { .. }
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_custodian_is_told_who_is() {
    let mut world = custodians_registered().await;
    world.add_person("dave", &[Role::Auditor]).await.unwrap();
    let call = |person: &str| UnlockChallenge {
        hsm: "hsm-a".into(),
        person: person.into(),
    };
    let failure = world.center.unlock_challenge(&call("dave")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    assert_eq!(failure.unmet[0].code, "custodian");
    assert_eq!(failure.unmet[0].who, ["alice", "bob", "carol"]);
    let failure = world.center.unlock_challenge(&call("mallory")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
    assert!(locked(&world, "hsm-a").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custodian_counts_once() {
    let world = custodians_registered().await;
    world.unlock("hsm-a", "alice").await.unwrap();
    let failure = world.answer("hsm-a", "alice").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    assert_eq!(failure.unmet[0].code, "answered");
    assert_eq!(failure.unmet[0].who, ["bob", "carol"]);
    assert_eq!(
        world.sentence("hsm-a").await,
        "quorum 1 of 2; answered: alice; could: bob, carol"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_another_hsm_is_refused() {
    let world = custodians_registered().await;
    // Handed in at the wrong HSM.
    let (session, signature) = world.answer("hsm-a", "alice").await.unwrap();
    let (session_b, _) = world.answer("hsm-b", "alice").await.unwrap();
    let failure = world.hand_in("hsm-b", &session, &signature).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    let failure = world.hand_in("hsm-b", &session_b, &signature).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(locked(&world, "hsm-b").await);
    // It is still good where it belongs.
    world.hand_in("hsm-a", &session, &signature).await.unwrap();

    // Made for hsm-a over a challenge of hsm-b.
    let a = world.center.hsm_status("hsm-a").await.unwrap();
    let call = UnlockChallenge {
        hsm: "hsm-b".into(),
        person: "bob".into(),
    };
    let mut view = world.center.unlock_challenge(&call).await.unwrap();
    let mut token = world.token("bob");
    view.hsm = a.name;
    let chain_b = view.chain.clone();
    view.chain = chancery_api::Base64(world.ask("SELECT chain FROM hsm WHERE name = 'hsm-a'").await);
    assert_ne!(view.chain, chain_b);
    let signature = world.answer_to(&mut token, "bob", "hsm-a", &view);
    let failure = world
        .hand_in("hsm-b", &view.session, &signature)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(locked(&world, "hsm-b").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_answer_is_refused() {
    let world = custodians_registered().await;
    let (session, signature) = world.answer("hsm-a", "alice").await.unwrap();
    world.hand_in("hsm-a", &session, &signature).await.unwrap();
    let again = world.hand_in("hsm-a", &session, &signature).await.unwrap_err();
    assert_eq!(again.kind, FailureKind::Refused, "{again:?}");
    world.center.hsm_lock(&HsmLock { hsms: vec![] }, 0).await.unwrap();
    // The same signature for another challenge.
    let (second, _) = world.answer("hsm-a", "alice").await.unwrap();
    let failure = world.hand_in("hsm-a", &second, &signature).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(locked(&world, "hsm-a").await);
    // The challenge is spent, even for the right answer to come.
    let failure = world.hand_in("hsm-a", &second, &signature).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    world.unlock("hsm-a", "alice").await.unwrap();
    let refused = world
        .events()
        .await
        .iter()
        .filter(|name| *name == "answer-refused")
        .count();
    // Twice nobody had been asked any more: that is no event.
    assert_eq!(refused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_nobody_answers_expires() {
    let mut world = custodians_registered().await;
    world.stop().await;
    world
        .line
        .impatient
        .store(true, std::sync::atomic::Ordering::Relaxed);
    world.start().await;
    let (session, signature) = world.answer("hsm-a", "alice").await.unwrap();
    let failure = world.hand_in("hsm-a", &session, &signature).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("expired"), "{failure:?}");
    assert!(failure.remedy.unwrap().contains("new challenge"));
    assert!(locked(&world, "hsm-a").await);
    world
        .line
        .impatient
        .store(false, std::sync::atomic::Ordering::Relaxed);
    world.restart().await;
    world.unlock_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_session_costs_nothing() {
    let world = custodians_registered().await;
    let (session, signature) = world.answer("hsm-a", "alice").await.unwrap();
    for (session, signature) in [
        ("0".repeat(32), &signature[..]),
        (session.clone(), &signature[..63]),
    ] {
        let failure = world.hand_in("hsm-a", &session, signature).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    }
    let view = world.hand_in("hsm-a", &session, &signature).await.unwrap();
    let leaves = world.leaves().await;
    let answered = leaves
        .iter()
        .find(|leaf| leaf["event"] == "custodian-answered")
        .unwrap();
    assert_eq!(answered["data"]["asked"]["person"], "alice");
    assert!(matches!(view.state, HsmState::Quorum { have: 1, need: 2, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_custodians_answer_is_refused() {
    let world = custodians_registered().await;
    let call = UnlockChallenge {
        hsm: "hsm-a".into(),
        person: "alice".into(),
    };
    let view = world.center.unlock_challenge(&call).await.unwrap();
    let signature = world.answer_to(&mut world.token("bob"), "bob", "hsm-a", &view);
    let failure = world
        .hand_in("hsm-a", &view.session, &signature)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(locked(&world, "hsm-a").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_all_custodians_nothing_is_opened() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    for name in ["alice", "bob"] {
        world.register_custodian(name, &["hsm-a"]).await.unwrap();
    }
    assert_eq!(
        world.sentence("hsm-a").await,
        "1 custodians still to be registered"
    );
    let failure = world.answer("hsm-a", "alice").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked, "{failure:?}");
    assert_eq!(failure.unmet[0].code, "custodians");
}
