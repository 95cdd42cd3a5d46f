//! Tokens that become HSMs, and what an HSM says of itself.

use chancery_api::{Failure, FailureKind, HsmLock, HsmState, Intent};

use crate::support::World;

fn init(tokens: &[&str]) -> Intent {
    Intent::HsmInit {
        tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
        required: 2,
        total: 3,
        shares: 2,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_keys_is_never_initialised() {
    let world = World::ready().await;
    for (token, keys) in [("hsm-a", "a key"), ("alice", "2 keys")] {
        let failure = world.act("alice", init(&[token])).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
        assert_eq!(
            failure.message,
            format!("token {token} holds {keys}: it is not initialised")
        );
    }
    // Neither is an empty one that is named together with it.
    let failure = world.act("alice", init(&["dave", "hsm-b"])).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    assert_eq!(world.center.hsm_list().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_quorums_are_refused() {
    let world = World::new().await;
    for (required, total, shares) in [(0, 3, 2), (4, 3, 2), (1, 0, 2), (2, 91, 2), (2, 3, 0), (2, 3, 17)] {
        let intent = Intent::HsmInit {
            tokens: vec!["hsm-a".into()],
            required,
            total,
            shares,
        };
        assert_eq!(
            world.act("alice", intent).await.unwrap_err().kind,
            FailureKind::Invalid
        );
    }
    for tokens in [vec![], vec!["hsm-a", "hsm-a"]] {
        assert_eq!(
            world.act("alice", init(&tokens)).await.unwrap_err().kind,
            FailureKind::Invalid
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_initialised_hsm_is_initialised_again() {
    let mut world = World::new().await;
    let mut failures = 0;
    let mut left = 0;
    loop {
        let act = world
            .signed("alice", "alice", init(&["hsm-a", "hsm-b"]))
            .await
            .unwrap();
        world.line.cut_after(left, left % 2 == 0);
        let outcome = world.perform(act).await;
        world.line.mend();
        match outcome {
            Ok(_) => break,
            Err(failure) => assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}"),
        }
        failures += 1;
        left += 3;
    }
    assert!(failures > 8, "{failures} interruptions");
    // The last cut may have come after the end.
    world.restart().await;
    let views = world.center.hsm_list().await.unwrap();
    assert_eq!(views.len(), 2);
    assert_eq!(views[0].kcv, views[1].kcv);
    for view in &views {
        assert!(
            matches!(view.state, HsmState::Unregistered { missing: 3 }),
            "{view:?}"
        );
    }
    world.add_people().await;
    world.register_custodians().await;
    world.unlock_all().await;
    world.create_ca("ec:P-256").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_hsm_is_made_anew_with_new_custodians() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world.init_hsms().await;
    let view = world.center.hsm_status("hsm-a").await.unwrap();
    assert!(
        matches!(view.state, HsmState::Unregistered { missing: 3 }),
        "{view:?}"
    );
    assert!(view.custodians.is_empty());
    world.register_custodians().await;
    world.unlock_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_has_its_sentence() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    assert_eq!(
        world.sentence("hsm-a").await,
        "3 custodians still to be registered"
    );
    world.register_custodians().await;
    assert_eq!(
        world.sentence("hsm-a").await,
        "locked; can answer: alice, bob, carol"
    );
    world.unlock("hsm-a", "bob").await.unwrap();
    assert_eq!(
        world.sentence("hsm-a").await,
        "quorum 1 of 2; answered: bob; could: alice, carol"
    );
    world.unlock("hsm-a", "carol").await.unwrap();
    assert_eq!(
        world.sentence("hsm-a").await,
        "unlocked since 2026-11-21T12:00:00Z by bob, carol"
    );
    let failure = world.answer("hsm-a", "alice").await.unwrap_err();
    assert!(failure.message.contains("unlocked already"), "{failure:?}");
    world.line.unplug("hsm-a");
    world.pass(1);
    assert_eq!(
        world.sentence("hsm-a").await,
        "lost since 2026-11-21T12:00:01Z because the token is gone: the plug was pulled"
    );
    world.line.mend();
    world.attach("hsm-a").await.unwrap();
    assert_eq!(
        world.sentence("hsm-a").await,
        "locked; can answer: alice, bob, carol"
    );
    world
        .act("alice", Intent::HsmDetach { hsm: "hsm-a".into() })
        .await
        .unwrap();
    assert_eq!(world.sentence("hsm-a").await, "detached");
    let failure = world
        .act("alice", Intent::HsmDetach { hsm: "hsm-a".into() })
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    let failure = world.attach("hsm-b").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    let losses = world
        .events()
        .await
        .iter()
        .filter(|name| *name == "hsm-lost")
        .count();
    assert_eq!(losses, 1);
}

async fn lock(world: &World, hsms: &[&str]) -> Result<(), Failure> {
    let hsms = hsms.iter().map(|hsm| (*hsm).to_owned()).collect();
    world.center.hsm_lock(&HsmLock { hsms }, 0).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn locking_locks() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    lock(&world, &["hsm-a"]).await.unwrap();
    assert!(world.sentence("hsm-a").await.starts_with("locked"));
    assert!(world.sentence("hsm-b").await.starts_with("unlocked"));
    assert!(world.center.any_unlocked());
    // The other one goes on.
    assert_eq!(world.sign(request).await.unwrap().request.state, "done");
    assert_eq!(
        lock(&world, &["hsm-z"]).await.unwrap_err().kind,
        FailureKind::NotFound
    );
    lock(&world, &[]).await.unwrap();
    assert!(!world.center.any_unlocked());
    let request = world.approved("mail.example.com").await;
    let before = world.signs();
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    assert_eq!(failure.unmet.len(), 1, "any one HSM is enough: {failure:?}");
    assert_eq!(
        failure.unmet[0].or,
        ["chancery hsm unlock hsm-b --as alice"],
        "{failure:?}"
    );
    assert_eq!(world.signs(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hsm_that_is_lost_leaves_no_other_open() {
    let world = World::ready().await;
    world.line.unplug("hsm-a");
    lock(&world, &[]).await.unwrap();
    assert!(world.sentence("hsm-a").await.starts_with("lost"));
    assert!(world.sentence("hsm-b").await.starts_with("locked"));

    world.line.mend();
    world.attach("hsm-a").await.unwrap();
    world.unlock_all().await;
    world.line.unplug("hsm-a");
    let failure = lock(&world, &["hsm-a", "hsm-b"]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    assert!(world.sentence("hsm-b").await.starts_with("locked"));
}
