//! Rows of leases are compared with the audit log when they are read after a restart.

use chancery_api::{LeaseId, LeaseRevoke, LeaseState, ReceiptShow};
use chancery_audit::{Checkpoint, Frontier, SignedNote, leaf_hash};
use chancery_store::Store as _;

use crate::support::{
    World,
    leases::{BUILDER, digest, digests, wanted},
};

/// Opens what ended, as far as its own row goes.
const REOPEN: &str =
    "UPDATE lease SET state = 'waiting', because = NULL, ended_ms = NULL, remaining_ms = 3600000";
/// Hides where the log begins to tell of it.
const HIDE: &str = "UPDATE lease SET log_frontier = (SELECT frontier FROM audit_head)";

/// Changes rows while the node is down.
async fn restart_with(world: &mut World, edits: &[&str]) {
    world.stop().await;
    for edit in edits {
        world.edit(edit).await;
    }
    world.start().await;
}

/// Waits until a signed head covers the log as it is.
async fn all_signed(world: &World) {
    let size = world.store.audit_head().await.unwrap().size;
    for _ in 0..500 {
        let newest = world.store.checkpoint().await.unwrap();
        let signed = newest.map_or(0, |(_, note)| {
            let note = SignedNote::parse(note.as_bytes()).unwrap();
            Checkpoint::parse_body(note.text()).unwrap().size
        });
        if i64::try_from(signed).unwrap() >= size {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the head is not signed");
}

async fn ended(world: &World, lease: LeaseId) -> (LeaseState, String) {
    let view = world.show(lease).await;
    (view.state, view.because.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_counts_is_counted_though_its_rows_are_gone() {
    let mut world = World::signing().await;
    let lease = world.live(wanted(vec![], 3)).await;
    world.sign_digests(&digests(0..2)).await.unwrap();
    restart_with(
        &mut world,
        &[
            "DELETE FROM lease_signature",
            "DELETE FROM lease_digest",
            "UPDATE lease SET used = 0",
            HIDE,
        ],
    )
    .await;
    assert_eq!(world.show(lease).await.used, 2);
    world.quorum(lease, "hsm-a").await;
    world.sign_digests(&[digest(2)]).await.unwrap();
    let failure = world.sign_digests(&[digest(3)]).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "lease-spent", "{failure:?}");
    // What was counted is signed again, and counted once.
    let again = world.sign_digests(&[digest(0)]).await.unwrap();
    assert!(world.is_right(&again[0]).await);
    assert_eq!(world.show(lease).await.used, 3);
    let call = ReceiptShow {
        lease,
        digest: digest(0),
    };
    world.center.receipt_show(&call, None).await.unwrap();
    world.restart().await;
    assert_eq!(world.show(lease).await.used, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_a_row_counts_nothing() {
    let mut world = World::signing().await;
    let lease = world.live(wanted(vec![], 3)).await;
    world.sign_digests(&digests(0..2)).await.unwrap();
    restart_with(&mut world, &["UPDATE lease SET used = 3"]).await;
    let view = world.show(lease).await;
    assert_eq!((view.state, view.used), (LeaseState::Waiting, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_log_does_not_know_end_the_lease() {
    for edit in [
        "INSERT INTO lease_digest (lease_id, digest, reserved_ms) SELECT id, \
         'sha256:abababababababababababababababababababababababababababababababab', 1 FROM lease",
        "UPDATE lease_signature SET leaf_hash = ZEROBLOB(32)",
        "DELETE FROM lease_answer WHERE place = 2",
        "UPDATE lease SET state = 'revoked'",
    ] {
        let mut world = World::signing().await;
        let lease = world.live(wanted(vec![], 3)).await;
        world.sign_digests(&[digest(1)]).await.unwrap();
        restart_with(&mut world, &[edit]).await;
        let (state, because) = ended(&world, lease).await;
        assert_eq!(state, LeaseState::Revoked, "{edit}");
        assert!(because.contains("its rows were altered"), "{edit}: {because}");
        let leaves = world.leaves().await;
        let told = leaves.iter().filter(|leaf| leaf["event"] == "lease-ended");
        assert_eq!(told.count(), 1, "{edit}");
    }
    // Nobody has answered: nothing but the log knows what was asked for.
    let mut world = World::signing().await;
    let lease = world.request(wanted(vec![], 3)).await.unwrap();
    let more =
        "UPDATE lease SET text = CAST(REPLACE(CAST(text AS TEXT), '\"count\":3', '\"count\":9') AS BLOB)";
    restart_with(&mut world, &[more]).await;
    let (state, because) = ended(&world, lease).await;
    assert_eq!(state, LeaseState::Revoked);
    assert!(because.contains("the audit log records"), "{because}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_does_not_begin_again() {
    for hide in [false, true] {
        let mut world = World::signing().await;
        let refused = world.request(wanted(vec![], 3)).await.unwrap();
        world.agree(refused, "alice", "hsm-a").await.unwrap();
        world.refuse(refused, "bob", "wrong kernel").await.unwrap();
        let revoked = world.request(wanted(vec![], 3)).await.unwrap();
        let call = LeaseRevoke {
            lease: revoked,
            reason: "not needed".into(),
        };
        world.center.lease_revoke(&call, &BUILDER).await.unwrap();
        all_signed(&world).await;
        let mut edits = vec!["DELETE FROM lease_answer WHERE kind = 'refuse'", REOPEN];
        if hide {
            edits.push(HIDE);
        }
        restart_with(&mut world, &edits).await;
        let (state, because) = ended(&world, refused).await;
        assert_eq!(state, LeaseState::Refused);
        assert!(because.contains("bob refused: wrong kernel"), "{because}");
        let (state, because) = ended(&world, revoked).await;
        assert_eq!(state, LeaseState::Revoked);
        assert!(because.contains("not needed"), "{because}");
        world.agree(refused, "carol", "hsm-a").await.unwrap_err();
        assert!(world.store.open_leases().await.unwrap().is_empty());
    }
}

/// Whoever edits rows can append to the log while the node is down, and cannot hide what was there before.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_appended_to_the_log_hides_nothing() {
    let mut world = World::signing().await;
    let lease = world.live(wanted(vec![], 3)).await;
    world.sign_digests(&digests(0..2)).await.unwrap();
    all_signed(&world).await;
    world.stop().await;
    let head = world.store.audit_head().await.unwrap();
    let leaves = world.store.audit_leaves(0, 10_000).await.unwrap();
    let of_request = |body: &[u8]| body.windows(17).any(|part| part == b"\"lease-requested\"");
    let request = leaves.into_iter().find(|leaf| of_request(&leaf.body)).unwrap();
    let mut frontier = Frontier::from_bytes(&head.frontier).unwrap();
    frontier.push(leaf_hash(&request.body));
    for edit in [
        HIDE.to_owned(),
        format!(
            "INSERT INTO audit_leaf (leaf_index, body) VALUES ({}, X'{}')",
            head.size,
            hex::encode(&request.body)
        ),
        format!(
            "UPDATE audit_head SET size = {}, frontier = X'{}'",
            head.size + 1,
            hex::encode(frontier.to_bytes())
        ),
        "DELETE FROM lease_signature".to_owned(),
        "DELETE FROM lease_digest".to_owned(),
        "DELETE FROM lease_answer".to_owned(),
        REOPEN.to_owned(),
    ] {
        world.edit(&edit).await;
    }
    world.start().await;
    let (state, because) = ended(&world, lease).await;
    assert_eq!(state, LeaseState::Revoked);
    assert!(because.contains("twice"), "{because}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_not_the_signed_one_proves_nothing() {
    let mut world = World::signing().await;
    let lease = world.live(wanted(vec![], 3)).await;
    world.sign_digests(&digests(0..2)).await.unwrap();
    all_signed(&world).await;
    restart_with(
        &mut world,
        &[
            "UPDATE audit_leaf SET body = CAST(REPLACE(CAST(body AS TEXT), 'digests-reserved', 'digests-deserved') AS BLOB)",
            "UPDATE audit_leaf SET body = CAST(REPLACE(CAST(body AS TEXT), 'digest-signed', 'digest-sighed') AS BLOB)",
            "DELETE FROM lease_signature",
            "DELETE FROM lease_digest",
        ],
    )
    .await;
    let (state, because) = ended(&world, lease).await;
    assert_eq!(state, LeaseState::Revoked);
    assert!(because.contains("not the one that was signed"), "{because}");
}
