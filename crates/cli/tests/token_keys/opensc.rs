//! Keys wrapped by us and unwrapped by sc-hsm-tool, and the other way round, through a private pcscd.

use crate::{
    pcscd::{Pcscd, Plugged},
    world::{PIN, World},
};

#[test]
fn wrapped_keys_go_both_ways_between_us_and_sc_hsm_tool() {
    let world = World::with_share(&["a", "b"]);
    world.generate("a", "P-256", "ours", &["--cka-id", "10"]);
    world.generate("a", "rsa-2048", "ours-rsa", &["--cka-id", "11"]);
    world.token(&["wrap", "a", "ours", "ours.wky"]).ok();
    world.token(&["wrap", "a", "ours-rsa", "ours-rsa.bin"]).ok();

    {
        let pcscd = Pcscd::start();
        let _plugged = Plugged::into(&pcscd, &world.home, &["b"]);
        let tool = |args: &[&str]| pcscd.client("sc-hsm-tool", args).ok().out;
        // Ours, by the tool; signed with by PKCS#11.
        for (file, reference, id, label, mechanism) in [
            ("ours.wky", "5", "10", "ours", "ECDSA-SHA256"),
            ("ours-rsa.bin", "6", "11", "ours-rsa", "SHA256-RSA-PKCS"),
        ] {
            pcscd.write(file, world.read(file));
            tool(&["--unwrap-key", file, "--key-reference", reference, "--pin", PIN]);
            pcscd.write("message", "signed with what we wrapped");
            let list = pcscd
                .pkcs11(&["-l", "--pin", PIN, "--list-objects", "--type", "privkey"])
                .ok()
                .out;
            assert!(list.contains(&format!("label:      {label}")), "{list}");
            let mut words = vec![
                "-l",
                "--pin",
                PIN,
                "--sign",
                "--id",
                id,
                "-m",
                mechanism,
                "--input-file",
                "message",
                "--output-file",
                "signature",
            ];
            if id == "10" {
                words.extend(["--signature-format", "openssl"]);
            }
            pcscd.pkcs11(&words).ok();
            world.write("message", "signed with what we wrapped");
            world.write("signature", pcscd.read("signature"));
            assert!(world.verifies(label, "signature", &["-sha256"]), "{label}");
        }
        // The tool's, for us.
        for (kind, id, label) in [("EC:secp384r1", "20", "theirs"), ("rsa:2048", "21", "theirs-rsa")] {
            pcscd
                .pkcs11(&[
                    "-l",
                    "--pin",
                    PIN,
                    "--keypairgen",
                    "--key-type",
                    kind,
                    "--id",
                    id,
                    "--label",
                    label,
                ])
                .ok();
        }
        for (reference, file, id, public) in [
            ("1", "theirs.bin", "20", "theirs.pub"),
            ("2", "theirs-rsa.bin", "21", "theirs-rsa.pub"),
        ] {
            tool(&["--wrap-key", file, "--key-reference", reference, "--pin", PIN]);
            world.write(file, pcscd.read(file));
            pcscd
                .client(
                    "pkcs15-tool",
                    &["--read-public-key", id, "--output", "public.pem"],
                )
                .ok();
            world.write("public.pem", pcscd.read("public.pem"));
            world
                .openssl(&[
                    "pkey",
                    "-pubin",
                    "-in",
                    "public.pem",
                    "-pubout",
                    "-outform",
                    "DER",
                    "-out",
                    public,
                ])
                .ok();
        }
    }

    world.write("message", "signed with what the tool wrapped");
    for (file, label) in [("theirs.bin", "theirs"), ("theirs-rsa.bin", "theirs-rsa")] {
        let (code, arrived) = world.token_json(&["unwrap", "a", file]);
        assert_eq!(code, 0, "{arrived}");
        assert_eq!(arrived["verified"], "by-use");
        assert_eq!(
            (&arrived["description"], &arrived["certificate"]),
            (&true.into(), &true.into())
        );
        world
            .token(&["sign", "a", label, "--in", "message", "--out", "signature"])
            .ok();
        assert!(world.verifies(label, "signature", &["-sha256"]), "{label}");
        // What the tool wrote is what we would write.
        let id = arrived["id"].to_string();
        world.token(&["wrap", "a", &id, "again.bin"]).ok();
        let (theirs, ours) = (world.read(file), world.read("again.bin"));
        assert_eq!(
            theirs.len(),
            ours.len(),
            "blob, description and request have the lengths they had"
        );
        std::fs::remove_file(world.path("again.bin")).unwrap();
    }
}

#[test]
fn our_commands_work_through_pcsc_while_the_token_is_plugged_in() {
    let mut world = World::with_share(&["a"]);
    world.generate("a", "P-256", "k", &[]);
    let pcscd = Pcscd::start();
    let _plugged = Plugged::into(&pcscd, &world.home, &["a"]);
    world.pcscd = Some(pcscd.socket());
    world.write("message", "signed while plugged in");
    let before = pcscd
        .pkcs11(&["-l", "--pin", PIN, "--list-objects", "--type", "privkey"])
        .ok()
        .out;
    assert!(before.contains("label:      k"), "{before}");
    world
        .token(&["sign", "label of a", "k", "--in", "message", "--out", "signature"])
        .ok();
    assert!(world.verifies("k", "signature", &["-sha256"]));
    world.generate("label of a", "P-256", "second", &[]);
    let after = pcscd
        .pkcs11(&["-l", "--pin", PIN, "--list-objects", "--type", "privkey"])
        .ok()
        .out;
    assert!(after.contains("label:      second"), "{after}");
}
