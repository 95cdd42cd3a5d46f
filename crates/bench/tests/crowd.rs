//! The line `crowd` with few HSMs and clients: it works, and nothing is lost.

use std::{path::Path, process::Command};

#[test]
fn a_small_crowd_loses_nothing() {
    build();
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_chancery-bench")))
        .args([
            "--only",
            "crowd",
            "--hsms",
            "5",
            "--clients",
            "3",
            "--rounds",
            "1",
        ])
        .arg("--dir")
        .arg(directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let expected = "150 requests sent, 150 answered with a signature, 150 counted by the node, 0 lost";
    assert!(told.contains(expected), "{told}");
}

/// The benchmark starts the program and the module that lie beside it. Whoever built all packages says so in `CHANCERY_TEST_MODULE`;
/// a run of this package's tests alone has to build them first.
fn build() {
    if std::env::var_os("CHANCERY_TEST_MODULE").is_some() {
        return;
    }
    let mut build = Command::new(env!("CARGO"));
    build
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args(["build", "--quiet", "--locked", "-p", "chancery-cli"])
        .args(["-p", "chancery-pkcs11-module"]);
    let folder = Path::new(env!("CARGO_BIN_EXE_chancery-bench")).parent();
    if folder.is_some_and(|folder| folder.ends_with("release")) {
        build.arg("--release");
    }
    assert!(
        build.status().is_ok_and(|status| status.success()),
        "the program is not built"
    );
}
