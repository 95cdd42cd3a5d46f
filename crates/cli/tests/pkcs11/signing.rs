//! Programs that sign, with the right PIN and with a wrong one.

use std::{env, fs, path::PathBuf};

use crate::{
    pkcs11::documented,
    programs::Program,
    world::{PIN, World, ended},
};

#[test]
fn programs_sign_and_a_wrong_pin_ends_them_with_its_reason() {
    let world = World::certified();
    let (right, wrong) = (world.desk(PIN), world.desk("000000"));
    right.prepare();
    for program in Program::ALL {
        let refused = world.signs(program, &wrong);
        assert_ne!(refused.code, 0, "{program:?}: {}", refused.err);
        // One try is used up, not one more, and the reason is the last line.
        assert_eq!(
            refused.err.lines().last(),
            Some("chancery-pkcs11: wrong PIN: 2 tries are left"),
            "{program:?}: {}",
            refused.err
        );
        let made = world.signs(program, &right).ok();
        program.check(&right, &made);
    }
}

#[test]
fn the_documented_configuration_of_the_provider_is_what_openssl_takes() {
    const INSTALLED: &str = "/usr/lib/x86_64-linux-gnu/ossl-modules/pkcs11.so";
    let world = World::with_key("rsa:2048");
    let provider = env::var_os("PKCS11_PROVIDER").map_or_else(|| INSTALLED.into(), PathBuf::from);
    let is_there = provider.is_file();
    let configuration =
        documented("### OpenSSL provider").replace(INSTALLED, &provider.display().to_string());
    let configuration = if is_there {
        configuration
    } else {
        println!("not run: the provider; PKCS11_PROVIDER may name its file");
        // What is not there cannot be loaded; the rest of the file has to work.
        configuration.replace("pkcs11 = pkcs11_provider\n", "")
    };
    fs::write(world.path("provider.cnf"), configuration).unwrap();
    let openssl = |words: &[&str]| {
        let mut command = world.command("openssl");
        ended(
            command
                .args(words)
                .env("OPENSSL_CONF", world.path("provider.cnf")),
        )
    };
    let listed = openssl(&["list", "-providers"]).ok().out;
    assert!(listed.contains("OpenSSL Default Provider"), "{listed}");
    if is_there {
        let uri = |pin| format!("pkcs11:token=signer;object=key;type=private?pin-value={pin}");
        let sign = |pin| {
            openssl(&[
                "dgst",
                "-sha256",
                "-sign",
                &uri(pin),
                "-out",
                "signature",
                "message",
            ])
        };
        let refused = sign("000000");
        assert_ne!(refused.code, 0, "{}", refused.err);
        assert!(
            refused.err.contains("wrong PIN: 2 tries are left"),
            "{}",
            refused.err
        );
        sign(PIN).ok();
        world.openssl(&[
            "dgst",
            "-sha256",
            "-verify",
            "key.pem",
            "-signature",
            "signature",
            "message",
        ]);
    }
}
