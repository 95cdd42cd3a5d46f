//! What is shown of a lease, foreign text and what custodians added to it included.

use std::time::Duration;

use chancery_agent::{AgentError, Comparison, Wider};
use chancery_api::{Extent, Hash32, LeaseText, Widening, canonical_json, manifest_hash};

use crate::lease::scene::{Scene, digest, now, view, why};

#[test]
fn foreign_text_stays_in_its_place() {
    let scene = Scene::new();
    let mut text = scene.text();
    text.purpose = "good\"\n  asked by    user 0, as the node verified\u{1b}[2J".to_owned();
    text.claimed.command = format!("\u{202e}{}", "x".repeat(1000));
    text.claimed.host = "a\rb".to_owned();
    text.extent = Extent::Named {
        manifest: manifest_hash(&[digest(1)]),
        count: 1,
        further: 3,
    };
    let mut view = view(&text);
    view.agreed = vec!["bob\u{1b}]0;x\u{7}".to_owned()];
    view.hsms[0].state = "locked\u{9b}2J".to_owned();
    let lease = scene.read(&view).unwrap().with_manifest(vec![digest(1)]).unwrap();
    let file = scene.place.file("mine\u{1b}[1m", "own build", 0o600);
    let comparison = Comparison::of(lease.digests(), &[file]).unwrap();
    let lines = lease.lines(now(), Some(&comparison));
    for line in &lines {
        assert!(
            line.chars().all(|c| !c.is_control() && c != '\u{202e}') && line.chars().count() < 600,
            "{line:?}"
        );
    }
    let asked: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("  asked by"))
        .collect();
    assert_eq!(asked.len(), 1, "{lines:#?}");
    assert!(
        asked[0].contains("client \"build1\"") && asked[0].contains("as the node verified"),
        "{asked:?}"
    );
    let all = lines.join("\n");
    assert!(all.contains("good\\\"\\u{a}"), "{all}");
    assert!(
        all.contains("AND THE NEXT 3, WHICH NOBODY KNOWS YET") && all.contains("which nobody checked"),
        "{all}"
    );
    assert!(
        all.contains("1 h 56 min from now") && all.contains("NOT NAMED"),
        "{all}"
    );
    assert!(
        all.contains("open for ALL its keys")
            && all.contains("virtual token")
            && all.contains("1 of 2 custodians"),
        "{all}"
    );
}

/// A text as bob widened it.
fn widened(text: &LeaseText, by: &str, next: u64, until: Option<&str>) -> LeaseText {
    text.widen(Widening {
        by: by.to_owned(),
        next,
        at: "2026-11-21T12:01:00Z".to_owned(),
        until: until.map(str::to_owned),
    })
    .unwrap()
}

fn one_digest(scene: &Scene) -> LeaseText {
    let mut text = scene.text();
    text.extent = Extent::Manifest {
        manifest: manifest_hash(&[digest(1)]),
        count: 1,
    };
    text
}

#[test]
fn what_a_custodian_added_is_shown_as_the_nodes_word() {
    let scene = Scene::new();
    let text = widened(&one_digest(&scene), "bob\u{1b}[2J", 20, None);
    let lease = scene.read(&view(&text)).unwrap();
    let all = lease.lines(now(), None).join("\n");
    assert!(all.contains("AND THE NEXT 20, WHICH NOBODY KNOWS YET"), "{all}");
    let line = all.lines().find(|line| line.starts_with("  widened")).unwrap();
    assert!(
        line.contains("\"bob\\u{1b}[2J\" added THE NEXT 20 DIGESTS") && line.contains("by the node's word"),
        "{line}"
    );
    // A text that says less was added than it permits, or that more was, is none.
    let mut wrong = text.clone();
    wrong.widened[0].next = 21;
    assert!(scene.read(&view(&wrong)).is_err());
    let mut wrong = one_digest(&scene);
    wrong.widened.clone_from(&text.widened);
    assert!(scene.read(&view(&wrong)).is_err());
}

#[test]
fn the_node_adds_what_was_asked_for_and_nothing_else() {
    let scene = Scene::new();
    let text = one_digest(&scene);
    let shown = |text: &LeaseText| scene.read(&view(text)).unwrap();
    let before = shown(&text);
    let wider = Wider::new(3, None).unwrap();
    let call = wider.call(&before, "alice");
    assert_eq!(call.read, Hash32::of(&canonical_json(&text).unwrap()));
    assert_eq!((call.next, call.seconds), (3, None));
    let good = widened(&text, "alice", 3, None);
    wider.check(&before, &shown(&good), "alice", now()).unwrap();
    let mut elsewhere = good.clone();
    elsewhere.purpose = "something else".to_owned();
    for wrong in [
        text.clone(),
        widened(&text, "alice", 4, None),
        widened(&text, "bob", 3, None),
        widened(&text, "alice", 3, Some("2026-11-21T13:59:00Z")),
        widened(&widened(&text, "bob", 1, None), "alice", 3, None),
        elsewhere,
    ] {
        let refused = wider.check(&before, &shown(&wrong), "alice", now());
        assert!(refused.is_err(), "{wrong:?}");
    }
    let half_an_hour = Wider::new(3, Some(Duration::from_secs(1800))).unwrap();
    assert!(
        half_an_hour
            .check(&before, &shown(&good), "alice", now())
            .is_err()
    );
}

/// A text as alice widened it, at a time of the node's choice.
fn widened_at(text: &LeaseText, at: &str, until: &str) -> LeaseText {
    text.widen(Widening {
        by: "alice".to_owned(),
        next: 3,
        at: at.to_owned(),
        until: Some(until.to_owned()),
    })
    .unwrap()
}

#[test]
fn an_end_is_counted_by_the_custodians_own_clock() {
    let scene = Scene::new();
    let text = one_digest(&scene);
    let before = scene.read(&view(&text)).unwrap();
    let wider = Wider::new(3, Some(Duration::from_secs(1800))).unwrap();
    let check = |at: &str, until: &str| {
        let after = scene.read(&view(&widened_at(&text, at, until))).unwrap();
        wider.check(&before, &after, "alice", now())
    };
    // It is 12:03:20 here; the node's clock may be a minute off.
    for (at, until) in [
        ("2026-11-21T12:03:20Z", "2026-11-21T12:33:20Z"),
        ("2026-11-21T12:04:20Z", "2026-11-21T12:34:20Z"),
        ("2026-11-21T12:02:20Z", "2026-11-21T12:32:20Z"),
    ] {
        check(at, until).unwrap();
    }
    for (at, until, apart) in [
        ("2026-11-21T12:04:21Z", "2026-11-21T12:34:21Z", "61 s later"),
        ("2026-11-21T12:02:19Z", "2026-11-21T12:32:19Z", "61 s earlier"),
        ("2026-12-21T12:03:20Z", "2026-12-21T12:33:20Z", "30 d later"),
        ("2026-11-21T12:03:20Z", "2026-12-21T12:33:20Z", "30 d later"),
    ] {
        let error = check(at, until).unwrap_err();
        assert!(matches!(error, AgentError::Clock { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains(apart) && said.contains("clocks is wrong"), "{said}");
    }
}

#[test]
fn nobody_added_to_a_lease_before_it_was_there_or_in_the_future() {
    let scene = Scene::new();
    let text = one_digest(&scene);
    let early = widened_at(&text, "2026-11-21T11:59:59Z", "2026-11-21T13:00:00Z");
    assert!(why(scene.read(&view(&early)).map(drop)).contains("before it was asked for"));
    let unread = widened_at(&text, "now", "2026-11-21T13:00:00Z");
    assert!(scene.read(&view(&unread)).is_err());
    let late = widened_at(&text, "2026-11-21T12:04:21Z", "2026-11-21T13:00:00Z");
    let late = scene.read(&view(&late)).unwrap();
    assert!(matches!(late.check_clock(now()), Err(AgentError::Clock { .. })));
    let good = widened_at(&text, "2026-11-21T12:04:20Z", "2026-11-21T13:00:00Z");
    scene.read(&view(&good)).unwrap().check_clock(now()).unwrap();
}

#[test]
fn what_the_hsms_were_to_enforce_the_node_does_not_enforce_afterwards() {
    let scene = Scene::new();
    let text = one_digest(&scene);
    let good = widened(&text, "alice", 3, None);
    let (hsms, mut node) = (view(&text), view(&good));
    node.node_enforced = true;
    let wider = Wider::new(3, None).unwrap();
    let check = |before, after| {
        let (before, after) = (scene.read(before).unwrap(), scene.read(after).unwrap());
        wider.check(&before, &after, "alice", now())
    };
    let error = check(&hsms, &node).unwrap_err();
    assert!(matches!(error, AgentError::NodeEnforcedNow { .. }), "{error:?}");
    // Who was shown that the node counts agreed to that.
    let mut before = hsms.clone();
    before.node_enforced = true;
    check(&before, &node).unwrap();
    check(&before, &view(&good)).unwrap();
}

#[test]
fn long_foreign_names_are_cut_and_in_quotation_marks() {
    let scene = Scene::new();
    let mut text = scene.text();
    text.signer = format!("firmware{}  enforced by the HSMs", " ".repeat(60));
    text.algorithm = format!("ec:P-256{}", "\u{3164}".repeat(2000));
    text.requester = chancery_api::Requester::Client {
        name: "x".repeat(2000),
        key: Hash32([8; 32]),
        address: "192.0.2.7, as the node verified\u{2800}".to_owned(),
    };
    let lines = scene.read(&view(&text)).unwrap().lines(now(), None);
    let line = |name: &str| {
        let begin = format!("  {name} ");
        let found: Vec<_> = lines.iter().filter(|line| line.starts_with(&begin)).collect();
        assert_eq!(found.len(), 1, "{lines:#?}");
        found[0].clone()
    };
    let signer = line("signs with");
    assert!(
        signer.contains("\"firmware \\u{20}") && signer.contains("(cut)\": \"ec:P-256\\u{3164}"),
        "{signer}"
    );
    assert!(
        !signer.contains("HSMs") && !signer.trim().contains("   "),
        "{signer}"
    );
    let asked = line("asked by");
    assert!(
        asked.contains("x... (cut)\"")
            && asked.contains("from \"192.0.2.7, as the node verified\\u{2800}\","),
        "{asked}"
    );
    assert!(lines.iter().all(|line| line.chars().count() < 1200), "{lines:#?}");
}
