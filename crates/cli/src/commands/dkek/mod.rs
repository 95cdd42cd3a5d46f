//! `dkek`: backup shares of key domains. Needs no node.

mod check;
mod convert;
mod create;
mod doctor;
mod files;
mod import;
mod inspect;
mod protect;
mod show;
mod sources;
mod typing;

use clap::Subcommand;

pub(super) use self::files::kcv;
use crate::{context::Context, error::CliError, report::Report};

/// Backup shares: share files, password shares, and a doctor for both.
#[derive(Subcommand)]
#[command(
    after_help = "Example: chancery dkek create backup.pbe --threshold 2 --shares 3 --page-dir pages\n\
A share file (.pbe) holds one share of the key (DKEK) under which keys leave a token, under a password; the password can be split \
into shares, some of which give it back. Files and password shares are those of OpenSC's sc-hsm-tool, both ways."
)]
pub(crate) enum DkekCommand {
    /// Make a share file, under a password or under password shares
    Create(create::Create),
    /// Import the share in a file into a token
    Import(import::Import),
    /// What a share file is, and whether a password or password shares open it
    Inspect(inspect::Inspect),
    /// The same share under another password or under password shares
    Convert(convert::Convert),
    /// The same share under new password shares
    Resplit(convert::Resplit),
    /// Check one's own share against the published commitments, at home
    Check(check::Check),
    /// Find out what fits what, what went wrong, and mend it
    Doctor(doctor::Doctor),
}

impl DkekCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Create(command) => command.run(context),
            Self::Import(command) => command.run(context),
            Self::Inspect(command) => command.run(context),
            Self::Convert(command) => command.run(context),
            Self::Resplit(command) => command.run(context),
            Self::Check(command) => command.run(context),
            Self::Doctor(command) => command.run(context),
        }
    }
}
