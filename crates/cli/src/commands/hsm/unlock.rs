//! `hsm unlock`: a custodian's own token answers.

use chancery_agent::{Accepted, answer_challenge};
use chancery_api::{Base64, HsmView, UnlockAnswer, UnlockChallenge};
use clap::Args;

use crate::{context::Context, error::CliError, report::Report, secrets::PinArgs};

/// Answers challenges.
#[derive(Args)]
#[command(after_help = "Example: chancery hsm unlock hsm-a hsm-b --as alice\n\
The challenge comes from the HSM and is answered by the custodian's token here, for HSMs this custodian accepted at\n\
registration. An unlock is a lease for all keys of the HSM until chancery hsm lock or the end of the node.")]
pub(crate) struct Unlock {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// The custodian
    #[arg(long = "as", value_name = "CUSTODIAN")]
    custodian: String,
    #[command(flatten)]
    pin: PinArgs,
}

impl Unlock {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let tokens = context.tokens()?;
        let device = context.person(&self.custodian)?.device;
        let data = context.data()?;
        let accepted = Accepted::load(&Context::accepted_directory(&data), &device)?;
        // The PIN first: a challenge that waits keeps the HSM from everything else.
        let mut token = context.unlocked_token_of(&self.custodian, self.pin.pin_file.as_deref())?;
        let mut hsms: Vec<HsmView> = Vec::new();
        let mut text = String::new();
        for name in &self.names {
            let asked = UnlockChallenge {
                hsm: name.clone(),
                person: self.custodian.clone(),
            };
            let challenge = context.call(&asked)?;
            let signature = answer_challenge(&mut token, &accepted, tokens.anchors(), name, &challenge)?;
            let answer = UnlockAnswer {
                hsm: name.clone(),
                session: challenge.session,
                signature: Base64(signature),
            };
            let hsm = context.call(&answer)?;
            text.push_str(&format!("{}: {}\n", hsm.name, hsm.state.sentence()));
            hsms.push(hsm);
        }
        Report::new(&hsms, text)
    }
}
