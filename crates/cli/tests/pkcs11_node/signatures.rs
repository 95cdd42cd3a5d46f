//! openssl, OpenSC's, GnuTLS's and NSS's programs.

use std::fs;

use crate::{
    pkcs11::module,
    world::{Custodians, Waits, World, uri},
};

#[test]
fn openssl_signs_makes_requests_and_certificates_in_both_waits() {
    let world = World::with_custodians();
    fs::write(world.path("message"), "data").unwrap();
    for waits in [Waits::AtSign, Waits::AtLogin] {
        world.end_leases();
        let before = world.all_leases().len();
        // One digest for each program: the number goes with the wait at login, and is not less than they need.
        let configuration = world.waiting(waits, 1);
        world
            .openssl(
                &configuration,
                &["dgst", "-sha256", "-binary", "-out", "digest", "message"],
            )
            .ok();
        let (key, authority) = (uri("release"), uri("firmware"));
        let engine = ["-engine", "pkcs11", "-keyform", "engine"];
        let sign = [
            "-sign",
            "-in",
            "digest",
            "-out",
            "signature",
            "-pkeyopt",
            "digest:sha256",
        ];
        let made = world
            .openssl(
                &configuration,
                &[&["pkeyutl"], &engine[..], &["-inkey", &key], &sign].concat(),
            )
            .ok();
        assert!(made.err.contains("permitted by alice and bob"), "{}", made.err);
        world
            .home
            .run(&["signer", "key", "release", "--out", "release.pub"]);
        world
            .openssl(
                &configuration,
                &[
                    "dgst",
                    "-sha256",
                    "-verify",
                    "release.pub",
                    "-signature",
                    "signature",
                    "message",
                ],
            )
            .ok();

        world.certificate(&configuration, "firmware");
        let request = [
            "-key",
            &key,
            "-new",
            "-subj",
            "/CN=release",
            "-out",
            "release.csr",
        ];
        world
            .openssl(&configuration, &[&["req"], &engine[..], &request].concat())
            .ok();
        world
            .openssl(
                &configuration,
                &["req", "-in", "release.csr", "-verify", "-noout"],
            )
            .ok();
        let issue = [
            "x509",
            "-req",
            "-in",
            "release.csr",
            "-engine",
            "pkcs11",
            "-CAkeyform",
            "engine",
            "-CAkey",
            &authority,
            "-CA",
            "firmware.pem",
            "-set_serial",
            "7",
            "-days",
            "10",
            "-out",
            "release.pem",
        ];
        world.openssl(&configuration, &issue).ok();
        world
            .openssl(
                &configuration,
                &["verify", "-CAfile", "firmware.pem", "release.pem"],
            )
            .ok();
        assert_eq!(world.all_leases().len() - before, 4, "each program asked once");
        fs::remove_file(world.path("release.pub")).unwrap();
    }
}

#[test]
fn what_is_public_is_seen_without_anybody_and_a_lease_serves_the_next_process() {
    let world = World::with_custodians();
    let sign = world.waiting(Waits::AtSign, 1);
    world.certificate(&sign, "firmware");
    world.end_leases();
    world.set(Custodians::Silent);
    let module = module().display().to_string();

    // Nobody answers, and nobody is asked.
    let listed = world
        .run(
            &sign,
            &[
                "p11tool",
                "--provider",
                &module,
                "--list-all",
                "pkcs11:token=firmware",
            ],
        )
        .ok();
    assert!(
        listed.out.contains("X.509 Certificate (RSA-2048)") && listed.out.contains("Public key (RSA-2048)"),
        "{}",
        listed.out
    );
    assert!(!listed.out.contains("Private key"), "{}", listed.out);
    let tokens = world.run(&sign, &["pkcs11-tool", "--module", &module, "-L"]).ok();
    for (token, flags) in [("firmware", "PIN pad present"), ("release", "login required")] {
        assert!(
            tokens.out.contains(&format!("token label        : {token}")) && tokens.out.contains(flags),
            "{}",
            tokens.out
        );
    }
    let mechanisms = world
        .run(
            &sign,
            &[
                "pkcs11-tool",
                "--module",
                &module,
                "-M",
                "--token-label",
                "firmware",
            ],
        )
        .ok();
    for never in ["MD5", "SHA-1", "SHA1", "RSA-X-509"] {
        assert!(!mechanisms.out.contains(never), "{}", mechanisms.out);
    }
    fs::create_dir(world.path("nss")).unwrap();
    world
        .run(&sign, &["certutil", "-N", "-d", "sql:nss", "--empty-password"])
        .ok();
    world
        .run(
            &sign,
            &[
                "modutil",
                "-force",
                "-add",
                "chancery",
                "-libfile",
                &module,
                "-mechanisms",
                "FRIENDLY",
                "-dbdir",
                "sql:nss",
            ],
        )
        .ok();
    let certificates = world
        .run(&sign, &["certutil", "-L", "-d", "sql:nss", "-h", "firmware"])
        .ok();
    assert!(
        certificates.out.contains("firmware:firmware"),
        "{}",
        certificates.out
    );
    assert!(world.leases("waiting").is_empty(), "nobody was asked");

    // Four logins of one program, and those of the next one, go on under one lease.
    world.set(Custodians::Agree);
    let login = world.waiting(Waits::AtLogin, 2);
    let before = world.all_leases().len();
    let list = [
        "p11tool",
        "--provider",
        &module,
        "--list-all",
        "--login",
        "pkcs11:token=firmware",
    ];
    let listed = world.run(&login, &list).ok();
    assert!(listed.out.contains("Private key (RSA-2048)"), "{}", listed.out);
    world.set(Custodians::Silent);
    fs::write(world.path("message"), "data").unwrap();
    // Any PIN is ignored.
    let sign = [
        "pkcs11-tool",
        "--module",
        &module,
        "--token-label",
        "firmware",
        "--pin",
        "9999",
        "--sign",
        "-m",
        "SHA256-RSA-PKCS",
        "-i",
        "message",
        "-o",
        "signature",
    ];
    let signed = world.run(&login, &sign).ok();
    assert!(!signed.err.contains("waiting"), "{}", signed.err);
    world
        .home
        .run(&["signer", "key", "firmware", "--out", "key"])
        .ok();
    world
        .openssl(
            &login,
            &[
                "dgst",
                "-sha256",
                "-verify",
                "key",
                "-signature",
                "signature",
                "message",
            ],
        )
        .ok();
    assert_eq!(world.all_leases().len() - before, 1);
    let claimed = world
        .all_leases()
        .iter()
        .any(|lease| lease.to_string().contains("9999"));
    assert!(!claimed, "a PIN is no part of what a program claims");
}

#[test]
fn pkcs11_tool_tests_a_disposable_signer() {
    let world = World::with_custodians();
    let module = module().display().to_string();
    let login = world.waiting(Waits::AtLogin, 20);
    let test = |token| {
        let words = [
            "pkcs11-tool",
            "--module",
            &module,
            "--token-label",
            token,
            "--login",
            "--pin",
            "9999",
            "--test",
        ];
        world.run(&login, &words)
    };
    let tested = test("release").ok();
    assert!(tested.out.contains("No errors"), "{}\n{}", tested.out, tested.err);
    // It has an RSA key sign a digest by SHA-1 as well, which no custodian is asked for.
    let tested = test("firmware");
    assert!(
        tested.out.contains("all 4 signature functions seem to work"),
        "{}\n{}",
        tested.out,
        tested.err
    );
    assert_eq!(tested.code, 1, "{}", tested.err);
    assert!(tested.err.contains("not by SHA-1"), "{}", tested.err);
}
