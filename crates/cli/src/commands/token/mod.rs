//! `token`: SmartCard-HSMs one by one, real and virtual, without a trust center.

pub(crate) mod failure;
mod info;
mod init;
mod journal;
mod list;
mod pin;
pub(crate) mod pins;
pub(crate) mod reaching;
mod so_pin;

use clap::Subcommand;

use crate::{context::Context, error::CliError, report::Report};

/// Tokens, real and virtual: look, set up, change PINs, work with keys. Needs no node.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery token list\n\
A token is named by its device id, its label, or its name as a virtual token; never by the slot it stands in.")]
pub(crate) enum TokenCommand {
    /// The tokens here: virtual ones and those in readers
    List(list::List),
    /// One token: genuine or not, firmware, options, PINs, custodians, key domains, memory
    Info(info::InfoCommand),
    /// Erase a token and set it up: PINs, custodians, key domains, label
    Init(init::Init),
    /// The user PIN
    #[command(subcommand)]
    Pin(pin::PinCommand),
    /// The SO-PIN
    #[command(subcommand)]
    SoPin(so_pin::SoPinCommand),
    /// Work of several steps that was interrupted
    Journal(journal::ShowJournal),
    /// Finish interrupted work
    Resume(journal::Resume),
    /// Undo interrupted work
    Undo(journal::Undo),
}

impl TokenCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::List(command) => command.run(context),
            Self::Info(command) => command.run(context),
            Self::Init(command) => command.run(context),
            Self::Pin(group) => group.run(context),
            Self::SoPin(group) => group.run(context),
            Self::Journal(command) => command.run(context),
            Self::Resume(command) => command.run(context),
            Self::Undo(command) => command.run(context),
        }
    }
}
