//! What custodians answer for a lease opens an HSM for nothing else, whichever way an answer is handed in.

use std::{
    sync::{atomic::Ordering, mpsc},
    time::Duration,
};

use chancery_api::{
    Base64, Condition, FailureKind, HsmLock, HsmState, LeaseAnswer, LeaseId, LeaseRevoke, LeaseState,
    RequestNumber, StatementKind, UnlockChallenge, UnlockChallengeView,
};

use crate::support::{
    World,
    leases::{BUILDER, digest, wanted},
};

/// Longer than a custodian's turn lasts while others wait, milliseconds.
const A_TURN: u64 = 11_000;

/// A certificate that only a signature of the CA is missing of, and both HSMs locked.
async fn with_a_ca() -> (World, RequestNumber) {
    let world = World::ready().await;
    world.create_signer("firmware", "ec:P-256").await.unwrap();
    let request = world.approved("www.example.org").await;
    world.lock_all().await;
    (world, request)
}

async fn challenge(world: &World, person: &str) -> Result<UnlockChallengeView, chancery_api::Failure> {
    let call = UnlockChallenge {
        hsm: "hsm-a".to_owned(),
        person: person.to_owned(),
    };
    world.center.unlock_challenge(&call).await
}

/// Bob's answer to the HSM, in the form `hsm unlock` takes.
fn to_the_hsm(answer: &LeaseAnswer) -> Vec<u8> {
    answer
        .unlock
        .as_ref()
        .expect("an answer to a challenge")
        .0
        .clone()
}

async fn have(world: &World) -> u8 {
    match world.center.hsm_status("hsm-a").await.unwrap().state {
        HsmState::Quorum { have, .. } => have,
        HsmState::Locked { .. } => 0,
        other => panic!("hsm-a is {}", other.sentence()),
    }
}

async fn count(world: &World, event: &str) -> usize {
    world.events().await.iter().filter(|name| *name == event).count()
}

/// No CA key signs, and that nobody's answers opened the HSM for all keys is in the log too.
async fn nothing_for_all(world: &World, request: RequestNumber, unlocked_before: usize) {
    let signs = world.signs();
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked, "{failure:?}");
    assert_eq!(world.signs(), signs, "the HSM was asked to sign for a CA");
    assert_eq!(count(world, "hsm-unlocked").await, unlocked_before);
    for leaf in world.leaves().await {
        assert!(
            leaf["event"] != "hsm-unlocked" || leaf["data"]["asked"].is_object(),
            "{leaf}"
        );
    }
}

async fn revoke(world: &World, lease: LeaseId) {
    let call = LeaseRevoke {
        lease,
        reason: "not needed".into(),
    };
    let view = world.center.lease_revoke(&call, &BUILDER).await.unwrap();
    assert_eq!(view.state, LeaseState::Revoked);
}

/// After everything was locked, custodians who are asked for all keys open it for all keys.
async fn all_is_well_after_a_lock(world: &World, request: RequestNumber) {
    world.lock_all().await;
    for person in ["bob", "carol"] {
        world.unlock("hsm-a", person).await.unwrap();
    }
    world.sign(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_leases_challenge_is_not_taken_by_hsm_unlock() {
    let (world, request) = with_a_ca().await;
    let unlocked = count(&world, "hsm-unlocked").await;
    let lease = world.request(wanted(vec![digest(1)], 0)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    let text = world.show(lease).await.text.0;
    let view = world.question(lease, "bob", "hsm-a", false).await.unwrap();
    assert_eq!(view.kind, StatementKind::Unlock);
    let answer = world.reply(lease, "bob", &text, &view, None);
    let length = world.leaves().await.len();
    for _ in 0..20 {
        let failure = world
            .hand_in("hsm-a", &view.session, &to_the_hsm(&answer))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
        assert!(
            failure.remedy.as_deref().unwrap().contains("new challenge"),
            "{failure:?}"
        );
    }
    assert_eq!(
        world.leaves().await.len(),
        length,
        "nobody was asked, so nothing is told"
    );
    assert_eq!(have(&world).await, 1);
    nothing_for_all(&world, request, unlocked).await;
    // It is good still for what it was given for.
    world.center.lease_answer(&answer).await.unwrap();
    assert_eq!(world.show(lease).await.state, LeaseState::Live);
    world.sign_digests(&[digest(1)]).await.unwrap();
    nothing_for_all(&world, request, unlocked).await;
    // And the HSM is locked with the lease.
    let other = world.live(wanted(vec![], 1)).await;
    revoke(&world, other).await;
    world.until_locked("hsm-a").await;
    all_is_well_after_a_lock(&world, request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_hsm_unlock_is_not_taken_for_a_lease() {
    let (world, request) = with_a_ca().await;
    let unlocked = count(&world, "hsm-unlocked").await;
    let lease = world.request(wanted(vec![digest(1)], 0)).await.unwrap();
    let text = world.show(lease).await.text.0;
    let asked = world.question(lease, "bob", "hsm-a", false).await.unwrap();
    let (session, signature) = world.answer("hsm-a", "bob").await.unwrap();
    let mut answer = world.reply(lease, "bob", &text, &asked, None);
    answer.session = session.clone();
    answer.unlock = Some(Base64(signature.clone()));
    let length = world.leaves().await.len();
    let failure = world.center.lease_answer(&answer).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(failure.message.contains("nothing was asked"), "{failure:?}");
    assert_eq!(world.leaves().await.len(), length);
    assert_eq!(have(&world).await, 0);
    assert!(world.show(lease).await.agreed.is_empty());
    nothing_for_all(&world, request, unlocked).await;
    // It is good still for what it was given for.
    world.hand_in("hsm-a", &session, &signature).await.unwrap();
    assert_eq!(have(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_answered_after_the_challenge_was_drawn_keeps_the_answer_out() {
    let (world, request) = with_a_ca().await;
    let unlocked = count(&world, "hsm-unlocked").await;
    let lease = world.request(wanted(vec![digest(1)], 0)).await.unwrap();
    let (session, signature) = world.answer("hsm-a", "bob").await.unwrap();
    world.clock.1.fetch_add(A_TURN, Ordering::Relaxed);
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    for expected in [FailureKind::Conflict, FailureKind::Refused, FailureKind::Refused] {
        let failure = world.hand_in("hsm-a", &session, &signature).await.unwrap_err();
        assert_eq!(failure.kind, expected, "{failure:?}");
    }
    assert_eq!(have(&world).await, 1);
    nothing_for_all(&world, request, unlocked).await;
    // Bob was asked once and answered once.
    let leaves = world.leaves().await;
    let refused: Vec<_> = leaves
        .iter()
        .filter(|leaf| leaf["event"] == "answer-refused")
        .collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["data"]["asked"]["person"], "bob");
    assert!(
        refused[0]["data"]["because"]
            .as_str()
            .unwrap()
            .contains("for a lease"),
        "{:?}",
        refused[0]
    );
    all_is_well_after_a_lock(&world, request).await;
}

/// The HSM counts an answer longer than the lease it was given for lasts.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_a_lease_that_is_over_opens_nothing_else_either() {
    let (world, request) = with_a_ca().await;
    let unlocked = count(&world, "hsm-unlocked").await;
    let lease = world.request(wanted(vec![digest(1)], 0)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    revoke(&world, lease).await;
    if have(&world).await == 1 {
        let failure = challenge(&world, "bob").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
        let remedy = failure.remedy.as_deref().unwrap();
        assert!(remedy.contains("chancery hsm lock hsm-a"), "{failure:?}");
    }
    nothing_for_all(&world, request, unlocked).await;
    all_is_well_after_a_lock(&world, request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_both_kinds_open_an_hsm_for_leases_alone() {
    let (world, request) = with_a_ca().await;
    let unlocked = count(&world, "hsm-unlocked").await;
    world.unlock("hsm-a", "alice").await.unwrap();
    let lease = world.request(wanted(vec![digest(1)], 0)).await.unwrap();
    world.agree(lease, "bob", "hsm-a").await.unwrap();
    let failure = challenge(&world, "carol").await.unwrap_err();
    assert!(failure.message.contains("open for leases"), "{failure:?}");
    nothing_for_all(&world, request, unlocked).await;
    revoke(&world, lease).await;
    world.until_locked("hsm-a").await;
    all_is_well_after_a_lock(&world, request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_asked_for_are_not_told_of() {
    let (world, _) = with_a_ca().await;
    let (session, signature) = world.answer("hsm-a", "bob").await.unwrap();
    let length = world.leaves().await.len();
    for number in 0..30 {
        let unknown = format!("{number:032x}");
        for (hsm, session, signature) in [
            ("hsm-a", unknown.as_str(), &signature[..]),
            ("hsm-b", session.as_str(), &signature[..]),
            // Of the wrong form: it costs the challenge nothing, and may come as often.
            ("hsm-a", session.as_str(), &signature[..63]),
        ] {
            let failure = world.hand_in(hsm, session, signature).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
        }
    }
    assert_eq!(world.leaves().await.len(), length);
    // A wrong answer to what was asked is told of, once.
    let mut wrong = signature.clone();
    wrong[5] ^= 1;
    for _ in 0..5 {
        world.hand_in("hsm-a", &session, &wrong).await.unwrap_err();
    }
    assert_eq!(count(&world, "answer-refused").await, 1);
    assert_eq!(world.leaves().await.len(), length + 1);
    world.unlock("hsm-a", "bob").await.unwrap();
}

/// However often others ask, an honest answer is not forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn many_challenges_take_none_from_others() {
    let world = World::signing().await;
    let (session, signature) = world.answer("hsm-a", "bob").await.unwrap();
    let call = UnlockChallenge {
        hsm: "hsm-b".to_owned(),
        person: "alice".to_owned(),
    };
    for _ in 0..300 {
        world.center.unlock_challenge(&call).await.unwrap();
    }
    world.hand_in("hsm-a", &session, &signature).await.unwrap();
    assert_eq!(have(&world).await, 1);
    let leaves = world.leaves().await;
    let last = leaves.iter().rfind(|leaf| leaf["event"] == "custodian-answered");
    assert_eq!(last.unwrap()["data"]["asked"]["person"], "bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_by_hsm_unlock_again_and_again_keeps_nobody_from_answering() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![], 1)).await.unwrap();
    let text = world.show(lease).await.text.0;
    // For a lease, then for all keys: bob and carol take their time, alice's client asks without end.
    let view = world.question(lease, "bob", "hsm-a", false).await.unwrap();
    let slow = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let answer = world.reply(lease, "bob", &text, &view, None);
        world.center.lease_answer(&answer).await.unwrap()
    };
    let (counted, ()) = tokio::join!(slow, insistent(&world));
    assert_eq!(counted.agreed, ["bob"]);

    world.lock_all().await;
    let (session, signature) = world.answer("hsm-a", "carol").await.unwrap();
    let slow = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.hand_in("hsm-a", &session, &signature).await.unwrap()
    };
    let (view, ()) = tokio::join!(slow, insistent(&world));
    assert!(matches!(view.state, HsmState::Quorum { have: 1, .. }));
}

/// Alice's client asks again before it was answered, some 40 times a second, while time passes.
async fn insistent(world: &World) {
    for _ in 0..20 {
        drop(tokio::time::timeout(Duration::from_millis(20), challenge(world, "alice")).await);
        world.clock.1.fetch_add(100, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A signature of a CA that went on its way while HSMs were open for all keys is not made by one opened for a lease since.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_a_ca_under_way_is_not_made_where_a_lease_opened_an_hsm_since() {
    let world = World::ready().await;
    world.create_signer("firmware", "ec:P-256").await.unwrap();
    world.copy_signer("firmware").await.unwrap();
    let request = world.approved("www.example.org").await;
    let (reached, was_reached) = mpsc::sync_channel(1);
    let (go, may_go) = mpsc::sync_channel(1);
    world.line.hold_sign(reached, may_go);
    let signs = world.signs();
    let signed = world.sign(request);
    let meanwhile = async {
        tokio::task::spawn_blocking(move || was_reached.recv().unwrap())
            .await
            .unwrap();
        // One HSM is at it; the other one is locked, and opened for a lease.
        let status = world.center.hsm_status("hsm-a");
        let (at_it, other) = match tokio::time::timeout(Duration::from_millis(500), status).await {
            Err(_) => ("hsm-a", "hsm-b"),
            Ok(_) => ("hsm-b", "hsm-a"),
        };
        let call = HsmLock {
            hsms: vec![other.to_owned()],
        };
        world.center.hsm_lock(&call, 0).await.unwrap();
        let lease = world.request(wanted(vec![digest(1)], 0)).await.unwrap();
        world.quorum(lease, other).await;
        assert_eq!(world.show(lease).await.state, LeaseState::Live);
        // The one that is at it is lost, before it signs.
        world.line.unplug(at_it);
        go.send(()).unwrap();
    };
    let (signed, ()) = tokio::join!(signed, meanwhile);
    let failure = signed.unwrap_err();
    assert_eq!(world.signs(), signs, "an HSM opened for a lease signed for a CA");
    assert_eq!(failure.kind, FailureKind::Blocked, "{failure:?}");
    // Found out when it is to sign, or before it is asked.
    let open_for_leases = |condition: &Condition| condition.what.contains("for leases");
    assert!(
        failure.message.contains("opened again for something else")
            || failure.unmet.iter().any(open_for_leases),
        "{failure:?}"
    );
    world.sign_digests(&[digest(1)]).await.unwrap();
}
