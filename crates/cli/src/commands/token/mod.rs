//! `token`: SmartCard-HSMs one by one, real and virtual, without a trust center.

mod arrival;
mod cert;
mod decrypt;
mod derive;
mod domain;
mod explore;
pub(crate) mod failure;
mod info;
mod init;
mod journal;
mod kek;
mod key_failure;
pub(crate) mod keys;
mod list;
pub(crate) mod opening;
mod pin;
pub(crate) mod pins;
pub(crate) mod reaching;
mod sign;
mod so_pin;
mod test;
mod wrap;

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
    /// The keys of a token
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Certificates of keys
    #[command(subcommand)]
    Cert(cert::CertCommand),
    /// Sign data with a key
    Sign(sign::Sign),
    /// Decrypt data with a key
    Decrypt(decrypt::Decrypt),
    /// Encrypt data with an AES key
    Encrypt(decrypt::Encrypt),
    /// Derive a secret, or another key
    Derive(derive::Derive),
    /// Write a key to a file, wrapped
    Wrap(wrap::Wrap),
    /// Put a wrapped key on a token
    Unwrap(wrap::Unwrap),
    /// Key domains, and groups of tokens that exchange keys
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// Everything on a token, decoded
    Explore(explore::Explore),
    /// Every readable file of a token
    Dump(explore::Dump),
    /// Acceptance test of a new token: thousands of operations, and a log to send in
    Test(test::Test),
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
            Self::Keys(group) => group.run(context),
            Self::Cert(group) => group.run(context),
            Self::Sign(command) => command.run(context),
            Self::Decrypt(command) => command.run(context),
            Self::Encrypt(command) => command.run(context),
            Self::Derive(command) => command.run(context),
            Self::Wrap(command) => command.run(context),
            Self::Unwrap(command) => command.run(context),
            Self::Domain(group) => group.run(context),
            Self::Explore(command) => command.run(context),
            Self::Dump(command) => command.run(context),
            Self::Test(command) => command.run(context),
            Self::Journal(command) => command.run(context),
            Self::Resume(command) => command.run(context),
            Self::Undo(command) => command.run(context),
        }
    }
}
