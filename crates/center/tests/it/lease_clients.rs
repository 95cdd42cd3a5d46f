//! Clients of the network that are revoked while they have leases, or ask for one, or for too much.

use chancery_api::{
    Base64, ClientAdd, ClientRevoke, FailureKind, Hash32, LeaseState, LeaseWithdraw, Requester,
};
use chancery_store::Store as _;

use crate::support::{
    World,
    faults::Fault,
    leases::{BUILDER, digest, digests, signing, wanted},
};

/// Enrols a client.
async fn client(world: &World, name: &str) -> Requester {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = openssl::ec::EcKey::generate(&group).unwrap();
    let spki = key.public_key_to_der().unwrap();
    let call = ClientAdd {
        name: name.into(),
        key: Base64(spki.clone()),
        custodian: None,
    };
    world.center.client_add(&call, 0).await.unwrap();
    Requester::Client {
        name: name.into(),
        key: Hash32::of(&spki),
        address: "192.0.2.7".into(),
    }
}

fn revocation(name: &str) -> ClientRevoke {
    ClientRevoke { name: name.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_client_leaves_no_lease_behind() {
    let world = World::signing().await;
    let builder = client(&world, "builder").await;
    let lease = world
        .center
        .lease_request(wanted(vec![], 3), &builder)
        .await
        .unwrap()
        .lease;
    world.quorum(lease, "hsm-a").await;
    world
        .center
        .signing_sign(signing(&[digest(1)]), &builder)
        .await
        .unwrap();
    world
        .center
        .client_revoke(&revocation("builder"), 0)
        .await
        .unwrap();
    assert_eq!(world.show(lease).await.state, LeaseState::Withdrawn);
    world.until_locked("hsm-a").await;
    // A call that was let in before it was revoked.
    let call = world.center.lease_request(wanted(vec![], 3), &builder);
    let failure = call.await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(world.store.open_leases().await.unwrap().is_empty());
    let leaves = world.leaves().await;
    let told = leaves.iter().filter(|leaf| leaf["event"] == "lease-ended");
    assert_eq!(told.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_a_revoked_client_end_though_that_cannot_be_recorded() {
    let mut world = World::signing().await;
    let builder = client(&world, "builder").await;
    let mut leases = Vec::new();
    for hsm in ["hsm-a", "hsm-b"] {
        let call = world.center.lease_request(wanted(vec![], 3), &builder);
        let lease = call.await.unwrap().lease;
        world.quorum(lease, hsm).await;
        leases.push(lease);
    }
    // The revocation itself is recorded, and nothing after it.
    world.faults.fail(2, Fault::Before);
    world
        .center
        .client_revoke(&revocation("builder"), 0)
        .await
        .unwrap_err();
    for hsm in ["hsm-a", "hsm-b"] {
        world.until_locked(hsm).await;
    }
    let before = world.signs();
    world
        .center
        .signing_sign(signing(&[digest(1)]), &builder)
        .await
        .unwrap_err();
    assert_eq!(world.signs(), before);
    for lease in &leases {
        assert_eq!(world.show(*lease).await.state, LeaseState::Withdrawn);
        assert_eq!(world.lease_state(*lease).await, LeaseState::Live.name());
    }
    // The node dies before the disk is well again: they end when it starts.
    world.center.close().await;
    world.faults.heal();
    world.start().await;
    for lease in leases {
        let view = world.show(lease).await;
        assert_eq!(view.state, LeaseState::Withdrawn);
        assert!(view.because.unwrap().contains("client builder was revoked"));
    }
    assert!(world.store.open_leases().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_leases_of_one_requester_name_has_a_limit() {
    let world = World::signing().await;
    let builder = client(&world, "builder").await;
    let ask = |numbers: std::ops::Range<u32>, by: &Requester| {
        let (call, by) = (wanted(digests(numbers), 1), by.clone());
        let center = &world.center;
        async move { center.lease_request(call, &by).await }
    };
    // Many that come together: not more are let in than if one came after the other.
    let asked = futures::future::join_all((0..5).map(|_| ask(0..30_000, &builder))).await;
    let (let_in, kept_out): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    assert_eq!(let_in.len(), 3);
    for failure in kept_out.into_iter().map(Result::unwrap_err) {
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(failure.message.contains("90000 digests"), "{failure:?}");
        assert!(failure.remedy.unwrap().contains("lease withdraw"));
    }
    // What was not recorded takes no room.
    world.faults.fail(1, Fault::Before);
    ask(0..10_000, &builder).await.unwrap_err();
    world.faults.heal();
    ask(0..10_000, &builder).await.unwrap();
    ask(0..1, &builder).await.unwrap_err();
    // One that names none has room, others have their own, and so has who ends one.
    world
        .center
        .lease_request(wanted(vec![], 1), &builder)
        .await
        .unwrap();
    ask(0..30_000, &BUILDER).await.unwrap();
    let call = LeaseWithdraw {
        lease: let_in.into_iter().next().unwrap().unwrap().lease,
    };
    world.center.lease_withdraw(&call, &builder).await.unwrap();
    ask(0..30_000, &builder).await.unwrap();
    ask(0..1, &builder).await.unwrap_err();
}
