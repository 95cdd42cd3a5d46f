//! Leases as text and JSON.

use chancery_agent::{duration, short_line};
use chancery_api::{Extent, FailureKind, LeaseState, LeaseText, LeaseView, Mechanism, Requester};
use serde::Serialize;

use super::named;
use crate::{
    error::CliError,
    report::Report,
    table::{counted, facts, list as names, table},
};

/// A lease with its text readable.
#[derive(Serialize)]
pub(crate) struct LeaseJson<'a> {
    #[serde(flatten)]
    pub(crate) view: &'a LeaseView,
    /// What the text says.
    pub(crate) terms: LeaseText,
}

/// Reads a lease's text.
pub(crate) fn terms(view: &LeaseView) -> Result<LeaseText, CliError> {
    let text: LeaseText = serde_json::from_slice(&view.text.0).map_err(|error| {
        CliError::new(
            FailureKind::Version,
            format!("the text of lease {} cannot be read: {error}", view.lease),
        )
    })?;
    if text.lease == view.lease {
        Ok(text)
    } else {
        Err(named::other(view.lease, &format!("the text of {}", text.lease)))
    }
}

/// As JSON.
pub(crate) fn json(view: &LeaseView) -> Result<LeaseJson<'_>, CliError> {
    Ok(LeaseJson {
        view,
        terms: terms(view)?,
    })
}

/// One lease.
pub(crate) fn report(view: &LeaseView) -> Result<Report, CliError> {
    let shown = json(view)?;
    let text = text(view, &shown.terms);
    Report::new(&shown, text)
}

/// Several.
pub(crate) fn list(leases: &[LeaseView]) -> Result<Report, CliError> {
    let shown: Vec<LeaseJson<'_>> = leases.iter().map(json).collect::<Result<_, _>>()?;
    let rows = shown
        .iter()
        .map(|lease| {
            let view = lease.view;
            vec![
                view.lease.to_string(),
                view.state.name().to_owned(),
                lease.terms.signer.clone(),
                format!("{} of {}", view.used, lease.terms.extent.limit()),
                remaining(view),
                format!("{} of {}", view.agreed.len(), view.needed),
                requester(&lease.terms.requester),
                short_line(&lease.terms.purpose, 40),
            ]
        })
        .collect();
    let text = table(
        &[
            "LEASE", "STATE", "SIGNER", "COUNTED", "LASTS", "AGREED", "ASKED BY", "FOR",
        ],
        rows,
        "no leases; see chancery unlock request --help",
    );
    Report::new(&shown, text)
}

fn remaining(view: &LeaseView) -> String {
    match view.remaining_seconds {
        0 => "-".to_owned(),
        seconds => duration(seconds),
    }
}

/// Who asked, in short.
pub(crate) fn requester(requester: &Requester) -> String {
    match requester {
        Requester::Local { uid } => format!("user {uid}"),
        Requester::Client { name, address, .. } => format!("{name} from {address}"),
    }
}

/// What may be signed, in short.
pub(crate) fn extent(extent: &Extent) -> String {
    match extent {
        Extent::Manifest { manifest, count } => {
            format!(
                "exactly {}, manifest SHA-256 {manifest}",
                counted(*count, "named digest")
            )
        }
        Extent::Named {
            manifest,
            count,
            further,
        } => format!(
            "{}, manifest SHA-256 {manifest}, and the next {further}",
            counted(*count, "named digest")
        ),
        Extent::Count { count } => format!("any {}", counted(*count, "distinct digest")),
    }
}

/// The name of a mechanism, as it is written in options.
pub(crate) const fn mechanism(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Ecdsa => "ecdsa",
        Mechanism::RsaPkcs1 => "rsa-pkcs1",
        Mechanism::RsaPss => "rsa-pss",
    }
}

fn text(view: &LeaseView, terms: &LeaseText) -> String {
    let by = if view.node_enforced {
        "the node: an HSM was open already (node-enforced)"
    } else {
        "the HSMs"
    };
    let agreed = format!(
        "{} of {}: {}",
        view.agreed.len(),
        view.needed,
        names(&view.agreed)
    );
    let mut lines = vec![
        ("lease", view.lease.to_string()),
        ("state", view.state.name().to_owned()),
        ("for", terms.purpose.clone()),
        (
            "signer",
            format!(
                "{} ({}), key SHA-256 {}",
                terms.signer, terms.algorithm, terms.key
            ),
        ),
        ("mechanism", mechanism(terms.mechanism).to_owned()),
        ("permits", extent(&terms.extent)),
        (
            "counted",
            format!(
                "{} of {}; a digest counts before it is signed",
                view.used,
                terms.extent.limit()
            ),
        ),
        ("lasts", format!("{}, until {}", remaining(view), terms.deadline)),
        ("asked by", requester(&terms.requester)),
        ("agreed", agreed),
    ];
    for widening in &terms.widened {
        let until = widening
            .until
            .as_ref()
            .map_or_else(String::new, |until| format!(", until {until}"));
        lines.push((
            "widened",
            format!(
                "by {} at {}: the next {}{until}",
                widening.by,
                widening.at,
                counted(widening.next, "digest")
            ),
        ));
    }
    if view.state == LeaseState::Waiting {
        lines.push(("could agree", names(&view.could)));
    }
    lines.push(("enforced by", by.to_owned()));
    for hsm in &view.hsms {
        lines.push(("HSM", format!("{}: {}", hsm.hsm, hsm.state)));
    }
    if let Some(because) = &view.because {
        lines.push(("because", because.clone()));
    }
    facts(&lines)
}
