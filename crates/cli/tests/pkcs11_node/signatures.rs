//! What may be seen without asking anybody, who goes on under a lease, and what OpenSC's own test does with a signer.

use std::fs;

use openssl::sha::sha256;

use crate::{
    pkcs11::module,
    programs::nss_database,
    world::{Custodians, Waits, World, uri},
};

#[test]
fn what_is_public_is_seen_without_anybody_and_a_lease_serves_the_next_process() {
    let world = World::with_custodians();
    world.prepare();
    world.set(Custodians::Silent);
    let module = module().display().to_string();
    let any = world.waiting(Waits::AtSign, 1);
    nss_database(&world.path("nss"), &["-mechanisms", "FRIENDLY"], |program| {
        world.program(&any, &[program])
    });

    // Nobody answers, and nobody is asked.
    for waits in Waits::BOTH {
        let configuration = world.waiting(waits, 1);
        let run = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            world.run(&configuration, &words).ok().out
        };
        let listed = run(&format!(
            "p11tool --provider {module} --list-all pkcs11:token=firmware"
        ));
        for shown in ["X.509 Certificate (RSA-2048)", "Public key (RSA-2048)"] {
            assert!(listed.contains(shown), "{listed}");
        }
        assert!(!listed.contains("Private key"), "{listed}");
        let tokens = run(&format!("pkcs11-tool --module {module} -L"));
        for shown in [
            "token label        : firmware",
            "PIN pad present",
            "token label        : release",
            "login required",
        ] {
            assert!(tokens.contains(shown), "{tokens}");
        }
        let mechanisms = run(&format!(
            "pkcs11-tool --module {module} -M --token-label firmware"
        ));
        for never in ["MD5", "SHA-1", "SHA1", "RSA-X-509"] {
            assert!(!mechanisms.contains(never), "{mechanisms}");
        }
        let certificates = run("certutil -L -d sql:nss -h firmware");
        assert!(certificates.contains("firmware:firmware"), "{certificates}");
        assert!(world.leases("waiting").is_empty(), "nobody was asked");
    }

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
        .desk(None)
        .judge("openssl dgst -sha256 -verify key.pem -signature signature message");
    assert_eq!(world.all_leases().len() - before, 1);
    let claimed = world
        .all_leases()
        .iter()
        .any(|lease| lease.to_string().contains("9999"));
    assert!(!claimed, "a PIN is no part of what a program claims");
}

#[test]
fn a_key_on_a_curve_signs_digests_and_requests() {
    let world = World::with_custodians();
    let configuration = world.waiting(Waits::AtSign, 1);
    let desk = world.desk(None);
    fs::write(world.path("message"), "data").unwrap();
    desk.judge("openssl dgst -sha256 -binary -out digest message");
    world
        .home
        .run(&["signer", "key", "release", "--out", "release.pem"])
        .ok();
    let key = uri("release");
    let engine = ["-engine", "pkcs11", "-keyform", "engine"];
    let sign = [
        "-sign",
        "-inkey",
        &key,
        "-in",
        "digest",
        "-pkeyopt",
        "digest:sha256",
        "-out",
        "signature",
    ];
    world
        .openssl(&configuration, &[&["pkeyutl"], &engine[..], &sign].concat())
        .ok();
    desk.judge("openssl dgst -sha256 -verify release.pem -signature signature message");
    let request = [
        "-new",
        "-key",
        &key,
        "-subj",
        "/CN=release",
        "-out",
        "release.csr",
    ];
    world
        .openssl(&configuration, &[&["req"], &engine[..], &request].concat())
        .ok();
    desk.judge("openssl req -in release.csr -verify -noout");
}

#[test]
fn the_test_of_pkcs11_tool_passes_where_the_module_hashes_and_never_gets_a_signature_by_sha_1() {
    let world = World::with_custodians();
    let module = module().display().to_string();
    let test = |token: &str, configuration| {
        let words = [
            "pkcs11-tool",
            "--module",
            &module,
            "--token-label",
            token,
            "--login",
            "--test",
        ];
        world.run(configuration, &words)
    };
    // It tests signatures of RSA keys only.
    let ordinary = world.waiting(Waits::AtSign, 2);
    let tested = test("release", &ordinary).ok();
    for said in ["Signatures: not implemented", "No errors"] {
        assert!(tested.out.contains(said), "{}\n{}", tested.out, tested.err);
    }
    assert!(world.all_leases().is_empty(), "nothing was signed");

    // An RSA key signs in one part and in many, and the lengths asked for beforehand are right; then a DigestInfo of SHA-1 by
    // CKM_RSA_PKCS is refused, which ends the test.
    let tested = test("firmware", &ordinary);
    assert_eq!(tested.code, 1, "{}\n{}", tested.out, tested.err);
    for said in ["all 4 signature functions seem to work", "RSA-PKCS: "] {
        assert!(tested.out.contains(said), "{}\n{}", tested.out, tested.err);
    }
    assert!(
        !tested.out.contains("OK\n    ") && !tested.out.contains("ERR"),
        "{}",
        tested.out
    );
    assert!(tested.err.contains("not by SHA-1"), "{}", tested.err);
    assert_eq!(world.all_leases().len(), 1, "no custodian was asked for SHA-1");

    // Without the mechanisms that take a program's own digest it passes, and what it had signed has receipts.
    let hashing = world.configuration("hashing.toml", "count = 2\nprehashed = false");
    let tested = test("firmware", &hashing).ok();
    for said in ["SHA256-RSA-PKCS: OK", "No errors"] {
        assert!(tested.out.contains(said), "{}\n{}", tested.out, tested.err);
    }
    let text = sha256("0123456789".repeat(10).as_bytes());
    let receipt = world.receipt(&format!("sha256:{}", hex::encode(text)));
    assert!(receipt["signature"].is_string(), "{receipt}");
}
