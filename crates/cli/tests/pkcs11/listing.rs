//! Programs that look for certificates and keys.

use crate::{
    pkcs11::module,
    world::{PIN, World},
};

/// A key with a certificate.
pub(crate) fn certified() -> World {
    let world = World::with_key("rsa:2048");
    let uri = format!("pkcs11:token=signer;object=key;type=private;pin-value={PIN}");
    world.openssl(&[
        "req",
        "-x509",
        "-engine",
        "pkcs11",
        "-keyform",
        "engine",
        "-new",
        "-key",
        &uri,
        "-subj",
        "/CN=signer",
        "-days",
        "2",
        "-outform",
        "DER",
        "-out",
        "certificate.der",
    ]);
    world
        .tool(&[
            "--login",
            "--pin",
            PIN,
            "--write-object",
            "certificate.der",
            "--type",
            "cert",
            "--id",
            "10",
            "--label",
            "key",
        ])
        .ok();
    world
}

#[test]
fn p11tool_lists_with_and_without_login() {
    let world = certified();
    let module = module().display().to_string();
    let public = world
        .run("p11tool", &["--provider", &module, "--list-all"])
        .ok()
        .out;
    for expected in ["type=public", "type=cert", "token=signer"] {
        assert!(public.contains(expected), "{public}");
    }
    assert!(!public.contains("type=private"), "{public}");
    let all = world
        .run("p11tool", &["--provider", &module, "--login", "--list-all"])
        .ok()
        .out;
    assert!(all.contains("type=private"), "{all}");
}

#[test]
fn certutil_lists_without_login() {
    let world = certified();
    let module = module().display().to_string();
    std::fs::create_dir(world.path("nss")).unwrap();
    world
        .run("certutil", &["-N", "-d", "sql:nss", "--empty-password"])
        .ok();
    let add = [
        "-force",
        "-dbdir",
        "sql:nss",
        "-add",
        "chancery",
        "-libfile",
        &module,
        "-mechanisms",
        "FRIENDLY",
    ];
    world.run("modutil", &add).ok();
    let listed = world
        .run("certutil", &["-L", "-d", "sql:nss", "-h", "signer"])
        .ok()
        .out;
    assert!(listed.contains("signer:key"), "{listed}");
}

#[test]
fn two_programs_take_turns() {
    let world = World::with_key("EC:prime256v1");
    let sign = |output: &str| {
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
                output,
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
            output,
            "message",
        ]);
    };
    std::thread::scope(|scope| {
        for number in 0..6 {
            let name = format!("signature-{number}");
            scope.spawn(move || sign(&name));
        }
    });
}
