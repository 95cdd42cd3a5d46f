//! "And the next k": what a custodian adds to a lease while its request waits.

use std::sync::atomic::Ordering;

use chancery_api::{
    Extent, FailureKind, Hash32, HsmState, LeasePending, LeaseState, MOST_NEXT, MOST_WIDENINGS, ReceiptShow,
    manifest_hash,
};

use crate::support::{
    World,
    faults::Fault,
    leases::{BUILDER, OTHER, digest, digests, wanted},
};

#[tokio::test(flavor = "multi_thread")]
async fn everybody_answers_the_wider_text_and_so_many_more_are_signed() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    let view = world.widen(lease, "bob", 3).await.unwrap();
    assert_eq!((view.state, view.agreed.len()), (LeaseState::Waiting, 0));
    let told = view.because.unwrap();
    assert!(told.contains("bob added the next 3 digests"), "{told}");
    assert!(told.contains("alice had agreed to less"), "{told}");
    assert_eq!(view.could, ["alice", "bob", "carol"]);
    let text = world.text(lease).await;
    assert_eq!(
        text.extent,
        Extent::Named {
            manifest: manifest_hash(&[digest(0)]),
            count: 1,
            further: 3
        }
    );
    assert_eq!((text.widened[0].by.as_str(), text.widened[0].next), ("bob", 3));
    // The HSM forgot her answer: its own quorum decides about the new text.
    let state = world.center.hsm_status("hsm-a").await.unwrap().state;
    assert!(matches!(state, HsmState::Locked { .. }), "{state:?}");
    world.agree(lease, "bob", "hsm-a").await.unwrap();
    world.sign_digests(&[digest(0)]).await.unwrap_err();
    let view = world.agree(lease, "alice", "hsm-a").await.unwrap();
    assert_eq!((view.state, view.node_enforced), (LeaseState::Live, false));
    let signed = world.sign_digests(&digests(0..4)).await.unwrap();
    for signature in &signed {
        assert!(world.is_right(signature).await);
    }
    // The same again is free; another one is one too many.
    assert_eq!(world.sign_digests(&digests(0..4)).await.unwrap(), signed);
    let failure = world.sign_digests(&[digest(4)]).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "lease-spent");
    assert!(
        failure
            .message
            .contains("permits 3 digests besides those it names"),
        "{failure:?}"
    );
    for number in 0..4 {
        let call = ReceiptShow {
            lease,
            digest: digest(number),
        };
        let receipt = world.center.receipt_show(&call, None).await.unwrap();
        assert_eq!(
            serde_json::from_slice::<chancery_api::LeaseText>(&receipt.text.0).unwrap(),
            text
        );
        let who: Vec<_> = receipt.statements.iter().map(|said| &said.person).collect();
        assert_eq!(who, ["bob", "alice"], "not what she signed before");
    }
    let events = world.events().await;
    assert_eq!(events.iter().filter(|event| *event == "lease-widened").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_the_earlier_text_does_not_count() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    let before = world.show(lease).await.text.0;
    let asked = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    let no = world.question(lease, "carol", "hsm-a", true).await.unwrap();
    world.widen(lease, "bob", 20).await.unwrap();
    // Asked before and answered now; a refusal of what was not read; read before and asked now.
    let mut answers = vec![
        world.reply(lease, "alice", &before, &asked, None),
        world.reply(lease, "carol", &before, &no, Some("no")),
    ];
    let again = world.question(lease, "alice", "hsm-a", false).await.unwrap();
    answers.push(world.reply(lease, "alice", &before, &again, None));
    let mut words = Vec::new();
    for answer in &answers {
        let failure = world.center.lease_answer(answer).await.unwrap_err();
        words.push((failure.kind, failure.message));
    }
    // Her first question was replaced by the second.
    assert_eq!(words[0].0, FailureKind::Refused);
    for (kind, message) in &words[1..] {
        assert_eq!(*kind, FailureKind::Conflict);
        assert!(message.contains("bob added the next 20 digests"), "{message}");
    }
    assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
    assert!(world.show(lease).await.agreed.is_empty());
    let state = world.center.hsm_status("hsm-a").await.unwrap().state;
    assert!(matches!(state, HsmState::Locked { .. }), "{state:?}");
    world.quorum(lease, "hsm-a").await;
    assert_eq!(world.show(lease).await.state, LeaseState::Live);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_waits_for_its_first_quorum_is_widened() {
    let mut world = World::signing().await;
    let lease = world.live(wanted(vec![], 2)).await;
    let text = world.show(lease).await.text;
    let refused = async |world: &World| {
        let failure = world.widen(lease, "bob", 1).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
        assert_eq!(world.show(lease).await.text, text);
    };
    refused(&world).await;
    world.sign_digests(&[digest(1)]).await.unwrap();
    world.lock_all().await;
    assert_eq!(world.show(lease).await.state, LeaseState::Waiting);
    refused(&world).await;
    world.restart().await;
    refused(&world).await;
    world.refuse(lease, "alice", "enough").await.unwrap();
    refused(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custodians_alone_add_a_little_to_what_they_read() {
    let mut world = World::signing().await;
    world
        .add_person("dave", &[chancery_api::Role::Auditor])
        .await
        .unwrap();
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    let text = world.show(lease).await.text;
    let failure = world.widen(lease, "dave", 1).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    for next in [0, MOST_NEXT + 1, u64::MAX] {
        let failure = world.widen(lease, "bob", next).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict, "{next}");
    }
    let mut call = world.widening(lease, "bob", 1).await;
    for seconds in [0, 32 * 86_400, u64::MAX] {
        call.seconds = Some(seconds);
        let failure = world.center.lease_widen(&call, &OTHER).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid, "{seconds}");
    }
    call.seconds = None;
    call.read = Hash32([0; 32]);
    let failure = world.center.lease_widen(&call, &OTHER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert_eq!(world.show(lease).await.text, text, "none of them changed it");
    // Two who read the same text do not both add to it.
    let both = [
        world.widening(lease, "bob", 5).await,
        world.widening(lease, "carol", 7).await,
    ];
    world.center.lease_widen(&both[0], &OTHER).await.unwrap();
    let failure = world.center.lease_widen(&both[1], &OTHER).await.unwrap_err();
    assert!(failure.message.contains("bob added the next 5"), "{failure:?}");
    for _ in 1..MOST_WIDENINGS {
        world.widen(lease, "carol", 1).await.unwrap();
    }
    let failure = world.widen(lease, "carol", 1).await.unwrap_err();
    assert!(failure.message.contains("times already"), "{failure:?}");
    // Who named exactly what it wants gets that.
    let exact = world.request(wanted(digests(0..2), 0)).await.unwrap();
    let failure = world.widen(exact, "bob", 1).await.unwrap_err();
    assert!(failure.message.contains("exactly these"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_changes_nothing_about_it() {
    let mut world = World::signing().await;
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    world.agree(lease, "alice", "hsm-a").await.unwrap();
    let mut call = world.widening(lease, "bob", 2).await;
    call.seconds = Some(7200);
    world.center.lease_widen(&call, &BUILDER).await.unwrap();
    world.agree(lease, "carol", "hsm-a").await.unwrap();
    world.widen(lease, "bob", 1).await.unwrap();
    let before = world.show(lease).await;
    assert!((7_190..=7_200).contains(&before.remaining_seconds), "{before:?}");
    world.restart().await;
    let after = world.show(lease).await;
    assert_eq!((after.state, &after.text), (LeaseState::Waiting, &before.text));
    assert!((7_190..=7_200).contains(&after.remaining_seconds), "{after:?}");
    assert!(after.agreed.is_empty(), "{after:?}");
    // What was signed for it before is still what it was.
    world.quorum(lease, "hsm-a").await;
    world.sign_digests(&digests(0..4)).await.unwrap();
    world.sign_digests(&[digest(4)]).await.unwrap_err();
    world.restart().await;
    let call = ReceiptShow {
        lease,
        digest: digest(2),
    };
    let receipt = world.center.receipt_show(&call, None).await.unwrap();
    assert_eq!((receipt.text, receipt.statements.len()), (before.text, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sets_an_earlier_end_is_held_to_it() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    let mut call = world.widening(lease, "bob", 2).await;
    call.seconds = Some(60);
    let view = world.center.lease_widen(&call, &OTHER).await.unwrap();
    assert_eq!(view.remaining_seconds, 60);
    world.quorum(lease, "hsm-a").await;
    world.sign_digests(&[digest(0)]).await.unwrap();
    world.clock.1.fetch_add(61_000, Ordering::Relaxed);
    world.sign_digests(&[digest(1)]).await.unwrap_err();
    assert_eq!(world.show(lease).await.state, LeaseState::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_a_lease_learns_that_it_was_widened() {
    let world = World::signing().await;
    let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
    let call = LeasePending {
        person: "alice".into(),
        known: vec![lease],
        wait_seconds: 20,
    };
    let begun = std::time::Instant::now();
    let (found, _) = tokio::join!(world.center.lease_pending(&call), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        world.widen(lease, "bob", 2).await.unwrap()
    });
    assert_eq!(found.unwrap()[0].text, world.show(lease).await.text);
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_rows_have_one_text_whatever_the_disk_does() {
    for fault in [Fault::Before, Fault::After, Fault::Full] {
        let mut world = World::signing().await;
        let lease = world.request(wanted(vec![digest(0)], 0)).await.unwrap();
        world.agree(lease, "alice", "hsm-a").await.unwrap();
        let before = world.show(lease).await.text;
        let call = world.widening(lease, "bob", 1).await;
        world.faults.fail(1, fault);
        let widened = world.center.lease_widen(&call, &OTHER).await;
        world.faults.heal();
        assert_eq!(widened.is_ok(), fault == Fault::After, "{fault:?} {widened:?}");
        let text = world.show(lease).await.text;
        assert_eq!(text != before, widened.is_ok());
        if widened.is_ok() {
            world.agree(lease, "alice", "hsm-a").await.unwrap();
        }
        world.agree(lease, "bob", "hsm-a").await.unwrap();
        world.sign_digests(&[digest(0)]).await.unwrap();
        let more = world.sign_digests(&[digest(1)]).await;
        assert_eq!(more.is_ok(), widened.is_ok());
        world.restart().await;
        let call = ReceiptShow {
            lease,
            digest: digest(0),
        };
        assert_eq!(world.center.receipt_show(&call, None).await.unwrap().text, text);
    }
}
