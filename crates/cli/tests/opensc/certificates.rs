//! Certificates on a token, and certificates signed by one.

use crate::{
    pcscd::opensc_module,
    token::{PIN, Token},
};

#[test]
fn openssl_signs_a_certificate_with_the_engine_and_p11tool_finds_it() {
    let token = Token::new();
    token.initialise(&["--label", "alpha"]);
    token.generate("EC:prime256v1", "21", "ca");
    token.generate("rsa:2048", "11", "leaf");
    let uri = |id: &str, kind: &str| {
        format!("pkcs11:token=alpha%20%28UserPIN%29;id=%{id};type={kind};pin-value={PIN}")
    };
    let engine = |args: &[&str]| {
        let output = token
            .pcscd
            .command("openssl", args)
            .env("PKCS11_MODULE_PATH", opensc_module())
            .output()
            .unwrap();
        crate::common::Ended::from(output).ok()
    };
    let ca_key = uri("21", "private");
    engine(&[
        "req",
        "-engine",
        "pkcs11",
        "-keyform",
        "engine",
        "-key",
        &ca_key,
        "-new",
        "-x509",
        "-subj",
        "/CN=root",
        "-addext",
        "keyUsage=critical,keyCertSign",
        "-days",
        "10",
        "-out",
        "root.pem",
    ]);
    let leaf_key = uri("11", "private");
    engine(&[
        "req", "-engine", "pkcs11", "-keyform", "engine", "-key", &leaf_key, "-new", "-subj", "/CN=leaf",
        "-out", "leaf.csr",
    ]);
    engine(&[
        "x509",
        "-req",
        "-in",
        "leaf.csr",
        "-CA",
        "root.pem",
        "-engine",
        "pkcs11",
        "-CAkeyform",
        "engine",
        "-CAkey",
        &ca_key,
        "-set_serial",
        "7",
        "-days",
        "5",
        "-out",
        "leaf.pem",
    ]);
    // Judged without the engine.
    let verified = token
        .openssl(&[
            "verify",
            "-x509_strict",
            "-check_ss_sig",
            "-CAfile",
            "root.pem",
            "leaf.pem",
        ])
        .ok();
    assert_eq!(verified.out, "leaf.pem: OK\n");
    let ca_public = token.pcscd.read("21.pub");
    let in_root = token
        .openssl(&["x509", "-in", "root.pem", "-noout", "-pubkey"])
        .ok()
        .out;
    assert_eq!(in_root.trim().as_bytes(), ca_public.trim_ascii());

    // With the id of a key it takes the place of the key's request; another one is a certificate of its own.
    for (name, id, label) in [("root", "21", "ca"), ("leaf", "99", "a leaf")] {
        let (pem, der) = (format!("{name}.pem"), format!("{name}.der"));
        token
            .openssl(&["x509", "-in", &pem, "-outform", "DER", "-out", &der])
            .ok();
        token
            .logged_in(&[
                "--write-object",
                &der,
                "--type",
                "cert",
                "--id",
                id,
                "--label",
                label,
            ])
            .ok();
        token
            .pcscd
            .pkcs11(&[
                "--read-object",
                "--type",
                "cert",
                "--id",
                id,
                "--output-file",
                "back",
            ])
            .ok();
        assert_eq!(token.pcscd.read("back"), token.pcscd.read(&der), "{name}");
        let pem = token
            .pcscd
            .client("pkcs15-tool", &["--read-certificate", id])
            .ok()
            .out;
        assert!(pem.contains("BEGIN CERTIFICATE"), "{pem}");
    }
    let certificates = |uri: &str| {
        let words = ["--provider", &opensc_module(), "--list-all-certs", uri];
        // Nothing found is an error to it.
        let list = token.pcscd.client("p11tool", &words);
        assert!(
            list.code == 0 || list.err.contains("No matching objects"),
            "{}",
            list.err
        );
        ["object=ca;", "object=a%20leaf;"].map(|object| list.out.contains(object))
    };
    let slots = token.pcscd.pkcs11(&["--list-slots"]).ok().out;
    let serial = slots
        .lines()
        .find_map(|line| line.trim().strip_prefix("serial num         : "))
        .unwrap();
    assert_eq!(certificates(&format!("pkcs11:serial={serial}")), [true, true]);
    assert_eq!(certificates("pkcs11:token=alpha%20%28UserPIN%29"), [true, true]);
    assert_eq!(certificates("pkcs11:serial=UTNONE"), [false, false]);

    // The key still signs, and the certificate goes without it.
    engine(&[
        "dgst",
        "-engine",
        "pkcs11",
        "-keyform",
        "engine",
        "-sign",
        &ca_key,
        "-sha256",
        "-out",
        "signature",
        "leaf.pem",
    ]);
    token
        .openssl(&[
            "dgst",
            "-sha256",
            "-verify",
            "21.pub",
            "-signature",
            "signature",
            "leaf.pem",
        ])
        .ok();
    token
        .logged_in(&["--delete-object", "--type", "cert", "--id", "99"])
        .ok();
    assert_eq!(certificates(&format!("pkcs11:serial={serial}")), [true, false]);
}
