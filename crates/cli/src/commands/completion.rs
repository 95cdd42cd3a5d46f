//! `completion`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{cli::Cli, context::Context, error::CliError, report::Report};

/// Prints a completion script.
#[derive(Args)]
#[command(
    after_help = "Example: chancery completion bash > ~/.local/share/bash-completion/completions/chancery"
)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    /// Runs the command.
    #[expect(clippy::unnecessary_wraps, reason = "every command answers so")]
    pub(crate) fn run(self, _context: &Context) -> Result<Report, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "chancery", &mut script);
        Ok(Report::raw(String::from_utf8_lossy(&script)))
    }
}
