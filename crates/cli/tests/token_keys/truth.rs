//! What is said of keys that cannot leave, of keys that are there already, and of public keys.

use serde_json::json;

use crate::world::{OTHER_SHARE, PIN, SHARE, World};

/// A token with two places for key domains, the first of which is complete.
fn with_places() -> World {
    let world = World::new(&["a"], None);
    let pin = world.home.private("pin", &format!("{PIN}\n"));
    let so_pin = world
        .home
        .private("so-pin", &format!("{}\n", crate::world::SO_PIN));
    world
        .home
        .run(&[
            "token",
            "init",
            "a",
            "--domains",
            "2",
            "--domain-shares",
            "1",
            "--pin-file",
            &pin,
            "--so-pin-file",
            &so_pin,
            "--yes",
        ])
        .ok();
    world
}

#[test]
fn a_key_outside_of_all_domains_is_said_to_stay() {
    let world = with_places();
    let early = world.token(&["keys", "generate", "a", "P-256", "--label", "x", "--domain", "0"]);
    assert_eq!(early.code, 7, "{}", early.err);
    assert!(early.err.contains("import 1 more share"), "{}", early.err);
    world.import_share("a", SHARE);
    let beyond = world.token(&["keys", "generate", "a", "P-256", "--label", "x", "--domain", "7"]);
    assert_eq!(beyond.code, 5, "{}", beyond.err);
    assert!(
        beyond
            .err
            .contains("there is no key domain 7 on this token (0..1)"),
        "{}",
        beyond.err
    );
    let free = world.token(&["keys", "generate", "a", "P-256", "--label", "x", "--domain", "1"]);
    assert!(free.err.contains("token domain create"), "{}", free.err);

    let outside = world
        .token(&["keys", "generate", "a", "P-256", "--label", "outside"])
        .ok();
    assert!(outside.err.contains("WARNING"), "{}", outside.err);
    let inside = world
        .token(&[
            "keys", "generate", "a", "P-256", "--label", "inside", "--domain", "0",
        ])
        .ok();
    assert!(!inside.err.contains("WARNING"), "{}", inside.err);
    let shown = world
        .home
        .run(&["token", "keys", "show", "a", "outside"])
        .ok()
        .out;
    assert!(shown.contains("none: cannot be wrapped"), "{shown}");
    let (_, shown) = world.home.json(&["token", "keys", "show", "a", "outside"]);
    assert_eq!(
        (&shown["key_domain"], &shown["kcv"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(shown["permitted"], json!(["everything"]));
    let (_, shown) = world.home.json(&["token", "keys", "show", "a", "inside"]);
    assert_eq!(shown["key_domain"], 0);
    assert!(shown["kcv"].is_string(), "{shown}");

    let refused = world.token(&["wrap", "a", "outside", "outside.wky"]);
    assert!(
        refused.err.contains("it belongs to no key domain"),
        "{}",
        refused.err
    );
    world.generate("a", "P-256", "counted", &["--domain", "0", "--uses", "9"]);
    let refused = world.token(&["wrap", "a", "counted", "counted.wky"]);
    assert_eq!(refused.code, 10, "{}", refused.err);
    assert!(refused.err.contains("its uses are counted"), "{}", refused.err);
}

#[test]
fn lists_say_the_same_with_and_without_more_columns() {
    let world = World::with_share(&["a"]);
    world.generate("a", "brainpoolP256r1", "curve", &[]);
    world.generate("a", "aes-128", "secret", &[]);
    let made = world
        .token(&[
            "keys", "generate", "a", "P-256", "--label", "answers", "--permit", "73",
        ])
        .ok();
    assert!(made.out.contains("a custodian's key"), "{}", made.out);
    let (_, short) = world.home.json(&["token", "keys", "list", "a"]);
    let (_, long) = world.home.json(&["token", "keys", "list", "a", "--long"]);
    for (short, long) in short["keys"]
        .as_array()
        .unwrap()
        .iter()
        .zip(long["keys"].as_array().unwrap())
    {
        for (name, value) in short.as_object().unwrap() {
            assert_eq!(&long[name], value, "{name}");
        }
    }
    assert_eq!(short["keys"][0]["algorithm"], "brainpoolP256r1");
    assert_eq!(short["keys"][0]["certificate"], "request");
    assert_eq!(short["keys"][1]["certificate"], "none");
    assert_eq!(long["keys"][0]["permitted"], json!(["everything"]));
    let text = world.home.run(&["token", "keys", "list", "a", "-l"]).ok().out;
    assert!(text.contains("EcdsaSha256 (custodian's key)"), "{text}");
}

#[test]
fn a_container_that_does_not_fit_costs_no_try_and_a_key_that_is_there_is_noticed() {
    let world = World::new(&["a", "b"], Some(1));
    world.import_share("a", SHARE);
    world.import_share("b", OTHER_SHARE);
    world.generate("a", "P-256", "k", &[]);
    world.token(&["wrap", "a", "k", "k.wky"]).ok();
    let wrong = world.home.private("wrong", "111111\n");
    let file = world.path("k.wky").display().to_string();
    let refused = world
        .home
        .run(&["token", "unwrap", "b", &file, "--pin-file", &wrong]);
    assert_eq!(refused.code, 7, "{}", refused.err);
    let (_, info) = world.home.json(&["token", "info", "b"]);
    assert_eq!(info["pin"]["tries_left"], 3);

    let twice = world.token(&["unwrap", "a", "k.wky"]).ok();
    assert!(
        twice.err.contains("has this key already, as key 1"),
        "{}",
        twice.err
    );
}

#[test]
fn public_keys_are_given_out_for_openssl() {
    let world = World::with_share(&["a"]);
    world.generate("a", "P-256", "k", &[]);
    world.generate("a", "aes-128", "secret", &[]);
    world.write("message", "signed");
    world
        .token(&["sign", "a", "k", "--in", "message", "--out", "signature"])
        .ok();
    for format in ["pem", "der"] {
        world
            .home
            .run(&[
                "token", "keys", "public", "a", "k", "--format", format, "--out", "k.key",
            ])
            .ok();
        let form = format.to_uppercase();
        world
            .openssl(&[
                "dgst",
                "-sha256",
                "-keyform",
                &form,
                "-verify",
                "k.key",
                "-signature",
                "signature",
                "message",
            ])
            .ok();
    }
    let printed = world.home.run(&["token", "keys", "public", "a", "k"]).ok().out;
    assert!(printed.starts_with("-----BEGIN PUBLIC KEY-----"), "{printed}");
    let (code, _) = world.home.json(&["token", "keys", "public", "a", "secret"]);
    assert_eq!(code, 5);
}

#[test]
fn a_dry_run_names_all_that_goes() {
    let world = World::with_share(&["a"]);
    let (_, info) = world.home.json(&["token", "info", "a"]);
    let kcv = info["domains"][0]["kcv"].as_str().unwrap().to_owned();
    let dry = world
        .home
        .run(&["token", "init", "a", "--dkek-shares", "1", "--dry-run"])
        .ok()
        .out;
    for part in [
        format!("key domain 0 with KCV {kcv}"),
        "the label \"label of a\"".to_owned(),
        "the PIN".to_owned(),
    ] {
        assert!(dry.contains(&part), "{part}: {dry}");
    }
}

#[test]
fn an_imported_key_is_not_described_as_made_here() {
    let world = World::with_share(&["a"]);
    let (share, password) = world.share_file();
    world
        .openssl(&[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            "ec.pem",
        ])
        .ok();
    world.write("ec.pem", world.read("ec.pem"));
    let file = world.path("ec.pem").display().to_string();
    world
        .token(&[
            "keys",
            "import",
            "a",
            &file,
            "--label",
            "web",
            "--share",
            &share,
            "--share-password-file",
            &password,
        ])
        .ok();
    let (_, dump) = world.home.json(&["token", "dump", "a"]);
    let text = dump.to_string();
    // Access flags of a generated key: sensitive, always sensitive, never extractable, local.
    assert!(!text.contains("030203b8"), "{text}");
    assert!(text.contains("03020780"), "{text}");
}
