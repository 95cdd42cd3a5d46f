//! Nodes that lie about the text, its digests, an HSM or the log get no signature.

use chancery_agent::{AgentError, LeaseDecision};
use chancery_api::{
    Base64, Extent, Hash32, HsmId, InstallationId, LeaseChallengeView, LeaseId, LeaseText, Mechanism,
    StatementKind, canonical_json,
};
use chancery_audit::{TreeHash, leaf_hash};
use uuid::Uuid;

use crate::lease::scene::{Node, Scene, digest, leaves, log_signer, place_of, refuse, view, why};

#[test]
fn a_text_that_is_not_what_is_shown_is_refused() {
    let scene = Scene::new();
    let good = scene.text();
    scene.read(&view(&good)).unwrap();
    let canonical = String::from_utf8(canonical_json(&good).unwrap()).unwrap();
    for bad in [
        canonical.replacen(':', ": ", 1),
        canonical.replacen("{\"algorithm\"", "{\"aaa\":1,\"algorithm\"", 1),
        canonical.replacen("{\"algorithm\"", "{\"purpose\":\"x\",\"algorithm\"", 1),
        canonical.replacen("firmware 4.2", "firmware\\u0020", 1),
        canonical + "\n",
        String::new(),
    ] {
        let mut view = view(&good);
        view.text = Base64(bad.clone().into_bytes());
        assert!(
            matches!(scene.read(&view), Err(AgentError::OtherLease(_))),
            "{bad}"
        );
    }
    type Change = fn(&mut LeaseText);
    let changes: [(Change, &str); 12] = [
        (|text| text.v = 2, "version 2"),
        (
            |text| text.installation = InstallationId::new(Uuid::from_bytes([8; 16])),
            "installation",
        ),
        (|text| text.hsms.clear(), "not distinct"),
        (|text| text.hsms[1] = text.hsms[0].clone(), "not distinct"),
        (|text| text.purpose = "x".repeat(201), "200 characters"),
        (|text| text.mechanism = Mechanism::RsaPss, "cannot sign like that"),
        (|text| text.extent = Extent::Count { count: 0 }, "sign nothing"),
        (
            |text| text.deadline = "2027-01-01T00:00:00Z".to_owned(),
            "31 days",
        ),
        (
            |text| text.deadline = "2026-11-21T11:00:00Z".to_owned(),
            "before it begins",
        ),
        (|text| text.deadline = "tomorrow".to_owned(), "times"),
        (|text| text.hsms[0].name = "hsm-x".to_owned(), "never accepted"),
        (|text| text.hsms[0].key = Hash32([1; 32]), "ANOTHER DEVICE KEY"),
    ];
    for (change, expected) in changes {
        let mut text = good.clone();
        change(&mut text);
        let said = why(scene.read(&view(&text)).map(drop));
        assert!(said.contains(expected), "{said}");
    }
    // The text of another lease under this one's name.
    let mut other = view(&good);
    other.lease = LeaseId::new(Uuid::from_bytes([5; 16]));
    assert!(why(scene.read(&other).map(drop)).contains("that of lease"));
    let mut alone = view(&good);
    alone.needed = 0;
    assert!(why(scene.read(&alone).map(drop)).contains("no custodian"));
}

#[test]
fn digests_are_those_of_the_text_or_nothing_is_agreed() {
    let scene = Scene::new();
    let text = scene.text();
    for digests in [
        vec![],
        vec![digest(1)],
        vec![digest(1), digest(3)],
        vec![digest(1), digest(2), digest(3)],
        vec![digest(2), digest(1)],
        vec![digest(1), digest(1)],
    ] {
        let mut node = scene.node(&text);
        node.digests.clone_from(&digests);
        let outcome = scene.decide(&mut node, &LeaseDecision::Agree);
        // Of three the node gives only the two that are asked for when it is asked page by page.
        if digests.len() == 3 {
            outcome.unwrap();
            let lease = scene.read(&view(&text)).unwrap();
            assert!(matches!(
                lease.with_manifest(digests),
                Err(AgentError::OtherLease(_))
            ));
        } else {
            assert!(
                matches!(outcome, Err(AgentError::OtherLease(_))),
                "{digests:?}: {outcome:?}"
            );
            assert!(node.asked.is_empty(), "no challenge for what was not shown");
        }
    }
    // Who did not look at them cannot agree, and can refuse.
    let lease = scene.read(&view(&text)).unwrap();
    let mut node = scene.node(&text);
    let agreed = scene
        .custodian()
        .decide(&mut node, &lease, &LeaseDecision::Agree)
        .map(drop);
    assert!(why(agreed).contains("not fetched"));
    node.kind = StatementKind::Refuse;
    scene.custodian().decide(&mut node, &lease, &refuse()).unwrap();
}

#[test]
fn a_node_that_lies_about_an_hsm_gets_no_signature() {
    let scene = Scene::new();
    let text = scene.text();
    type Lie = fn(&mut LeaseChallengeView);
    let lies: [(Lie, &str); 7] = [
        (|view| view.hsm.name = "hsm-b".to_owned(), "another HSM"),
        (|view| view.hsm.key = Hash32([1; 32]), "another HSM"),
        (
            |view| view.hsm.id = HsmId::new(Uuid::from_bytes([1; 16])),
            "another HSM",
        ),
        (|view| view.challenge.0.truncate(7), "7 bytes"),
        (|view| view.challenge.0.push(9), "9 bytes"),
        (|view| view.challenge.0.clear(), "0 bytes"),
        (
            |view| view.chr = "UTCHDMALLOR00001\u{1b}[2J".to_owned(),
            "UTCHDMALLOR00001\\u{1b}",
        ),
    ];
    for (lie, expected) in lies {
        let mut node = scene.node(&text);
        node.lie = lie;
        let said = why(scene.decide(&mut node, &LeaseDecision::Agree));
        assert!(said.contains(expected), "{said}");
        assert!(node.answers.is_empty());
    }
    // The chain of the other HSM, which is accepted, too, but under another name.
    let mut node = scene.node(&text);
    node.chains[0].1 = node.chains[1].1.clone();
    let said = why(scene.decide(&mut node, &LeaseDecision::Agree));
    assert!(said.contains("ANOTHER DEVICE NOW"), "{said}");
    // A chain that leads nowhere.
    let mut node = scene.node(&text);
    node.chains[0].1[60] ^= 1;
    assert!(matches!(
        scene.decide(&mut node, &LeaseDecision::Agree),
        Err(AgentError::Chain { .. })
    ));
}

#[test]
fn a_log_that_was_changed_is_noticed_before_anything_is_signed() {
    let scene = Scene::new();
    let text = scene.text();
    scene
        .decide(&mut scene.node(&text), &LeaseDecision::Agree)
        .unwrap();
    let mut changed = leaves(9);
    changed[1] = leaf_hash(b"changed");
    type Lie = fn(&mut LeaseChallengeView);
    let lies: [(Vec<TreeHash>, Lie); 5] = [
        (changed, |_| {}),
        (leaves(4), |_| {}),
        (leaves(9), |view| view.consistency.clear()),
        (leaves(9), |view| view.log.root.0[0] ^= 1),
        (leaves(9), |view| {
            view.checkpoint = Some("chancery/other\n9\nAAAA\n\n\u{2014} x AAAA\n".to_owned());
        }),
    ];
    for (leaves, lie) in lies {
        let mut node = scene.node(&text);
        node.leaves = leaves;
        node.lie = lie;
        let error = scene.decide(&mut node, &LeaseDecision::Agree).unwrap_err();
        assert!(matches!(error, AgentError::Log(_)), "{error}");
        assert!(error.to_string().contains("DOES NOT CONTINUE WHAT YOU SAW"));
        assert!(node.answers.is_empty());
    }
    // What was seen was not forgotten by any of them.
    let mut honest = scene.node(&text);
    honest.leaves = leaves(9);
    scene.decide(&mut honest, &LeaseDecision::Agree).unwrap();
    assert_eq!(honest.asked[0].seen, Some(place_of(&leaves(5))));
}

#[test]
fn a_head_without_a_signature_is_waited_for_a_little_and_refused_where_the_key_was_accepted() {
    let scene = Scene::new();
    let text = scene.text();
    let decide = |node: &mut Node| {
        let mut log = scene.log();
        log.require(text.installation, log_signer().verifier().clone())
            .unwrap();
        let lease = scene.read(&view(&text)).unwrap();
        scene
            .custodian_with(log)
            .decide(node, &lease, &refuse())
            .map(drop)
    };
    let mut never = scene.node(&text);
    never.kind = StatementKind::Refuse;
    let said = why(decide(&mut never));
    assert!(said.contains("its head is not signed"), "{said}");
    assert!(never.answers.is_empty());
    // Nothing of it is remembered, and a node that had not come to sign yet is given the time.
    let mut soon = scene.node(&text);
    soon.kind = StatementKind::Refuse;
    soon.unsigned = 2;
    decide(&mut soon).unwrap();
    assert_eq!((soon.asked.len(), soon.asked[0].seen), (3, None));
    assert_eq!(soon.answers.len(), 1);
}
