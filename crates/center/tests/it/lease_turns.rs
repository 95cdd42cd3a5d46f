//! Custodians who ask for much do not keep others from answering, and who asked for a lease looks after it whoever it is.

use std::sync::atomic::{AtomicBool, Ordering};

use chancery_api::{FailureKind, LeaseShow, LeaseState, StatementKind};

use crate::support::{
    World,
    leases::{BUILDER, OTHER, wanted},
};

#[tokio::test(flavor = "multi_thread")]
async fn many_questions_of_one_take_none_from_others() {
    let world = World::open_signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    let text = world.show(lease).await.text.0;
    let of_bob = world.question(lease, "bob", "hsm-a", false).await.unwrap();
    let first = world.question(lease, "alice", "hsm-a", true).await.unwrap();
    let mut last = first.clone();
    for _ in 0..40 {
        last = world.question(lease, "alice", "hsm-a", true).await.unwrap();
    }
    // The first of her own gave way.
    let stale = world.reply(lease, "alice", &text, &first, Some("no"));
    let failure = world.center.lease_answer(&stale).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("nothing was asked"), "{failure:?}");
    let answer = world.reply(lease, "bob", &text, &of_bob, None);
    world.center.lease_answer(&answer).await.unwrap();
    let answer = world.reply(lease, "alice", &text, &last, Some("no"));
    let view = world.center.lease_answer(&answer).await.unwrap();
    assert_eq!(view.state, LeaseState::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custodian_who_asks_again_and_again_keeps_nobody_from_a_locked_hsm() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    let text = world.show(lease).await.text.0;
    let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    assert_eq!(view.kind, StatementKind::Unlock);
    let is_answered = AtomicBool::new(false);
    let of_bob = async {
        let view = world.question(lease, "bob", "hsm-a", false).await.unwrap();
        // He takes his time, and alice's next call waits.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let answer = world.reply(lease, "bob", &text, &view, None);
        let counted = world.center.lease_answer(&answer).await.unwrap();
        is_answered.store(true, Ordering::Relaxed);
        counted
    };
    let alice = async {
        let mut calls = 0;
        while !is_answered.load(Ordering::Relaxed) {
            // Time passes only while it is her turn; her call waits while it is his, however long he needs.
            if world.question(lease, "alice", "hsm-a", false).await.is_ok() {
                world.clock.1.fetch_add(600, Ordering::Relaxed);
            }
            calls += 1;
            assert!(calls < 2000, "her turn does not end");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    // Counted from the last of her calls her turn would never end.
    let (counted, ()) = tokio::join!(of_bob, alice);
    assert_eq!(counted.agreed, ["bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_that_sees_the_leases_of_others_looks_after_its_own() {
    let world = World::signing().await;
    let ask = async || {
        let mut call = wanted(vec![], 1);
        call.attended_seconds = Some(15);
        world.request(call).await.unwrap()
    };
    let look = async |lease, by| {
        let call = LeaseShow {
            lease,
            known: None,
            wait_seconds: 0,
        };
        world.center.lease_show(&call, None, by).await.unwrap().state
    };
    let mine = ask().await;
    for _ in 0..3 {
        world.clock.1.fetch_add(14_000, Ordering::Relaxed);
        assert_eq!(look(mine, &BUILDER).await, LeaseState::Waiting);
    }
    // Others who look at it are not its requester.
    let forgotten = ask().await;
    world.clock.1.fetch_add(14_000, Ordering::Relaxed);
    assert_eq!(look(forgotten, &OTHER).await, LeaseState::Waiting);
    world.clock.1.fetch_add(2_000, Ordering::Relaxed);
    assert_eq!(look(forgotten, &OTHER).await, LeaseState::Withdrawn);
}
