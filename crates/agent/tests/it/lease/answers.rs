//! What a custodian's token answers: an agreement, a refusal, what the node counts itself, and having an HSM locked.

use chancery_agent::{AgentError, LeaseDecision};
use chancery_api::{StatementKind, canonical_json, lease_statement};

use crate::{
    common::is_signed_by,
    lease::scene::{Scene, digest, leaves, now, place_of, refuse, view, why},
};

#[test]
fn every_hsm_gets_its_answer_and_the_statement_over_what_was_shown() {
    let scene = Scene::new();
    let text = scene.text();
    let mut node = scene.node(&text);
    scene.decide(&mut node, &LeaseDecision::Agree).unwrap();
    let hsms: Vec<&str> = node.asked.iter().map(|call| call.hsm.as_str()).collect();
    assert_eq!(hsms, ["hsm-a", "hsm-b"]);
    assert_eq!(node.asked[0].seen, None);
    assert_eq!(
        node.asked[1].seen,
        Some(place_of(&leaves(5))),
        "seen a moment ago"
    );
    assert_eq!(node.answers.len(), 2);
    let bytes = canonical_json(&text).unwrap();
    for (answer, hsm) in node.answers.iter().zip(&text.hsms) {
        assert_eq!(answer.session, format!("session of {}", hsm.name));
        let challenge = [1, 2, 3, 4, 5, 6, 7, 8];
        let unlock = [hsm.device.as_bytes(), &challenge].concat();
        let key = &scene.evidence.key_request;
        assert!(is_signed_by(key, &unlock, &answer.unlock.as_ref().unwrap().0));
        let statement = lease_statement(
            StatementKind::Unlock,
            &bytes,
            place_of(&leaves(5)),
            None,
            &hsm.device,
            challenge,
        );
        assert!(is_signed_by(key, &statement, &answer.statement.0));
        assert!(!is_signed_by(key, &unlock, &answer.statement.0));
        assert_eq!(answer.reason, None);
    }

    // The next time the log has to continue what was seen.
    let mut later = scene.node(&text);
    later.leaves = leaves(9);
    scene.decide(&mut later, &LeaseDecision::Agree).unwrap();
    assert_eq!(later.asked[0].seen, Some(place_of(&leaves(5))));
}

#[test]
fn a_refusal_is_one_statement_with_its_reason_and_opens_nothing() {
    let scene = Scene::new();
    let text = scene.text();
    let mut node = scene.node(&text);
    node.kind = StatementKind::Refuse;
    scene.decide(&mut node, &refuse()).unwrap();
    assert!(node.asked[0].refuse);
    assert_eq!(node.answers.len(), 1);
    let answer = &node.answers[0];
    assert_eq!(answer.unlock, None);
    assert_eq!(answer.reason.as_deref(), Some("wrong kernel version"));
    let statement = lease_statement(
        StatementKind::Refuse,
        &canonical_json(&text).unwrap(),
        place_of(&leaves(5)),
        Some("wrong kernel version"),
        &text.hsms[0].device,
        [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert!(is_signed_by(
        &scene.evidence.key_request,
        &statement,
        &answer.statement.0
    ));

    // A node that makes an agreement of it, or a refusal of an agreement, gets nothing.
    let mut node = scene.node(&text);
    assert!(why(scene.decide(&mut node, &refuse())).contains("it was refused"));
    node.kind = StatementKind::Refuse;
    assert!(why(scene.decide(&mut node, &LeaseDecision::Agree)).contains("it was agreed"));
    assert!(node.answers.is_empty());
    for bad in ["", "  ", "two\nlines", "\u{1b}[2J", &"x".repeat(201)] {
        assert!(
            matches!(LeaseDecision::refuse(bad), Err(AgentError::Reason(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn the_node_counts_only_where_that_was_shown() {
    let scene = Scene::new();
    let text = scene.text();
    let mut node = scene.node(&text);
    node.kind = StatementKind::Open;
    assert!(why(scene.decide(&mut node, &LeaseDecision::Agree)).contains("enforced by the HSMs"));
    assert!(node.answers.is_empty());

    let mut open = view(&text);
    open.node_enforced = true;
    let lease = scene.read(&open).unwrap();
    let lines = lease.lines(now(), None).join("\n");
    assert!(
        lines.contains("node-enforced") && lines.contains("IS OPEN ALREADY"),
        "{lines}"
    );
    let lease = lease.with_manifest(vec![digest(1), digest(2)]).unwrap();
    scene
        .custodian()
        .decide(&mut node, &lease, &LeaseDecision::Agree)
        .unwrap();
    assert!(node.answers.iter().all(|answer| answer.unlock.is_none()));

    let mut strict = text;
    strict.strict = true;
    let mut view = view(&strict);
    view.node_enforced = true;
    assert!(why(scene.read(&view).map(drop)).contains("strict"));
}

#[test]
fn an_hsm_with_nothing_to_answer_is_passed_over() {
    let scene = Scene::new();
    let text = scene.text();
    let mut node = scene.node(&text);
    node.nothing_for = Some("hsm-a".to_owned());
    let lease = scene.read(&view(&text)).unwrap();
    let lease = lease.with_manifest(vec![digest(1), digest(2)]).unwrap();
    let done = scene
        .custodian()
        .decide(&mut node, &lease, &LeaseDecision::Agree)
        .unwrap();
    assert_eq!(done[0].outcome.as_ref().unwrap_err(), "it is open already");
    assert!(done[1].outcome.is_ok());
    assert_eq!(node.answers.len(), 1);
}

#[test]
fn a_token_has_an_hsm_locked_only_for_a_strict_lease() {
    let scene = Scene::new();
    let mut text = scene.text();
    let mut node = scene.node(&text);
    node.kind = StatementKind::Lock;
    assert!(scene.decide(&mut node, &LeaseDecision::Agree).is_err());
    assert!(node.answers.is_empty());
    text.strict = true;
    let mut node = scene.node(&text);
    node.kind = StatementKind::Lock;
    scene.decide(&mut node, &LeaseDecision::Agree).unwrap();
    let answer = &node.answers[0];
    assert!(answer.unlock.is_none(), "it opens nothing");
    let mut node = scene.node(&text);
    node.kind = StatementKind::Lock;
    assert!(scene.decide(&mut node, &refuse()).is_err());
}
