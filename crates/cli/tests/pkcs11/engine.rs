//! Programs that sign through OpenSSL's engine.

use crate::world::{PIN, World};

const URI: &str = "pkcs11:token=signer;object=key;type=private";

#[test]
fn openssl_signs_requests_and_digests() {
    let world = World::with_key("rsa:2048");
    let uri = format!("{URI};pin-value={PIN}");
    world.openssl(&["dgst", "-sha256", "-binary", "-out", "digest", "message"]);
    world.openssl(&[
        "pkeyutl",
        "-engine",
        "pkcs11",
        "-keyform",
        "engine",
        "-sign",
        "-inkey",
        &uri,
        "-in",
        "digest",
        "-pkeyopt",
        "digest:sha256",
        "-out",
        "signature",
    ]);
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
    world.openssl(&[
        "req",
        "-engine",
        "pkcs11",
        "-keyform",
        "engine",
        "-new",
        "-key",
        &uri,
        "-subj",
        "/CN=signer",
        "-out",
        "request.pem",
    ]);
    world.openssl(&["req", "-in", "request.pem", "-verify", "-noout"]);
}

#[test]
fn a_refused_login_ends_with_its_reason_and_no_signal() {
    let world = World::with_key("EC:prime256v1");
    let uri = format!("{URI};pin-value=000000");
    let refused = world.run(
        "openssl",
        &[
            "pkeyutl",
            "-engine",
            "pkcs11",
            "-keyform",
            "engine",
            "-sign",
            "-inkey",
            &uri,
            "-in",
            "message",
            "-out",
            "signature",
        ],
    );
    assert_eq!(refused.code, 1, "{}", refused.err);
    let last = refused.err.lines().last().unwrap_or_default();
    assert_eq!(
        last, "chancery-pkcs11: wrong PIN: 2 tries are left",
        "{}",
        refused.err
    );
}

#[test]
fn mkimage_signs_configurations_and_stores_the_key() {
    let world = World::with_key("rsa:2048");
    let configuration = |name: &str| {
        format!(
            "{name} {{ firmware = \"image\"; signature-1 {{ algo = \"sha256,rsa2048\"; key-name-hint = \"key\"; \
             sign-images = \"firmware\"; }}; }};"
        )
    };
    let source = format!(
        "/dts-v1/; / {{ description = \"test\"; #address-cells = <1>; images {{ image {{ description = \"image\"; \
         data = /incbin/(\"message\"); type = \"firmware\"; arch = \"arm\"; os = \"u-boot\"; compression = \"none\"; \
         load = <0>; entry = <0>; hash-1 {{ algo = \"sha256\"; }}; }}; }}; configurations {{ default = \"one\"; {} {} }}; }};",
        configuration("one"),
        configuration("two")
    );
    std::fs::write(world.path("image.its"), source).unwrap();
    std::fs::write(world.path("keys.dts"), "/dts-v1/; / { };").unwrap();
    world
        .run("dtc", &["-I", "dts", "-O", "dtb", "-o", "keys.dtb", "keys.dts"])
        .ok();
    let words = [
        "-f",
        "image.its",
        "-N",
        "pkcs11",
        "-k",
        "token=signer",
        "-K",
        "keys.dtb",
        "-r",
        "image.itb",
    ];
    let made = world.run("mkimage", &words).ok();
    assert!(!made.err.contains("Failed"), "{}{}", made.out, made.err);
    // mkimage ends well whatever it did: the signatures are looked for, and the key.
    let lines: Vec<&str> = made
        .out
        .lines()
        .filter(|line| line.contains("Sign value:"))
        .collect();
    assert_eq!(lines.len(), 2, "{}", made.out);
    for line in lines {
        let digits = line.rsplit(' ').next().unwrap();
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
            panic!("{line}");
        };
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let signature: Vec<u8> = pairs.iter().map(byte).collect();
        std::fs::write(world.path("value"), signature).unwrap();
        // It is a signature of this key over a digest of SHA-256.
        world.openssl(&[
            "pkeyutl",
            "-verifyrecover",
            "-pubin",
            "-keyform",
            "DER",
            "-inkey",
            "key.der",
            "-in",
            "value",
            "-pkeyopt",
            "digest:sha256",
            "-out",
            "digest",
        ]);
        assert_eq!(std::fs::read(world.path("digest")).unwrap().len(), 32);
    }
    let keys = world.run("dtc", &["-I", "dtb", "-O", "dts", "keys.dtb"]).ok().out;
    assert!(keys.contains("rsa,num-bits = <0x800>"), "{keys}");
}
