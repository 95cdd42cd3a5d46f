//! What a lease permits, how long, and what becomes of it in crashes.

use std::sync::atomic::Ordering;

use chancery_api::{FailureKind, HsmLock, LeaseState, LeaseWithdraw, ReceiptShow};

use crate::support::{
    World,
    faults::Fault,
    leases::{BUILDER, OTHER, digest, digests, signing, wanted},
};

const HOUR_MS: u64 = 3600 * 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_counts_digests_and_not_calls() {
    let world = World::signing().await;
    let mut call = wanted(vec![], 2);
    call.claimed.command = "/usr/bin/mkimage -f image.its -N pkcs11".into();
    let lease = world.live(call).await;
    let first = world.sign_digests(&[digest(1)]).await.unwrap();
    world.sign_digests(&[digest(2)]).await.unwrap();
    // Again, and in one call twice.
    assert_eq!(
        world.sign_digests(&[digest(1), digest(1)]).await.unwrap(),
        [first[0].clone(), first[0].clone()]
    );
    assert_eq!(world.show(lease).await.used, 2);
    let failure = world.sign_digests(&[digest(3)]).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "lease-spent");
    assert!(
        failure.message.contains("mkimage signs each configuration twice"),
        "{failure:?}"
    );
    assert_eq!(failure.unmet[0].remedy, "set SOURCE_DATE_EPOCH, or ask for 4");
    assert_eq!(world.show(lease).await.used, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_digests_of_a_manifest_and_not_one_more() {
    let world = World::signing().await;
    let all = digests(0..10_000);
    let lease = world.live(wanted(all.clone(), 0)).await;
    let before = world.signs();
    for batch in all.chunks(1000) {
        assert_eq!(world.sign_digests(batch).await.unwrap().len(), batch.len());
        if batch[0] == all[0] {
            let failure = world.sign_digests(&[digest(10_000)]).await.unwrap_err();
            assert_eq!(failure.unmet[0].code, "lease-manifest");
            assert!(
                failure.message.contains("is not among the 10000 digests"),
                "{failure:?}"
            );
            assert!(failure.message.contains("firmware 4.2"), "{failure:?}");
        }
    }
    assert_eq!(world.signs() - before, 10_000);
    let view = world.show(lease).await;
    assert_eq!((view.state, view.used), (LeaseState::Exhausted, 10_000));
    let failure = world.sign_digests(&[digest(10_000)]).await.unwrap_err();
    assert!(
        failure.message.contains("is not among the 10000 digests"),
        "{failure:?}"
    );
    let call = ReceiptShow {
        lease,
        digest: digest(7777),
    };
    world.center.receipt_show(&call, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_by_the_monotonic_clock() {
    let world = World::signing().await;
    let lease = world.live(wanted(vec![], 5)).await;
    // The clock jumps a day ahead and a year back.
    for jump in [86_400_000, -31_536_000_000] {
        world.clock.0.fetch_add(jump, Ordering::Relaxed);
        assert_eq!(world.show(lease).await.state, LeaseState::Live);
    }
    world.sign_digests(&[digest(1)]).await.unwrap();
    world.clock.1.fetch_add(HOUR_MS, Ordering::Relaxed);
    let failure = world.sign_digests(&[digest(2)]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked, "{failure:?}");
    assert_eq!(world.show(lease).await.state, LeaseState::Expired);
    world.until_locked("hsm-a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_custodians_are_asked_again_and_the_count_stays() {
    let mut world = World::signing().await;
    let lease = world.live(wanted(vec![], 3)).await;
    let signed = world.sign_digests(&digests(0..2)).await.unwrap();
    world.clock.1.fetch_add(HOUR_MS / 2, Ordering::Relaxed);
    // Time that passes while the node is down does not count by a clock set back, and counts by the deadline.
    world.stop().await;
    world.clock.0.fetch_add(-HOUR_MS.cast_signed(), Ordering::Relaxed);
    world.start().await;
    let view = world.show(lease).await;
    assert_eq!((view.state, view.used), (LeaseState::Waiting, 2));
    assert!(view.because.unwrap().contains("restarted"));
    assert!(view.remaining_seconds <= 1800, "{}", view.remaining_seconds);
    let failure = world.sign_digests(&[digest(2)]).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "quorum");
    // It does not time out: it had its quorum once.
    world.clock.1.fetch_add(20 * 60 * 1000, Ordering::Relaxed);
    world.quorum(lease, "hsm-b").await;
    assert_eq!(world.sign_digests(&digests(0..2)).await.unwrap(), signed);
    let third = world.sign_digests(&[digest(2)]).await.unwrap();
    assert_eq!(third[0].hsm, "hsm-b");
    world.sign_digests(&[digest(3)]).await.unwrap_err();
    // What each was signed under is in its receipt.
    for (number, hsm) in [(0, "hsm-a"), (2, "hsm-b")] {
        let call = ReceiptShow {
            lease,
            digest: digest(number),
        };
        let receipt = world.center.receipt_show(&call, None).await.unwrap();
        assert_eq!((receipt.hsm.name.as_str(), receipt.statements.len()), (hsm, 2));
    }
    // The deadline is over when the node comes back.
    let lease = world.live(wanted(vec![], 3)).await;
    world.stop().await;
    world
        .clock
        .0
        .fetch_add(2 * HOUR_MS.cast_signed(), Ordering::Relaxed);
    world.start().await;
    assert_eq!(world.show(lease).await.state, LeaseState::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_stays_counted_when_the_node_dies_before_it_is_signed() {
    // The reservation itself; the signature's record, made or not.
    for (commit, fault) in [
        (1, Fault::Before),
        (1, Fault::After),
        (2, Fault::Before),
        (2, Fault::After),
        (2, Fault::Full),
    ] {
        let mut world = World::signing().await;
        let lease = world.live(wanted(vec![], 2)).await;
        world.faults.fail(commit, fault);
        world.sign_digests(&[digest(1)]).await.unwrap_err();
        world.faults.heal();
        // The same node: the digest counts once, and is signed.
        world.sign_digests(&[digest(1)]).await.unwrap();
        world.faults.fail(commit, fault);
        world.sign_digests(&[digest(2)]).await.unwrap_err();
        world.restart().await;
        if (commit, fault) == (2, Fault::After) {
            // Both signatures are recorded: nobody is asked for nothing.
            assert_eq!(world.show(lease).await.state, LeaseState::Exhausted);
        } else {
            world.quorum(lease, "hsm-a").await;
        }
        let durable = (commit, fault) != (1, Fault::Before);
        let other = world.sign_digests(&[digest(3)]).await;
        assert_eq!(other.is_err(), durable, "{commit} {fault:?}: {other:?}");
        if durable {
            let signed = world.sign_digests(&[digest(2)]).await.unwrap();
            assert!(world.is_right(&signed[0]).await);
            let call = ReceiptShow {
                lease,
                digest: digest(2),
            };
            world.center.receipt_show(&call, None).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_gets_the_same_answer() {
    let world = World::signing().await;
    let lease = world.live(wanted(vec![], 2)).await;
    let mut call = signing(&digests(0..2));
    call.idempotency_key = Some("build 77".into());
    let first = world.center.signing_sign(call.clone(), &BUILDER).await.unwrap();
    let withdraw = LeaseWithdraw { lease };
    world.center.lease_withdraw(&withdraw, &BUILDER).await.unwrap();
    // The answer is the same after the lease is over; without the key there is none.
    assert_eq!(
        world.center.signing_sign(call.clone(), &BUILDER).await.unwrap(),
        first
    );
    world.sign_digests(&digests(0..2)).await.unwrap_err();
    let failure = world.center.signing_sign(call.clone(), &OTHER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    call.digests = vec![digest(1)];
    let failure = world.center.signing_sign(call, &BUILDER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_is_lost_is_replaced_by_another_that_was_opened() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 60)).await.unwrap();
    for hsm in ["hsm-a", "hsm-b"] {
        world.quorum(lease, hsm).await;
    }
    world.line.unplug("hsm-a");
    let signed = world.sign_digests(&digests(0..20)).await.unwrap();
    assert!(signed.iter().all(|signature| signature.hsm == "hsm-b"));
    assert_eq!(world.show(lease).await.state, LeaseState::Live);
    // The other one is pulled in mid-batch: what was signed is recorded, and custodians are asked again.
    world.line.cut_after(7, true);
    let failure = world.sign_digests(&digests(20..40)).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "quorum", "{failure:?}");
    assert!(
        failure.message.contains("digests were signed and are recorded"),
        "{failure:?}"
    );
    let view = world.show(lease).await;
    assert_eq!((view.state, view.used), (LeaseState::Waiting, 40));
    assert!(view.because.unwrap().contains("must answer again"));
    world.line.mend();
    world.attach("hsm-b").await.unwrap();
    world.quorum(lease, "hsm-b").await;
    let signed = world.sign_digests(&digests(0..40)).await.unwrap();
    for signature in &signed {
        assert!(world.is_right(signature).await);
    }
    assert_eq!(world.show(lease).await.used, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn locking_an_hsm_asks_again_and_revoking_stops_at_once() {
    let world = World::signing().await;
    let lease = world.live(wanted(vec![], 3)).await;
    let lock = HsmLock {
        hsms: vec!["hsm-a".into()],
    };
    world.center.hsm_lock(&lock, 0).await.unwrap();
    assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
    world.quorum(lease, "hsm-a").await;
    world.sign_digests(&[digest(1)]).await.unwrap();
    let call = chancery_api::LeaseRevoke {
        lease,
        reason: "the builder is compromised".into(),
    };
    world.center.lease_revoke(&call, &OTHER).await.unwrap();
    world.sign_digests(&[digest(1)]).await.unwrap_err();
    let failure = world.center.lease_revoke(&call, &OTHER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    world.until_locked("hsm-a").await;
}
