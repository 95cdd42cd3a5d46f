//! A token that imitates older firmware.

use crate::{
    common::Home,
    pcscd::{Pcscd, Plugged},
    token::Token,
};

#[test]
fn debians_programs_work_with_a_token_of_firmware_2_6() {
    let home = Home::new();
    home.run(&["vtoken", "create", "one", "--firmware", "2.6"]).ok();
    let pcscd = Pcscd::start();
    let plugged = Plugged::into(&pcscd, &home, &["one"]);
    let token = Token { plugged, pcscd, home };
    let atr = token.pcscd.client("opensc-tool", &["--atr"]).ok().out;
    assert_eq!(
        atr.trim(),
        "3b:fe:18:00:00:81:31:fe:45:80:31:81:54:48:53:4d:31:73:80:21:40:81:07:fa"
    );
    let name = token.pcscd.client("opensc-tool", &["--name"]).ok().out;
    assert!(name.contains("SmartCard-HSM"), "{name}");
    let version: String = token.status().split_whitespace().collect();
    assert!(version.contains("Version:2.6"), "{version}");

    token.initialise(&["--label", "old"]);
    for (kind, id) in [("rsa:2048", "11"), ("EC:prime256v1", "21")] {
        token.generate(kind, id, &format!("key {id}"));
    }
    for kind in ["rsa:4096", "EC:secp521r1"] {
        let refused = token.logged_in(&["--keypairgen", "--key-type", kind, "--id", "31", "--label", "no"]);
        assert_ne!(refused.code, 0, "{kind}");
    }

    // The end of a file is not marked: what is read has to be whole all the same.
    let request = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old",
    ];
    let files = ["-keyout", "other.key", "-outform", "DER", "-out", "other.der"];
    token.openssl(&[&request[..], &files].concat()).ok();
    token
        .logged_in(&[
            "--write-object",
            "other.der",
            "--type",
            "cert",
            "--id",
            "51",
            "--label",
            "other",
        ])
        .ok();
    token
        .pcscd
        .pkcs11(&[
            "--read-object",
            "--type",
            "cert",
            "--id",
            "51",
            "--output-file",
            "read.der",
        ])
        .ok();
    assert!(token.pcscd.read("read.der") == token.pcscd.read("other.der"));

    token.pcscd.write("text", "what is signed");
    for (mechanism, id) in [("SHA256-RSA-PKCS", "11"), ("ECDSA-SHA256", "21")] {
        let sign = [
            "--sign",
            "--mechanism",
            mechanism,
            "--id",
            id,
            "--signature-format",
            "openssl",
        ];
        let files = ["--input-file", "text", "--output-file", "signature"];
        token.logged_in(&[&sign[..], &files].concat()).ok();
        let key = format!("{id}.pub");
        let verify = [
            "dgst",
            "-sha256",
            "-verify",
            &key,
            "-signature",
            "signature",
            "text",
        ];
        let said = token.openssl(&verify).ok().out;
        assert!(said.contains("Verified OK"), "{mechanism}: {said}");
    }
    let list = token.pcscd.client("pkcs15-tool", &["--dump"]).ok().out;
    assert!(list.contains("Key [key 11]") && list.contains("[old]"), "{list}");
}

#[test]
fn a_firmware_that_cannot_be_imitated_is_refused() {
    let home = Home::new();
    let refused = home.run(&["vtoken", "create", "one", "--firmware", "3.0"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("2.6 and 4.1"), "{}", refused.err);
}
