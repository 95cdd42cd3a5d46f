//! HSMs that go away, come back as another one, or come back as they were long ago.

use chancery_api::{FailureKind, HsmState, Intent, Performed};

use crate::support::{World, extra::copy_dir};

#[tokio::test(flavor = "multi_thread")]
async fn removed_between_approval_and_signature() {
    let world = World::ready().await;
    world.watch_signatures();
    let request = world.approved("www.example.com").await;
    let act = world.sign_intent(request).await;
    world.line.cut_after(0, false);
    let failure = world.perform(act).await.unwrap_err();
    assert!(
        failure.message.contains("recorded and not yet signed"),
        "{failure:?}"
    );
    assert!(
        failure
            .remedy
            .unwrap()
            .contains(&format!("request resume {request}"))
    );
    let shown = world.center.request_show(request).await.unwrap();
    assert_eq!(shown.request.state, "signing");
    let serial = shown.certificate.unwrap().serial;
    assert!(shown.der.is_none());

    let why = world.center.request_why(request).await.unwrap();
    assert_eq!(why.action.as_deref(), Some("resume"));
    assert_eq!(why.next, Some(format!("chancery request resume {request}")));
    let codes: Vec<_> = why
        .unmet
        .iter()
        .map(|condition| condition.code.as_str())
        .collect();
    assert_eq!(codes, ["attached"], "any one HSM is enough: one condition");
    assert!(
        why.unmet[0].or[0].contains("chancery hsm attach hsm-b"),
        "{why:?}"
    );
    assert!(
        why.unmet[0]
            .what
            .contains("was lost because the token is gone: the plug was pulled"),
        "{why:?}"
    );
    let failure = world.center.request_resume(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "interrupted");

    world.line.mend();
    world.attach("hsm-b").await.unwrap();
    let failure = world.center.request_resume(request).await.unwrap_err();
    assert_eq!(failure.unmet[0].what, "quorum 0 of 2 on hsm-b");
    for name in ["alice", "carol"] {
        world.unlock("hsm-b", name).await.unwrap();
    }
    let done = world.center.request_resume(request).await.unwrap();
    assert_eq!(done.request.state, "done");
    assert_eq!(done.certificate.unwrap().serial, serial);
    assert_eq!(
        world
            .certificates()
            .await
            .iter()
            .filter(|one| one.request == Some(request))
            .count(),
        1
    );
    world.holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_on_the_way_leaves_one_certificate() {
    let world = World::ready().await;
    world.watch_signatures();
    let request = world.approved("www.example.com").await;
    let act = world.sign_intent(request).await;
    let before = world.signs();
    world.line.cut_after(0, true);
    world.perform(act).await.unwrap_err();
    assert_eq!(
        world.signs() - before,
        1,
        "an HSM signed, and nobody has the signature"
    );
    let serial = world
        .center
        .request_show(request)
        .await
        .unwrap()
        .certificate
        .unwrap()
        .serial;
    world.line.mend();
    for hsm in ["hsm-a", "hsm-b"] {
        world.attach(hsm).await.unwrap();
    }
    world.unlock_all().await;
    let done = world.center.request_resume(request).await.unwrap();
    assert_eq!(done.certificate.unwrap().serial, serial);
    world.holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_hsm_signs_when_the_first_is_lost() {
    let world = World::ready().await;
    // Whichever is asked first: it is lost at that moment, once the one and once the other.
    for (lost, other) in [("hsm-a", "hsm-b"), ("hsm-b", "hsm-a")] {
        let request = world.approved("www.example.com").await;
        let act = world.sign_intent(request).await;
        world.line.unplug(lost);
        let Performed::Requests { requests } = world.perform(act).await.unwrap() else {
            panic!()
        };
        assert_eq!(requests[0].request.state, "done");
        assert!(matches!(
            world.center.hsm_status(lost).await.unwrap().state,
            HsmState::Lost { .. }
        ));
        let state = world.center.hsm_status(other).await.unwrap().state;
        assert!(matches!(state, HsmState::Unlocked { .. }));
        world.line.mend();
        world.attach(lost).await.unwrap();
        for name in ["alice", "bob"] {
            world.unlock(lost, name).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hsm_under_a_known_name_is_refused() {
    let mut world = World::ready().await;
    let request = world.approved("www.example.com").await;
    let (a, aside) = (world.token_dir("hsm-a"), world.dir.path().join("aside"));
    let exchange = |other: std::path::PathBuf| {
        std::fs::rename(&a, &aside).unwrap();
        std::fs::rename(&other, &a).unwrap();
        std::fs::rename(&aside, &other).unwrap();
    };
    // While it is detached.
    world
        .act("alice", Intent::HsmDetach { hsm: "hsm-a".into() })
        .await
        .unwrap();
    exchange(world.token_dir("dave"));
    let failure = world.attach("hsm-a").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(failure.message.contains("it was exchanged"), "{failure:?}");
    assert_eq!(failure.unmet[0].code, "device");
    let init = Intent::HsmInit {
        tokens: vec!["hsm-a".into()],
        required: 2,
        total: 3,
        shares: 2,
    };
    let failure = world.act("alice", init).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    exchange(world.token_dir("dave"));

    // Between the decision to attach it and the attaching.
    let act = world
        .signed(
            "alice",
            "alice",
            Intent::HsmAttach {
                token: "hsm-a".into(),
                connector: None,
            },
        )
        .await
        .unwrap();
    exchange(world.token_dir("dave"));
    let failure = world.perform(act).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    exchange(world.token_dir("dave"));
    world.attach("hsm-a").await.unwrap();

    // While the node is down: the two HSMs in each other's place.
    world.stop().await;
    exchange(world.token_dir("hsm-b"));
    world.start().await;
    for hsm in ["hsm-a", "hsm-b"] {
        let sentence = world.sentence(hsm).await;
        assert!(
            sentence.starts_with("lost") && sentence.contains("it was exchanged"),
            "{sentence}"
        );
    }
    let before = world.signs();
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    assert!(
        failure.unmet.iter().all(|condition| condition.code == "attached"),
        "{failure:?}"
    );
    assert_eq!(world.signs(), before);
    world.stop().await;
    exchange(world.token_dir("hsm-b"));
    world.start().await;
    world.unlock_all().await;
    world.sign(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_restored_from_an_older_copy_is_reported() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world.unlock_all().await;
    world.create_ca("ec:P-256").await;
    let detach = || Intent::HsmDetach { hsm: "hsm-b".into() };
    let (b, aside) = (world.token_dir("hsm-b"), world.dir.path().join("aside"));
    world.act("alice", detach()).await.unwrap();
    copy_dir(&b, &aside);
    world.attach("hsm-b").await.unwrap();
    assert!(
        world
            .center
            .hsm_status("hsm-b")
            .await
            .unwrap()
            .warnings
            .is_empty()
    );
    for name in ["alice", "bob"] {
        world.unlock("hsm-b", name).await.unwrap();
    }
    let replicate = || Intent::SignerReplicate {
        ca: "root".into(),
        hsm: "hsm-b".into(),
    };
    world.act("alice", replicate()).await.unwrap();
    world.act("alice", detach()).await.unwrap();
    let restore = || {
        std::fs::remove_dir_all(&b).unwrap();
        copy_dir(&aside, &b);
    };
    restore();
    world.attach("hsm-b").await.unwrap();
    let warned = |warnings: &[String]| {
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("older than one seen before"), "{warnings:?}");
        assert_eq!(warnings[1], "it does not hold the key of CA root any more");
    };
    warned(&world.center.hsm_status("hsm-b").await.unwrap().warnings);
    let replica = |signer: chancery_api::SignerView| {
        signer
            .replicas
            .into_iter()
            .find(|replica| replica.hsm == "hsm-b")
            .unwrap()
            .state
    };
    assert_eq!(
        replica(world.center.ca_show("root").await.unwrap().signer.unwrap()),
        "absent"
    );
    let events = world.events().await;
    for name in ["hsm-state-older", "replica-gone"] {
        assert_eq!(events.iter().filter(|event| *event == name).count(), 1, "{name}");
    }
    // The copy is made good.
    for name in ["alice", "bob"] {
        world.unlock("hsm-b", name).await.unwrap();
    }
    world.act("alice", replicate()).await.unwrap();
    assert_eq!(
        replica(world.center.ca_show("root").await.unwrap().signer.unwrap()),
        "verified"
    );

    // The same while the node is down.
    world.stop().await;
    restore();
    world.start().await;
    warned(&world.center.hsm_status("hsm-b").await.unwrap().warnings);
    world.restart().await;
    assert!(
        world
            .center
            .hsm_status("hsm-b")
            .await
            .unwrap()
            .warnings
            .is_empty(),
        "it is in the log"
    );
    assert_eq!(
        world
            .events()
            .await
            .iter()
            .filter(|event| *event == "hsm-state-older")
            .count(),
        2
    );
}
