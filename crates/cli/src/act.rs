//! Decisions of people: drafted by the node, shown here, signed by the person's own token here, handed in.

use std::{collections::BTreeMap, path::Path};

use chancery_agent::{ShownAct, sign_act};
use chancery_api::{
    CertificateDetail, CrlDetail, Draft, FailureKind, HsmView, Intent, Perform, Performed, RequestDetail,
    SecretText, SignerView,
};

use crate::{context::Context, error::CliError};

/// A person who decides, and where the PIN comes from.
#[derive(Clone, Copy)]
pub(crate) struct Actor<'a> {
    pub(crate) name: &'a str,
    pub(crate) pin_file: Option<&'a Path>,
}

impl<'a> Actor<'a> {
    /// A person by name.
    pub(crate) fn new(name: &'a str, pin_file: Option<&'a Path>) -> Self {
        Self { name, pin_file }
    }
}

/// Has a person decide.
pub(crate) fn decide(context: &Context, actor: Actor<'_>, intent: Intent) -> Result<Performed, CliError> {
    decide_with(context, actor, intent, BTreeMap::new())
}

/// Has a person decide on something that takes SO-PINs.
pub(crate) fn decide_with(
    context: &Context,
    actor: Actor<'_>,
    intent: Intent,
    so_pins: BTreeMap<String, SecretText>,
) -> Result<Performed, CliError> {
    let installation = context.installation()?.id;
    let draft = context.call(&Draft {
        person: actor.name.to_owned(),
        intent: intent.clone(),
    })?;
    let shown = ShownAct::answering(&draft.payload.0, installation, actor.name, &intent)?;
    for line in shown.lines() {
        context.tell(line);
    }
    let mut token = context.unlocked_token_of(actor.name, actor.pin_file)?;
    let act = sign_act(&mut token, &shown)?;
    // The token is free again while the node works.
    drop(token);
    context.call(&Perform { act, so_pins })
}

/// The HSMs in an answer.
pub(crate) fn hsms(performed: Performed) -> Result<Vec<HsmView>, CliError> {
    match performed {
        Performed::Hsms { hsms } => Ok(hsms),
        other => Err(unexpected(&other)),
    }
}

/// The requests in an answer.
pub(crate) fn requests(performed: Performed) -> Result<Vec<RequestDetail>, CliError> {
    match performed {
        Performed::Requests { requests } => Ok(requests),
        other => Err(unexpected(&other)),
    }
}

/// The signer in an answer.
pub(crate) fn signer(performed: Performed) -> Result<SignerView, CliError> {
    match performed {
        Performed::Signer { signer } => Ok(signer),
        other => Err(unexpected(&other)),
    }
}

/// The certificate in an answer.
pub(crate) fn certificate(performed: Performed) -> Result<CertificateDetail, CliError> {
    match performed {
        Performed::Certificate { certificate } => Ok(certificate),
        other => Err(unexpected(&other)),
    }
}

/// The CRL in an answer.
pub(crate) fn crl(performed: Performed) -> Result<CrlDetail, CliError> {
    match performed {
        Performed::Crl { crl } => Ok(crl),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(performed: &Performed) -> CliError {
    let verb = match performed {
        Performed::Hsms { .. } => "HSMs",
        Performed::Requests { .. } => "requests",
        Performed::Signer { .. } => "a signer",
        Performed::Certificate { .. } => "a certificate",
        Performed::Crl { .. } => "a CRL",
    };
    CliError::with_remedy(
        FailureKind::Version,
        format!("the node answered with {verb}, which was not asked for"),
        "use the program the node was started with: chancery status",
    )
}
