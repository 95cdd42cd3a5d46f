//! `token keys`: the keys of a token.

pub(crate) mod advice;
mod delete;
pub(crate) mod generate;
mod import;
mod list;
mod public;
mod show;

use clap::Subcommand;

use crate::{context::Context, error::CliError, report::Report};

/// The keys of a token.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery token keys list alice")]
pub(crate) enum KeysCommand {
    /// Show the keys of a token
    List(list::List),
    /// Show one key: what it is, what it may do, its certificate
    Show(show::Show),
    /// Give out the public key that stands beside a key
    Public(public::Public),
    /// Make a key on the token
    Generate(generate::Generate),
    /// Delete a key for ever
    Delete(delete::Delete),
    /// Put a key from a file on the token
    Import(import::Import),
}

impl KeysCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Public(command) => command.run(context),
            Self::Generate(command) => command.run(context),
            Self::Delete(command) => command.run(context),
            Self::Import(command) => command.run(context),
        }
    }
}
