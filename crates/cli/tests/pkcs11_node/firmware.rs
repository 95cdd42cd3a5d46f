//! mkimage: its exit code says nothing of signatures, so they are compared with the receipts and the key in the device tree.

use std::{fs, path::Path, process::Command};

use openssl::{bn::BigNum, rsa::Padding, rsa::Rsa};

use crate::{
    artefacts::fit_source,
    common::Ended,
    world::{Custodians, Waits, World, ended},
};

#[test]
fn mkimage_signs_two_configurations_in_both_waits() {
    let world = World::with_custodians();
    fit_source(world.home.dir.path(), "firmware", "sha256,rsa2048");
    for waits in [Waits::AtSign, Waits::AtLogin] {
        world.end_leases();
        // With a date of its own each digest comes twice: two are enough.
        let built = mkimage(&world, waits, 2, Some("1700000000")).ok();
        assert!(built.err.contains("permitted by alice and bob"), "{}", built.err);
        check_image(&world);

        // Without one it signs four digests, and two are not enough. It dates its two attempts by the second: the custodians take longer.
        world.end_leases();
        world.set(Custodians::AgreeLater);
        let refused = mkimage(&world, waits, 2, None);
        world.set(Custodians::Agree);
        assert_ne!(refused.code, 0, "{}", refused.err);
        let last = refused.err.lines().last().unwrap();
        for cause in [
            "mkimage signs each configuration twice",
            "SOURCE_DATE_EPOCH",
            "ask for 4",
        ] {
            assert!(last.contains(cause), "{}", refused.err);
        }

        world.end_leases();
        mkimage(&world, waits, 4, None).ok();
        check_image(&world);
    }
}

fn mkimage(world: &World, waits: Waits, count: u64, date: Option<&str>) -> Ended {
    let folder = world.home.dir.path();
    fs::write(folder.join("key.dts"), "/dts-v1/; / { };\n").unwrap();
    tool(folder, &["dtc", "-O", "dtb", "-o", "key.dtb", "key.dts"]);
    let _ = fs::remove_file(folder.join("image"));
    let words = [
        "mkimage",
        "-f",
        "fit.its",
        "-K",
        "key.dtb",
        "-N",
        "pkcs11",
        "-k",
        "token=firmware",
        "-r",
        "image",
    ];
    let mut command = world.program(&world.waiting(waits, count), &words);
    if let Some(date) = date {
        command.env("SOURCE_DATE_EPOCH", date);
    }
    ended(&mut command)
}

/// The key that mkimage put into the device tree opens both signatures, and receipts of the same key and digests hold them.
fn check_image(world: &World) {
    let folder = world.home.dir.path();
    let number = |property: &str| {
        let words = tool(
            folder,
            &[
                "fdtget",
                "-t",
                "x",
                "key.dtb",
                "/signature/key-firmware",
                property,
            ],
        );
        let digits: String = words
            .split_whitespace()
            .map(|word| format!("{word:0>8}"))
            .collect();
        BigNum::from_hex_str(&digits).unwrap()
    };
    let key = Rsa::from_public_components(number("rsa,modulus"), number("rsa,exponent")).unwrap();
    for configuration in ["conf-1", "conf-2"] {
        let node = format!("/configurations/{configuration}/signature-1");
        let words = tool(folder, &["fdtget", "-t", "bx", "image", &node, "value"]);
        let signature: Vec<u8> = words
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let mut info = vec![0; signature.len()];
        let length = key.public_decrypt(&signature, &mut info, Padding::PKCS1).unwrap();
        // The digest is at the end of the DigestInfo.
        let digest = hex::encode(&info[length - 32..length]);
        let receipt = world.receipt(&format!("sha256:{digest}"));
        assert_eq!(
            receipt["signature"],
            openssl::base64::encode_block(&signature).as_str(),
            "{configuration}"
        );
        let public = openssl::pkey::PKey::public_key_from_der(
            &openssl::base64::decode_block(receipt["public_key"].as_str().unwrap()).unwrap(),
        );
        assert_eq!(public.unwrap().rsa().unwrap().n(), key.n(), "{configuration}");
    }
}

fn tool(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(words[0]);
    ended(command.current_dir(folder).args(&words[1..])).ok().out
}
