//! `cargo xtask bench`: the figures.

use std::ffi::OsString;

use crate::checks::manifest;
use crate::failure::Failure;
use crate::run::{self, Workspace};
use crate::setup;

/// Builds every `crates/*/benches/*.rs` in release and runs them one after the other, so that none disturbs another.
///
/// # Errors
/// When something is missing, a build fails or a benchmark ends with an error.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Failure> {
    println!("== setup ==");
    setup::ensure(workspace, setup::BUILD)?;
    let mut benches = Vec::new();
    for folder in manifest::crate_folders(workspace)? {
        let Ok(entries) = std::fs::read_dir(folder.join("benches")) else {
            continue; // most crates have none
        };
        let mut names: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let name = path.file_stem()?.to_str()?.to_owned();
                (path.extension()? == "rs").then_some(name)
            })
            .collect();
        names.sort();
        let package = manifest::Manifest::read(&folder)?.name;
        benches.extend(names.into_iter().map(|name| (package.clone(), name)));
    }
    if benches.is_empty() {
        return Err(Failure::Rules(vec![
            "no crate has a benchmark (crates/*/benches/*.rs)".to_owned(),
        ]));
    }
    for (package, name) in benches {
        println!("\n== {package}: {name} ==");
        let mut command = workspace.cargo();
        command.args(["bench", "--locked", "-p", &package, "--bench", &name]);
        if !arguments.is_empty() {
            command.arg("--").args(arguments);
        }
        run::run(&mut command)?;
    }
    Ok(())
}
