//! `attest`: where keys come from, proven offline.

mod archive;
mod files;
mod generate;
mod passport;
mod trust;
mod verify;

use clap::Subcommand;

use crate::{context::Context, error::CliError, report::Report};

/// Proof of where keys come from: verify it, keep it, show what it is worth. Needs no node.
#[derive(Subcommand)]
#[command(
    after_help = "Example: chancery attest verify request.bin chain.bin leaf.csr\n\
A key's request proves that the key was generated in a device, or derived inside it from another. It does not prove that there \
is no copy: chancery attest passport says who could hold one."
)]
pub(crate) enum AttestCommand {
    /// Examine device chains, key requests, wrapped keys, certificates, attestations and receipts together
    Verify(verify::Verify),
    /// Keep the proof of keys' origin outside their tokens, before a certificate takes its place
    Archive(archive::ArchiveKeys),
    /// Make a key through a secure channel and keep a transcript that shows with which attributes
    Generate(generate::Generate),
    /// What is proven of a key, what its token merely says, and what is only a label
    Passport(passport::ShowPassport),
}

impl AttestCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Verify(command) => command.run(context),
            Self::Archive(command) => command.run(context),
            Self::Generate(command) => command.run(context),
            Self::Passport(command) => command.run(context),
        }
    }
}
