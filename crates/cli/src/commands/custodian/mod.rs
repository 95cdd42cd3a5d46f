//! `custodian`.

mod accept;
pub(crate) mod card;
pub(crate) mod compare;
mod invitation;
mod register;
mod vouch;

use chancery_cvc::Genuineness;
use clap::Subcommand;

use crate::{context::Context, error::CliError, report::Report};

/// Custodians.
#[derive(Subcommand)]
#[command(after_help = "\
Example: chancery custodian register alice --hsm hsm-a,hsm-b --as alice
A custodian on a machine of their own, in five steps, where the two people compare fingerprints by telephone:
  bob    chancery custodian card --out bob.card
  alice  chancery person add bob --role subscriber --card bob.card --as alice
         chancery custodian register bob --card bob.card --hsm hsm-a,hsm-b --as alice
         chancery client add bob --key bob.card --custodian bob
         chancery custodian invitation --node https://node:8444 --out center.invitation
  bob    chancery custodian accept center.invitation --as bob
         chancery approve --as bob --watch")]
pub(crate) enum CustodianCommand {
    /// Ask for a person's key to be registered in HSMs; a TrustCenter Manager approves it
    Register(register::Register),
    /// On the custodian's machine: write what the administrator needs to know of the own token; public
    Card(card::Card),
    /// Vouch for a virtual token that was made on the custodian's machine
    Vouch(vouch::Vouch),
    /// Write what custodians elsewhere need to know of this installation: its HSMs, its audit log's key, its node; public
    Invitation(invitation::Invite),
    /// On the custodian's machine: accept an installation's HSMs, from then on the only ones that are answered
    Accept(accept::Accept),
}

impl CustodianCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Register(command) => command.run(context),
            Self::Card(command) => command.run(context),
            Self::Vouch(command) => command.run(context),
            Self::Invitation(command) => command.run(context),
            Self::Accept(command) => command.run(context),
        }
    }
}

/// Largest file between administrator and custodian, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// What certificates say a token is, for people.
const fn nature(genuineness: Genuineness) -> &'static str {
    match genuineness {
        Genuineness::Production => "a genuine SmartCard-HSM, by its maker's certificates",
        Genuineness::Virtual => "a VIRTUAL token: software, its keys are on a disk",
        Genuineness::Test => "a TEST device, not a genuine one",
        Genuineness::Other => "a device of ANOTHER maker, not a genuine SmartCard-HSM",
    }
}

/// The same in one word, for programs.
const fn word(genuineness: Genuineness) -> &'static str {
    match genuineness {
        Genuineness::Production => "production",
        Genuineness::Virtual => "virtual",
        Genuineness::Test => "test",
        Genuineness::Other => "other",
    }
}
