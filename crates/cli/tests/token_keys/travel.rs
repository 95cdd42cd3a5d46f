//! Keys wrapped, unwrapped and imported by our commands alone.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::world::{OTHER_SHARE, SHARE, World};

#[test]
fn a_key_goes_to_another_token_with_all_that_is_its_own() {
    let world = World::with_share(&["a", "b"]);
    world.write("message", "signed on b");
    for (algorithm, label, file) in [("P-256", "ec", "ec.wky"), ("rsa-2048", "rsa", "rsa.bin")] {
        let id = world.generate("a", algorithm, label, &[]);
        let (code, wrapped) = world.token_json(&["wrap", "a", label, file]);
        assert_eq!(code, 0, "{wrapped}");
        assert_eq!(
            wrapped["holds"],
            serde_json::json!(["key", "description", "request"])
        );
        assert_eq!(wrapped["proven"], true);
        let again = world.token(&["wrap", "a", &id, file]);
        assert_eq!(again.code, 6, "never over another: {}", again.err);
        let (code, arrived) = world.token_json(&["unwrap", "b", file]);
        assert_eq!(code, 0, "{arrived}");
        assert_eq!(arrived["verified"], "by-use");
        world
            .token(&["sign", "b", label, "--in", "message", "--out", "signature"])
            .ok();
        assert!(world.verifies(label, "signature", &["-sha256"]), "{label}");
    }
    // An AES key proves itself only to who has the key encryption key.
    world.generate("a", "aes-256", "secret", &[]);
    world.token(&["wrap", "a", "secret", "secret.wky"]).ok();
    let blind = world.token(&["unwrap", "b", "secret.wky"]).ok();
    assert!(blind.out.contains("NOT VERIFIED"), "{}", blind.out);
    let (share, password) = world.share_file();
    let seen = world.token_json(&[
        "unwrap",
        "b",
        "secret.wky",
        "--share",
        &share,
        "--share-password-file",
        &password,
    ]);
    assert_eq!((seen.0, &seen.1["verified"]), (0, &"by-use".into()), "{}", seen.1);
    let (_, journal) = world.home.json(&["token", "journal"]);
    assert_eq!(journal, serde_json::json!([]));
}

#[test]
fn wrong_domains_and_mixed_parts_are_named() {
    let world = World::new(&["a", "b", "c"], Some(1));
    world.import_share("a", OTHER_SHARE);
    world.import_share("b", SHARE);
    world.generate("a", "P-256", "k", &[]);
    world.token(&["wrap", "a", "k", "k.wky"]).ok();
    let kcv = |token: &str| {
        let (_, info) = world.home.json(&["token", "explore", token]);
        info["domains"][0]["kcv"].as_str().unwrap().to_owned()
    };
    let refused = world.token(&["unwrap", "b", "k.wky"]);
    assert_eq!(refused.code, 7, "{}", refused.err);
    let said = format!(
        "wrapped under key domain KCV {}, this token has {}",
        kcv("a"),
        kcv("b")
    );
    assert!(refused.err.contains(&said), "{}", refused.err);
    let refused = world.token(&["unwrap", "c", "k.wky"]);
    assert!(
        refused.err.contains("this token has no complete key domain"),
        "{}",
        refused.err
    );
    let (share, password) = world.share_file();
    let refused = world.token(&[
        "unwrap",
        "a",
        "k.wky",
        "--share",
        &share,
        "--share-password-file",
        &password,
    ]);
    assert_eq!(refused.code, 7, "{}", refused.err);

    world.write("broken.wky", &world.read("k.wky")[1..]);
    let broken = world.token(&["unwrap", "a", "broken.wky"]);
    assert_eq!(broken.code, 3, "{}", broken.err);
    let wrong = world.home.private("wrong", "incorrect\n");
    let refused = world.token(&[
        "unwrap",
        "a",
        "k.wky",
        "--share",
        &share,
        "--share-password-file",
        &wrong,
    ]);
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(refused.err.contains("chancery dkek doctor"), "{}", refused.err);
}

#[test]
fn keys_of_openssl_are_imported_and_sign() {
    let world = World::with_share(&["a"]);
    let (share, password) = world.share_file();
    world.write("message", "signed by what openssl made");
    let shares = ["--share", &share, "--share-password-file", &password];
    world
        .openssl(&[
            "ecparam",
            "-name",
            "secp384r1",
            "-genkey",
            "-noout",
            "-out",
            "ec.pem",
        ])
        .ok();
    world.openssl(&["genrsa", "-out", "rsa.pem", "2048"]).ok();
    for name in ["ec", "rsa"] {
        let (key, certificate, out) = (
            format!("{name}.pem"),
            format!("{name}.crt"),
            format!("{name}.pub"),
        );
        world
            .openssl(&[
                "req",
                "-x509",
                "-key",
                &key,
                "-subj",
                "/CN=k",
                "-out",
                &certificate,
            ])
            .ok();
        world
            .openssl(&["pkey", "-in", &key, "-pubout", "-outform", "DER", "-out", &out])
            .ok();
    }
    world
        .openssl(&[
            "pkcs12", "-export", "-inkey", "ec.pem", "-in", "ec.crt", "-name", "from p12", "-passout",
            "pass:p12", "-out", "ec.p12",
        ])
        .ok();
    world
        .openssl(&[
            "pkcs8", "-topk8", "-in", "rsa.pem", "-passout", "pass:p8", "-out", "rsa.p8",
        ])
        .ok();
    let p12 = world.home.private("p12", "p12\n");
    let p8 = world.home.private("p8", "p8\n");
    let import = |file: &str, more: &[&str]| {
        let words = [&["keys", "import", "a", file], &shares[..], more].concat();
        world.token_json(&words)
    };
    let (code, arrived) = import("ec.p12", &["--password-file", &p12]);
    assert_eq!(code, 0, "{arrived}");
    assert_eq!(
        (&arrived["verified"], &arrived["certificate"]),
        (&"by-use".into(), &true.into())
    );
    world
        .token(&["sign", "a", "from p12", "--in", "message", "--out", "signature"])
        .ok();
    assert!(world.verifies("ec", "signature", &["-sha256"]));
    let pem = world
        .home
        .run(&["token", "cert", "get", "a", "from p12"])
        .ok()
        .out;
    assert_eq!(pem.as_bytes(), world.read("ec.crt"));

    let (code, arrived) = import(
        "rsa.p8",
        &[
            "--password-file",
            &p8,
            "--label",
            "rsa",
            "--certificate",
            "rsa.crt",
            "--id",
            "30",
        ],
    );
    assert_eq!(code, 0, "{arrived}");
    assert_eq!(arrived["id"], 30);
    world
        .token(&[
            "sign",
            "a",
            "rsa",
            "--in",
            "message",
            "--out",
            "signature",
            "--pss",
        ])
        .ok();
    let pss = [
        "-sha256",
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sigopt",
        "rsa_pss_saltlen:-1",
    ];
    assert!(world.verifies("rsa", "signature", &pss));

    // AES, against openssl with the same key.
    let aes = world.write("aes", [0x42; 32]);
    let mode = |mode| fs::set_permissions(&aes, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let (code, refused) = import("aes", &["--kind", "aes", "--label", "storage"]);
    assert_eq!(code, 3, "{refused}");
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
    mode(0o600);
    let (code, arrived) = import("aes", &["--kind", "aes", "--label", "storage"]);
    assert_eq!((code, &arrived["verified"]), (0, &"by-use".into()), "{arrived}");
    let iv = "000102030405060708090a0b0c0d0e0f";
    world.write(
        "cipher",
        world.pipe(&["encrypt", "a", "storage", "--iv", iv], b"to be stored"),
    );
    world
        .openssl(&[
            "enc",
            "-d",
            "-aes-256-cbc",
            "-K",
            &"42".repeat(32),
            "-iv",
            iv,
            "-in",
            "cipher",
            "-out",
            "plain",
        ])
        .ok();
    assert_eq!(world.read("plain"), b"to be stored");

    let (code, wrong) = import("rsa.p8", &["--password-file", &p12, "--label", "x"]);
    assert_eq!((code, &wrong["kind"]), (3, &"invalid".into()), "{wrong}");
    let (code, other) = import("ec.pem", &["--label", "x", "--certificate", "rsa.crt"]);
    assert_eq!(code, 7, "{other}");
    let without = world.token(&["keys", "import", "a", "ec.pem", "--label", "x"]);
    assert_eq!(without.code, 3, "{}", without.err);
    assert!(without.err.contains("--share FILE"), "{}", without.err);
    // Neither key nor share in any file of ours.
    let journal = world.home.data().join("journal");
    let left = fs::read_dir(journal).map(Iterator::count).unwrap_or_default();
    assert_eq!(left, 0);
}
