//! An HSM behind an agent is attached, opened by custodians, and signs.

use std::{process::Stdio, sync::atomic::Ordering};

use crate::{
    background::until,
    common::Ended,
    recorder::{Bodies, check},
    world::World,
};

/// What both ends have, by number.
fn agree(near: &Bodies, far: &Bodies) {
    let mut same = 0;
    for (number, body) in &near.given {
        assert_eq!(far.given.get(number), Some(body), "template {number}");
        same += 1;
    }
    assert!(same > 10, "{same} templates");
}

#[test]
fn no_pin_and_nothing_plain_goes_over_the_line_and_who_hangs_up_leaves_nothing_half_done() {
    let world = World::new();
    let (home, line) = (&world.home, &world.line);
    let image = world.file("image");
    let lease = world.lease("2");
    Ended::from(world.sign(&image, "image.sig").output().unwrap()).ok();
    world.verify(&image, "image.sig");
    let pins = world.pins();
    for record in [&line.at_agent, &line.at_node] {
        let shown = check(&record.bodies(), &pins).unwrap();
        assert_eq!(
            shown.opened_again, 0,
            "attached, unlocked and signing in one channel"
        );
    }

    // A client hangs up in the middle of a signature. It is made, recorded and counted, and given out to who asks again.
    let other = world.file("other");
    line.gate.hold.send_replace(true);
    let mut hangs_up = world
        .sign(&other, "other.sig")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the signature is on its way to the HSM", || {
        line.gate.held.load(Ordering::SeqCst) > 0
    });
    assert_eq!(world.signed(), 1);
    hangs_up.kill().unwrap();
    hangs_up.wait().unwrap();
    // The node has noticed by the time it has answered somebody else.
    let again = world.client(&["lease", "show", &lease]).output().unwrap();
    Ended::from(again).ok();
    // It sees its own leases and nobody else's; how one begins names it.
    let others = [
        "unlock",
        "request",
        "--signer",
        "firmware",
        "--count",
        "1",
        "--for-time",
        "10m",
        "--for",
        "another",
    ];
    let (_, other_lease) = home.json(&others);
    let other_lease = other_lease["lease"].as_str().unwrap();
    let own = Ended::from(world.client(&["lease", "list", "--json"]).output().unwrap()).ok();
    assert!(
        own.out.contains(&lease) && !own.out.contains(other_lease),
        "{}",
        own.out
    );
    home.run(&["lease", "revoke", other_lease, "--reason", "a test"])
        .ok();
    let begins = Ended::from(
        world
            .client(&["lease", "show", &lease[..lease.len() - 2]])
            .output()
            .unwrap(),
    )
    .ok();
    assert!(begins.out.contains(&lease), "{}", begins.out);
    line.gate.hold.send_replace(false);
    until("it is signed nevertheless", || world.signed() == 2);
    Ended::from(world.sign(&other, "other.sig").output().unwrap()).ok();
    world.verify(&other, "other.sig");
    assert_eq!(world.signed(), 2, "nothing was signed twice");
    let third = world.file("third");
    let refused = Ended::from(world.sign(&third, "third.sig").output().unwrap());
    assert_ne!(refused.code, 0, "a lease of two");

    // What its owner did not allow reaches no HSM, and both sides are told why.
    for custodian in ["alice", "bob"] {
        home.run(&["hsm", "unlock", "hsm-a", "--as", custodian]).ok();
    }
    let refused = home.run(&["signer", "create", "second", "--hsm", "hsm-a", "--as", "alice"]);
    assert_eq!(refused.code, 7, "{}{}", refused.out, refused.err);
    assert!(
        refused.err.contains("the agent at HSM hsm-a does not let it") && refused.err.contains("--manage"),
        "{}",
        refused.err
    );
    let shown = world.agent.says("GENERATE KEY PAIR");
    assert!(shown.contains("management is not allowed here"), "{shown}");

    // The records of both ends.
    for record in [&line.at_agent, &line.at_node] {
        let shown = check(&record.bodies(), &pins).unwrap();
        // Custodians' answers and signatures are among what was looked at.
        assert!(shown.protected[&0x82] >= 4, "{shown:?}");
        assert!(shown.protected[&0x68] >= 2, "{shown:?}");
    }
    agree(&line.at_agent.bodies(), &line.at_node.bodies());
    let version = |text: &str| [text.to_owned()].into();
    assert_eq!(line.at_agent.bodies().versions, version("HTTP/2.0"));
    if line.proxied {
        assert_eq!(line.at_node.bodies().versions, version("HTTP/1.1"));
    }

    // The control run: one plain command, and the same check fails.
    line.gate.inject.store(true, Ordering::SeqCst);
    until("the plain command has passed", || {
        check(&line.at_agent.bodies(), &pins).is_err()
    });
    for record in [&line.at_agent, &line.at_node] {
        let failed = check(&record.bodies(), &pins).unwrap_err();
        assert!(
            failed.ends_with("a plain 84 after the channel was opened"),
            "{failed}"
        );
    }
}
