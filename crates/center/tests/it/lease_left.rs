//! Answers that an HSM counts for a request that is over: they help no other request.

use std::sync::atomic::Ordering;

use chancery_api::{HsmState, LeaseRevoke, LeaseState, LeaseWithdraw};

use crate::support::{
    World,
    leases::{BUILDER, digest, wanted},
};

/// Another request after one for which alice had answered: hers and bob's answer to the new one are needed, and the HSM counts them.
async fn next_one_needs_two(world: &World) {
    let next = world.request(wanted(vec![digest(9)], 0)).await.unwrap();
    let view = world.agree(next, "bob", "hsm-a").await.unwrap();
    assert_eq!(
        (view.state, view.agreed, view.node_enforced),
        (LeaseState::Waiting, vec!["bob".to_owned()], false)
    );
    let hsm = world.center.hsm_status("hsm-a").await.unwrap();
    assert!(!matches!(hsm.state, HsmState::Unlocked { .. }), "{:?}", hsm.state);
    let view = world.agree(next, "carol", "hsm-a").await.unwrap();
    assert_eq!((view.state, view.node_enforced), (LeaseState::Live, false));
    world.sign_digests(&[digest(9)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_timed_out_leaves_no_answer_for_the_next() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    world.clock.1.fetch_add(16 * 60 * 1000, Ordering::Relaxed);
    assert_eq!(world.show(lease).await.state, LeaseState::TimedOut);
    next_one_needs_two(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_taken_back_leaves_no_answer_for_the_next() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    let call = LeaseWithdraw { lease };
    world.center.lease_withdraw(&call, &BUILDER).await.unwrap();
    next_one_needs_two(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_refused_or_revoked_leaves_no_answer_for_the_next() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    world.refuse(lease, "bob", "not today").await.unwrap();
    world.until_locked("hsm-a").await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    let call = LeaseRevoke {
        lease,
        reason: "another build".into(),
    };
    world.center.lease_revoke(&call, &BUILDER).await.unwrap();
    next_one_needs_two(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_the_hsm_itself_is_not_taken_back_with_a_request() {
    let world = World::signing().await;
    world.unlock("hsm-a", "carol").await.unwrap();
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.clock.1.fetch_add(16 * 60 * 1000, Ordering::Relaxed);
    assert_eq!(world.show(lease).await.state, LeaseState::TimedOut);
    world.unlock("hsm-a", "alice").await.unwrap();
    let hsm = world.center.hsm_status("hsm-a").await.unwrap();
    assert!(matches!(hsm.state, HsmState::Unlocked { .. }), "{:?}", hsm.state);
}
