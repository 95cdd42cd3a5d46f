//! Programs that look for certificates and keys.

use crate::{
    pkcs11::module,
    programs::nss_database,
    world::{PIN, World, ended},
};

#[test]
fn p11tool_and_certutil_list_without_login() {
    let world = World::certified();
    let module = module().display().to_string();
    let public = world
        .run("p11tool", &["--provider", &module, "--list-all"])
        .ok()
        .out;
    for expected in ["type=public", "type=cert", "token=signer"] {
        assert!(public.contains(expected), "{public}");
    }
    assert!(!public.contains("type=private"), "{public}");

    nss_database(&world.path("nss"), &["-mechanisms", "FRIENDLY"], |program| {
        world.command(program)
    });
    let listed = world
        .run("certutil", &["-L", "-d", "sql:nss", "-h", "signer"])
        .ok();
    assert!(listed.out.contains("signer:key"), "{}", listed.out);
}

#[test]
fn certutil_logs_in_where_it_is_not_told_that_it_need_not() {
    let world = World::certified();
    nss_database(&world.path("nss"), &[], |program| world.command(program));
    let list = |pin| {
        std::fs::write(world.path("pin"), pin).unwrap();
        world.run("certutil", &["-L", "-d", "sql:nss", "-h", "signer", "-f", "pin"])
    };
    let refused = list("000000");
    assert_ne!(refused.code, 0, "{}", refused.out);
    let last = refused.err.lines().last();
    assert_eq!(
        last,
        Some("chancery-pkcs11: wrong PIN: 2 tries are left"),
        "{}",
        refused.err
    );
    let listed = list(PIN).ok().out;
    assert!(listed.contains("signer:key"), "{listed}");
}

#[test]
fn programs_that_use_p11_kit_find_the_token_by_the_module_file() {
    let world = World::new();
    let folder = world.path("home/.config/pkcs11/modules");
    std::fs::create_dir_all(&folder).unwrap();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/chancery.module");
    let text = std::fs::read_to_string(shipped).unwrap();
    let installed = text.replace("/usr/lib/libchancery_pkcs11.so", &module().display().to_string());
    assert_ne!(installed, text, "the file names the module as the documents do");
    std::fs::write(folder.join("chancery.module"), installed).unwrap();
    // p11-kit leaves out what is in root's own folder; root of the machine is somebody else in a namespace of users.
    let as_somebody: &[&str] = if rustix::process::geteuid().is_root() {
        &["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    } else {
        &["env"]
    };
    if ended(world.command(as_somebody[0]).args(&as_somebody[1..]).arg("true")).code != 0 {
        println!("not run: p11-kit as root, where a namespace of users is not permitted");
        return;
    }
    let mut list = world.command(as_somebody[0]);
    list.args(&as_somebody[1..]).args(["p11-kit", "list-modules"]);
    let listed = ended(list.env("HOME", world.path("home")).env_remove("XDG_CONFIG_HOME")).ok();
    for expected in ["chancery: ", "library-manufacturer: Chancery", "token: signer"] {
        assert!(listed.out.contains(expected), "{}\n{}", listed.out, listed.err);
    }
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
