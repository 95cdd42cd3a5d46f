//! A program asks for one signature, and a custodian agrees to the next ones too.

use std::{fs, process::Stdio};

use crate::{
    common::Ended,
    pkcs11::module,
    world::{Waits, World, until},
};

/// `pkcs11-tool` signing one of the messages.
fn words(number: u32) -> Vec<String> {
    let module = module().display().to_string();
    let line = format!(
        "pkcs11-tool --module {module} --token-label firmware --sign -m SHA256-RSA-PKCS -i message-{number} -o \
         signature-{number}"
    );
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn one_is_asked_for_and_the_next_ones_are_signed_without_anybody() {
    let world = World::new();
    let configuration = world.waiting(Waits::AtSign, 1);
    for number in 0..5 {
        fs::write(world.path(&format!("message-{number}")), number.to_string()).unwrap();
    }
    world
        .home
        .run(&["signer", "key", "firmware", "--out", "key.pem"])
        .ok();
    let sign = |number| {
        let words = words(number);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        world.program(&configuration, &words)
    };
    let judge = |number| {
        world.desk(None).judge(&format!(
            "openssl dgst -sha256 -verify key.pem -signature signature-{number} message-{number}"
        ));
    };
    let waiting = || until("somebody is asked", || world.leases("waiting").into_iter().next());
    let begin = |number| {
        let mut command = sign(number);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };

    let program = begin(0);
    let lease = waiting();
    world.home.run(&["approve", &lease, "--as", "alice"]).ok();
    let widen = ["approve", &lease, "--as", "bob", "--next", "3", "--until", "30m"];
    let (code, answer) = world.home.json(&widen);
    assert_eq!(code, 0, "{answer}");
    let terms = &answer["lease"]["terms"];
    assert_eq!(terms["widened"][0]["by"], "bob", "{answer}");
    assert_eq!(terms["extent"]["further"], 3, "{answer}");
    assert_eq!(answer["lease"]["agreed"], serde_json::json!(["bob"]), "{answer}");
    // Alice agreed to less: she reads who added what, and answers again.
    let again = world.home.run(&["approve", &lease, "--as", "alice"]).ok();
    assert!(
        again.err.contains("\"bob\" added THE NEXT 3 DIGESTS") && again.err.contains("by the node's word"),
        "{}",
        again.err
    );
    let ended = Ended::from(program.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(
        ended.err.contains("bob added the next 3 digests"),
        "{}",
        ended.err
    );
    judge(0);

    for number in 1..4 {
        let ended = Ended::from(sign(number).output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(!ended.err.contains("waiting"), "{}", ended.err);
        judge(number);
    }
    assert_eq!(world.all_leases().len(), 1, "nobody was asked again");

    // The receipt says so without the node.
    let receipt = world.path("receipt.json").display().to_string();
    let message = world.path("message-3").display().to_string();
    until("a head is signed", || {
        let show = ["receipt", "show", &lease, &message, "--out", &receipt];
        let (code, value) = world.home.json(&show);
        assert_eq!(code, 0, "{value}");
        (!value["inclusion"].is_null()).then_some(())
    });
    let verified = world.home.run(&["attest", "verify", &receipt]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    assert!(
        verified
            .out
            .contains("1 named and 3 further, 3 of them added by bob"),
        "{}",
        verified.out
    );
    let shown = world.home.run(&["lease", "show", &lease]).ok();
    assert!(
        shown.out.contains("the next 3 digests") && shown.out.contains("by bob"),
        "{}",
        shown.out
    );

    // The fifth is one too many: custodians are asked again.
    let program = begin(4);
    let another = waiting();
    assert_ne!(another, lease);
    world
        .home
        .run(&["approve", &another, "--as", "alice", "--refuse", "that was all"])
        .ok();
    let ended = Ended::from(program.wait_with_output().unwrap());
    assert_ne!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("that was all"), "{}", ended.err);
    assert!(!world.path("signature-4").exists() || fs::read(world.path("signature-4")).unwrap().is_empty());
}
