//! Signatures, decryption and derivation for scripts: files and pipes, checked with openssl.

use crate::world::World;

const PSS: [&str; 4] = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"];

#[test]
fn signatures_verify_with_openssl() {
    let world = World::new(&["a"], None);
    let message = b"a message\nof two lines\n".repeat(20);
    world.write("message", &message);
    world.generate("a", "P-256", "ec", &[]);
    world.generate("a", "rsa-2048", "rsa", &[]);
    for (label, options, judged) in [
        ("ec", &[][..], &["-sha256"][..]),
        ("ec", &["--hash", "sha512"], &["-sha512"]),
        ("ec", &["--hash-on", "token", "--hash", "sha384"], &["-sha384"]),
        ("rsa", &[], &["-sha256"]),
        ("rsa", &["--hash-on", "token"], &["-sha256"]),
        ("rsa", &["--pss"], &[&["-sha256"], &PSS[..]].concat()),
        (
            "rsa",
            &["--pss", "--hash", "sha512"],
            &[&["-sha512"], &PSS[..]].concat(),
        ),
        (
            "rsa",
            &["--pss", "--hash-on", "token"],
            &[&["-sha256"], &PSS[..]].concat(),
        ),
    ] {
        world
            .token(
                &[
                    &["sign", "a", label, "--in", "message", "--out", "signature"],
                    options,
                ]
                .concat(),
            )
            .ok();
        assert!(world.verifies(label, "signature", judged), "{label} {options:?}");
        let piped = world.pipe(&[&["sign", "a", label], options].concat(), &message);
        world.write("signature", piped);
        assert!(
            world.verifies(label, "signature", judged),
            "{label} {options:?} through a pipe"
        );
    }
    // A hash value made elsewhere; r and s side by side.
    world
        .openssl(&["dgst", "-sha256", "-binary", "-out", "digest", "message"])
        .ok();
    world
        .token(&[
            "sign",
            "a",
            "ec",
            "--in",
            "digest",
            "--hash-on",
            "already",
            "--out",
            "signature",
        ])
        .ok();
    assert!(world.verifies("ec", "signature", &["-sha256"]));
    let plain = world.pipe(&["sign", "a", "ec", "--raw"], &message);
    assert_eq!(plain.len(), 64);
    let (code, json) = world.token_json(&["sign", "a", "ec", "--in", "message"]);
    assert_eq!(code, 0, "{json}");
    world.write(
        "signature",
        hex::decode(json["signature"].as_str().unwrap()).unwrap(),
    );
    assert!(world.verifies("ec", "signature", &["-sha256"]));
    assert!(
        !world.verifies("ec", "signature", &["-sha384"]),
        "the judge can say no"
    );
}

#[test]
fn a_custodians_key_is_refused_and_a_spent_key_says_so() {
    let world = World::new(&["a"], None);
    world.generate("a", "brainpoolP256r1", "custodian", &["--permit", "EcdsaSha256"]);
    world.generate("a", "P-256", "once", &["--uses", "1"]);
    let message = world.write("message", "x");
    let refused = world.token(&["sign", "a", "custodian", "--in", &message]);
    assert_eq!(refused.code, 7, "{}", refused.err);
    assert!(refused.err.contains("custodian's key"), "{}", refused.err);
    world
        .token(&["sign", "a", "once", "--in", &message, "--out", "s"])
        .ok();
    let spent = world.token(&["sign", "a", "once", "--in", &message]);
    assert_eq!(spent.code, 10, "{}", spent.err);
    assert!(spent.err.contains("use counter is spent"), "{}", spent.err);
}

#[test]
fn what_openssl_encrypts_is_decrypted() {
    let world = World::new(&["a"], None);
    world.generate("a", "rsa-2048", "mail", &[]);
    world.write("message", "the plaintext");
    let encrypt = |options: &[&str]| {
        let words = [
            &[
                "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "mail.pub", "-in", "message",
                "-out", "c",
            ],
            options,
        ];
        world.openssl(&words.concat()).ok();
    };
    encrypt(&[]);
    world
        .token(&["decrypt", "a", "mail", "--in", "c", "--out", "plain"])
        .ok();
    assert_eq!(world.read("plain"), b"the plaintext");
    encrypt(&[
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha256",
    ]);
    let plain = world.pipe(&["decrypt", "a", "mail", "--padding", "oaep"], &world.read("c"));
    assert_eq!(plain, b"the plaintext");
    encrypt(&[
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha512",
        "-pkeyopt",
        "rsa_mgf1_md:sha1",
        "-pkeyopt",
        "rsa_oaep_label:6c6162656c",
    ]);
    let oaep = [
        "decrypt",
        "a",
        "mail",
        "--padding",
        "oaep",
        "--hash",
        "sha512",
        "--mask-hash",
        "sha1",
    ];
    let plain = world.pipe(
        &[&oaep[..], &["--oaep-label", "6c6162656c"]].concat(),
        &world.read("c"),
    );
    assert_eq!(plain, b"the plaintext");
    let refused = world.token(&[&oaep[..], &["--in", "c"]].concat());
    assert_eq!(refused.code, 7, "{}", refused.err);
    assert!(
        refused.err.contains("does not carry the padding"),
        "{}",
        refused.err
    );
}

#[test]
fn key_agreement_and_secret_keys() {
    let world = World::new(&["a"], None);
    world.generate("a", "P-384", "agree", &[]);
    world
        .openssl(&[
            "ecparam",
            "-name",
            "secp384r1",
            "-genkey",
            "-noout",
            "-out",
            "peer.key",
        ])
        .ok();
    world
        .openssl(&["pkey", "-in", "peer.key", "-pubout", "-out", "peer.pem"])
        .ok();
    world
        .openssl(&[
            "pkeyutl",
            "-derive",
            "-inkey",
            "peer.key",
            "-peerkey",
            "agree.pub",
            "-peerform",
            "DER",
            "-out",
            "shared",
        ])
        .ok();
    world
        .token(&["derive", "a", "agree", "--peer", "peer.pem", "--out", "ours"])
        .ok();
    assert_eq!(world.read("ours"), world.read("shared"));

    world.generate("a", "aes-128", "storage", &[]);
    let iv = "000102030405060708090a0b0c0d0e0f";
    let message = b"stored ".repeat(500);
    let cipher = world.pipe(&["encrypt", "a", "storage", "--iv", iv], &message);
    assert_eq!(cipher.len(), 3504);
    assert_ne!(&cipher[..16], &message[..16]);
    assert_eq!(
        world.pipe(&["decrypt", "a", "storage", "--iv", iv], &cipher),
        message
    );
    let mac = world.pipe(&["sign", "a", "storage"], b"message");
    assert_eq!(mac.len(), 16);
    assert_eq!(world.pipe(&["sign", "a", "storage"], b"message"), mac);
    assert_ne!(world.pipe(&["sign", "a", "storage"], b"massage"), mac);
    let secret = world.pipe(&["derive", "a", "storage", "--data", "disk 1"], b"");
    assert_eq!(secret.len(), 32);
    assert_ne!(
        world.pipe(&["derive", "a", "storage", "--data", "disk 2"], b""),
        secret
    );

    // Another EC key, which signs for itself.
    let (code, derived) = world.token_json(&[
        "derive",
        "a",
        "agree",
        "--new-id",
        "9",
        "--parameter",
        "0a0b0c0d",
        "--label",
        "child",
    ]);
    assert_eq!(code, 0, "{derived}");
    world.write(
        "derived.pub",
        hex::decode(derived["public_key"].as_str().unwrap()).unwrap(),
    );
    world.write("message", "by the new key");
    world
        .token(&["sign", "a", "9", "--in", "message", "--out", "signature"])
        .ok();
    assert!(world.verifies("derived", "signature", &["-sha256"]));
    assert!(!world.verifies("agree", "signature", &["-sha256"]));
}

#[test]
fn what_would_do_nothing_or_be_a_guess_is_refused() {
    let world = World::new(&["a"], None);
    world.write("message", b"a message");
    world.generate("a", "rsa-2048", "rsa", &[]);
    world.generate("a", "aes-128", "mac", &[]);
    let sign = |label: &'static str| ["sign", "a", label, "--in", "message", "--out", "signature"];
    for (label, options) in [
        ("rsa", &["--raw"][..]),
        ("mac", &["--raw"]),
        ("mac", &["--pss"]),
        ("mac", &["--hash", "sha256"]),
        ("mac", &["--hash-on", "token"]),
    ] {
        let refused = world.token(&[&sign(label), options].concat());
        assert_eq!(refused.code, 2, "{label} {options:?}: {}", refused.err);
        assert!(refused.err.contains(options[0]), "{}", refused.err);
    }
    world.token(&sign("mac")).ok();
    for words in [["sign", "a", "rsa"], ["decrypt", "a", "rsa"]] {
        let refused = world
            .home
            .run(&[&["token"], &words[..], &["--pin-file", "-"]].concat());
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(refused.err.contains("--in FILE"), "{}", refused.err);
    }
}
