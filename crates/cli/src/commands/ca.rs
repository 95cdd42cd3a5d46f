//! `ca`.

use std::path::PathBuf;

use chancery_api::{CaCreate, CaDetail, CaList, CaShow, FailureKind, Intent};
use clap::{Args, Subcommand};

use super::{certificates_pem, write_output};
use crate::{
    act::{Actor, decide, requests},
    commands::request,
    context::Context,
    error::CliError,
    report::Report,
    secrets::ApproverArgs,
    table::{facts, list, table},
};

/// CAs.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery ca list")]
pub(crate) enum CaCommand {
    /// Ask for a new CA, whose key is generated inside an HSM
    Create(Create),
    /// Show the CAs
    List(List),
    /// Show a CA, or print its certificate
    Show(Show),
}

impl CaCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Create(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
        }
    }
}

/// Asks for a CA.
#[derive(Args)]
#[command(
    after_help = "Example: chancery ca create root --subject 'CN=Example Root CA,O=Example' --hsm hsm-a --as alice --sign-as carol\n\
A TrustCenter Manager approves it (--as), a Certification Officer has its certificate signed (--sign-as)."
)]
pub(crate) struct Create {
    /// Name
    name: String,
    /// Subject of its certificate, RFC 4514
    #[arg(long)]
    subject: String,
    /// HSM in which the key is generated
    #[arg(long)]
    hsm: String,
    /// Algorithm of its key: ec:P-256, ec:P-384, ec:P-521, rsa:2048, rsa:3072, rsa:4096
    #[arg(long, default_value = "ec:P-256")]
    algorithm: String,
    /// Profile of its own certificate
    #[arg(long, default_value = "root")]
    profile: String,
    #[command(flatten)]
    approver: ApproverArgs,
    /// Have its certificate signed at once as this Certification Officer
    #[arg(long, value_name = "OFFICER", requires = "approver")]
    sign_as: Option<String>,
    /// Take the officer's PIN from a file; - for standard input
    #[arg(long, value_name = "FILE", requires = "sign_as")]
    sign_pin_file: Option<PathBuf>,
}

impl Create {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let opened = context.call(&CaCreate {
            name: self.name,
            subject: self.subject,
            algorithm: self.algorithm,
            hsm: self.hsm,
            profile: self.profile,
        })?;
        let Some(manager) = &self.approver.approver else {
            return request::opened(&opened);
        };
        let approver = Actor::new(manager, self.approver.as_pin_file.as_deref());
        let mut outcome = request::approve_opened(context, approver, opened.request)?;
        if let Some(officer) = &self.sign_as {
            let officer = Actor::new(officer, self.sign_pin_file.as_deref());
            let intent = Intent::RequestSign {
                requests: vec![opened.request],
            };
            outcome = decide(context, officer, intent)
                .and_then(requests)
                .map_err(|error| request::still_there(context, error, opened.request, officer.name))?;
        }
        request::decided(&outcome)
    }
}

/// Shows CAs.
#[derive(Args)]
#[command(after_help = "Example: chancery ca list --json")]
pub(crate) struct List {}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let cas = context.call(&CaList {})?;
        let rows = cas
            .iter()
            .map(|ca| {
                vec![
                    ca.name.clone(),
                    ca.state.clone(),
                    ca.algorithm.clone(),
                    list(&ca.hsms),
                    ca.not_after.clone().unwrap_or_else(|| "-".to_owned()),
                    ca.subject.clone(),
                ]
            })
            .collect();
        let text = table(
            &["CA", "STATE", "KEY", "ON", "NOT AFTER", "SUBJECT"],
            rows,
            "no CAs yet; see chancery ca create --help",
        );
        Report::new(&cas, text)
    }
}

/// Shows a CA.
#[derive(Args)]
#[command(after_help = "Example: chancery ca show root --pem --out root.pem")]
pub(crate) struct Show {
    /// Name
    name: String,
    /// Print its certificate as PEM
    #[arg(long)]
    pem: bool,
    /// Write its certificate as PEM to a file
    #[arg(long, value_name = "FILE", requires = "pem")]
    out: Option<PathBuf>,
}

impl Show {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let detail = context.call(&CaShow { ca: self.name })?;
        if !self.pem {
            return Report::new(&detail, show(&detail));
        }
        let Some(der) = &detail.certificate else {
            return Err(CliError::new(
                FailureKind::Conflict,
                format!("CA {} has no certificate yet", detail.ca.name),
            ));
        };
        let text = certificates_pem([der.0.as_slice()])?;
        match &self.out {
            None => Ok(Report::raw(text)),
            Some(path) => {
                write_output(path, text.as_bytes())?;
                Report::new(
                    &detail,
                    format!("certificate of CA {} is in {}", detail.ca.name, path.display()),
                )
            }
        }
    }
}

fn show(detail: &CaDetail) -> String {
    let ca = &detail.ca;
    let mut lines = vec![
        ("CA", ca.name.clone()),
        ("state", ca.state.clone()),
        ("subject", ca.subject.clone()),
        ("key", ca.algorithm.clone()),
        ("on HSMs", list(&ca.hsms)),
    ];
    if let Some(not_after) = &ca.not_after {
        lines.push(("not after", not_after.clone()));
    }
    if let Some(signer) = &detail.signer {
        lines.push(("key SHA-256", signer.key.clone()));
        lines.push(("key domain", signer.kcv.clone()));
    }
    if let Some(number) = detail.crl_number {
        lines.push(("newest CRL", number.to_string()));
    }
    facts(&lines)
}
