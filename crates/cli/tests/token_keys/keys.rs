//! Keys made, listed, shown, certified, deleted, explored, dumped.

use crate::world::World;

#[test]
fn keys_are_made_listed_shown_and_deleted() {
    let world = World::new(&["a"], None);
    assert_eq!(
        world.generate("a", "P-256", "signing", &["--cka-id", "0a10"]),
        "1"
    );
    assert_eq!(
        world.generate(
            "a",
            "rsa-2048",
            "counted",
            &["--uses", "7", "--permit", "RsaPkcs1,92"]
        ),
        "2"
    );
    assert_eq!(world.generate("a", "aes-256", "storage", &["--id", "40"]), "40");

    let (code, list) = world.home.json(&["token", "keys", "list", "a", "--long"]);
    assert_eq!(code, 0, "{list}");
    let keys = list["keys"].as_array().unwrap();
    let labels: Vec<_> = keys.iter().map(|key| key["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["signing", "counted", "storage"]);
    assert_eq!(keys[0]["cka_id"], "0a10");
    assert_eq!(keys[0]["algorithm"], "secp256r1");
    assert_eq!(keys[0]["certificate"], "request");
    assert_eq!(keys[1]["use_counter"], 7);
    assert_eq!(keys[1]["permitted"], serde_json::json!(["RsaPkcs1", "Wrap"]));
    assert_eq!(keys[2]["algorithm"], "AES-256");
    assert_eq!(keys[2]["certificate"], "none");
    let text = world.home.run(&["token", "keys", "list", "label of a"]).ok().out;
    assert!(text.contains("signing") && text.contains("RSA-2048"), "{text}");

    let shown = world
        .home
        .run(&["token", "keys", "show", "a", "counted"])
        .ok()
        .out;
    assert!(
        shown.contains("uses left   7") && shown.contains("RsaPkcs1, Wrap"),
        "{shown}"
    );
    let (_, by_id) = world.home.json(&["token", "keys", "show", "a", "id:0a10"]);
    assert_eq!(by_id["id"], 1);
    assert_eq!(by_id["certificate"]["kind"], "request");
    let (code, missing) = world.home.json(&["token", "keys", "show", "a", "77"]);
    assert_eq!((code, &missing["kind"]), (5, &"not-found".into()));

    // The proof of origin is kept.
    let kept = world.home.run(&["attest", "archive", "list"]);
    let kept = if kept.code == 0 {
        kept
    } else {
        world.home.run(&["attest", "archive"])
    };
    assert!(
        world.home.data().join("attestations").read_dir().unwrap().count() == 2,
        "{}",
        kept.out
    );

    // Nobody to ask, nothing deleted.
    let refused = world.token(&["keys", "delete", "a", "signing"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    let (code, gone) = world.token_json(&["keys", "delete", "a", "signing", "--yes"]);
    assert_eq!(code, 0, "{gone}");
    assert_eq!(
        gone["deleted"],
        serde_json::json!({ "key": true, "description": true, "certificate": true })
    );
    let (_, list) = world.home.json(&["token", "keys", "list", "a"]);
    assert_eq!(list["keys"].as_array().unwrap().len(), 2);
    let (code, _) = world.token_json(&["keys", "delete", "a", "1", "--yes"]);
    assert_eq!(code, 5);
}

#[test]
fn what_does_not_fit_is_refused_with_the_next_step() {
    let world = World::new(&["a"], None);
    world.generate("a", "P-256", "twin", &[]);
    world.generate("a", "P-256", "twin", &[]);
    let ambiguous = world.home.run(&["token", "keys", "show", "a", "twin"]);
    assert_eq!(ambiguous.code, 3);
    assert!(
        ambiguous.err.contains("1, 2; say which by its id"),
        "{}",
        ambiguous.err
    );
    let taken = world.token(&["keys", "generate", "a", "P-256", "--label", "x", "--id", "2"]);
    assert_eq!(taken.code, 6, "{}", taken.err);
    for (words, said) in [
        (
            &["keys", "generate", "a", "x25519", "--label", "x"][..],
            "no such algorithm",
        ),
        (
            &["keys", "generate", "a", "P-256", "--label", "x", "--id", "0"],
            "1 to 255",
        ),
        (
            &[
                "keys", "generate", "a", "P-256", "--label", "x", "--permit", "rsa",
            ],
            "is no algorithm",
        ),
        (&["sign", "a", "256"], "1 to 255"),
    ] {
        let refused = world.token(words);
        assert_eq!(refused.code, 2, "{words:?}");
        assert!(refused.err.contains(said), "{words:?}: {}", refused.err);
    }
    // A wrong PIN is one try, and said so.
    let wrong = world.home.private("wrong", "111111\n");
    let refused = world.home.run(&[
        "token",
        "keys",
        "generate",
        "a",
        "P-256",
        "--label",
        "x",
        "--pin-file",
        &wrong,
    ]);
    assert_eq!(refused.code, 10, "{}", refused.err);
    assert!(refused.err.contains("2 tries left"), "{}", refused.err);
}

#[test]
fn certificates_are_stored_with_their_own_key_given_out_and_deleted() {
    let world = World::new(&["a"], None);
    world.generate("a", "P-256", "own", &[]);
    world.generate("a", "P-256", "other", &[]);
    world
        .openssl(&[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            "ca.key",
        ])
        .ok();
    world
        .openssl(&[
            "req", "-x509", "-key", "ca.key", "-subj", "/CN=ca", "-out", "ca.pem",
        ])
        .ok();
    for label in ["own", "other"] {
        let (public, pem, out) = (
            format!("{label}.pub"),
            format!("{label}.spki"),
            format!("{label}.pem"),
        );
        world
            .openssl(&[
                "pkey", "-pubin", "-inform", "DER", "-in", &public, "-pubout", "-out", &pem,
            ])
            .ok();
        world
            .openssl(&[
                "x509",
                "-new",
                "-subj",
                &format!("/CN={label}"),
                "-force_pubkey",
                &pem,
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-out",
                &out,
            ])
            .ok();
    }
    let wrong = world.token(&["cert", "store", "a", "own", "other.pem"]);
    assert_eq!(wrong.code, 7, "{}", wrong.err);
    assert!(wrong.err.contains("for another key"), "{}", wrong.err);
    std::fs::remove_dir_all(world.home.data().join("attestations")).unwrap();
    let (code, stored) = world.token_json(&["cert", "store", "a", "own", "own.pem"]);
    assert_eq!(code, 0, "{stored}");
    assert_eq!(stored["matched"], "by-use");
    assert_eq!(stored["replaced"]["kind"], "request");
    assert!(std::path::Path::new(stored["attestation"].as_str().unwrap()).exists());

    let pem = world.home.run(&["token", "cert", "get", "a", "own"]).ok().out;
    assert_eq!(pem.as_bytes(), world.read("own.pem"));
    world
        .home
        .run(&["token", "cert", "get", "a", "own", "--der", "--out", "own.der"])
        .ok();
    let judged = world.openssl(&["verify", "-CAfile", "ca.pem", "own.der"]);
    assert!(judged.code == 0, "{}", judged.err);
    let (_, got) = world.home.json(&["token", "cert", "get", "a", "other"]);
    assert_eq!(got["certificate"]["kind"], "request");
    assert!(got["content"].as_str().unwrap().starts_with("67"));

    world.token(&["cert", "delete", "a", "own", "--yes"]).ok();
    let nothing = world.home.run(&["token", "cert", "get", "a", "own"]);
    assert_eq!(nothing.code, 5, "{}", nothing.err);
}

#[test]
fn a_token_is_explored_and_dumped_without_a_pin() {
    let world = World::new(&["a"], None);
    world.generate("a", "P-256", "kept", &[]);
    world.generate("a", "P-256", "gone", &[]);
    world.token(&["keys", "delete", "a", "2", "--yes"]).ok();
    let tree = world.home.run(&["token", "explore", "a"]).ok().out;
    assert!(tree.contains("key 1 \"kept\": secp256r1"), "{tree}");
    assert!(tree.contains("request: "), "{tree}");
    assert!(!tree.contains('!'), "{tree}");
    let (_, json) = world.home.json(&["token", "explore", "a"]);
    assert_eq!(json["keys"][0]["label"], "kept");
    assert_eq!(json["chain"].as_array().unwrap().len(), 2);

    world.home.run(&["token", "dump", "a", "--out", "files"]).ok();
    let mut names: Vec<_> = std::fs::read_dir(world.path("files"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["2F02.bin", "2F03.bin", "C401.bin", "CE01.bin"]);
    let (_, dump) = world.home.json(&["token", "dump", "a"]);
    let first = &dump["files"][0];
    assert_eq!(
        first["content"].as_str().unwrap(),
        hex::encode(world.read("files/2F02.bin"))
    );
    assert_eq!(world.home.run(&["token", "dump", "a", "--out", "files"]).code, 6);
}
