//! `pkcs11-tool` of OpenSC.

use crate::world::{PIN, World};

#[test]
fn a_token_is_listed_without_login() {
    let world = World::with_key("rsa:2048");
    let slots = world.tool(&["--list-slots"]).ok().out;
    for expected in [
        "token label        : signer",
        "PIN initialized",
        "Virtual token one",
    ] {
        assert!(slots.contains(expected), "{slots}");
    }
    let objects = world.tool(&["--list-objects"]).ok().out;
    assert!(objects.contains("Public Key Object; RSA 2048 bits"), "{objects}");
    assert!(!objects.contains("Private Key Object"), "{objects}");
    let objects = world.tool(&["--list-objects", "--login", "--pin", PIN]).ok().out;
    assert!(objects.contains("Private Key Object; RSA"), "{objects}");
}

#[test]
fn rsa_signatures_and_decryptions_are_what_openssl_expects() {
    let world = World::with_key("rsa:2048");
    let sign = |mechanism: &str| {
        world
            .tool(&[
                "--login",
                "--pin",
                PIN,
                "--sign",
                "--mechanism",
                mechanism,
                "--id",
                "10",
                "--input-file",
                "message",
                "--output-file",
                "signature",
            ])
            .ok()
    };
    for (mechanism, hash, pss) in [
        ("SHA1-RSA-PKCS", "-sha1", false),
        ("SHA256-RSA-PKCS", "-sha256", false),
        ("SHA384-RSA-PKCS", "-sha384", false),
        ("SHA512-RSA-PKCS", "-sha512", false),
        ("SHA256-RSA-PKCS-PSS", "-sha256", true),
        ("SHA384-RSA-PKCS-PSS", "-sha384", true),
    ] {
        sign(mechanism);
        let mut judge = vec![
            "dgst",
            hash,
            "-verify",
            "key.der",
            "-keyform",
            "DER",
            "-signature",
            "signature",
        ];
        if pss {
            judge.extend([
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:digest",
            ]);
        }
        judge.push("message");
        world.openssl(&judge);
    }
    world.openssl(&[
        "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-in", "message", "-out",
        "pkcs1",
    ]);
    world.openssl(&[
        "pkeyutl",
        "-encrypt",
        "-pubin",
        "-keyform",
        "DER",
        "-inkey",
        "key.der",
        "-in",
        "message",
        "-out",
        "oaep",
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha256",
        "-pkeyopt",
        "rsa_mgf1_md:sha256",
    ]);
    for (mechanism, more) in [
        ("RSA-PKCS", &[][..]),
        (
            "RSA-PKCS-OAEP",
            &["--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256"],
        ),
    ] {
        let input = if more.is_empty() { "pkcs1" } else { "oaep" };
        let words = [
            "--login",
            "--pin",
            PIN,
            "--decrypt",
            "--mechanism",
            mechanism,
            "--id",
            "10",
            "--input-file",
            input,
            "--output-file",
            "plain",
        ];
        world.tool(&[&words[..], more].concat()).ok();
        let plain = std::fs::read(world.path("plain")).unwrap();
        assert_eq!(plain, b"what is signed here\n", "{mechanism}");
    }
}

#[test]
fn keys_on_curves_sign_and_agree() {
    for curve in ["prime256v1", "secp384r1", "secp521r1", "brainpoolP256r1"] {
        let world = World::with_key(&format!("EC:{curve}"));
        world
            .tool(&[
                "--login",
                "--pin",
                PIN,
                "--sign",
                "--mechanism",
                "ECDSA-SHA256",
                "--signature-format",
                "openssl",
                "--id",
                "10",
                "--input-file",
                "message",
                "--output-file",
                "signature",
            ])
            .ok();
        world.openssl(&[
            "dgst",
            "-sha256",
            "-verify",
            "key.der",
            "-keyform",
            "DER",
            "-signature",
            "signature",
            "message",
        ]);
        world.openssl(&["ecparam", "-name", curve, "-genkey", "-noout", "-out", "peer.pem"]);
        world.openssl(&[
            "pkey", "-in", "peer.pem", "-pubout", "-outform", "DER", "-out", "peer.der",
        ]);
        world
            .tool(&[
                "--login",
                "--pin",
                PIN,
                "--derive",
                "--mechanism",
                "ECDH1-DERIVE",
                "--id",
                "10",
                "--input-file",
                "peer.der",
                "--output-file",
                "ours",
            ])
            .ok();
        world.openssl(&[
            "pkeyutl",
            "-derive",
            "-inkey",
            "peer.pem",
            "-peerform",
            "DER",
            "-peerkey",
            "key.der",
            "-out",
            "theirs",
        ]);
        let read = |name| std::fs::read(world.path(name)).unwrap();
        assert_eq!(read("ours"), read("theirs"), "{curve}");
    }
}

#[test]
fn a_wrong_pin_is_explained_and_the_flags_tell_of_it() {
    let world = World::with_key("EC:prime256v1");
    let wrong = world.tool(&["--login", "--pin", "000000", "--list-objects"]);
    assert_ne!(wrong.code, 0);
    assert!(
        wrong.err.contains("chancery-pkcs11: wrong PIN: 2 tries are left"),
        "{}",
        wrong.err
    );
    let slots = world.tool(&["--list-slots"]).ok().out;
    assert!(slots.contains("user PIN count low"), "{slots}");
    for _ in 0..2 {
        assert_ne!(
            world.tool(&["--login", "--pin", "000000", "--list-objects"]).code,
            0
        );
    }
    let slots = world.tool(&["--list-slots"]).ok().out;
    assert!(slots.contains("user PIN locked"), "{slots}");
}

#[test]
fn certificates_and_data_are_stored_read_and_deleted() {
    let world = World::certified();
    let logged_in = |args: &[&str]| world.tool(&[&["--login", "--pin", PIN], args].concat());
    logged_in(&[
        "--write-object",
        "message",
        "--type",
        "data",
        "--label",
        "note",
        "--application-label",
        "test",
    ])
    .ok();
    let listed = world.tool(&["--list-objects"]).ok().out;
    for expected in [
        "Certificate Object; type = X.509 cert",
        "DN: CN=signer",
        "label:          'note'",
    ] {
        assert!(listed.contains(expected), "{listed}");
    }
    world
        .tool(&[
            "--read-object",
            "--type",
            "cert",
            "--id",
            "10",
            "--output-file",
            "read.der",
        ])
        .ok();
    world
        .tool(&[
            "--read-object",
            "--type",
            "data",
            "--label",
            "note",
            "--output-file",
            "read",
        ])
        .ok();
    let read = |name| std::fs::read(world.path(name)).unwrap();
    assert_eq!(read("read.der"), read("certificate.der"));
    assert_eq!(read("read"), read("message"));
    // Our own tools see the same.
    logged_in(&["--delete-object", "--type", "data", "--label", "note"]).ok();
    assert!(!world.tool(&["--list-objects"]).ok().out.contains("'note'"));
    logged_in(&["--delete-object", "--type", "privkey", "--id", "10"]).ok();
    let left = logged_in(&["--list-objects"]).ok().out;
    assert!(!left.contains("Key Object"), "{left}");
}
