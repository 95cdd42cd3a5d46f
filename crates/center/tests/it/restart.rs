//! What is known after the node was started again, and what was interrupted.

use std::sync::Arc;

use chancery_api::{HsmState, Intent, SignerVerify};
use chancery_keys::{Hsm, Inspection, VirtualConnect};

use crate::support::World;

/// What a token says when it is asked by nobody but the test; the center is stopped meanwhile.
async fn look(world: &World, name: &'static str) -> Inspection {
    let connect = VirtualConnect {
        dir: world.token_dir(name),
        at_rest: world.at_rest(),
    };
    let anchors = Arc::new(world.local.anchors().clone());
    let hsm =
        tokio::task::spawn_blocking(move || Hsm::start(name, Arc::new(connect), anchors, Arc::new(|| 0)))
            .await
            .unwrap()
            .unwrap();
    let inspection = hsm.inspect().await.unwrap();
    hsm.close("it was looked at");
    inspection
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_known_and_nothing_is_open() {
    let mut world = World::ready().await;
    world.watch_signatures();
    let mut serials = Vec::new();
    for name in ["a.example.com", "b.example.com"] {
        let request = world.approved(name).await;
        serials.push(world.sign(request).await.unwrap().certificate.unwrap().serial);
    }
    let waiting = world.approved("c.example.com").await;
    let epoch = world.center.epoch();
    world.restart().await;
    assert_eq!(world.center.epoch(), epoch + 1);
    assert!(!world.center.any_unlocked());
    for hsm in ["hsm-a", "hsm-b"] {
        let state = world.center.hsm_status(hsm).await.unwrap().state;
        assert!(matches!(state, HsmState::Locked { .. }), "{state:?}");
    }
    for serial in &serials {
        let shown = world.center.cert_show(serial).await.unwrap();
        assert_eq!(shown.certificate.state, "issued");
        assert_eq!(shown.chain.len(), 1);
    }
    let failure = world.sign(waiting).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "quorum");
    world.unlock_all().await;
    world.sign(waiting).await.unwrap();
    // Numbers go on.
    assert_eq!(world.approved("d.example.com").await.0, waiting.0 + 1);
    world.holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_whose_key_was_being_generated_is_finished_with_that_key() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world.unlock_all().await;
    world.watch_signatures();
    let mut finished = 0;
    let mut left = 0;
    // Wherever the line is cut while the key is made, described, certified and recorded.
    loop {
        let name = format!("ca-{left}");
        let request = world.ca_request(&name).await;
        let act = world
            .signed(
                "alice",
                "alice",
                Intent::RequestApprove {
                    requests: vec![request],
                },
            )
            .await
            .unwrap();
        world.line.cut_after(left, left % 2 == 0);
        let outcome = world.perform(act).await;
        world.line.mend();
        let interrupted = match &outcome {
            Ok(_) => false,
            Err(failure) => {
                assert!(
                    failure.message.contains("approved, but not yet carried out"),
                    "{failure:?}"
                );
                true
            }
        };
        let unlocked = matches!(
            world.center.hsm_status("hsm-a").await.unwrap().state,
            HsmState::Unlocked { .. }
        );
        if !unlocked {
            world.stop().await;
            let before = look(&world, "hsm-a").await.keys;
            world.start().await;
            world.unlock_all().await;
            if interrupted {
                let shown = world.center.request_resume(request).await.unwrap();
                assert_eq!(shown.request.state, "approved");
            }
            world.stop().await;
            let after = look(&world, "hsm-a").await.keys;
            let key_id = u8::try_from(finished + 1).unwrap();
            assert_eq!(
                after,
                (1..=key_id).collect::<Vec<_>>(),
                "one key, under its reserved id"
            );
            assert!(before == after || before == after[..after.len() - 1]);
            world.start().await;
            world.unlock_all().await;
        }
        world.sign(request).await.unwrap();
        let verify = SignerVerify {
            ca: name,
            hsm: Some("hsm-a".into()),
        };
        world.center.signer_verify(&verify, 0).await.unwrap();
        finished += 1;
        if unlocked {
            break;
        }
        left += 2;
    }
    assert!(finished > 4, "{finished} interruptions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_key_that_was_not_recorded_is_taken() {
    use crate::support::faults::Fault;
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world.unlock_all().await;
    let request = world.ca_request("root").await;
    let act = world
        .signed(
            "alice",
            "alice",
            Intent::RequestApprove {
                requests: vec![request],
            },
        )
        .await
        .unwrap();
    // The first commit is the approval, the second what the HSM generated.
    world.faults.fail(2, Fault::Before);
    world.perform(act).await.unwrap_err();
    world.stop().await;
    assert_eq!(look(&world, "hsm-a").await.keys, [1]);
    world.start().await;
    world.unlock_all().await;
    assert_eq!(world.center.ca_list().await.unwrap()[0].state, "requested");
    world.center.request_resume(request).await.unwrap();
    assert_eq!(world.center.ca_list().await.unwrap()[0].state, "key-generated");
    world.sign(request).await.unwrap();
    world.stop().await;
    assert_eq!(look(&world, "hsm-a").await.keys, [1]);
}

async fn replica(world: &World) -> String {
    let signer = world.center.ca_show("root").await.unwrap().signer.unwrap();
    signer
        .replicas
        .into_iter()
        .find(|replica| replica.hsm == "hsm-b")
        .unwrap()
        .state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_interrupted_is_finished() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world.unlock_all().await;
    world.create_ca("ec:P-256").await;
    assert_eq!(replica(&world).await, "absent");
    let replicate = || Intent::SignerReplicate {
        ca: "root".into(),
        hsm: "hsm-b".into(),
    };
    let mut interruptions = 0;
    let mut begun = false;
    let mut left = 0;
    loop {
        let act = world.signed("alice", "alice", replicate()).await.unwrap();
        world.line.cut_after(left, left % 2 == 0);
        let outcome = world.perform(act).await;
        world.line.mend();
        match outcome {
            Ok(_) => break,
            // Before the copy is begun nothing is noted; from then on it is never forgotten.
            Err(_) => {
                let known = replica(&world).await;
                assert!(
                    ["absent", "partial", "verified"].contains(&known.as_str()),
                    "{known}"
                );
                assert!(known != "absent" || !begun, "a copy that was begun is forgotten");
                begun |= known != "absent";
            }
        }
        interruptions += 1;
        left += 3;
        world.restart().await;
        world.unlock_all().await;
    }
    assert!(interruptions > 4, "{interruptions}");
    assert_eq!(replica(&world).await, "verified");
    world.stop().await;
    assert_eq!(look(&world, "hsm-b").await.keys, [1]);
    world.start().await;
    // The copy alone is enough.
    world
        .act("alice", Intent::HsmDetach { hsm: "hsm-a".into() })
        .await
        .unwrap();
    for name in ["alice", "bob"] {
        world.unlock("hsm-b", name).await.unwrap();
    }
    let request = world.approved("www.example.com").await;
    world.sign(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_loss_is_recorded_with_its_cause() {
    let mut world = World::ready().await;
    for _ in 0..2 {
        world.line.unplug("hsm-a");
        assert!(world.sentence("hsm-a").await.starts_with("lost"));
        assert!(world.sentence("hsm-a").await.starts_with("lost"));
        // Coming back by a new start, not by an act.
        world.restart().await;
        assert!(world.sentence("hsm-a").await.starts_with("locked"));
    }
    let losses: Vec<_> = world
        .leaves()
        .await
        .into_iter()
        .filter(|leaf| leaf["event"] == "hsm-lost")
        .map(|leaf| leaf["data"]["because"].clone())
        .collect();
    assert_eq!(losses, ["the token is gone: the plug was pulled"; 2]);
}

/// The id of a CA's key is one that no HSM has a key under: what stands there was generated for something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_there_before_is_not_taken_for_a_ca() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world.unlock_all().await;
    world.other_key("dave", 1, chancery_cvc::Curve::Secp256r1);
    world.attach("dave").await.unwrap();
    world.create_ca("ec:P-256").await;
    world.stop().await;
    assert_eq!(look(&world, "hsm-a").await.keys, [2]);
}
