//! `token keys delete`.

use chancery_tokens::{key::KeyDetails, keys::delete};
use clap::Args;
use serde_json::json;

use super::list::certificate_word;
use crate::{
    commands::token::{
        failure::card,
        key_failure::keys,
        opening::{KeyArgs, archive, choose, confirm, now, open},
    },
    context::Context,
    error::CliError,
    report::Report,
};

/// Deletes a key for ever.
#[derive(Args)]
#[command(after_help = "Example: chancery token keys delete alice label:old --yes\n\
The key goes with its description and its certificate or request; the proof of its origin is kept in the data directory before. \
By its id, what is left of a key that is gone already is deleted, too.")]
pub(crate) struct Delete {
    #[command(flatten)]
    key: KeyArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Delete {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let archive = archive(context)?;
        let (chosen, mut token) = open(context, Some(&self.key.token), &self.key.pin)?;
        let called = chosen.to_string();
        let (id, description) = choose(&chosen, &mut token, &self.key.key)?;
        let details =
            KeyDetails::beside(&mut token, id, description.clone()).map_err(|error| card(&called, &error))?;
        if !self.yes {
            let what = match &details {
                Some(details) => format!(
                    "key {id} {:?} ({}), its description and its certificate or request ({})",
                    details.description.label(),
                    details.algorithm(),
                    certificate_word(details.certificate.as_ref())
                ),
                None => format!("what is left of key {id}, which is gone already"),
            };
            let lines = [format!("{called}: {what} will be gone for ever.")];
            if !confirm(context, &lines, &format!("Delete key {id}?"))? {
                return Err(CliError::new(
                    chancery_api::FailureKind::Invalid,
                    "nothing was deleted",
                ));
            }
        }
        let gone = delete(&mut token, id, &archive, now()).map_err(|error| keys(&called, &error))?;
        let parts: Vec<&str> = [
            (gone.key, "the key"),
            (gone.description, "its description"),
            (gone.certificate, "its certificate or request"),
        ]
        .into_iter()
        .filter_map(|(was, name)| was.then_some(name))
        .collect();
        let kept = gone.kept.as_ref().map(|path| path.display().to_string());
        let mut text = format!("{called}: deleted of key {id}: {}\n", parts.join(", "));
        if let Some(path) = &kept {
            text.push_str(&format!("the proof of its origin is kept in {path}\n"));
        }
        Report::new(
            &json!({
                "token": chosen.device(),
                "id": id.0,
                "label": description.label(),
                "deleted": { "key": gone.key, "description": gone.description, "certificate": gone.certificate },
                "attestation": kept,
            }),
            text,
        )
    }
}
