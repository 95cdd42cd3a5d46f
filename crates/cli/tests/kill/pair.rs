//! Two processes want the same data directory or the same token.

use chancery_api::{HsmView, NodeStatus};

use crate::world::{Ended, World};

#[test]
fn a_second_node_is_refused() {
    let world = World::new();
    world.run(&["hsm", "list"]).ok();
    let node = world.node().unwrap();
    let words = format!("in use by process {node}");
    let refused = world.run(&["serve"]).fails(6, &words);
    assert!(
        refused.err.contains("chancery stop"),
        "the next step: {refused:?}"
    );
    let json = world.run(&["serve", "--json"]);
    assert_eq!(
        (json.code, json.failure().message.contains(&words)),
        (Some(6), true),
        "{json:?}"
    );
    assert_eq!(world.json::<NodeStatus>(&["status"]).pid, node);
}

#[test]
fn commands_that_start_the_node_at_once_end_with_the_same_node() {
    let world = World::new();
    world.run(&["hsm", "list"]).ok();
    let epoch = world.json::<NodeStatus>(&["status"]).epoch;
    for round in 1..=3 {
        let node = world.node().unwrap();
        if round == 2 {
            world.run(&["stop"]).ok();
        } else {
            world.kill(node);
        }
        world.wait_for_the_end_of(node);
        let args = ["hsm", "list", "--json"];
        let children: Vec<_> = (0..3).map(|_| world.spawn(&args)).collect();
        for child in children {
            let hsms: Vec<HsmView> = Ended::wait(&args, child).ok().json();
            assert_eq!(hsms.len(), 2);
        }
        let status: NodeStatus = world.json(&["status"]);
        assert_eq!(Some(status.pid), world.node());
        assert_eq!(
            status.epoch,
            epoch + round,
            "one node a round opened the database"
        );
    }
    world.audit_holds("at the end");
}

#[test]
fn a_token_in_other_hands_is_said_to_be_so() {
    let world = World::new();
    let number = world.import().to_string();
    let node = world.node().unwrap();

    // A person's token, held by this process.
    let held = world.token("bob");
    let words = format!("in use by process {}", std::process::id());
    let args = ["request", "approve", &number, "--as", "bob"];
    let refused = world.run(&args).fails(6, &words);
    assert!(refused.err.contains("do: "), "{refused:?}");
    world.run(&["vtoken", "destroy", "bob", "--yes"]).fails(6, &words);
    drop(held);
    world.run(&args).ok();

    // An HSM, held by the node.
    let words = format!("in use by process {node}");
    world
        .run(&["vtoken", "destroy", "hsm-a", "--yes"])
        .fails(6, &words);
    world.run(&["hsm", "unlock", "hsm-a", "--as", "bob"]).ok();

    // An HSM, held by this process when the node wants it.
    world.run(&["hsm", "detach", "hsm-b", "--as", "alice"]).ok();
    let held = world.token("hsm-b");
    let words = format!("in use by process {}", std::process::id());
    let refused = world.run(&["hsm", "attach", "hsm-b", "--as", "alice"]);
    assert!(
        matches!(refused.code, Some(6 | 8)) && refused.err.contains(&words),
        "{refused:?}"
    );
    drop(held);
    world.run(&["hsm", "attach", "hsm-b", "--as", "alice"]).ok();
}
