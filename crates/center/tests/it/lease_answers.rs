//! Custodians' answers for leases: whose count, for what, and how often.

use std::sync::atomic::Ordering;

use chancery_api::{
    FailureKind, HsmLock, HsmState, LeasePending, LeaseRevoke, LeaseState, StatementKind, UnlockChallenge,
};

use crate::support::{
    World,
    leases::{BUILDER, digest, digests, wanted},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_custodian_does_not_count() {
    let mut world = World::signing().await;
    world
        .add_person("dave", &[chancery_api::Role::Auditor])
        .await
        .unwrap();
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    let failure = world.question(lease, "dave", "hsm-a", false).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    assert_eq!(failure.unmet[0].who, ["alice", "bob", "carol"]);
    // Bob's token answers what alice was asked: the statement is refused before the HSM sees anything.
    let text = world.show(lease).await.text.0;
    let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    let answer = world.reply(lease, "bob", &text, &view, None);
    let failure = world.center.lease_answer(&answer).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    // A right statement with a wrong answer to the HSM is refused by the HSM.
    let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    let mut answer = world.reply(lease, "alice", &text, &view, None);
    answer.unlock.as_mut().unwrap().0[5] ^= 1;
    let failure = world.center.lease_answer(&answer).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    let view = world.show(lease).await;
    assert!(view.agreed.is_empty());
    let told = view.because.unwrap();
    assert!(told.contains("given as alice did not count"), "{told}");
    assert!(matches!(
        world.center.hsm_status("hsm-a").await.unwrap().state,
        HsmState::Locked { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_for_one_lease_one_hsm_and_once() {
    let world = World::signing().await;
    let one = world.request(wanted(vec![], 1)).await.unwrap();
    let two = world.request(wanted(vec![], 2)).await.unwrap();
    let (text_one, text_two) = (world.show(one).await.text.0, world.show(two).await.text.0);
    // Handed in for another lease.
    let view = world.question(one, "alice", "hsm-a", false).await.unwrap();
    let mut answer = world.reply(one, "alice", &text_one, &view, None);
    answer.lease = two;
    let failure = world.center.lease_answer(&answer).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    // Made over another lease's text.
    let stray = world.reply(one, "alice", &text_two, &view, None);
    let failure = world.center.lease_answer(&stray).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    // That spent the question.
    answer.lease = one;
    let failure = world.center.lease_answer(&answer).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    // The same answer twice.
    let view = world.question(one, "alice", "hsm-a", false).await.unwrap();
    let answer = world.reply(one, "alice", &text_one, &view, None);
    world.center.lease_answer(&answer).await.unwrap();
    let failure = world.center.lease_answer(&answer).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    let failure = world.question(one, "alice", "hsm-a", false).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "a custodian answers once");
    // Statements for one HSM are none for another.
    let view_b = world.question(one, "bob", "hsm-b", false).await.unwrap();
    let mut other = view_b.clone();
    other.hsm = view.hsm.clone();
    let crossed = world.reply(one, "bob", &text_one, &other, None);
    let failure = world.center.lease_answer(&crossed).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(world.show(one).await.state, LeaseState::Waiting);
    world.agree(one, "bob", "hsm-a").await.unwrap();
    assert_eq!(world.show(one).await.state, LeaseState::Live);
    assert_eq!(world.show(two).await.state, LeaseState::Waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_ends_it_and_is_told_in_words() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    let view = world.refuse(lease, "bob", "wrong kernel version").await.unwrap();
    assert_eq!(view.state, LeaseState::Refused);
    assert_eq!(view.because.as_deref(), Some("bob refused: wrong kernel version"));
    let failure = world.question(lease, "carol", "hsm-a", false).await.unwrap_err();
    assert!(failure.message.contains("wrong kernel version"), "{failure:?}");
    // One custodian's answer counts on the HSM still; it opens nothing.
    let failure = world.sign_digests(&[digest(1)]).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "lease");
    // A live lease is ended by a refusal too, and its HSM locked.
    let lease = world.live(wanted(vec![], 1)).await;
    world.refuse(lease, "carol", "stop").await.unwrap();
    world.until_locked("hsm-a").await;
    assert_eq!(world.show(lease).await.state, LeaseState::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_waits_so_long_and_no_longer() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    world.clock.1.fetch_add(14 * 60 * 1000, Ordering::Relaxed);
    assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
    world.clock.1.fetch_add(61 * 1000, Ordering::Relaxed);
    let view = world.show(lease).await;
    assert_eq!(view.state, LeaseState::TimedOut);
    assert_eq!(
        view.because.as_deref(),
        Some("not enough custodians answered in time, only alice")
    );
    let failure = world.agree(lease, "bob", "hsm-a").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_an_hsm_is_open_the_node_decides_and_says_so() {
    let world = World::open_signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    assert_eq!(view.kind, StatementKind::Open);
    // A statement of the other kind is another statement.
    let text = world.show(lease).await.text.0;
    let mut as_unlock = view.clone();
    as_unlock.kind = StatementKind::Unlock;
    let answer = world.reply(lease, "alice", &text, &as_unlock, None);
    let failure = world.center.lease_answer(&answer).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    let view = world.agree(lease, "alice", "hsm-a").await.unwrap();
    assert_eq!(view.state, LeaseState::Waiting, "open is not permitted");
    let view = world.agree(lease, "carol", "hsm-a").await.unwrap();
    assert_eq!((view.state, view.node_enforced), (LeaseState::Live, true));
    world.sign_digests(&[digest(1)]).await.unwrap();
    let call = chancery_api::ReceiptShow {
        lease,
        digest: digest(1),
    };
    assert!(
        world
            .center
            .receipt_show(&call, None)
            .await
            .unwrap()
            .node_enforced
    );
    // `hsm unlock` opened it, so it stays open.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(matches!(
        world.center.hsm_status("hsm-a").await.unwrap().state,
        HsmState::Unlocked { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_a_lease_opens_nothing_else() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    // The HSM counts one of two; the other for everything would open it with an answer that was given for this lease.
    let unlock = UnlockChallenge {
        hsm: "hsm-a".to_owned(),
        person: "bob".to_owned(),
    };
    let failure = world.center.unlock_challenge(&unlock).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    assert!(failure.message.contains("for a lease"), "{failure:?}");
    // Once the HSM has forgotten it, everybody is asked for everything.
    world.lock_all().await;
    world.center.unlock_challenge(&unlock).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_locks_first_and_not_before_a_custodian_signed_for_it() {
    let world = World::open_signing().await;
    let other = world.live(wanted(vec![], 5)).await;
    let mut call = wanted(vec![], 1);
    call.strict = true;
    let lease = world.request(call).await.unwrap();
    let unlocked = async || {
        let state = world.center.hsm_status("hsm-a").await.unwrap().state;
        matches!(state, HsmState::Unlocked { .. })
    };
    // Questions that nobody answers, or answers with somebody else's token, lock nothing: others go on signing.
    let text = world.show(lease).await.text.0;
    for _ in 0..3 {
        let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
        assert_eq!(view.kind, StatementKind::Lock);
        let answer = world.reply(lease, "bob", &text, &view, None);
        world.center.lease_answer(&answer).await.unwrap_err();
    }
    assert!(unlocked().await);
    world.sign_digests(&[digest(1)]).await.unwrap();
    // The statement has the HSM locked and agrees to nothing yet.
    let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    let late = world.question(lease, "bob", "hsm-a", false).await.unwrap();
    let answer = world.reply(lease, "alice", &text, &view, None);
    let after = world.center.lease_answer(&answer).await.unwrap();
    assert!(!unlocked().await && after.agreed.is_empty());
    assert_eq!(world.show(other).await.state, LeaseState::Waiting);
    let events = world.events().await;
    let signed = events.iter().position(|event| event == "lease-locks").unwrap();
    // That the other lease lost its quorum may be noticed in between.
    let locked = events.iter().rposition(|event| event == "hsm-locked").unwrap();
    assert!(locked > signed);
    let view = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    assert_eq!(view.kind, StatementKind::Unlock);
    world.quorum(lease, "hsm-a").await;
    let view = world.show(lease).await;
    assert_eq!((view.state, view.node_enforced), (LeaseState::Live, false));
    // Bob's statement comes too late to lock what the lease opened.
    let answer = world.reply(lease, "bob", &text, &late, None);
    world.center.lease_answer(&answer).await.unwrap();
    assert!(unlocked().await);
    assert_eq!(world.show(lease).await.state, LeaseState::Live);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_counts_twice() {
    let world = World::open_signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    let text = world.show(lease).await.text.0;
    let first = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    let second = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    let answer = world.reply(lease, "alice", &text, &first, None);
    world.center.lease_answer(&answer).await.unwrap();
    let answer = world.reply(lease, "alice", &text, &second, None);
    let failure = world.center.lease_answer(&answer).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(
        failure.message.contains("alice has answered HSM hsm-a"),
        "{failure:?}"
    );
    assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
    world.agree(lease, "bob", "hsm-a").await.unwrap();
    world.sign_digests(&[digest(1)]).await.unwrap();
    let call = chancery_api::ReceiptShow {
        lease,
        digest: digest(1),
    };
    let receipt = world.center.receipt_show(&call, None).await.unwrap();
    let who: Vec<_> = receipt.statements.iter().map(|said| &said.person).collect();
    assert_eq!(who, ["alice", "bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_leases_on_one_hsm_need_a_quorum_each() {
    let world = World::signing().await;
    let one = world.request(wanted(vec![], 1)).await.unwrap();
    let two = world.request(wanted(vec![digest(5)], 0)).await.unwrap();
    world.agree(one, "alice", "hsm-a").await.unwrap();
    world.agree(two, "bob", "hsm-a").await.unwrap();
    // The card is open by now, and neither lease is.
    assert!(matches!(
        world.center.hsm_status("hsm-a").await.unwrap().state,
        HsmState::Unlocked { .. }
    ));
    for lease in [one, two] {
        assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
    }
    world.sign_digests(&[digest(5)]).await.unwrap_err();
    assert_eq!(
        world.agree(two, "alice", "hsm-a").await.unwrap().state,
        LeaseState::Live
    );
    world.sign_digests(&[digest(5)]).await.unwrap();
    assert_eq!(world.show(one).await.state, LeaseState::Waiting);
    let call = LeaseRevoke {
        lease: one,
        reason: "not needed".into(),
    };
    let view = world.center.lease_revoke(&call, &BUILDER).await.unwrap();
    assert_eq!(view.state, LeaseState::Revoked);
    world.until_locked("hsm-a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custodians_learn_what_waits_for_them() {
    let world = World::signing().await;
    let pending = |known: Vec<_>, wait_seconds| LeasePending {
        person: "alice".into(),
        known,
        wait_seconds,
    };
    assert!(
        world
            .center
            .lease_pending(&pending(vec![], 0))
            .await
            .unwrap()
            .is_empty()
    );
    let call = pending(vec![], 20);
    let (found, lease) = tokio::join!(world.center.lease_pending(&call), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        world.request(wanted(digests(0..2), 0)).await.unwrap()
    });
    assert_eq!(found.unwrap()[0].lease, lease);
    for hsm in ["hsm-a", "hsm-b"] {
        world.agree(lease, "alice", hsm).await.unwrap();
    }
    assert!(
        world
            .center
            .lease_pending(&pending(vec![], 0))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_live_lease_gets_an_hsm_that_another_one_opened() {
    let world = World::signing().await;
    let lease = world.live(wanted(digests(0..1), 0)).await;
    assert!(!world.show(lease).await.node_enforced);
    let other = world.request(wanted(digests(1..2), 0)).await.unwrap();
    world.quorum(other, "hsm-b").await;
    assert!(world.show(lease).await.node_enforced);
    world.quorum(lease, "hsm-b").await;
    let hsms = vec!["hsm-a".to_owned()];
    world.center.hsm_lock(&HsmLock { hsms }, 0).await.unwrap();
    assert_eq!(world.show(lease).await.state, LeaseState::Live);
    let signed = world.sign_digests(&digests(0..1)).await.unwrap();
    assert_eq!((signed[0].lease, signed[0].hsm.as_str()), (lease, "hsm-b"));
}

#[tokio::test]
async fn answers_for_two_leases_open_an_hsm_for_neither() {
    let world = World::signing().await;
    let one = world.request(wanted(digests(0..1), 0)).await.unwrap();
    let other = world.request(wanted(digests(1..2), 0)).await.unwrap();
    world.agree(one, "alice", "hsm-a").await.unwrap();
    let view = world.agree(other, "bob", "hsm-a").await.unwrap();
    assert_eq!(view.state, LeaseState::Waiting);
    for (lease, person) in [(one, "bob"), (other, "alice")] {
        assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
        let view = world.agree(lease, person, "hsm-a").await.unwrap();
        assert_eq!((view.state, view.node_enforced), (LeaseState::Live, true));
    }
}
