//! An HSM that does not get on, and custodians who answer for others.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use chancery_api::{LeaseRevoke, LeaseState};

use crate::support::{
    World,
    leases::{BUILDER, digest, wanted},
};

/// Far below the 30 s that one command is waited for.
const SOON: Duration = Duration::from_secs(8);

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work)
        .await
        .expect("it waits for the other HSM")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_for_one_hsm_do_not_wait_for_another() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 2)).await.unwrap();
    let other = world.request(wanted(vec![digest(7)], 0)).await.unwrap();
    let third = world.request(wanted(vec![], 1)).await.unwrap();
    let text = world.show(lease).await.text.0;
    // The same lease, the same person: the answer for hsm-b is on its way.
    let view = world.question(lease, "alice", "hsm-b", false).await.unwrap();
    let slow = world.reply(lease, "alice", &text, &view, None);
    world.line.stall("hsm-b");
    let slow = world.center.lease_answer(&slow);
    let work = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        soon(world.quorum(lease, "hsm-a")).await;
        assert_eq!(world.show(lease).await.state, LeaseState::Live);
        soon(world.sign_digests(&[digest(1)])).await.unwrap();
        // Another lease is widened and a third refused meanwhile.
        soon(world.widen(other, "bob", 2)).await.unwrap();
        let view = soon(world.refuse(third, "carol", "not now")).await.unwrap();
        assert_eq!(view.state, LeaseState::Refused);
        world.line.let_go();
    };
    let (answered, ()) = tokio::join!(slow, work);
    let view = answered.unwrap();
    assert_eq!(view.state, LeaseState::Live);
    // It counts where it was given.
    world.agree(lease, "bob", "hsm-b").await.unwrap();
    world.line.unplug("hsm-a");
    let signed = world.sign_digests(&[digest(2)]).await.unwrap();
    assert_eq!(signed[0].hsm, "hsm-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_cannot_be_locked_now_holds_nobody_up() {
    let world = World::signing().await;
    let done = world.request(wanted(vec![], 1)).await.unwrap();
    world.quorum(done, "hsm-b").await;
    world.line.stall("hsm-b");
    let call = LeaseRevoke {
        lease: done,
        reason: "not needed".into(),
    };
    soon(world.center.lease_revoke(&call, &BUILDER)).await.unwrap();
    // One after the other, over the time in which it is found out that the HSM does not get on.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        let lease = world.request(wanted(vec![], 1)).await.unwrap();
        soon(world.quorum(lease, "hsm-a")).await;
        let call = LeaseRevoke {
            lease,
            reason: "not needed".into(),
        };
        soon(world.center.lease_revoke(&call, &BUILDER)).await.unwrap();
        soon(world.until_locked("hsm-a")).await;
    }
    world.line.let_go();
    soon(world.until_locked("hsm-b")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_text_that_was_replaced_while_the_hsm_took_it_does_not_count() {
    let mut world = World::signing().await;
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    let text = world.show(lease).await.text.0;
    let view = world.question(lease, "alice", "hsm-b", false).await.unwrap();
    let slow = world.reply(lease, "alice", &text, &view, None);
    world.line.stall("hsm-b");
    let slow = world.center.lease_answer(&slow);
    let work = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        soon(world.widen(lease, "bob", 2)).await.unwrap();
        world.line.let_go();
    };
    let (answered, ()) = tokio::join!(slow, work);
    let failure = answered.unwrap_err();
    assert!(failure.message.contains("bob added the next 2"), "{failure:?}");
    assert!(world.show(lease).await.agreed.is_empty());
    // The HSM forgot it: its own quorum decides about the new text.
    world.until_locked("hsm-b").await;
    world.quorum(lease, "hsm-b").await;
    let view = world.show(lease).await;
    assert_eq!((view.state, view.node_enforced), (LeaseState::Live, false));
    world.restart().await;
    assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
    // It ended instead.
    let text = world.show(lease).await.text.0;
    let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    let slow = world.reply(lease, "alice", &text, &view, None);
    world.line.stall("hsm-a");
    let slow = world.center.lease_answer(&slow);
    let work = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let call = LeaseRevoke {
            lease,
            reason: "not needed".into(),
        };
        soon(world.center.lease_revoke(&call, &BUILDER)).await.unwrap();
        world.line.let_go();
    };
    let (answered, ()) = tokio::join!(slow, work);
    let failure = answered.unwrap_err();
    assert!(failure.message.contains("ended meanwhile"), "{failure:?}");
    world.until_locked("hsm-a").await;
}
