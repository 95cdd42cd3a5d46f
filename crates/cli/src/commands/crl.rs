//! `crl`.

use std::path::{Path, PathBuf};

use chancery_api::{CrlDetail, CrlShow, Intent};
use chancery_pki::pem;
use clap::{Args, Subcommand};

use super::{check_output, pem_text, write_output};
use crate::{
    act::{self, Actor, decide},
    context::Context,
    error::CliError,
    report::Report,
    secrets::PinArgs,
    table::facts,
};

/// CRLs.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery crl create root --as carol --out crl.pem")]
pub(crate) enum CrlCommand {
    /// Have a revocation list signed
    Create(Create),
    /// Show the newest revocation list of a CA
    Show(Show),
}

impl CrlCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Create(command) => command.run(context),
            Self::Show(command) => command.run(context),
        }
    }
}

/// Makes a CRL.
#[derive(Args)]
#[command(after_help = "Example: chancery crl create root --as carol --out crl.pem")]
pub(crate) struct Create {
    /// The CA
    ca: String,
    /// The Certification Officer who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
    /// Write the CRL as PEM
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Create {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        self.out.as_deref().map_or(Ok(()), check_output)?;
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        let crl = act::crl(decide(context, actor, Intent::CrlCreate { ca: self.ca })?)?;
        report(&crl, self.out.as_deref())
    }
}

/// Shows a CRL.
#[derive(Args)]
#[command(after_help = "Example: chancery crl show root --out crl.pem")]
pub(crate) struct Show {
    /// The CA
    ca: String,
    /// Write the CRL as PEM
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Show {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        self.out.as_deref().map_or(Ok(()), check_output)?;
        let crl = context.call(&CrlShow { ca: self.ca })?;
        report(&crl, self.out.as_deref())
    }
}

fn report(crl: &CrlDetail, out: Option<&Path>) -> Result<Report, CliError> {
    let mut text = facts(&[
        ("CRL", format!("number {} of CA {}", crl.number, crl.ca)),
        ("thisUpdate", crl.this_update.clone()),
        ("nextUpdate", crl.next_update.clone()),
        ("entries", crl.entries.to_string()),
    ]);
    if let Some(path) = out {
        write_output(path, pem_text(pem::CRL, &crl.der.0)?.as_bytes())?;
        text.push_str(&format!("written to {}\n", path.display()));
    }
    Report::new(crl, text)
}
