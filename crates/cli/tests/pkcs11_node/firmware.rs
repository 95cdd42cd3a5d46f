//! mkimage: its exit code says nothing of signatures, so they are compared with the receipts and the key in the device tree.

use std::fs;

use openssl::{base64, pkey::PKey};

use crate::{
    artefacts::fit_source,
    common::Ended,
    programs::{Program, fit_signatures},
    world::{Custodians, Waits, World, ended},
};

#[test]
fn mkimage_signs_two_configurations_in_both_waits() {
    let world = World::with_custodians();
    fit_source(world.home.dir.path(), "firmware", "sha256,rsa2048");
    fs::write(world.path("key.dts"), "/dts-v1/; / { };\n").unwrap();
    world
        .home
        .run(&["signer", "key", "firmware", "--out", "key.pem"])
        .ok();
    for waits in Waits::BOTH {
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
    let words = Program::Mkimage.words(&world.desk(None));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = world.program(&world.waiting(waits, count), &words);
    if let Some(date) = date {
        command.env("SOURCE_DATE_EPOCH", date);
    }
    ended(&mut command)
}

/// The key that mkimage put into the device tree opens both signatures, and receipts of the same key and digests hold them.
fn check_image(world: &World) {
    let key = PKey::public_key_from_pem(&fs::read(world.path("key.pem")).unwrap()).unwrap();
    for made in fit_signatures(&world.desk(None)) {
        let receipt = world.receipt(&format!("sha256:{}", made.digest));
        assert_eq!(
            receipt["signature"],
            base64::encode_block(&made.signature).as_str()
        );
        assert_eq!(
            receipt["public_key"],
            base64::encode_block(&key.public_key_to_der().unwrap()).as_str()
        );
    }
}
