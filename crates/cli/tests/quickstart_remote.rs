//! `chancery quickstart --remote`: run as a user would, twice, and what it leaves checked by openssl.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "common/pkcs11.rs"]
mod pkcs11;

use std::process::Command;

use common::Home;

#[test]
fn openssl_waits_for_two_custodians_who_agree_from_their_own_machines() {
    let home = Home::new();
    let module = pkcs11::module();
    let words = ["quickstart", "--remote", "--module", module.to_str().unwrap()];
    let first = home.run(&words).ok();
    for shown in [
        "$ chancery connect https://127.0.0.1:",
        "$ openssl dgst -sha256 -engine pkcs11 -keyform engine -sign",
        "machines/bob approve --as bob --watch &",
        "machines/carol approve --as carol --watch &",
        "(carol's agent tells of lease",
        "bob agreed; lease",
        "carol agreed; lease",
        "is live: 2 of 2 custodians agreed",
        // Custodians were shown what they agreed to, and on whose word each part of it stands.
        "asked by    client \"build\"",
        "which nobody checked",
        "SAME ",
        "HSMs' own quorum",
        "Verified OK",
        "every claim holds",
    ] {
        assert!(
            first.out.contains(shown),
            "{shown}:\n{}\n{}",
            first.out,
            first.err
        );
    }
    // The custodians' machines have nothing of the installation, and their tokens are nowhere else.
    for custodian in ["bob", "carol"] {
        let machine = home.data().join("machines").join(custodian);
        assert!(machine.join("tokens").join(custodian).is_dir());
        assert!(!machine.join("installation.json").exists());
        assert!(!home.data().join("tokens").join(custodian).exists());
    }
    let verified = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(home.out("firmware.pub"))
        .arg("-signature")
        .arg(home.out("image.sig"))
        .arg(home.out("image.bin"))
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    // It ended what it began: no node answers any more.
    assert_eq!(home.run(&["status"]).code, 8);
    // A second run finds everything and signs once more.
    let (code, outcome) = home.json(&words);
    assert_eq!(code, 0, "{outcome}");
    let receipt = outcome["receipt"].as_str().unwrap();
    let ended = home.run(&["attest", "verify", receipt]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
}
