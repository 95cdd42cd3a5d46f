//! An HSM that goes in the middle of a signature, and a node that is killed while leases live.

use std::{
    process::{Child, Stdio},
    sync::atomic::Ordering,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    background::until,
    common::{Ended, node_pid},
    world::World,
};

impl World {
    /// Signs until a signature is on its way to the HSM behind the agent, and held there; the command that waits for it, its file
    /// and its signature. With two HSMs the node chooses which of them signs.
    fn held(&self) -> (Child, String, String) {
        self.line.gate.hold.send_replace(true);
        for number in 0..8 {
            let file = self.file(&format!("held-{number}"));
            let signature = format!("held-{number}.sig");
            let mut child = self
                .sign(&file, &signature)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut ended = false;
            until("it signs or is held", || {
                ended = child.try_wait().unwrap().is_some();
                ended || self.line.gate.held.load(Ordering::SeqCst) > 0
            });
            if !ended {
                return (child, file, signature);
            }
            Ended::from(child.wait_with_output().unwrap()).ok();
        }
        panic!("the HSM behind the agent is never chosen");
    }

    /// Has the agent bring the HSM back.
    fn comes_back(&mut self) {
        self.line.gate.hold.send_replace(false);
        self.line.gate.held.store(0, Ordering::SeqCst);
        self.agent = self.connect();
        until("the HSM is back", || {
            let (_, hsms) = self.home.json(&["hsm", "list"]);
            let mut hsms = hsms.as_array().unwrap().iter();
            hsms.any(|hsm| hsm["name"] == "hsm-a" && hsm["state"]["is"] == "locked")
        });
    }
}

#[test]
fn a_signature_under_way_when_its_hsm_goes_is_made_by_another_or_refused_with_the_reason() {
    let mut world = World::new();
    // Two of them.
    world.home.run(&["hsm", "attach", "hsm-b", "--as", "alice"]).ok();
    let lease = world.lease("16");
    let (child, file, signature) = world.held();
    world.agent.end();
    Ended::from(child.wait_with_output().unwrap()).ok();
    world.verify(&file, &signature);
    Ended::from(world.client(&["lease", "withdraw", &lease]).output().unwrap()).ok();
    // Only the one behind the agent.
    world.home.run(&["hsm", "detach", "hsm-b", "--as", "alice"]).ok();
    world.comes_back();
    let lease = world.lease("4");
    let before = world.signed();
    let (child, file, signature) = world.held();
    world.agent.end();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_ne!(ended.code, 0);
    assert!(
        ended.err.contains("HSM hsm-a was lost") && ended.err.contains("the agent was stopped"),
        "{}",
        ended.err
    );
    assert_eq!(world.signed(), before);
    // It is back, custodians agree again, and the same digest is signed.
    world.comes_back();
    world.approve(&lease);
    Ended::from(world.sign(&file, &signature).output().unwrap()).ok();
    world.verify(&file, &signature);
}

#[test]
fn a_node_that_is_killed_with_leases_live_asks_custodians_again_and_counts_on() {
    let world = World::new();
    let home = &world.home;
    let lease = world.lease("2");
    let [first, second, third] = ["first", "second", "third"].map(|name| world.file(name));
    let sign = |file: &str| Ended::from(world.sign(file, "out.sig").output().unwrap());
    sign(&first).ok();
    let killed = node_pid(&home.data()).unwrap();
    kill_process(Pid::from_raw(killed).unwrap(), Signal::KILL).unwrap();
    // The next command starts a node; the agent comes back by itself.
    until("another node runs", || {
        home.run(&["hsm", "list"]).code == 0 && node_pid(&home.data()).is_some_and(|pid| pid != killed)
    });
    let show = || home.json(&["lease", "show", &lease]).1;
    let shown = show();
    assert_eq!(
        (&shown["state"], &shown["used"]),
        (&"waiting".into(), &1.into()),
        "{shown}"
    );
    assert!(
        shown["because"].as_str().unwrap().contains("restarted"),
        "{shown}"
    );
    assert_ne!(sign(&second).code, 0, "nobody has agreed yet");
    until("the HSM is back and custodians agree", || {
        for custodian in ["alice", "bob"] {
            home.run(&["approve", &lease, "--as", custodian]);
        }
        show()["state"] == "live"
    });
    sign(&first).ok();
    sign(&second).ok();
    world.verify(&second, "out.sig");
    assert_ne!(sign(&third).code, 0, "a lease of two");
    assert_eq!(world.signed(), 2);
    home.run(&["audit", "verify"]).ok();
}
