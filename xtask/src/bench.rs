//! `cargo xtask bench`: the figures.

use std::ffi::OsString;

use crate::failure::Failure;
use crate::run::{self, Workspace};
use crate::setup;

/// Builds the benchmark program in release and runs it.
///
/// # Errors
/// When something is missing, the build fails or the program ends with an error.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Failure> {
    println!("== setup ==");
    setup::ensure(workspace, setup::BENCH)?;
    println!("\n== build and run ==");
    let mut command = workspace.cargo();
    command.args(["run", "--release", "--locked", "-p", "chancery-bench", "--"]);
    run::run(command.args(arguments))
}
