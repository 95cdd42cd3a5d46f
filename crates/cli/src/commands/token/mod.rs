//! `token`: SmartCard-HSMs one by one, real and virtual, without a trust center.

mod failure;
mod list;
mod pins;
mod reaching;

use clap::Subcommand;

use crate::{context::Context, error::CliError, report::Report};

/// Tokens, real and virtual: look, set up, change PINs, work with keys. Needs no node.
#[derive(Subcommand)]
#[command(
    after_help = "Example: chancery token list\n\
A token is named by its device id, its label, or its name as a virtual token; never by the slot it stands in."
)]
pub(crate) enum TokenCommand {
    /// The tokens here: virtual ones and those in readers
    List(list::List),
}

impl TokenCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::List(command) => command.run(context),
        }
    }
}
