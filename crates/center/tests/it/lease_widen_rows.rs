//! A widened lease across commits that take long or fail, restarts, and HSMs that count answers of others.

use std::sync::atomic::Ordering;

use chancery_api::{FailureKind, HsmState, Intent, LeaseState, ReceiptShow, UnlockChallenge};

use crate::support::{
    World,
    faults::Fault,
    leases::{OTHER, digest, digests, wanted},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_a_restart_is_about_the_text_it_was_given_for() {
    for lost in [1, 3] {
        let mut world = World::signing().await;
        let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
        for _ in 0..lost {
            // It counted nowhere, and its place stays free.
            world.faults.fail(1, Fault::Before);
            world.agree(lease, "alice", "hsm-a").await.unwrap_err();
            world.faults.heal();
        }
        world.widen(lease, "bob", 2).await.unwrap();
        world.restart().await;
        world.quorum(lease, "hsm-a").await;
        world.sign_digests(&digests(0..2)).await.unwrap();
        let call = ReceiptShow {
            lease,
            digest: digest(1),
        };
        let receipt = world.center.receipt_show(&call, None).await.unwrap();
        assert_eq!(receipt.statements.len(), 2);
        world.restart().await;
        let view = world.show(lease).await;
        assert_eq!(view.state, LeaseState::Waiting, "{:?}", view.because);
        world.quorum(lease, "hsm-a").await;
        world.sign_digests(&[digest(2)]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_that_it_was_widened_adds_no_time() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    let begun = world.clock.1.load(Ordering::Relaxed);
    let passed = || (world.clock.1.load(Ordering::Relaxed) - begun) / 1000;
    world.faults.take_time(&world.clock, 10_000);
    for _ in 0..3 {
        let view = world.widen(lease, "bob", 1).await.unwrap();
        assert!(passed() >= 10);
        assert!(view.remaining_seconds <= 3600 - passed(), "{view:?} {}", passed());
    }
    // A new end counts from when it was asked for.
    let mut call = world.widening(lease, "bob", 1).await;
    call.seconds = Some(60);
    let before = passed();
    let view = world.center.lease_widen(&call, &OTHER).await.unwrap();
    assert!(view.remaining_seconds <= 60 - (passed() - before), "{view:?}");
    assert!(passed() - before >= 10);
}

/// As [`World::signing`], with HSMs that three custodians open.
async fn three_needed() -> World {
    let mut world = World::new().await;
    world.add_people().await;
    let intent = Intent::HsmInit {
        tokens: vec!["hsm-a".to_owned(), "hsm-b".to_owned()],
        required: 3,
        total: 3,
        shares: 2,
    };
    world.act("alice", intent).await.unwrap();
    world.register_custodians().await;
    for hsm in ["hsm-a", "hsm-b"] {
        for person in ["alice", "bob", "carol"] {
            world.unlock(hsm, person).await.unwrap();
        }
    }
    world.create_signer("firmware", "ec:P-256").await.unwrap();
    world.copy_signer("firmware").await.unwrap();
    world.lock_all().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_answered_for_the_hsm_itself_is_not_forgotten() {
    let world = three_needed().await;
    world.unlock("hsm-a", "alice").await.unwrap();
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    world.agree(lease, "bob", "hsm-a").await.unwrap();
    let have = async || match world.center.hsm_status("hsm-a").await.unwrap().state {
        HsmState::Quorum { have, .. } => have,
        other => panic!("{other:?}"),
    };
    assert_eq!(have().await, 2);
    world.widen(lease, "carol", 1).await.unwrap();
    assert_eq!(have().await, 2, "alice did not answer for the lease");
    assert!(world.show(lease).await.agreed.is_empty());
    assert!(
        world.show(lease).await.node_enforced,
        "the node asks in its place"
    );
    // What bob gave was for the lease: it opens the HSM for nothing else.
    let call = UnlockChallenge {
        hsm: "hsm-a".into(),
        person: "carol".into(),
    };
    let failure = world.center.unlock_challenge(&call).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    assert!(failure.message.contains("for a lease"), "{failure:?}");
    for person in ["alice", "bob", "carol"] {
        world.agree(lease, person, "hsm-a").await.unwrap();
    }
    let view = world.show(lease).await;
    assert_eq!((view.state, view.node_enforced), (LeaseState::Live, true));
}
