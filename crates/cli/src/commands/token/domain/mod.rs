//! `token domain`: key domains, and groups of tokens that agree on a key encryption key.

mod agree;
mod change;
mod desk;
mod failure;
mod group;
mod interrupted;
mod list;

use clap::Subcommand;

pub(super) use self::interrupted::{finish, is_ours, take_back};
use crate::{context::Context, error::CliError, report::Report};

/// The key domains of a token: which key encryption key its keys leave under.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery token domain list alice\n\
A key domain of shares (DKEK) has a key encryption key that custodians hold shares of: create, then chancery dkek import.\n\
An exchange key domain (XKEK) has one that two tokens of a group agree on and nobody else ever holds: group create on one token, \
invite for each member, join on each member, agree between two.\n\
VIRTUAL TOKENS AND DEVICES DO NOT AGREE WITH EACH OTHER: how a device derives the key encryption key is not published. Virtual \
tokens derive it in a way of their own, so two virtual tokens exchange keys, two devices do, and a virtual token and a device \
never; chancery refuses to try.")]
pub(crate) enum DomainCommand {
    /// Show the key domains of a token, and which keys belong to them
    List(list::List),
    /// Make a key domain of shares
    Create(change::Create),
    /// Delete a key domain that no key belongs to
    Delete(change::Delete),
    /// Delete the key encryption key of a key domain
    DeleteKey(change::DeleteKey),
    /// Groups of tokens that exchange keys
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Admit a token to a group: write its membership file
    Invite(group::Invite),
    /// Make an exchange key domain from a membership file
    Join(group::Join),
    /// Agree with another member on the key encryption key
    Agree(agree::Agree),
}

impl DomainCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::List(command) => command.run(context),
            Self::Create(command) => command.run(context),
            Self::Delete(command) => command.run(context),
            Self::DeleteKey(command) => command.run(context),
            Self::Group(group) => group.run(context),
            Self::Invite(command) => command.run(context),
            Self::Join(command) => command.run(context),
            Self::Agree(command) => command.run(context),
        }
    }
}
