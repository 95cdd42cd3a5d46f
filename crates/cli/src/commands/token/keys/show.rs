//! `token keys show`.

use chancery_driver::KeyCertificate;
use chancery_tokens::{
    catalogue::{Description, KeyName},
    explore::{CertificateView, names},
    key::KeyDetails,
    reach::Intent,
};
use clap::Args;
use serde_json::json;

use super::{advice::CUSTODIAN_KEY, list::certificate_word};
use crate::{
    commands::token::{
        failure::card,
        key_failure::keys,
        opening::{choose, key_name},
        reaching::select,
    },
    context::Context,
    error::CliError,
    report::Report,
    table::{facts, list},
};

/// Shows one key.
#[derive(Args)]
#[command(after_help = "Example: chancery token keys show alice 1\n\
No PIN is asked. What stands beside a key is writable with the PIN and proves nothing: chancery attest verify does.")]
pub(crate) struct Show {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// The key: its id, its label, label:TEXT, or id:HEX for its CKA_ID
    #[arg(value_name = "KEY", value_parser = key_name)]
    key: KeyName,
}

impl Show {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, Some(&self.token), Intent::Read)?;
        let called = chosen.to_string();
        let (id, _) = choose(&chosen, &mut token, &self.key)?;
        let details = KeyDetails::read(&mut token, id)
            .map_err(|error| card(&called, &error))?
            .ok_or_else(|| keys(&called, &chancery_tokens::keys::KeyError::NoSuchKey(id)))?;
        let certificate = details.certificate.as_ref().map(CertificateView::of);
        let public_key = details.public_key.as_ref().and_then(|key| key.to_spki_der().ok());
        let description = details.description.known();
        let permitted = names(&details.attributes);
        let view = json!({
            "token": chosen.device(),
            "id": id.0,
            "label": description.map(|description| &description.label),
            "cka_id": description.map(|description| hex::encode(&description.id)),
            "algorithm": details.algorithm(),
            "permitted": permitted,
            "use_counter": details.attributes.use_counter,
            "key_domain": details.attributes.key_domain,
            "kcv": details.kcv().map(|kcv| kcv.to_string()),
            "custodian_key": details.is_custodian_key(),
            "certificate": certificate,
            "public_key": public_key.as_ref().map(hex::encode),
        });
        let mut lines = vec![
            ("token", called),
            ("key", id.to_string()),
            (
                "label",
                match &details.description {
                    Description::Known(description) => description.label.clone(),
                    Description::Missing => "none: it has no description".to_owned(),
                    Description::Odd { why } => format!("its description cannot be read: {why}"),
                },
            ),
            (
                "id",
                description.map_or_else(|| "-".to_owned(), |description| hex::encode(&description.id)),
            ),
            ("algorithm", details.algorithm()),
            ("permitted", list(&permitted)),
            (
                "uses left",
                details
                    .attributes
                    .use_counter
                    .map_or_else(|| "not counted".to_owned(), |uses| uses.to_string()),
            ),
            (
                "key domain",
                match (details.attributes.key_domain, details.kcv()) {
                    (Some(number), Some(kcv)) => format!("{number}, KCV {kcv}"),
                    (None, Some(kcv)) => format!("the token's only one, KCV {kcv}"),
                    (Some(number), None) => format!("{number}, without complete key encryption key"),
                    (None, None) => "none: cannot be wrapped".to_owned(),
                },
            ),
            (
                "beside it",
                certificate_line(details.certificate.as_ref(), certificate.as_ref()),
            ),
        ];
        if details.is_custodian_key() {
            lines.push(("note", CUSTODIAN_KEY.to_owned()));
        }
        Report::new(&view, facts(&lines))
    }
}

fn certificate_line(certificate: Option<&KeyCertificate>, view: Option<&CertificateView>) -> String {
    let word = certificate_word(certificate);
    match view {
        Some(view) if !view.subject.is_empty() => match &view.not_after {
            Some(until) => format!("{word}: {}, by {}, until {until}", view.subject, view.issuer),
            None => format!("{word}: {}, by {}", view.subject, view.issuer),
        },
        _ => word.to_owned(),
    }
}
