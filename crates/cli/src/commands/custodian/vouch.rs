//! `custodian vouch`: a virtual token that was made on the custodian's own machine gets certificates of this installation.

use std::path::PathBuf;

use chancery_agent::CustodianCard;
use chancery_api::{FailureKind, HsmList, PersonList};
use chancery_cvc::{DeviceChain, Genuineness};
use chancery_node::SystemClock;
use chancery_vtoken::list;
use clap::Args;
use serde_json::json;

use super::{
    MOST_BYTES,
    card::{confirm, show},
};
use crate::{
    commands::{check_output, read_input, write_output},
    context::Context,
    error::CliError,
    report::Report,
};

/// Vouches for a virtual token.
#[derive(Args)]
#[command(after_help = "\
Example: chancery custodian vouch bob.card --out bob-vouched.card
HSMs and the node know virtual tokens by the root of this installation's own. This writes the card again with a device certificate under \
that root, for the token's own key; the token itself stays as it is, and so does the card's fingerprint. Have its custodian read that to \
you by telephone, and type it. Who made the token could have copied its keys. A SmartCard-HSM needs no such thing.")]
pub(crate) struct Vouch {
    /// The custodian's card; - for standard input
    card: PathBuf,
    /// New file for the card with this installation's certificates
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The card's fingerprint as its custodian read it to you, instead of typing it
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
}

impl Vouch {
    /// Runs the command.
    pub(super) fn run(self, context: &Context) -> Result<Report, CliError> {
        check_output(&self.out)?;
        let card = CustodianCard::parse(&read_input(&self.card, MOST_BYTES)?)?;
        let data = context.data()?;
        let known = context.tokens()?;
        let proof = show(context, &card)?;
        let refuse = |why: String, remedy: &str| CliError::with_remedy(FailureKind::Refused, why, remedy);
        let foreign = card.root().filter(|root| {
            !known
                .anchors()
                .iter()
                .any(|known| known.certificate().as_bytes() == *root)
        });
        let (Genuineness::Virtual, Some(root)) = (proof.genuineness, foreign) else {
            return Err(refuse(
                format!("token {} needs nobody to vouch for it here", proof.device),
                "use the card as it is: chancery custodian register NAME --card FILE",
            ));
        };
        self.refuse_taken(context, &data.tokens(), &proof.device)?;
        confirm(context, &card, &self.card, self.fingerprint.as_deref())?;
        let factory = context.factory(&data)?;
        let mut anchors = known.anchors().clone();
        let invalid =
            |error: &dyn std::error::Error| CliError::new(FailureKind::Refused, crate::error::chain(error));
        anchors.add_bytes(root).map_err(|error| invalid(&error))?;
        let identity = DeviceChain::parse(card.chain())
            .map_err(|error| invalid(&error))?
            .verify(&anchors, None)
            .map_err(|error| invalid(&error))?;
        let vouched = card.with_chain(factory.vouch_for(&identity, SystemClock.today())?);
        // The factory here is known once it was made, if this was the first thing it did.
        let proof = vouched.proof(context.tokens()?.anchors())?;
        write_output(&self.out, &vouched.encode()?)?;
        let fingerprint = vouched.fingerprint()?;
        let value = json!({
            "card_file": self.out, "fingerprint": fingerprint.to_string(), "of": card.fingerprint()?.to_string(),
            "device": proof.device,
        });
        let text = format!(
            "token {} is vouched for: {}\nnext: chancery person add NAME --card {1}, chancery custodian register NAME --card {1}\n",
            proof.device,
            self.out.display()
        );
        Report::new(&value, text)
    }

    /// A second token of a name could pass for the first.
    fn refuse_taken(
        &self,
        context: &Context,
        tokens: &std::path::Path,
        device: &str,
    ) -> Result<(), CliError> {
        let here = list(tokens)?.iter().any(|token| token.device_id == device);
        let hsm = context.call(&HsmList {})?.iter().any(|hsm| hsm.device == device);
        let person = context
            .call(&PersonList {})?
            .iter()
            .any(|person| person.device == device);
        if here || hsm || person {
            return Err(CliError::with_remedy(
                FailureKind::Conflict,
                format!("a token named {device} is known here already"),
                "take the card that was vouched for before; a second token of that name would pass for the first",
            ));
        }
        Ok(())
    }
}
