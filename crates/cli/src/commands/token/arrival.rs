//! What is said of a key that arrived, and how interrupted work with one is finished or undone.

use chancery_driver::Authenticated;
use chancery_schsm::KeyId;
use chancery_tokens::{
    explore::CertificateView,
    journal::Work,
    keys::{self, resume_certificate, undo_certificate},
    reach::{Intent, TokenTransport},
    transfer::{
        self, Arrival, Installed, Parcel, Verified, already_there, check_domain, finish_wrap, resume, undo,
        undo_wrap,
    },
};
use serde_json::json;

use super::{
    cert::stored,
    failure::card,
    key_failure::{keys as not_stored, transfer as failed},
    opening::{confirm, open},
    pins::{UserPinArgs, unlock},
    reaching::{Chosen, select},
    wrap::wrapped,
};
use crate::{context::Context, error::CliError, report::Report};

/// Whether work of this kind is a key or a certificate under way.
pub(super) fn is_ours(kind: &str) -> bool {
    [
        transfer::WRAP,
        transfer::UNWRAP,
        transfer::IMPORT,
        keys::CERTIFICATE,
    ]
    .contains(&kind)
}

/// Reaches the token a key is to go to. Whether it can take the key is found out before a PIN is sent, and that it has it already is
/// said.
pub(super) fn open_for(
    context: &Context,
    wanted: &str,
    parcel: &Parcel,
    pin: &UserPinArgs,
) -> Result<(Chosen, Authenticated<TokenTransport>), CliError> {
    let (chosen, mut token) = select(context, Some(wanted), Intent::Change)?;
    let called = chosen.to_string();
    check_domain(&mut token, parcel.kcv()).map_err(|error| failed(&called, &error))?;
    let there = already_there(&mut token, parcel).map_err(|error| card(&called, &error))?;
    if !there.is_empty() {
        let ids: Vec<String> = there.iter().map(KeyId::to_string).collect();
        context.tell(format!(
            "(NOTE: {called} has this key already, as key {}; it will be there once more)",
            ids.join(", ")
        ));
    }
    let token = unlock(context, &chosen, token, pin)?;
    Ok((chosen, token))
}

/// Finishes work with a key.
pub(super) fn finish(context: &Context, work: Work, pin: &UserPinArgs) -> Result<Report, CliError> {
    let wanted = format!("device:{}", work.record().device);
    let (chosen, mut token) = open(context, Some(&wanted), pin)?;
    let called = chosen.to_string();
    if work.record().kind == transfer::WRAP {
        let done = finish_wrap(&mut token, work).map_err(|error| failed(&called, &error))?;
        return wrapped(&chosen, &done);
    }
    if work.record().kind == keys::CERTIFICATE {
        let (id, done) = resume_certificate(&mut token, work).map_err(|error| not_stored(&called, &error))?;
        return stored(&chosen, id, &done);
    }
    match resume(&mut token, work).map_err(|error| failed(&called, &error))? {
        Arrival::Finished(arrived) => installed(&chosen, &arrived),
        Arrival::NothingThere { from } => Report::new(
            &json!({ "token": chosen.device(), "from": from, "arrived": false }),
            format!(
                "{called}: the key from {from} never arrived, and nothing is left of it on the token; give the command \
                 anew"
            ),
        ),
    }
}

/// Undoes work with a key.
///
/// `yes`: a key that cannot prove to be the one brought is deleted without asking.
pub(super) fn take_back(
    context: &Context,
    work: Work,
    pin: &UserPinArgs,
    yes: bool,
) -> Result<Report, CliError> {
    let id = work.id().to_owned();
    if work.record().kind == transfer::WRAP {
        let forgotten = undo_wrap(work).map_err(|error| failed(&id, &error))?;
        let file = forgotten.file.display();
        let stands = if forgotten.complete {
            format!("{file} was complete and is left: it may be all that is left of the key")
        } else {
            format!("it wrote no {file}")
        };
        return Report::new(
            &json!({ "id": id, "undone": true, "file": file.to_string(), "complete": forgotten.complete }),
            format!("{id} is undone: the token was not changed; {stands}"),
        );
    }
    let wanted = format!("device:{}", work.record().device);
    let (chosen, mut token) = open(context, Some(&wanted), pin)?;
    let called = chosen.to_string();
    if work.record().kind == keys::CERTIFICATE {
        let done = undo_certificate(&mut token, work).map_err(|error| not_stored(&called, &error))?;
        let stands = if done.old.is_some() {
            "what stood there before stands"
        } else {
            "nothing stands"
        };
        return Report::new(
            &json!({
                "id": id,
                "undone": true,
                "key": done.id.0,
                "restored": done.old.as_ref().map(CertificateView::of),
            }),
            format!(
                "{id} is undone: {stands} beside key {} of {called} again",
                done.id
            ),
        );
    }
    let sure = |key: KeyId| {
        let lines = [
            format!("{called}: key {key} is there, but whether {id} brought it cannot be told."),
            format!("chancery token keys show {called:?} {key} shows what is known of it."),
        ];
        // Who cannot be asked has not said so.
        yes || confirm(context, &lines, "Delete it?").unwrap_or(false)
    };
    let undone = undo(&mut token, work, sure).map_err(|error| failed(&called, &error))?;
    let files: Vec<String> = undone.files.iter().map(ToString::to_string).collect();
    let text = if undone.key {
        format!(
            "{id} is undone: key {} from {} was deleted from {called}",
            undone.id, undone.from
        )
    } else {
        format!(
            "{id} is undone: the key from {} had not arrived on {called}",
            undone.from
        )
    };
    Report::new(
        &json!({
            "id": id,
            "undone": true,
            "key": undone.key.then_some(undone.id.0),
            "files": files,
        }),
        text,
    )
}

/// Says what arrived.
pub(super) fn installed(chosen: &Chosen, arrived: &Installed) -> Result<Report, CliError> {
    let (word, verified) = match arrived.verified {
        Verified::ByUse => ("by-use", "it made a test use that proves which key it is"),
        Verified::NothingToCompare => (
            "nothing-to-compare",
            "NOT VERIFIED: nothing that came with it says which key it is; with --share its content is compared",
        ),
        Verified::NoUsePermitted => (
            "no-use-permitted",
            "NOT VERIFIED: its algorithm list permits no use that could prove which key it is",
        ),
    };
    let mut text = format!(
        "key {} is on {chosen}, from {}\n{verified}\n",
        arrived.id, arrived.from
    );
    if !arrived.described {
        text.push_str("it has no description: other software does not show it; --label gives it one\n");
    }
    if !arrived.certified {
        text.push_str("no certificate came with it: chancery token cert store stores one\n");
    }
    Report::new(
        &json!({
            "token": chosen.device(),
            "id": arrived.id.0,
            "from": arrived.from,
            "verified": word,
            "description": arrived.described,
            "certificate": arrived.certified,
        }),
        text,
    )
}
