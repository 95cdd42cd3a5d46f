//! `custodian register`.

use std::path::PathBuf;

use chancery_agent::{Accepted, AcceptedHsm, custodian_key};
use chancery_api::{Base64, CustodianDocument, CustodianRegister, FailureKind, RequestShow, Subject};
use clap::Args;

use super::card::{from_file, refuse_other_person};
use crate::{
    act::Actor, commands::request, context::Context, error::CliError, report::Report, secrets::ApproverArgs,
};

/// Asks for a custodian.
#[derive(Args)]
#[command(
    after_help = "Example: chancery custodian register bob --hsm hsm-a,hsm-b --as alice\n         \
chancery custodian register bob --card bob.card --hsm hsm-a,hsm-b --as alice\n\
The custodian's token makes a key that answers HSMs and does nothing else, and the custodian's side remembers name and \
device key of each HSM: it never answers another one under that name. With --card the token is elsewhere: the card comes from chancery \
custodian card on the custodian's own machine, who reads its fingerprint to you by telephone, and chancery custodian accept has the \
HSMs remembered there."
)]
pub(crate) struct Register {
    /// The person
    person: String,
    /// HSMs, separated by commas
    #[arg(long = "hsm", required = true, value_delimiter = ',', value_name = "NAME")]
    hsms: Vec<String>,
    /// The custodian's card, when the token is on another machine; - for standard input
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// The card's fingerprint as its custodian read it to you, instead of typing it
    #[arg(long, value_name = "FINGERPRINT", requires = "card")]
    fingerprint: Option<String>,
    /// Take the PIN of the person's token from a file; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "card")]
    pin_file: Option<PathBuf>,
    #[command(flatten)]
    approver: ApproverArgs,
}

impl Register {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chain, key_request) = match &self.card {
            Some(file) => {
                let card = from_file(context, file, self.fingerprint.as_deref())?;
                refuse_other_person(context, &card, file, &self.person)?;
                (card.chain().to_vec(), card.custodian_key().to_vec())
            }
            None => self.own_token(context)?,
        };
        let opened = context.call(&CustodianRegister {
            person: self.person.clone(),
            hsms: self.hsms.clone(),
            chain: Base64(chain),
            key_request: Base64(key_request),
        })?;
        if self.card.is_none() {
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
            self.accept(context, &custodian)?;
        }
        let Some(manager) = &self.approver.approver else {
            return request::opened(&opened);
        };
        let actor = Actor::new(manager, self.approver.as_pin_file.as_deref());
        request::decided(&request::approve_opened(context, actor, opened.request)?)
    }

    /// Certificates and custodian key of the person's token, which is here.
    fn own_token(&self, context: &Context) -> Result<(Vec<u8>, Vec<u8>), CliError> {
        let tokens = context.tokens()?;
        let mut token = context.unlocked_token_of(&self.person, self.pin_file.as_deref())?;
        let evidence = custodian_key(&mut token, tokens.anchors())?;
        Ok((evidence.chain, evidence.key_request))
    }

    /// The custodian's side, which is here, remembers the HSMs.
    fn accept(&self, context: &Context, custodian: &CustodianDocument) -> Result<(), CliError> {
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
        Ok(())
    }
}
