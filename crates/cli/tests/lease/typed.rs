//! What is typed before somebody is asked answers nothing.

use std::fs;

use serde_json::{Value, json};

use crate::{scene::Scene, terminal::Terminal};

const COUNT: [&str; 6] = ["--for", "nightly", "--count", "2", "--for-time", "5m"];

#[test]
fn a_line_typed_before_a_lease_is_shown_agrees_to_nothing() {
    let scene = Scene::new();
    let words = ["approve", "--as", "alice", "--watch"];
    let mut watch = Terminal::start(&scene.home.command(&words), 200, 50);
    watch.wait_for("waiting for leases that alice could agree to");
    for line in ["agree", "agree and the next 5", "agree"] {
        watch.type_line(line);
    }
    let question = "Type `agree`, `agree and the next N`, `refuse REASON`, or Enter to leave it: ";
    let lease = scene.ask(&COUNT);
    watch.wait_for(question);
    watch.type_line("");
    watch.wait_for("not decided");
    // Of two lines typed at one question the second does not answer the next one.
    let next = scene.ask(&COUNT);
    watch.wait_for(question);
    watch.type_line("no\nagree");
    watch.wait_for("not decided");
    let last = scene.ask(&COUNT);
    watch.wait_for(question);
    watch.type_line("");
    watch.wait_for("not decided");
    for lease in [&lease, &next, &last] {
        let (_, view) = scene.home.json(&["lease", "show", lease]);
        assert_eq!(
            (&view["state"], &view["agreed"]),
            (&json!("waiting"), &json!([])),
            "{view}"
        );
    }
    // Who answers what is asked is understood.
    let agreed = scene.ask(&COUNT);
    watch.wait_for(question);
    watch.type_line("agree");
    watch.wait_for("alice agreed; lease");
    let (_, view) = scene.home.json(&["lease", "show", &agreed]);
    assert_eq!(view["agreed"], json!(["alice"]), "{view}");
}

#[test]
fn a_line_typed_before_the_pin_is_asked_for_is_no_pin() {
    let scene = Scene::new();
    let lease = scene.ask(&COUNT);
    // The PIN is in somebody's head now.
    let path = scene.home.data().join("rehearsal-pins.json");
    let mut pins: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let alice = pins["tokens"].as_object_mut().unwrap().remove("alice").unwrap();
    scene.home.private("data/rehearsal-pins.json", &pins.to_string());
    let pin = alice["user_pin"].as_str().unwrap();

    let words = ["approve", &lease, "--as", "alice"];
    let mut terminal = Terminal::start(&scene.home.command(&words), 200, 50);
    terminal.type_line("00000000");
    terminal.wait_for("PIN for token alice: ");
    terminal.type_unseen(pin);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("alice agreed; lease"), "{screen}");
}
