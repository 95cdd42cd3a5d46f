//! Two nodes on one database: the younger one's claim counts.

use std::sync::{Arc, mpsc};

use chancery_api::{FailureKind, Intent};

use crate::support::{World, faults::Faults, line::Line};

#[tokio::test(flavor = "multi_thread")]
async fn a_late_signature_of_the_older_node_is_discarded() {
    let mut world = World::ready().await;
    world.watch_signatures();
    world
        .act("alice", Intent::HsmDetach { hsm: "hsm-b".into() })
        .await
        .unwrap();
    let request = world.approved("www.example.com").await;
    let act = world.sign_intent(request).await;
    let (reached, on_its_way) = mpsc::sync_channel(1);
    let (go, wait) = mpsc::channel();
    world.line.hold_sign(reached, wait);

    // The older node claims, and its SIGN is on its way for a long time.
    let older_line = Arc::clone(&world.line);
    let younger_line = Arc::new(Line::default());
    let (younger, store) = world.another(&younger_line, &Arc::new(Faults::default())).await;
    assert_eq!(younger.epoch(), world.center.epoch() + 1);
    let older = std::mem::replace(&mut world.center, younger);
    let store = std::mem::replace(&mut world.store, store);
    let late = {
        let perform = chancery_api::Perform {
            act,
            so_pins: std::collections::BTreeMap::new(),
        };
        tokio::spawn(async move {
            let outcome = older.perform(perform).await;
            (outcome, older)
        })
    };
    tokio::task::spawn_blocking(move || on_its_way.recv().unwrap())
        .await
        .unwrap();

    // The younger one takes the claim over, with the HSM it can have.
    assert!(world.sentence("hsm-a").await.contains("in use by process"));
    let serial = world
        .center
        .request_show(request)
        .await
        .unwrap()
        .certificate
        .unwrap()
        .serial;
    world.attach("hsm-b").await.unwrap();
    for name in ["alice", "bob"] {
        world.unlock("hsm-b", name).await.unwrap();
    }
    let done = world.center.request_resume(request).await.unwrap();
    let issued = done.der.unwrap();
    assert_eq!(done.certificate.unwrap().serial, serial);

    go.send(()).unwrap();
    let (outcome, older) = late.await.unwrap();
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    let shown = world.center.request_show(request).await.unwrap();
    assert_eq!(shown.der.unwrap(), issued, "what was given out stays");
    let events = world.events().await;
    for name in ["certificates-issued", "signature-discarded"] {
        let of_request = world
            .leaves()
            .await
            .iter()
            .filter(|leaf| leaf["event"] == name && leaf["data"]["request"] == request.0)
            .count();
        assert_eq!(of_request, 1, "{name}: {events:?}");
    }
    world.holds(0).await;
    assert_eq!(
        older_line.signed.lock().unwrap().len(),
        1,
        "the older node's HSM did sign"
    );
    older.close().await;
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_node_does_not_take_a_claim_back() {
    let mut world = World::ready().await;
    let request = world.approved("www.example.com").await;
    let act = world.sign_intent(request).await;
    world.line.cut_after(0, false);
    world.perform(act).await.unwrap_err();
    world.line.mend();
    world
        .edit("UPDATE certificate SET epoch = epoch + 5 WHERE state = 'signing'")
        .await;
    world.attach("hsm-a").await.unwrap();
    for name in ["alice", "bob"] {
        world.unlock("hsm-a", name).await.unwrap();
    }
    let before = world.signs();
    let failure = world.center.request_resume(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    assert_eq!(world.signs(), before);
    world.restart().await;
}
