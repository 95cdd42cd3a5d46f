//! `hsm unlock`: a custodian's own token answers.

use chancery_agent::{Seat, UnlockedToken, answer_challenge};
use chancery_api::{Base64, HsmList, HsmState, HsmView, UnlockAnswer, UnlockChallenge};
use clap::Args;
use serde_json::json;

use crate::{
    context::Context,
    error::CliError,
    node_link::{NodeArgs, NodeLink},
    own_side::{OwnSide, seat_of},
    report::Report,
    secrets::PinArgs,
};

/// Answers challenges.
#[derive(Args)]
#[command(after_help = "Example: chancery hsm unlock hsm-a hsm-b --as alice\n         \
chancery hsm unlock hsm-a --as bob --node https://node:8443    on bob's own machine\n\
The challenge comes from the HSM and is answered by the custodian's token here, for HSMs this custodian accepted at \
registration. An unlock is a lease for all keys of the HSM until chancery hsm lock or the end of the node.\n\
Every HSM gets its line; an answer given before counts as done. The exit code is that of the first that failed.")]
pub(crate) struct Unlock {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// The custodian
    #[arg(long = "as", value_name = "CUSTODIAN")]
    custodian: String,
    /// The custodian's token: device id, label, or name of a virtual token
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    #[command(flatten)]
    pin: PinArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl Unlock {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let seat = seat_of(context, &self.custodian, self.node.node.as_deref())?;
        let link = self.node.link_of(context, seat.as_ref().map(Seat::membership))?;
        let token = self.token.as_deref();
        let side = OwnSide::new(context, seat, link.is_here(), &self.custodian, token)?;
        // The PIN first: a challenge that waits keeps the HSM from everything else.
        let mut token = side.unlock(context, self.pin.pin_file.as_deref())?;
        let mut views = Vec::new();
        let mut text = String::new();
        let mut first_failure = None;
        for name in &self.names {
            match self.answer(&link, &side, &mut token, name) {
                Ok((hsm, line)) => {
                    text.push_str(&line);
                    views.push(json!(hsm));
                }
                // Nothing else was asked for: the failure is the answer.
                Err(error) if self.names.len() == 1 => return Err(error),
                Err(error) => {
                    context.tell(error.text().trim_end());
                    text.push_str(&format!("{name}: not answered\n"));
                    views.push(json!({ "name": name, "failure": error.json() }));
                    first_failure.get_or_insert_with(|| error.exit_code());
                }
            }
        }
        Ok(Report::new(&views, text)?.with_code(first_failure.unwrap_or(0)))
    }

    /// Answers one HSM. What was done before counts as done.
    fn answer(
        &self,
        link: &NodeLink<'_>,
        side: &OwnSide,
        token: &mut UnlockedToken,
        name: &str,
    ) -> Result<(HsmView, String), CliError> {
        let asked = UnlockChallenge {
            hsm: name.to_owned(),
            person: self.custodian.clone(),
        };
        let challenge = match link.call(&asked) {
            Ok(challenge) => challenge,
            Err(error) => return self.done_before(link, name)?.ok_or(error),
        };
        let signature = answer_challenge(token, &side.accepted, &side.anchors, name, &challenge)?;
        let answer = UnlockAnswer {
            hsm: name.to_owned(),
            session: challenge.session,
            signature: Base64(signature),
        };
        let hsm = link.call(&answer)?;
        let line = format!("{}: {}\n", hsm.name, hsm.state.sentence());
        Ok((hsm, line))
    }

    /// The HSM and a line about it, when it needs nothing more from this custodian.
    fn done_before(&self, link: &NodeLink<'_>, name: &str) -> Result<Option<(HsmView, String)>, CliError> {
        let found = link.call(&HsmList {})?.into_iter().find(|hsm| hsm.name == name);
        Ok(found.and_then(|hsm| {
            let before = match &hsm.state {
                HsmState::Unlocked { .. } => "unlocked already".to_owned(),
                HsmState::Quorum { answered, .. } if answered.contains(&self.custodian) => {
                    format!("{} has answered already", self.custodian)
                }
                _ => return None,
            };
            let line = format!("{}: {before}; {}\n", hsm.name, hsm.state.sentence());
            Some((hsm, line))
        }))
    }
}
