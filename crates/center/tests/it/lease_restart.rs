//! Leases across restarts and failed records: how long they wait, who looks after them, and what is told meanwhile.

use std::sync::atomic::Ordering;

use chancery_api::{LeaseRevoke, LeaseState};

use crate::support::{
    World,
    faults::Fault,
    leases::{BUILDER, digest, wanted},
};

const SECOND: u64 = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_request_waits_survives_a_restart() {
    let mut world = World::signing().await;
    let mut call = wanted(vec![], 1);
    call.wait_seconds = Some(600);
    let lease = world.request(call.clone()).await.unwrap();
    // An answer that does not count is told, and changes nothing about that.
    let text = world.show(lease).await.text.0;
    let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    let answer = world.reply(lease, "bob", &text, &view, None);
    world.center.lease_answer(&answer).await.unwrap_err();
    assert!(world.show(lease).await.because.is_some());
    world.clock.1.fetch_add(400 * SECOND, Ordering::Relaxed);
    world.restart().await;
    world.clock.1.fetch_add(150 * SECOND, Ordering::Relaxed);
    assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
    world.clock.1.fetch_add(60 * SECOND, Ordering::Relaxed);
    assert_eq!(world.show(lease).await.state, LeaseState::TimedOut);
    // While the node is down the deadline counts.
    let lease = world.request(call).await.unwrap();
    world.stop().await;
    world.clock.0.fetch_add(601 * 1000, Ordering::Relaxed);
    world.start().await;
    assert_eq!(world.show(lease).await.state, LeaseState::TimedOut);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_looks_after_ends_after_a_restart_too() {
    let mut world = World::signing().await;
    let mut call = wanted(vec![], 1);
    call.attended_seconds = Some(30);
    let lease = world.request(call).await.unwrap();
    world.restart().await;
    world.clock.1.fetch_add(20 * SECOND, Ordering::Relaxed);
    assert_eq!(world.lease_state(lease).await, LeaseState::Waiting.name());
    world.clock.1.fetch_add(11 * SECOND, Ordering::Relaxed);
    let view = world.show(lease).await;
    assert_eq!(view.state, LeaseState::Withdrawn);
    assert_eq!(view.because.as_deref(), Some("its requester is gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_recorded_without_being_told_is_not_recorded_for_ever() {
    let world = World::signing().await;
    let lease = world.live(wanted(vec![], 3)).await;
    world.faults.fail(1, Fault::After);
    let call = LeaseRevoke {
        lease,
        reason: "not needed".into(),
    };
    world.center.lease_revoke(&call, &BUILDER).await.unwrap_err();
    world.faults.heal();
    world.until_locked("hsm-a").await;
    world.show(lease).await;
    let before = world.faults.commits();
    for _ in 0..4 {
        assert_eq!(world.show(lease).await.state, LeaseState::Revoked);
    }
    assert!(
        world.faults.commits() <= before + 1,
        "it is tried again and again"
    );
    let leaves = world.leaves().await;
    let told = leaves.iter().filter(|leaf| leaf["event"] == "lease-ended");
    assert_eq!(told.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_is_being_locked_is_not_called_unlocked() {
    let world = World::signing().await;
    let lease = world.live(wanted(vec![], 1)).await;
    world.sign_digests(&[digest(1)]).await.unwrap();
    loop {
        let view = world.show(lease).await;
        assert_eq!(view.state, LeaseState::Exhausted);
        let state = view.hsms.iter().find(|hsm| hsm.hsm == "hsm-a").unwrap();
        match state.state.as_str() {
            "locked" => break,
            other => assert_eq!(other, "being locked"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_before_there_are_enough_are_told() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    world.lock_all().await;
    let view = world.show(lease).await;
    assert!(view.agreed.is_empty());
    let because = view.because.unwrap();
    assert!(
        because.contains("hsm-a") && because.contains("must answer again"),
        "{because}"
    );
    world.quorum(lease, "hsm-a").await;
    assert_eq!(world.show(lease).await.state, LeaseState::Live);
}
