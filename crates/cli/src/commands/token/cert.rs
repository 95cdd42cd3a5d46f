//! `token cert`: what stands beside a key.

use std::path::PathBuf;

use chancery_api::FailureKind;
use chancery_driver::{KeyCertificate, reading};
use chancery_schsm::{KeyId, fid};
use chancery_tokens::{
    catalogue::KeyName,
    explore::CertificateView,
    keys::{KeyError, Matched, Replaced, delete_certificate, store_certificate},
    reach::Intent,
};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    failure::card,
    key_failure::keys,
    opening::{KeyArgs, archive, choose, confirm, deliver, journal, key_name, noted, now, open, read_input},
    reaching::{Chosen, select},
};
use crate::{context::Context, error::CliError, report::Report};

/// Largest certificate read, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Certificates of keys.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery token cert store alice 1 alice.pem")]
pub(crate) enum CertCommand {
    /// Store a certificate with its key
    Store(Store),
    /// Give out what stands beside a key: its certificate or its request
    Get(Get),
    /// Delete what stands beside a key
    Delete(Delete),
}

impl CertCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Store(command) => command.run(context),
            Self::Get(command) => command.run(context),
            Self::Delete(command) => command.run(context),
        }
    }
}

/// Stores a certificate.
#[derive(Args)]
#[command(after_help = "Example: chancery token cert store alice signing alice.pem\n\
The key makes a test signature that the certificate has to verify, unless its uses are counted. A request that stood there, the \
proof of the key's origin, is kept in the data directory before it is overwritten.")]
pub(crate) struct Store {
    #[command(flatten)]
    key: KeyArgs,
    /// The certificate, PEM or DER; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Gives out a certificate.
#[derive(Args)]
#[command(after_help = "Example: chancery token cert get alice signing > alice.pem\n\
An X.509 certificate comes as PEM, with --der as it stands; requests and card verifiable certificates as they stand.")]
pub(crate) struct Get {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// The key: its id, its label, label:TEXT, or id:HEX for its CKA_ID
    #[arg(value_name = "KEY", value_parser = key_name)]
    key: KeyName,
    /// As it stands on the token
    #[arg(long)]
    der: bool,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Deletes a certificate.
#[derive(Args)]
#[command(after_help = "Example: chancery token cert delete alice signing --yes\n\
The key stays. A request is kept in the data directory before.")]
pub(crate) struct Delete {
    #[command(flatten)]
    key: KeyArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Store {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let content = read_input(Some(&self.file))?;
        let archive = archive(context)?;
        let (chosen, mut token) = open(context, Some(&self.key.token), &self.key.pin)?;
        let called = chosen.to_string();
        let (id, _) = choose(&chosen, &mut token, &self.key.key)?;
        let journal = journal(context)?;
        let noted = noted(&chosen, &called, &journal);
        let done = store_certificate(&mut token, id, &content, &archive, now(), &noted)
            .map_err(|error| keys(&called, &error))?;
        stored(&chosen, id, &done)
    }
}

/// Says what was stored.
pub(super) fn stored(chosen: &Chosen, id: KeyId, done: &Replaced) -> Result<Report, CliError> {
    let how = match done.matched {
        Matched::ByUse => ("by-use", "the key made a test signature that it verifies"),
        Matched::ByWhatStoodThere => (
            "by-what-stood-there",
            "what stood there names the same public key; the key was not used",
        ),
    };
    let mut text = format!("the certificate is stored with key {id} of {chosen}: {}\n", how.1);
    text.push_str(&replaced_text(done));
    Report::new(
        &json!({
            "token": chosen.device(),
            "id": id.0,
            "matched": how.0,
            "replaced": done.old.as_ref().map(CertificateView::of),
            "attestation": done.kept.as_ref().map(|path| path.display().to_string()),
        }),
        text,
    )
}

impl Get {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, Some(&self.token), Intent::Read)?;
        let called = chosen.to_string();
        let (id, _) = choose(&chosen, &mut token, &self.key)?;
        let content = reading::read(&mut token, fid::certificate(id), MOST_BYTES)
            .map_err(|error| card(&called, &error))?
            .filter(|content| !content.bytes.is_empty())
            .ok_or_else(|| keys(&called, &KeyError::NothingThere(id)))?;
        let object = content.object().unwrap_or(&content.bytes).to_vec();
        let certificate = KeyCertificate::recognise(object);
        let view = json!({
            "token": chosen.device(),
            "id": id.0,
            "certificate": CertificateView::of(&certificate),
        });
        let bytes = match &certificate {
            KeyCertificate::X509(der) if !self.der => openssl::x509::X509::from_der(der)
                .and_then(|parsed| parsed.to_pem())
                .map_err(|_| {
                    CliError::with_remedy(
                        FailureKind::Refused,
                        format!("{called}: what stands beside key {id} is no certificate that can be read"),
                        "--der gives it out as it stands",
                    )
                })?,
            other => other.bytes().to_vec(),
        };
        match (String::from_utf8(bytes), &self.out) {
            (Ok(pem), None) if !context.json() && !self.der => Ok(Report::raw(pem)),
            (Ok(text), out) => deliver(context, "content", text.as_bytes(), out.as_deref(), view),
            (Err(error), out) => deliver(context, "content", error.as_bytes(), out.as_deref(), view),
        }
    }
}

impl Delete {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let archive = archive(context)?;
        let (chosen, mut token) = open(context, Some(&self.key.token), &self.key.pin)?;
        let called = chosen.to_string();
        let (id, _) = choose(&chosen, &mut token, &self.key.key)?;
        if !self.yes {
            let lines = [format!(
                "{called}: the certificate or request of key {id} will be gone."
            )];
            if !confirm(context, &lines, "Delete it?")? {
                return Err(CliError::new(FailureKind::Invalid, "nothing was deleted"));
            }
        }
        let done =
            delete_certificate(&mut token, id, &archive, now()).map_err(|error| keys(&called, &error))?;
        let mut text = format!("{called}: nothing stands beside key {id} any more\n");
        text.push_str(&replaced_text(&done));
        Report::new(
            &json!({
                "token": chosen.device(),
                "id": id.0,
                "deleted": done.old.as_ref().map(CertificateView::of),
                "attestation": done.kept.as_ref().map(|path| path.display().to_string()),
            }),
            text,
        )
    }
}

fn replaced_text(done: &Replaced) -> String {
    done.kept
        .as_ref()
        .map(|path| {
            format!(
                "the proof of the key's origin, which stood there, is kept in {}\n",
                path.display()
            )
        })
        .unwrap_or_default()
}
