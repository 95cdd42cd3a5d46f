//! `cargo xtask bench`: the figures.

use std::ffi::OsString;

use crate::failure::Failure;
use crate::run::{self, Workspace};
use crate::setup;

/// Builds the benchmark program, and what it measures, in release and runs it.
///
/// # Errors
/// When something is missing, the build fails or the program ends with an error.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Failure> {
    println!("== setup ==");
    setup::ensure(workspace, setup::BENCH)?;
    println!("\n== build and run ==");
    // Beside it, the program and the module that it starts and loads as others do.
    let mut products = workspace.cargo();
    products.args([
        "build",
        "--release",
        "--locked",
        "-p",
        "chancery-cli",
        "-p",
        "chancery-pkcs11-module",
    ]);
    run::run(&mut products)?;
    let mut command = workspace.cargo();
    command.args(["run", "--release", "--locked", "-p", "chancery-bench", "--"]);
    run::run(command.args(arguments))
}
