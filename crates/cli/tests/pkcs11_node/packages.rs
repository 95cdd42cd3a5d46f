//! Programs that sign packages: jarsigner, sbsign, osslsigncode.

use std::fs;

use crate::{
    artefacts::{efi_image, jar},
    pkcs11::{engine, module},
    world::{Custodians, Waits, World, ended, uri},
};

#[test]
fn jarsigner_sbsign_and_osslsigncode_sign_in_both_waits() {
    let world = World::with_custodians();
    world.certificate(&world.waiting(Waits::AtSign, 1), "firmware");
    jar(&world.path("a.jar"));
    fs::write(world.path("a.efi"), efi_image()).unwrap();
    let java = format!(
        "name = chancery\nlibrary = {}\nslotListIndex = 0\n",
        module().display()
    );
    fs::write(world.path("java.cfg"), java).unwrap();
    let keystore = [
        "-keystore",
        "NONE",
        "-storetype",
        "PKCS11",
        "-addprovider",
        "SunPKCS11",
        "-providerArg",
        "java.cfg",
    ];
    let engine = engine().display().to_string();
    let module = module().display().to_string();
    let key = uri("firmware");
    for waits in [Waits::AtSign, Waits::AtLogin] {
        world.end_leases();
        let configuration = world.waiting(waits, 1);
        // With a password that means nothing, and without one.
        for (number, password) in [&["-protected"][..], &["-storepass", "0000"]]
            .into_iter()
            .enumerate()
        {
            let signed = format!("signed-{number}.jar");
            let words = [
                &["jarsigner"],
                &keystore[..],
                password,
                &["-signedjar", &signed, "a.jar", "firmware"],
            ]
            .concat();
            world.run(&configuration, &words).ok();
            let verified = world.run(&configuration, &["jarsigner", "-verify", &signed]).ok();
            assert!(verified.out.contains("jar verified."), "{}", verified.out);
        }
        let sign = [
            "sbsign",
            "--engine",
            "pkcs11",
            "--key",
            &key,
            "--cert",
            "firmware.pem",
            "--output",
            "sb.efi",
            "a.efi",
        ];
        world.run(&configuration, &sign).ok();
        world
            .run(&configuration, &["sbverify", "--cert", "firmware.pem", "sb.efi"])
            .ok();
        let _ = fs::remove_file(world.path("ossl.efi"));
        let sign = [
            "osslsigncode",
            "sign",
            "-pkcs11engine",
            &engine,
            "-pkcs11module",
            &module,
            "-key",
            &key,
            "-certs",
            "firmware.pem",
            "-h",
            "sha256",
            "-in",
            "a.efi",
            "-out",
            "ossl.efi",
        ];
        world.run(&configuration, &sign).ok();
        world
            .run(
                &configuration,
                &["sbverify", "--cert", "firmware.pem", "ossl.efi"],
            )
            .ok();
    }

    // What custodians refuse fails, by an exit code, and says why.
    world.end_leases();
    world.set(Custodians::Refuse("not on a Sunday"));
    for waits in [Waits::AtSign, Waits::AtLogin] {
        let configuration = world.waiting(waits, 1);
        let sign_jar = [
            &["jarsigner"],
            &keystore[..],
            &["-protected", "-signedjar", "refused.jar", "a.jar", "firmware"],
        ]
        .concat();
        // Another image each time: what was signed once is signed again.
        let image = [efi_image(), vec![waits as u8; 512]].concat();
        fs::write(world.path("b.efi"), image).unwrap();
        let sbsign = [
            "sbsign",
            "--engine",
            "pkcs11",
            "--key",
            &key,
            "--cert",
            "firmware.pem",
            "--output",
            "refused.efi",
            "b.efi",
        ];
        let osslsigncode = [
            "osslsigncode",
            "sign",
            "-pkcs11engine",
            &engine,
            "-pkcs11module",
            &module,
            "-key",
            &key,
            "-certs",
            "firmware.pem",
            "-h",
            "sha256",
            "-in",
            "b.efi",
            "-out",
            "refused.efi",
        ];
        for words in [&sign_jar[..], &sbsign, &osslsigncode] {
            let refused = ended(&mut world.program(&configuration, words));
            assert_ne!(refused.code, 0, "{words:?}: {}{}", refused.out, refused.err);
            assert!(
                refused.err.contains("carol") && refused.err.contains("not on a Sunday"),
                "{words:?}: {}",
                refused.err
            );
        }
    }
}
