//! Which role may decide what. This table is the only place that says so.

use chancery_api::{Condition, Decision, Role};
use chancery_store::RequestKind;

use crate::trust::{People, Person};

/// Roles of which one is enough for a decision that stands alone; `None` for decisions on requests, see [`approver`].
pub(crate) const fn for_decision(decision: &Decision) -> Option<&'static [Role]> {
    match decision {
        Decision::Init { .. } => Some(&[]),
        Decision::HsmInit { .. } => Some(&[Role::TrustcenterManager]),
        Decision::HsmAttach { .. } | Decision::HsmDetach { .. } | Decision::SignerReplicate { .. } => {
            Some(&[Role::TrustcenterManager, Role::TrustcenterOperator])
        }
        Decision::CertificateRevoke { .. } => Some(&[Role::RegistrationOfficer, Role::CertificationOfficer]),
        Decision::CrlCreate { .. } | Decision::RequestSign { .. } => Some(&[Role::CertificationOfficer]),
        Decision::RequestApprove { .. } | Decision::RequestReject { .. } => None,
    }
}

/// The role that approves or rejects a kind of request.
pub(crate) const fn approver(kind: RequestKind) -> Role {
    match kind {
        RequestKind::Certificate => Role::RegistrationOfficer,
        RequestKind::Person | RequestKind::Ca | RequestKind::Custodian | RequestKind::Signer => {
            Role::TrustcenterManager
        }
    }
}

/// The unmet condition when `person` has none of `roles`.
pub(crate) fn missing_role(people: &People, person: &Person, roles: &[Role], to: &str) -> Option<Condition> {
    if roles.iter().any(|role| person.has(*role)) {
        return None;
    }
    let titles: Vec<_> = roles.iter().map(|role| role.title()).collect();
    let mut who: Vec<_> = roles.iter().flat_map(|role| people.with_role(*role)).collect();
    who.sort();
    who.dedup();
    let remedy = if who.is_empty() {
        format!(
            "add a person with that role: chancery person add NAME --role {}",
            roles.first().map_or("", |r| r.name())
        )
    } else {
        format!("have {} do it: --as {}", who.join(" or "), who[0])
    };
    Some(Condition::new(
        "role",
        format!(
            "{} is no {}, which is needed to {to}",
            person.name,
            titles.join(" or ")
        ),
        remedy,
        who,
    ))
}
