//! Leases by how their identifier begins.

use chancery_api::{FailureKind, LeaseId, LeaseList, LeaseView};
use uuid::Uuid;

use crate::{error::CliError, node_link::NodeLink};

/// Fewest characters a lease is named by.
const FEWEST: usize = 4;

/// The lease somebody means.
pub(crate) fn lease(link: &NodeLink<'_>, text: &str) -> Result<LeaseId, CliError> {
    match Uuid::parse_str(text) {
        Ok(id) => Ok(LeaseId::new(id)),
        Err(_) => {
            let all = link.call(&LeaseList {
                open_only: false,
                limit: 200,
            })?;
            among(&all, text).map(|view| view.lease)
        }
    }
}

/// The lease that was asked for, and no other one that the node puts in its place.
pub(crate) fn answered(asked: LeaseId, view: LeaseView) -> Result<LeaseView, CliError> {
    if view.lease == asked {
        Ok(view)
    } else {
        Err(other(asked, &view.lease.to_string()))
    }
}

/// The node answered about another lease.
pub(crate) fn other(asked: LeaseId, answered: &str) -> CliError {
    CliError::with_remedy(
        FailureKind::Refused,
        format!(
            "THE NODE ANSWERED ABOUT ANOTHER LEASE: {asked} was asked for, and {answered} came back. It is neither shown nor answered"
        ),
        "do not go on with this node: tell its administrator, and the other custodians",
    )
}

/// The one lease among these whose identifier begins like that.
pub(crate) fn among<'a>(leases: &'a [LeaseView], text: &str) -> Result<&'a LeaseView, CliError> {
    let wanted = text.to_ascii_lowercase();
    let mut found = leases
        .iter()
        .filter(|view| text.len() >= FEWEST && view.lease.to_string().starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(view), None) => Ok(view),
        (Some(_), Some(_)) => Err(CliError::new(
            FailureKind::Invalid,
            format!("several leases begin with {text:?}: type more of it"),
        )),
        (None, _) => Err(CliError::with_remedy(
            FailureKind::NotFound,
            format!("there is no lease {text:?}"),
            "chancery lease list shows them",
        )),
    }
}
