//! `cert`.

use std::path::{Path, PathBuf};

use chancery_api::{CertList, CertShow, CertificateDetail, CertificateView, FailureKind, Intent};
use clap::{Args, Subcommand};

use super::{certificates_pem, check_output, write_output};
use crate::{
    act::{self, Actor, decide},
    context::Context,
    error::CliError,
    report::Report,
    secrets::PinArgs,
    table::{facts, list, table},
};

/// Certificates.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery cert list")]
pub(crate) enum CertCommand {
    /// Show certificates, newest first
    List(List),
    /// Show a certificate
    Show(Show),
    /// Write a certificate, with its chain if wanted
    Export(Export),
    /// Revoke a certificate
    Revoke(Revoke),
}

impl CertCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Export(command) => command.run(context),
            Self::Revoke(command) => command.run(context),
        }
    }
}

/// Shows certificates.
#[derive(Args)]
#[command(after_help = "Example: chancery cert list --ca root --limit 20")]
pub(crate) struct List {
    /// Only those of this CA
    #[arg(long)]
    ca: Option<String>,
    /// At most this many, up to 200
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Go on after a page: the cursor it ended with
    #[arg(long, value_name = "CURSOR")]
    before: Option<String>,
}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let page = context.call(&CertList {
            ca: self.ca,
            before: self.before,
            limit: self.limit,
        })?;
        let rows = page
            .certificates
            .iter()
            .map(|certificate| {
                vec![
                    certificate.serial.clone(),
                    certificate.ca.clone(),
                    certificate
                        .request
                        .map_or_else(|| "-".to_owned(), |number| format!("#{number}")),
                    certificate.state.clone(),
                    certificate.not_after.clone(),
                    title(certificate),
                ]
            })
            .collect();
        let mut text = table(
            &["SERIAL", "CA", "REQUEST", "STATE", "NOT AFTER", "FOR"],
            rows,
            "no certificates yet",
        );
        if let Some(next) = &page.next {
            text.push_str(&format!("more: --before {next}\n"));
        }
        Report::new(&page, text)
    }
}

/// Shows a certificate.
#[derive(Args)]
#[command(after_help = "Example: chancery cert show '#7'")]
pub(crate) struct Show {
    /// Serial number in hexadecimal, or #N for the certificate of request N
    #[arg(value_name = "SERIAL|#N")]
    certificate: String,
}

impl Show {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let detail = context.call(&CertShow {
            certificate: self.certificate,
        })?;
        Report::new(&detail, show(&detail))
    }
}

/// Writes a certificate.
#[derive(Args)]
#[command(after_help = "Example: chancery cert export '#7' --out leaf.pem --chain")]
pub(crate) struct Export {
    /// Serial number in hexadecimal, or #N for the certificate of request N
    #[arg(value_name = "SERIAL|#N")]
    certificate: String,
    /// File to write as PEM; - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// With the certificates of its issuers up to the root
    #[arg(long)]
    chain: bool,
}

impl Export {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        if self.out != Path::new("-") {
            check_output(&self.out)?;
        }
        let detail = context.call(&CertShow {
            certificate: self.certificate,
        })?;
        let Some(der) = &detail.der else {
            return Err(CliError::with_remedy(
                FailureKind::Conflict,
                format!("certificate {} is not signed yet", detail.certificate.serial),
                "chancery request resume N carries an interrupted signature on",
            ));
        };
        let chain = if self.chain { detail.chain.as_slice() } else { &[] };
        let text = certificates_pem(std::iter::once(der).chain(chain).map(|der| der.0.as_slice()))?;
        if self.out == Path::new("-") {
            return Ok(Report::raw(text));
        }
        write_output(&self.out, text.as_bytes())?;
        Report::new(
            &detail,
            format!(
                "certificate {} is in {}",
                detail.certificate.serial,
                self.out.display()
            ),
        )
    }
}

/// Revokes a certificate.
#[derive(Args)]
#[command(
    after_help = "Example: chancery cert revoke '#7' --reason key-compromise --as carol\n\
Reasons: unspecified, key-compromise, ca-compromise, affiliation-changed, superseded, cessation-of-operation, \
privilege-withdrawn, aa-compromise. It takes effect with the next chancery crl create."
)]
pub(crate) struct Revoke {
    /// Serial number in hexadecimal, or #N for the certificate of request N
    #[arg(value_name = "SERIAL|#N")]
    certificate: String,
    /// Reason
    #[arg(long)]
    reason: String,
    /// Who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
}

impl Revoke {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        let intent = Intent::CertificateRevoke {
            certificate: self.certificate,
            reason: self.reason,
        };
        let detail = act::certificate(decide(context, actor, intent)?)?;
        Report::new(&detail, show(&detail))
    }
}

fn show(detail: &CertificateDetail) -> String {
    let certificate = &detail.certificate;
    let mut lines = vec![
        ("certificate", certificate.serial.clone()),
        ("CA", certificate.ca.clone()),
        ("state", certificate.state.clone()),
        ("subject", certificate.subject.clone()),
        ("names", list(&certificate.names)),
        ("not after", certificate.not_after.clone()),
    ];
    if let Some((time, reason)) = &certificate.revoked {
        lines.push(("revoked", format!("{time}, {reason}")));
    }
    if let Some(number) = certificate.request {
        lines.push(("request", number.to_string()));
    }
    if let Some(description) = detail
        .der
        .as_ref()
        .and_then(|der| chancery_pki::describe(&der.0).ok())
    {
        lines.push(("key", description.key));
        lines.push(("SHA-256", description.sha256));
    }
    facts(&lines)
}

fn title(certificate: &CertificateView) -> String {
    match certificate.subject.as_str() {
        "" => list(&certificate.names),
        subject => subject.to_owned(),
    }
}
