//! Cargo subcommands this project pins: installed when missing, kept when present.

use crate::failure::Failure;
use crate::run::{Workspace, run};

/// A cargo subcommand from the package registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// The subcommand, as in `cargo deny`.
    subcommand: &'static str,
    /// The package that has it.
    package: &'static str,
    /// The version installed when none is there.
    version: &'static str,
}

/// Checks licences, bans and sources of dependencies.
pub(crate) const DENY: Tool = Tool {
    subcommand: "deny",
    package: "cargo-deny",
    version: "0.18.9",
};

impl Tool {
    /// Installs the pinned version unless some version is there already.
    ///
    /// # Errors
    /// [`Failure::Command`] when the installation fails.
    pub(crate) fn ensure(self, workspace: &Workspace) -> Result<(), Failure> {
        let found = workspace.cargo().args([self.subcommand, "--version"]).output();
        if let Ok(output) = found
            && output.status.success()
        {
            let version = String::from_utf8_lossy(&output.stdout);
            let version = version.trim();
            if !version.ends_with(self.version) {
                println!(
                    "note: this project is checked with {} {}, found {version}",
                    self.package, self.version
                );
            }
            return Ok(());
        }
        run(workspace
            .cargo()
            .args(["install", "--locked", self.package, "--version", self.version]))
    }
}
