//! Which keys become those of custodians.

use chancery_api::{FailureKind, Intent, Role};
use chancery_cvc::Curve;

use crate::support::World;

async fn empty_hsms() -> World {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_over_256_bits_is_refused_with_the_reason() {
    let world = empty_hsms().await;
    let evidence = world.other_key("bob", 5, Curve::Secp384r1);
    let failure = world
        .open_custodian_with("bob", &evidence, &["hsm-a"])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert!(failure.message.contains("384-bit curve"), "{failure:?}");
    assert!(failure.remedy.unwrap().contains("256-bit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_custodian_twice_is_refused() {
    let mut world = empty_hsms().await;
    world
        .register_custodian("alice", &["hsm-a", "hsm-b"])
        .await
        .unwrap();
    let failure = world.register_custodian("alice", &["hsm-a"]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    // Another key of the same person.
    let evidence = world.other_key("alice", 5, Curve::BrainpoolP256r1);
    let failure = world
        .open_custodian_with("alice", &evidence, &["hsm-a"])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    // The same key for another person.
    let evidence = custodian_evidence(&world, "alice");
    let failure = world
        .open_custodian_with("bob", &evidence, &["hsm-a"])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    // One HSM named twice.
    let evidence = custodian_evidence(&world, "bob");
    let failure = world
        .open_custodian_with("bob", &evidence, &["hsm-a", "hsm-a"])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid, "{failure:?}");
    assert_eq!(
        world.center.hsm_status("hsm-a").await.unwrap().custodians.len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_for_one_custodian_register_once() {
    let world = empty_hsms().await;
    let evidence = custodian_evidence(&world, "alice");
    let first = world
        .open_custodian_with("alice", &evidence, &["hsm-a"])
        .await
        .unwrap();
    let second = world
        .open_custodian_with("alice", &evidence, &["hsm-a"])
        .await
        .unwrap();
    world.approve("alice", &[first]).await.unwrap();
    let failure = world.approve("alice", &[second]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    assert!(
        failure.message.contains("registered in HSM hsm-a already"),
        "{failure:?}"
    );
    assert_eq!(world.state(second).await, "open");
    world
        .act(
            "alice",
            Intent::RequestReject {
                requests: vec![second],
                reason: "twice".into(),
            },
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_signs_acts_is_refused_as_custodian_key() {
    let mut world = empty_hsms().await;
    let evidence = chancery_agent::act_key(&mut world.token("bob"), world.local.anchors()).unwrap();
    let failure = world
        .open_custodian_with("bob", &evidence, &["hsm-a"])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("signs acts already"), "{failure:?}");

    // It became one after the request was opened.
    let evidence = chancery_agent::act_key(&mut world.token("dave"), world.local.anchors()).unwrap();
    let request = world
        .open_custodian_with("bob", &evidence, &["hsm-a"])
        .await
        .unwrap();
    world.add_person("dave", &[Role::Auditor]).await.unwrap();
    let failure = world.approve("alice", &[request]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("signs acts already"), "{failure:?}");
    assert!(
        world
            .center
            .hsm_status("hsm-a")
            .await
            .unwrap()
            .custodians
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custodian_key_is_refused_for_acts() {
    let mut world = empty_hsms().await;
    let evidence = world.other_key("dave", 5, Curve::Secp256r1);
    let early = world
        .open_person_with("dave", &evidence, &[Role::Auditor])
        .await
        .unwrap();
    let request = world
        .open_custodian_with("bob", &evidence, &["hsm-a"])
        .await
        .unwrap();
    world.approve("alice", &[request]).await.unwrap();
    for failure in [
        world
            .open_person_with("erin", &evidence, &[Role::Auditor])
            .await
            .unwrap_err(),
        world.approve("alice", &[early]).await.unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.message.contains("custodian key"), "{failure:?}");
    }
    // The usual custodian key could not even sign an act.
    world.register_custodian("carol", &["hsm-a"]).await.unwrap();
    let evidence = custodian_evidence(&world, "carol");
    let failure = world
        .open_person_with("erin", &evidence, &[Role::Auditor])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_all_are_registered_nobody_is_added() {
    let mut world = empty_hsms().await;
    world.add_person("dave", &[Role::Auditor]).await.unwrap();
    let late = world
        .open_custodian_with("dave", &custodian_evidence(&world, "dave"), &["hsm-a"])
        .await
        .unwrap();
    world.register_custodians().await;
    let evidence = custodian_evidence(&world, "dave");
    let failure = world
        .open_custodian_with("dave", &evidence, &["hsm-a"])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(
        failure.message.contains("all 3 custodians of HSM hsm-a"),
        "{failure:?}"
    );
    assert!(failure.remedy.unwrap().contains("another HSM"));
    // The HSM itself refuses one that was asked for in time; the request says so and can be rejected.
    world.approve("alice", &[late]).await.unwrap_err();
    assert_eq!(world.state(late).await, "approved");
    assert_eq!(
        world.center.hsm_status("hsm-a").await.unwrap().custodians.len(),
        3
    );
    world
        .act(
            "alice",
            Intent::RequestReject {
                requests: vec![late],
                reason: "too late".into(),
            },
        )
        .await
        .unwrap();
    assert_eq!(world.state(late).await, "rejected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_was_interrupted_is_carried_on() {
    let world = empty_hsms().await;
    let request = world
        .open_custodian_with("alice", &custodian_evidence(&world, "alice"), &["hsm-a", "hsm-b"])
        .await
        .unwrap();
    world.line.unplug("hsm-b");
    let failure = world.approve("alice", &[request]).await.unwrap_err();
    assert!(
        failure.message.contains("approved, but not yet carried out"),
        "{failure:?}"
    );
    assert_eq!(world.state(request).await, "approved");
    assert_eq!(
        world.center.hsm_status("hsm-a").await.unwrap().custodians.len(),
        1
    );
    world.line.mend();
    world.attach("hsm-b").await.unwrap();
    world.center.request_resume(request).await.unwrap();
    assert_eq!(world.state(request).await, "done");
    assert_eq!(
        world.center.hsm_status("hsm-b").await.unwrap().custodians[0].person,
        "alice"
    );
    let failure = world.center.request_resume(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
}

fn custodian_evidence(world: &World, name: &str) -> chancery_agent::Evidence {
    chancery_agent::custodian_key(&mut world.token(name), world.local.anchors()).unwrap()
}
