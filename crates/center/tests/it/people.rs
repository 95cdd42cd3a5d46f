//! Who acts is proven, not named.

use chancery_agent::ShownAct;
use chancery_api::{Base64, Decision, Draft, FailureKind, Intent, Performed, Role, SignedAct};

use crate::support::{World, csr};

fn approve(request: chancery_api::RequestNumber) -> Intent {
    Intent::RequestApprove {
        requests: vec![request],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_without_the_role_is_refused() {
    let world = World::ready().await;
    let request = world.import(&csr("www.example.com")).await.unwrap();
    for name in ["alice", "carol"] {
        let failure = world.act(name, approve(request)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Blocked);
        assert_eq!(failure.unmet[0].code, "role");
        assert_eq!(failure.unmet[0].who, ["bob"]);
    }
    let failure = world
        .act("bob", Intent::CrlCreate { ca: "root".into() })
        .await
        .unwrap_err();
    assert_eq!(failure.unmet[0].who, ["carol"]);
    assert_eq!(world.state(request).await, "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_persons_signature_is_refused() {
    let world = World::ready().await;
    let request = world.import(&csr("www.example.com")).await.unwrap();
    let act = world.signed("bob", "carol", approve(request)).await.unwrap();
    let failure = world.perform(act).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("not signed by bob"), "{failure:?}");
    assert_eq!(world.state(request).await, "open");
    assert!(
        world
            .center
            .request_show(request)
            .await
            .unwrap()
            .decisions
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_act_is_refused() {
    let mut world = World::ready().await;
    let request = world.import(&csr("www.example.com")).await.unwrap();
    let waiting = world.import(&csr("mail.example.com")).await.unwrap();
    let act = world.signed("bob", "bob", approve(request)).await.unwrap();
    let held_back = world.signed("bob", "bob", approve(waiting)).await.unwrap();
    world.perform(act.clone()).await.unwrap();
    let again = world.perform(act.clone()).await.unwrap_err();
    assert_eq!(again.kind, FailureKind::Refused, "{again:?}");
    world.restart().await;
    for act in [act, held_back] {
        let failure = world.perform(act).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
        assert!(failure.message.contains("restarted"), "{failure:?}");
    }
    assert_eq!(world.state(waiting).await, "open");
    let approvals = world
        .events()
        .await
        .iter()
        .filter(|name| *name == "requests-approved")
        .count();
    assert_eq!(
        world.center.request_show(request).await.unwrap().decisions.len(),
        1
    );
    // bob, carol, three custodians, the CA, and this one.
    assert_eq!(approvals, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_waits_ten_minutes() {
    let world = World::ready().await;
    let request = world.import(&csr("www.example.com")).await.unwrap();
    let act = world.signed("bob", "bob", approve(request)).await.unwrap();
    world.pass(601);
    let failure = world.perform(act).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert_eq!(world.state(request).await, "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_altered_by_one_byte_is_refused() {
    let world = World::ready().await;
    let request = world.import(&csr("www.example.com")).await.unwrap();
    let act = world.signed("bob", "bob", approve(request)).await.unwrap();
    for place in 0..act.payload.0.len() {
        let mut altered = act.clone();
        altered.payload.0[place] ^= 1;
        let failure = world.perform(altered).await.unwrap_err();
        assert!(
            matches!(failure.kind, FailureKind::Refused | FailureKind::Invalid),
            "byte {place}: {failure:?}"
        );
    }
    assert_eq!(world.state(request).await, "open");
    world.perform(act).await.unwrap();
    assert_eq!(world.state(request).await, "approved");

    let request = world.import(&csr("mail.example.com")).await.unwrap();
    let mut act = world.signed("bob", "bob", approve(request)).await.unwrap();
    let last = act.signature.0.len() - 1;
    act.signature.0[last] ^= 1;
    assert_eq!(world.perform(act).await.unwrap_err().kind, FailureKind::Refused);
    let act = world.signed("bob", "bob", approve(request)).await.unwrap();
    let empty = SignedAct {
        signature: Base64(Vec::new()),
        ..act
    };
    assert_eq!(world.perform(empty).await.unwrap_err().kind, FailureKind::Refused);
    assert_eq!(world.state(request).await, "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_for_somebody_else_is_not_signed() {
    let world = World::ready().await;
    let request = world.import(&csr("www.example.com")).await.unwrap();
    let draft = world
        .center
        .draft(Draft {
            person: "bob".into(),
            intent: approve(request),
        })
        .await
        .unwrap();
    // The agent of carol does not take it,
    ShownAct::read(
        &draft.payload.0,
        world.installation.id,
        "carol",
        "request-approve",
    )
    .unwrap_err();
    // nor for another verb, nor for another installation.
    ShownAct::read(&draft.payload.0, world.installation.id, "bob", "request-sign").unwrap_err();
    let other = chancery_api::InstallationId::new(uuid::Uuid::from_bytes([9; 16]));
    ShownAct::read(&draft.payload.0, other, "bob", "request-approve").unwrap_err();
    ShownAct::read(&draft.payload.0, world.installation.id, "bob", "request-approve").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_approved_does_not_sign() {
    let mut world = World::ready().await;
    let both = [Role::RegistrationOfficer, Role::CertificationOfficer];
    world.add_person("dave", &both).await.unwrap();
    let request = world.import(&csr("www.example.com")).await.unwrap();
    world.approve("dave", &[request]).await.unwrap();
    let sign = Intent::RequestSign {
        requests: vec![request],
    };
    let before = world.signs();
    let failure = world.act("dave", sign).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    assert_eq!(failure.unmet[0].code, "other-person");
    assert_eq!(failure.unmet[0].who, ["carol"]);
    assert_eq!(world.signs(), before);
    assert_eq!(world.sign(request).await.unwrap().request.state, "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_does_not_stand_for_two_people() {
    let mut world = World::new().await;
    world.add_people().await;
    let failure = world
        .open_person("erin", "bob", &[Role::Auditor])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(
        failure.message.contains("cannot stand for two people"),
        "{failure:?}"
    );
    let failure = world
        .open_person("bob", "dave", &[Role::Auditor])
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");

    // Both opened before either counts.
    let dave = world.open_person("dave", "dave", &[Role::Auditor]).await.unwrap();
    let erin = world.open_person("erin", "dave", &[Role::Auditor]).await.unwrap();
    let failure = world.approve("alice", &[dave, erin]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
    assert_eq!(world.state(dave).await, "open");
    world.approve("alice", &[dave]).await.unwrap();
    let failure = world.approve("alice", &[erin]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(failure.message.contains("key of dave"), "{failure:?}");
    let names: Vec<_> = world
        .center
        .person_list()
        .await
        .unwrap()
        .into_iter()
        .map(|p| p.name)
        .collect();
    assert_eq!(names, ["alice", "bob", "carol", "dave"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_takes_one_signature() {
    let world = World::ready().await;
    let mut requests = Vec::new();
    for name in ["a.example.com", "b.example.com", "c.example.com"] {
        requests.push(world.import(&csr(name)).await.unwrap());
    }
    let act = world
        .signed(
            "bob",
            "bob",
            Intent::RequestApprove {
                requests: requests.clone(),
            },
        )
        .await
        .unwrap();
    let shown = ShownAct::read(&act.payload.0, world.installation.id, "bob", "request-approve").unwrap();
    assert!(matches!(shown.decision(), Decision::RequestApprove { items } if items.len() == 3));
    world.perform(act).await.unwrap();
    let before = world.signs();
    let done = world
        .act(
            "carol",
            Intent::RequestSign {
                requests: requests.clone(),
            },
        )
        .await
        .unwrap();
    let Performed::Requests { requests: details } = done else {
        panic!("{done:?}")
    };
    assert!(
        details
            .iter()
            .all(|detail| detail.request.state == "done" && detail.der.is_some())
    );
    assert_eq!(world.signs() - before, 3);
    // One act stands behind all three.
    let acts: std::collections::BTreeSet<_> = world
        .certificates()
        .await
        .into_iter()
        .filter(|certificate| {
            certificate
                .request
                .is_some_and(|number| requests.contains(&number))
        })
        .map(|certificate| certificate.act)
        .collect();
    assert_eq!(acts.len(), 1);
    // Nothing of a list is done when one item cannot be.
    let open = world.import(&csr("d.example.com")).await.unwrap();
    let failure = world
        .act(
            "carol",
            Intent::RequestSign {
                requests: vec![open, requests[0]],
            },
        )
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked);
    let codes: Vec<_> = failure
        .unmet
        .iter()
        .map(|condition| condition.code.as_str())
        .collect();
    assert_eq!(codes, ["approval", "state"]);
    let failure = world
        .act(
            "bob",
            Intent::RequestApprove {
                requests: vec![open, open],
            },
        )
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
}
