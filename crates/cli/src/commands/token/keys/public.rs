//! `token keys public`.

use std::path::PathBuf;

use chancery_api::FailureKind;
use chancery_cvc::PublicKey;
use chancery_driver::KeyCertificate;
use chancery_tokens::{catalogue::KeyName, key::read_certificate, reach::Intent};
use clap::{Args, ValueEnum};
use openssl::pkey::PKey;
use serde_json::json;

use super::list::certificate_word;
use crate::{
    commands::token::{
        failure::card,
        opening::{choose, deliver, key_name},
        reaching::select,
    },
    context::Context,
    error::CliError,
    report::Report,
};

/// Gives out the public key of a key.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token keys public alice signing --out signing.pem\n         \
openssl dgst -sha256 -verify signing.pem -signature FILE.sig FILE\n\
No PIN is asked. The public key is the one that the certificate or request beside the key names: that is writable with the PIN and \
proves nothing; chancery attest verify does."
)]
pub(crate) struct Public {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// The key: its id, its label, label:TEXT, or id:HEX for its CKA_ID
    #[arg(value_name = "KEY", value_parser = key_name)]
    key: KeyName,
    /// Form of the SubjectPublicKeyInfo
    #[arg(long, value_enum, default_value_t = Format::Pem)]
    format: Format,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Form of the SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text, as openssl reads it by default
    Pem,
    /// DER
    Der,
}

impl Public {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, Some(&self.token), Intent::Read)?;
        let called = chosen.to_string();
        let (id, _) = choose(&chosen, &mut token, &self.key)?;
        let certificate = read_certificate(&mut token, id).map_err(|error| card(&called, &error))?;
        let spki = match certificate.as_ref().and_then(KeyCertificate::public_key) {
            Some(key) => spki(&key)?,
            None => {
                return Err(CliError::with_remedy(
                    FailureKind::NotFound,
                    format!("{called}: nothing beside key {id} names its public key"),
                    "chancery token keys list TOKEN; secret keys have none",
                ));
            }
        };
        let mut view = json!({
            "token": chosen.device(),
            "id": id.0,
            "from": certificate_word(certificate.as_ref()),
        });
        if self.format == Format::Der {
            return deliver(context, "public_key", &spki, self.out.as_deref(), view);
        }
        let pem = PKey::public_key_from_der(&spki)
            .and_then(|key| key.public_key_to_pem())
            .map_err(|error| CliError::new(FailureKind::Invalid, format!("{called}: {error}")))?;
        if self.out.is_some() {
            return deliver(context, "public_key", &pem, self.out.as_deref(), view);
        }
        let text = String::from_utf8_lossy(&pem).into_owned();
        view["public_key_pem"] = json!(text);
        Report::new(&view, text)
    }
}

fn spki(key: &PublicKey) -> Result<Vec<u8>, CliError> {
    key.to_spki_der().map_err(|error| {
        CliError::new(
            FailureKind::Invalid,
            format!("this public key has no common form: {error}"),
        )
    })
}
