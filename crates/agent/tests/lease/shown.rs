//! What is shown of a lease, foreign text and what custodians added to it included.

use std::time::Duration;

use chancery_agent::{Comparison, Wider};
use chancery_api::{Extent, Hash32, LeaseText, Widening, canonical_json, manifest_hash};

use crate::scene::{Scene, digest, now, view};

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
        asked[0].contains("client build1") && asked[0].contains("as the node verified"),
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
        line.contains("bob\\u{1b}[2J added THE NEXT 20 DIGESTS") && line.contains("by the node's word"),
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
    wider.check(&before, &shown(&good), "alice").unwrap();
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
        let refused = wider.check(&before, &shown(&wrong), "alice");
        assert!(refused.is_err(), "{wrong:?}");
    }
    let half_an_hour = Wider::new(3, Some(Duration::from_secs(1800))).unwrap();
    for (until, right) in [("2026-11-21T12:31:00Z", true), ("2026-11-21T13:31:00Z", false)] {
        let after = shown(&widened(&text, "alice", 3, Some(until)));
        assert_eq!(
            half_an_hour.check(&before, &after, "alice").is_ok(),
            right,
            "{until}"
        );
    }
    assert!(half_an_hour.check(&before, &shown(&good), "alice").is_err());
}
