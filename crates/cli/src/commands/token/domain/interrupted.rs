//! An agreement that was interrupted: finished or taken back by `token resume` and `token undo`.

use chancery_tokens::{
    domain::{AGREE, resume, undo},
    journal::Work,
};
use serde_json::json;

use super::{desk::Desk, failure::domain};
use crate::{
    commands::token::{opening::open, pins::UserPinArgs},
    context::Context,
    error::CliError,
    report::Report,
};

/// Whether work of this kind is an agreement.
pub(crate) fn is_ours(kind: &str) -> bool {
    kind == AGREE
}

/// Finishes an agreement.
pub(crate) fn finish(context: &Context, work: Work, pin: &UserPinArgs) -> Result<Report, CliError> {
    let desk = Desk::new(context)?;
    let wanted = format!("device:{}", work.record().device);
    let (chosen, mut token) = open(context, Some(&wanted), pin)?;
    let called = chosen.to_string();
    let host = desk.host(&chosen, &called);
    let done = resume(&mut token, work, &host).map_err(|error| domain(&called, &error))?;
    let kcv = done.kcv.map(|kcv| kcv.to_string());
    let text = match &kcv {
        Some(kcv) => format!(
            "key domain {} of {called} has agreed: KCV {kcv}; the other token has to show the same",
            done.domain
        ),
        None => format!(
            "exchange key {} of key domain {} of {called} is whole; nothing was agreed on yet: chancery token domain agree {} {}",
            done.key,
            done.domain,
            chosen.device(),
            done.domain
        ),
    };
    Report::new(
        &json!({ "token": chosen.device(), "domain": done.domain, "key": done.key.0, "kcv": kcv }),
        text,
    )
}

/// Takes an agreement back.
pub(crate) fn take_back(context: &Context, work: Work, pin: &UserPinArgs) -> Result<Report, CliError> {
    let desk = Desk::new(context)?;
    let id = work.id().to_owned();
    let wanted = format!("device:{}", work.record().device);
    let (chosen, mut token) = open(context, Some(&wanted), pin)?;
    let called = chosen.to_string();
    let host = desk.host(&chosen, &called);
    let undone = undo(&mut token, work, &host).map_err(|error| domain(&called, &error))?;
    let mut parts = Vec::new();
    if let Some(key) = undone.key {
        parts.push(format!("exchange key {key} was deleted"));
    }
    if let Some(kcv) = undone.kek {
        parts.push(format!("the key encryption key with KCV {kcv} was deleted"));
    }
    if parts.is_empty() {
        parts.push("nothing had been changed".to_owned());
    }
    Report::new(
        &json!({
            "id": id,
            "undone": true,
            "key": undone.key.map(|key| key.0),
            "kcv": undone.kek.map(|kcv| kcv.to_string()),
        }),
        format!("{id} is undone on {called}: {}", parts.join("; ")),
    )
}
