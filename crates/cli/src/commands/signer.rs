//! `signer`: CA keys, signing keys, and their replicas.

use chancery_api::{Intent, SignerList, SignerVerify, SignerView};
use clap::{Args, Subcommand};

use crate::{
    act::{self, Actor, decide},
    commands::signing_key,
    context::Context,
    error::CliError,
    report::Report,
    secrets::PinArgs,
    table::table,
};

/// Signers.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery signer list")]
pub(crate) enum SignerCommand {
    /// Ask for a new signing key; a TrustCenter Manager approves it
    Create(signing_key::Create),
    /// Show the signing keys, for which leases can be asked
    Keys(signing_key::Keys),
    /// Show a signing key's public key
    Key(signing_key::PublicKey),
    /// Store an X.509 certificate beside a signing key
    Certificate(signing_key::Certificate),
    /// Show every key and its presence on every HSM
    List(List),
    /// Copy a key to another HSM of its key domain, and prove it there
    Replicate(Replicate),
    /// Have replicas sign a test value
    Verify(Verify),
}

impl SignerCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Create(command) => command.run(context),
            Self::Keys(command) => command.run(context),
            Self::Key(command) => command.run(context),
            Self::Certificate(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Replicate(command) => command.run(context),
            Self::Verify(command) => command.run(context),
        }
    }
}

/// Shows signers.
#[derive(Args)]
#[command(
    after_help = "Example: chancery signer list\nStates: verified, present, absent, partial, other key domain."
)]
pub(crate) struct List {}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let signers: Vec<SignerView> = context.call(&SignerList {})?;
        Report::new(&signers, show(&signers))
    }
}

/// Copies a key.
#[derive(Args)]
#[command(
    after_help = "Example: chancery signer replicate root --to hsm-b --as alice\n\
The key leaves its HSM wrapped under the key domain's key and never in clear. Both HSMs must be unlocked."
)]
pub(crate) struct Replicate {
    /// The CA or signing key
    ca: String,
    /// HSM that gets the copy
    #[arg(long, value_name = "HSM")]
    to: String,
    /// Who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
}

impl Replicate {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        let performed = decide(
            context,
            actor,
            Intent::SignerReplicate {
                ca: self.ca,
                hsm: self.to,
            },
        )?;
        let signer = act::signer(performed)?;
        Report::new(&signer, show(std::slice::from_ref(&signer)))
    }
}

/// Tests replicas.
#[derive(Args)]
#[command(after_help = "Example: chancery signer verify root --hsm hsm-b")]
pub(crate) struct Verify {
    /// The CA or signing key
    ca: String,
    /// Only this HSM
    #[arg(long, value_name = "HSM")]
    hsm: Option<String>,
}

impl Verify {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let signer = context.call(&SignerVerify {
            ca: self.ca,
            hsm: self.hsm,
        })?;
        Report::new(&signer, show(std::slice::from_ref(&signer)))
    }
}

fn show(signers: &[SignerView]) -> String {
    let rows = signers
        .iter()
        .flat_map(|signer| {
            signer.replicas.iter().map(|replica| {
                vec![
                    signer.ca.clone(),
                    signer.algorithm.clone(),
                    signer.kcv.clone(),
                    replica.hsm.clone(),
                    replica.state.clone(),
                    replica.checked.clone().unwrap_or_else(|| "-".to_owned()),
                ]
            })
        })
        .collect();
    table(
        &["SIGNER", "KEY", "KEY DOMAIN", "HSM", "REPLICA", "CHECKED"],
        rows,
        "no signers yet",
    )
}
