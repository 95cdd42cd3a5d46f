//! `receipt`: what shows that a quorum permitted a signature.

use std::path::PathBuf;

use chancery_api::{DigestValue, FailureKind, HashName, LeaseId, LeaseText, Receipt, ReceiptShow};
use chancery_attest::encode_receipt;
use clap::{Args, Subcommand};

use crate::{
    commands::{
        lease::{digests, named},
        write_output,
    },
    context::Context,
    error::CliError,
    node_link::NodeArgs,
    report::Report,
    table::facts,
};

/// Receipts.
#[derive(Subcommand)]
#[command(
    after_help = "Example: chancery receipt show 01939d2e fit.itb --out fit.receipt\n         chancery attest verify fit.receipt"
)]
pub(crate) enum ReceiptCommand {
    /// Show the receipt of a signature, or write it to a file
    Show(Show),
}

impl ReceiptCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Show(command) => command.run(context),
        }
    }
}

/// Shows a receipt.
#[derive(Args)]
#[command(
    after_help = "Example: chancery receipt show 01939d2e fit.itb --out fit.receipt\n\
Anybody can check a receipt without the node: chancery attest verify fit.receipt. It is complete once a signed head of the audit log \
covers it, a moment after the signature."
)]
pub(crate) struct Show {
    /// The lease, or how it begins
    lease: String,
    /// What was signed: a digest (sha256:HEX), or a file
    digest: String,
    /// Hash function for a file: sha256, sha384 or sha512
    #[arg(long, default_value = "sha256", value_parser = digests::hash_name)]
    hash: HashName,
    /// Write it to a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

impl Show {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let digest = digests::of_word(&self.digest, self.hash)?;
        let link = self.node.link(context)?;
        let lease = named::lease(&link, &self.lease)?;
        let receipt = link.call(&ReceiptShow {
            lease,
            digest: digest.clone(),
        })?;
        check(&receipt, lease, &digest)?;
        let mut text = text(&receipt);
        if let Some(path) = &self.out {
            let bytes = encode_receipt(&receipt)
                .map_err(|error| CliError::new(FailureKind::Internal, error.to_string()))?;
            write_output(path, &bytes)?;
            text.push_str(&format!(
                "it is in {0}; check it anywhere: chancery attest verify {0}\n",
                path.display()
            ));
        }
        Report::new(&receipt, text)
    }
}

/// Whether it is the receipt that was asked for: of this signature, under this lease.
fn check(receipt: &Receipt, lease: LeaseId, digest: &DigestValue) -> Result<(), CliError> {
    let text: LeaseText = serde_json::from_slice(&receipt.text.0).map_err(|error| {
        CliError::new(
            FailureKind::Version,
            format!("the text of the lease in the receipt cannot be read: {error}"),
        )
    })?;
    if text.lease != lease {
        return Err(named::other(lease, &format!("a receipt of {}", text.lease)));
    }
    if receipt.digest != *digest {
        return Err(CliError::with_remedy(
            FailureKind::Refused,
            format!(
                "THE NODE ANSWERED ABOUT ANOTHER SIGNATURE: {digest} was asked for, and {} came back",
                receipt.digest
            ),
            "do not go on with this node: tell its administrator",
        ));
    }
    Ok(())
}

fn text(receipt: &Receipt) -> String {
    let people: Vec<String> = receipt
        .statements
        .iter()
        .map(|said| format!("{} for HSM {} ({})", said.person, said.hsm.name, said.kind.name()))
        .collect();
    let log = match &receipt.inclusion {
        Some(_) => format!("entry {}, covered by a signed head", receipt.leaf),
        None => format!(
            "entry {}; no signed head covers it yet: show it again in a moment",
            receipt.leaf
        ),
    };
    facts(&[
        ("digest", receipt.digest.to_string()),
        ("signed", format!("{} in HSM {}", receipt.time, receipt.hsm.name)),
        (
            "enforced by",
            if receipt.node_enforced {
                "the node: an HSM was open already (node-enforced)".to_owned()
            } else {
                "the HSMs".to_owned()
            },
        ),
        ("needed", receipt.needed.to_string()),
        ("statements", people.join("; ")),
        ("audit log", log),
    ])
}
