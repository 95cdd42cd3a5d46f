//! The PKCS#11 module as programs load it.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// `libchancery_pkcs11.so`. Whoever built all packages says where it is in `CHANCERY_TEST_MODULE`; tests of another package alone do
/// not have it built, so it is built here, once, beside the program under test.
pub(crate) fn module() -> PathBuf {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE
        .get_or_init(|| {
            if let Some(module) = std::env::var_os("CHANCERY_TEST_MODULE") {
                return module.into();
            }
            // The program is in the folder to which libraries are built, too.
            let folder = Path::new(env!("CARGO_BIN_EXE_chancery")).parent().unwrap();
            let mut build = Command::new(env!("CARGO"));
            build
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
                .args(["build", "--quiet", "--locked", "-p", "chancery-pkcs11-module"]);
            if folder.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "the module is not built");
            let path = folder.join("libchancery_pkcs11.so");
            assert!(path.exists(), "{} is not there", path.display());
            path
        })
        .clone()
}

/// The engine with which openssl 3.0 uses a PKCS#11 module, as a file.
pub(crate) fn engine() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut files = folders.map(|folder| folder.path().join("engines-3/pkcs11.so"));
    files.find(|file| file.is_file()).unwrap()
}

/// The configuration that `docs/pkcs11.md` prints first under a heading, for this module.
pub(crate) fn documented(heading: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pkcs11.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once(heading).unwrap();
    let block = section.split("```\n").nth(1).unwrap();
    block.replace("/usr/lib/libchancery_pkcs11.so", &module().display().to_string())
}
