//! Leases and unlocks answered from a machine that has nothing of the installation.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{
    background::Background,
    elsewhere::Elsewhere,
    pcscd::{Pcscd, Plugged},
    world::Center,
};

/// `approve --watch`, once it told of a lease.
fn watching(custodian: &Elsewhere, lease: &str) -> Background {
    let watch = custodian.command(&["approve", "--watch", "--as", &custodian.name]);
    Background::start(watch, &format!("not decided: chancery approve {lease}"))
}

#[test]
fn a_custodian_elsewhere_needs_own_token_node_and_what_was_accepted() {
    let center = Center::new();
    let bob = Elsewhere::new("bob");
    // Before anything was accepted nothing is answered, and it is said what is missing.
    let early = bob.home.run(&["approve", "--as", "bob"]);
    assert_eq!(early.code, 5, "{}{}", early.out, early.err);
    assert!(early.err.contains("chancery custodian accept"), "{}", early.err);

    // carol's token stands in a reader of pcscd, where other programs find it as well.
    let mut carol = Elsewhere::new("carol");
    let pcscd = Pcscd::start();
    let _plugged = Plugged::into(&pcscd, &carol.home, &["carol"]);
    carol.reader = Some(pcscd.socket());
    let others_see_it = || {
        let seen = pcscd.client("sc-hsm-tool", &[]).ok();
        assert!(seen.out.contains("Version"), "{}{}", seen.out, seen.err);
    };
    let invitation = center.invitation();
    let joined = bob.join(&center.home, "alice", "hsm-a", &invitation).ok();
    assert!(joined.err.contains("VIRTUAL token"), "{}", joined.err);
    assert!(
        joined.out.contains("these HSMs and no others: hsm-a"),
        "{}",
        joined.out
    );
    carol.join(&center.home, "alice", "hsm-a", &invitation).ok();
    others_see_it();
    for path in walk(&bob.kept()) {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    assert!(!bob.home.data().join("installation.json").exists());

    // An HSM's own unlock, and a lease, with nothing typed but the name: node, pin and key were remembered.
    center.signer(|| {
        bob.home.run(&["hsm", "unlock", "hsm-a", "--as", "bob"]).ok();
        carol.run(&["hsm", "unlock", "hsm-a", "--as", "carol"]).ok();
    });
    let lease = center.lease("firmware 4.2");
    let agreed = bob.home.run(&["approve", &lease, "--as", "bob"]).ok();
    assert!(agreed.err.contains("what for"), "shown: {}", agreed.err);
    assert!(agreed.out.contains("bob agreed"), "{}", agreed.out);
    assert_eq!(center.show(&lease)["state"], "waiting");
    // Who waits for leases holds no token.
    let waiting = watching(&carol, &lease);
    others_see_it();
    let shown = carol.run(&["approve", &lease, "--as", "carol"]).ok();
    assert!(shown.err.contains("reader"), "{}", shown.err);
    drop(waiting);
    others_see_it();
    assert_eq!(center.show(&lease)["state"], "live");

    // The log's key is remembered: heads of another key are refused, loudly, and nothing is signed.
    let membership = walk(&bob.kept())
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".custodian.json"))
        .unwrap();
    let text = fs::read_to_string(&membership).unwrap();
    let seen = walk(&bob.kept())
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".log.json"))
        .unwrap();
    assert!(
        fs::read_to_string(&seen).unwrap().contains("\"key\""),
        "the head was checked with the key that was accepted"
    );
    let elsewhere = Center::new();
    let other = crate::elsewhere::invite(&elsewhere.home, None, "other.invitation");
    let key = |file: &str| {
        let value: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        value["log_key"].as_str().unwrap().to_owned()
    };
    fs::write(&membership, text.replace(&key(&invitation), &key(&other))).unwrap();
    let lease = center.lease("nightly");
    let refused = bob.home.run(&["approve", &lease, "--as", "bob"]);
    assert_eq!(refused.code, 7, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("ANOTHER KEY SIGNS IT"), "{}", refused.err);
    fs::write(&membership, text).unwrap();
    let refused = bob
        .home
        .run(&["approve", &lease, "--as", "bob", "--refuse", "not today"]);
    refused.ok();
    assert_eq!(center.show(&lease)["state"], "refused");
}

/// All files below, but for the node's key and lock files.
fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
