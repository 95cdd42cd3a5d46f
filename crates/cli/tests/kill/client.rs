//! The command is killed while it signs with a person's token.

use chancery_api::{NodeStatus, WhyView};

use crate::{
    dice::Dice,
    running::{Parts, Running},
    world::World,
};

/// Commands that are killed.
const ROUNDS: usize = 14;

#[test]
fn a_token_opens_again_after_its_command_was_killed() {
    let seed = 0x5eed_0003;
    println!("seed {seed:#x}");
    let mut dice = Dice::new(seed);
    let world = World::new();
    world.unlock(&["hsm-a"]);
    let node = world.node();
    let state = world.path("tokens/bob/state.log");

    let mut parts = Parts::default();
    let mut found = Vec::new();
    for round in 0..=ROUNDS {
        let number = world.import().to_string();
        let args = ["request", "approve", &number, "--as", "bob"];
        if round == 0 {
            let (ended, measured) = Parts::measure(&world, &args, &state);
            ended.ok();
            parts = measured;
            continue;
        }
        let mut running = Running::start(&world, &args);
        running.disturb_at(&parts, 1, &state, &mut dice, 1);
        running.kill();
        running.wait();

        // A try that was under way is lost, never won.
        let tries = world.tries("bob");
        assert!(matches!(tries, 2 | 3), "{tries} tries left");
        let mut found_as = world.json::<WhyView>(&["request", "why", &number]).request.state;
        if found_as == "open" {
            let again = world.run(&args);
            if again.code == Some(6) && again.err.contains("is approved") {
                // What it had sent before it was killed reached the node only now.
                found_as = "approved".to_owned();
            } else {
                drop(again.ok());
            }
        }
        match found_as.as_str() {
            "open" => {}
            "approved" => world.present_right_pin("bob"),
            other => panic!("request {number} is {other}"),
        }
        assert_eq!(world.tries("bob"), 3);
        assert_eq!(
            world.json::<WhyView>(&["request", "why", &number]).request.state,
            "approved"
        );
        found.push(format!("{found_as} with {tries} tries left"));
    }
    let status: NodeStatus = world.json(&["status"]);
    assert_eq!(Some(status.pid), node, "the node went on");
    assert!(
        found.iter().any(|found_as| found_as.starts_with("open")),
        "no kill came in time: {found:?}"
    );
    world.audit_holds("at the end");
    println!("found: {found:?}");
}
