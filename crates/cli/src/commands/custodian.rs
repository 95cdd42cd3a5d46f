//! `custodian`.

use std::path::PathBuf;

use chancery_agent::{Accepted, AcceptedHsm, custodian_key};
use chancery_api::{Base64, CustodianRegister, FailureKind, RequestShow, Subject};
use clap::{Args, Subcommand};

use crate::{
    act::Actor, commands::request, context::Context, error::CliError, report::Report, secrets::ApproverArgs,
};

/// Custodians.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery custodian register alice --hsm hsm-a,hsm-b --as alice")]
pub(crate) enum CustodianCommand {
    /// Ask for a person's key to be registered in HSMs; a TrustCenter Manager approves it
    Register(Register),
}

impl CustodianCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Register(command) => command.run(context),
        }
    }
}

/// Asks for a custodian.
#[derive(Args)]
#[command(
    after_help = "Example: chancery custodian register bob --hsm hsm-a,hsm-b --as alice\n\
The custodian's token makes a key that answers HSMs and does nothing else, and the custodian's side remembers name and \
device key of each HSM: it never answers another one under that name."
)]
pub(crate) struct Register {
    /// The person
    person: String,
    /// HSMs, separated by commas
    #[arg(long = "hsm", required = true, value_delimiter = ',', value_name = "NAME")]
    hsms: Vec<String>,
    /// Take the PIN of the person's token from a file; - for standard input
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    #[command(flatten)]
    approver: ApproverArgs,
}

impl Register {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let tokens = context.tokens()?;
        let mut token = context.unlocked_token_of(&self.person, self.pin_file.as_deref())?;
        let evidence = custodian_key(&mut token, tokens.anchors())?;
        drop(token);
        let opened = context.call(&CustodianRegister {
            person: self.person.clone(),
            hsms: self.hsms,
            chain: Base64(evidence.chain),
            key_request: Base64(evidence.key_request),
        })?;
        let detail = context.call(&RequestShow {
            request: opened.request,
        })?;
        let Subject::Custodian(custodian) = detail.subject else {
            return Err(CliError::new(
                FailureKind::Refused,
                format!("the node opened request {} for something else", opened.request),
            ));
        };
        // Before the registration is approved: from then on an answer may be asked for.
        let data = context.data()?;
        let mut accepted = Accepted::load(&Context::accepted_directory(&data), &custodian.device)?;
        for hsm in &custodian.hsms {
            accepted.accept(
                &hsm.name,
                AcceptedHsm {
                    device: hsm.device.clone(),
                    key: hsm.key,
                },
            )?;
            context.tell(format!(
                "{} accepts HSM {}: device {}, key SHA-256 {}",
                self.person, hsm.name, hsm.device, hsm.key
            ));
        }
        let Some(manager) = &self.approver.approver else {
            return request::opened(&opened);
        };
        let actor = Actor::new(manager, self.approver.as_pin_file.as_deref());
        request::decided(&request::approve_opened(context, actor, opened.request)?)
    }
}
