//! `request approve`, `request reject`, `request sign`: several shown requests take one PIN and one signature over the list.

use chancery_api::{Intent, RequestNumber};
use clap::Args;

use super::{request_number, show::decided};
use crate::{
    act::{Actor, decide, requests},
    context::Context,
    error::CliError,
    report::Report,
    secrets::PinArgs,
};

/// Approves requests.
#[derive(Args)]
#[command(after_help = "Example: chancery request approve 7 8 9 --as bob\n\
Certificates are approved by a Registration Officer; people, custodians and CAs by a TrustCenter Manager.")]
pub(crate) struct Approve {
    /// Numbers
    #[arg(required = true, value_name = "NUMBER", value_parser = request_number)]
    numbers: Vec<RequestNumber>,
    /// Who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
}

impl Approve {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        decided(&requests(decide(
            context,
            actor,
            Intent::RequestApprove {
                requests: self.numbers,
            },
        )?)?)
    }
}

/// Rejects requests.
#[derive(Args)]
#[command(after_help = "Example: chancery request reject 7 --reason 'the name is not ours' --as bob")]
pub(crate) struct Reject {
    /// Numbers
    #[arg(required = true, value_name = "NUMBER", value_parser = request_number)]
    numbers: Vec<RequestNumber>,
    /// Why, for the requester
    #[arg(long)]
    reason: String,
    /// Who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
}

impl Reject {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        let intent = Intent::RequestReject {
            requests: self.numbers,
            reason: self.reason,
        };
        decided(&requests(decide(context, actor, intent)?)?)
    }
}

/// Has certificates signed.
#[derive(Args)]
#[command(after_help = "Example: chancery request sign 7 8 9 --as carol\n\
A Certification Officer decides, another person than the one who approved. When something is missing the command ends \
with exit code 4 and the list that chancery request why N shows.")]
pub(crate) struct Sign {
    /// Numbers
    #[arg(required = true, value_name = "NUMBER", value_parser = request_number)]
    numbers: Vec<RequestNumber>,
    /// Who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
}

impl Sign {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        decided(&requests(decide(
            context,
            actor,
            Intent::RequestSign {
                requests: self.numbers,
            },
        )?)?)
    }
}
