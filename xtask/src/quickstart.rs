//! `cargo xtask quickstart`: from a clone to a working trust center.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::failure::Failure;
use crate::run::{self, Workspace};
use crate::setup;

/// Installs what is missing, builds the program and becomes `chancery quickstart`, whose exit code is then ours.
///
/// The development profile is used: it builds in half the time of a release build, and `cargo test` and every later
/// run share what it made.
///
/// # Errors
/// When something is missing and cannot be installed, or the build fails. On success this does not return.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Failure> {
    println!("== setup ==");
    setup::ensure(workspace, setup::BUILD)?;
    println!("\n== build ==");
    run::run(
        workspace
            .cargo()
            .args(["build", "--locked", "-p", "chancery-cli", "--bin", "chancery"]),
    )?;
    // Built by the same cargo with the same profile, the program lies beside this one, wherever that is.
    let here = std::env::current_exe().map_err(Failure::io("finding the build folder"))?;
    let program = here.with_file_name("chancery");
    println!("\n== chancery quickstart ==");
    let source = Command::new(&program).arg("quickstart").args(arguments).exec();
    Err(Failure::Io {
        doing: format!("starting {}", program.display()),
        source,
    })
}
