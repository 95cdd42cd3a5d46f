//! Leases: from the request to the receipt.

use chancery_api::{FailureKind, HsmState, LeaseState, LeaseWithdraw, ReceiptShow};

use crate::support::{
    World,
    leases::{BUILDER, OTHER, digest, digests, signing, wanted},
};

#[tokio::test(flavor = "multi_thread")]
async fn one_approval_is_not_enough_and_two_are() {
    let world = World::signing().await;
    let failure = world.sign_digests(&[digest(1)]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked, "{failure:?}");
    assert_eq!(failure.unmet[0].code, "lease");
    let lease = world.request(wanted(vec![digest(1)], 0)).await.unwrap();
    let view = world.agree(lease, "alice", "hsm-a").await.unwrap();
    assert_eq!(
        (view.state, view.agreed),
        (LeaseState::Waiting, vec!["alice".to_owned()])
    );
    assert_eq!(view.could, ["bob", "carol"]);
    let failure = world.sign_digests(&[digest(1)]).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "quorum", "{failure:?}");
    let view = world.agree(lease, "bob", "hsm-a").await.unwrap();
    assert_eq!(view.state, LeaseState::Live);
    assert!(!view.node_enforced);
    let signed = world.sign_digests(&[digest(1)]).await.unwrap();
    assert!(world.is_right(&signed[0]).await);
    // Everything it permits is signed: the HSM is locked again, and the same digest gets the same signature.
    world.until_locked("hsm-a").await;
    assert_eq!(world.show(lease).await.state, LeaseState::Exhausted);
    assert_eq!(world.sign_digests(&[digest(1)]).await.unwrap(), signed);
    assert_eq!(world.signs(), 1, "the second time no HSM signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_holds_everything_and_is_in_the_log() {
    let world = World::signing().await;
    let lease = world.live(wanted(digests(0..3), 1)).await;
    world.sign_digests(&digests(0..2)).await.unwrap();
    let call = ReceiptShow {
        lease,
        digest: digest(1),
    };
    let receipt = loop {
        let receipt = world.center.receipt_show(&call, Some(&BUILDER)).await.unwrap();
        if receipt.inclusion.is_some() {
            break receipt;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(receipt.statements.len(), 2);
    assert_eq!((receipt.needed, receipt.node_enforced), (2, false));
    assert_eq!(receipt.manifest, {
        let mut sorted = digests(0..3);
        sorted.sort();
        sorted
    });
    let failure = world.center.receipt_show(&call, Some(&OTHER)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_its_requesters_alone() {
    let world = World::signing().await;
    let lease = world.live(wanted(vec![], 3)).await;
    let mut call = signing(&[digest(1)]);
    let failure = world.center.signing_sign(call.clone(), &OTHER).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "lease");
    call.lease = Some(lease);
    let failure = world.center.signing_sign(call, &OTHER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
    let withdraw = LeaseWithdraw { lease };
    let failure = world.center.lease_withdraw(&withdraw, &OTHER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
    let mut again = wanted(vec![], 1);
    again.reuse = true;
    let theirs = world.center.lease_request(again.clone(), &OTHER).await.unwrap();
    assert_ne!(theirs.lease, lease);
    let ours = world.center.lease_request(again, &BUILDER).await.unwrap();
    assert_eq!(ours.lease, lease);
    let view = world.center.lease_withdraw(&withdraw, &BUILDER).await.unwrap();
    assert_eq!(view.state, LeaseState::Withdrawn);
    assert!(matches!(
        world.center.hsm_status("hsm-a").await.unwrap().state,
        HsmState::Locked { .. }
    ));
}
