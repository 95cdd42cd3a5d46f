//! A token in a reader of pcscd, used by this module and by OpenSC's.

use std::process::{Command, Stdio};

use crate::{
    common::{Ended, Home},
    pcscd::{Pcscd, Plugged},
    pkcs11::module,
    world::PIN,
};

const SO_PIN: &str = "3537363231383830";

#[test]
fn a_token_in_a_reader_is_a_slot_without_configuration_and_opensc_sees_the_same() {
    let home = Home::new();
    home.run(&["vtoken", "create", "one"]).ok();
    let pcscd = Pcscd::start();
    let _plugged = Plugged::into(&pcscd, &home, &["one"]);
    let initialise = [
        "--initialize",
        "--so-pin",
        SO_PIN,
        "--pin",
        PIN,
        "--label",
        "signer",
    ];
    pcscd.client("sc-hsm-tool", &initialise).ok();

    let module = module().display().to_string();
    let ours = |args: &[&str]| pcscd.client("pkcs11-tool", &[&["--module", &module], args].concat());
    let slots = ours(&["--list-slots"]).ok().out;
    assert!(slots.contains("token label        : signer"), "{slots}");
    assert_eq!(slots.matches("token label").count(), 1, "{slots}");
    // p11-kit, by which p11tool loads modules, allows them no threads.
    let listed = pcscd.client("p11tool", &["--provider", &module, "--list-tokens"]);
    assert!(listed.ok().out.contains("token=signer"));

    // A key of each module, used by the other.
    let login = ["--login", "--pin", PIN];
    let generate = |id, label| {
        [
            &login[..],
            &[
                "--keypairgen",
                "--key-type",
                "EC:prime256v1",
                "--id",
                id,
                "--label",
                label,
            ],
        ]
        .concat()
    };
    ours(&generate("21", "ours")).ok();
    pcscd.pkcs11(&generate("22", "theirs")).ok();
    for listed in [
        ours(&[&login[..], &["--list-objects"]].concat()).ok().out,
        pcscd.pkcs11(&[&login[..], &["--list-objects"]].concat()).ok().out,
    ] {
        assert!(listed.contains("ours") && listed.contains("theirs"), "{listed}");
    }
    pcscd.write("message", "what is signed here\n");
    let sign = |id| {
        let words = [
            "--sign",
            "--mechanism",
            "ECDSA-SHA256",
            "--signature-format",
            "openssl",
            "--id",
            id,
            "--input-file",
            "message",
            "--output-file",
            "signature",
        ];
        [&login[..], &words[..]].concat()
    };
    let public = [
        "--read-object",
        "--type",
        "pubkey",
        "--output-file",
        "key.der",
        "--id",
    ];
    // The public key comes from one module, the signature from the other.
    pcscd.pkcs11(&[&public[..], &["21"]].concat()).ok();
    ours(&sign("21")).ok();
    verify(&pcscd).ok();
    ours(&[&public[..], &["22"]].concat()).ok();
    ours(&sign("22")).ok();
    verify(&pcscd).ok();
    ours(&[&public[..], &["21"]].concat()).ok();
    pcscd.pkcs11(&sign("21")).ok();
    verify(&pcscd).ok();
}

fn verify(pcscd: &Pcscd) -> Ended {
    let words = [
        "dgst",
        "-sha256",
        "-verify",
        "key.der",
        "-keyform",
        "DER",
        "-signature",
        "signature",
        "message",
    ];
    let output = Command::new("openssl")
        .args(words)
        .current_dir(pcscd.file(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended::from(output)
}
