//! Whether a draft decides what was asked for, as far as a person's names go: the node fills in digests, not other things.

use chancery_api::{Decision, HsmDocument, Intent, RequestNumber};

use crate::AgentError;

/// The verb that an intent becomes.
pub(crate) const fn verb(intent: &Intent) -> &'static str {
    match intent {
        Intent::HsmInit { .. } => "hsm-init",
        Intent::HsmAttach { .. } => "hsm-attach",
        Intent::HsmDetach { .. } => "hsm-detach",
        Intent::RequestApprove { .. } => "request-approve",
        Intent::RequestReject { .. } => "request-reject",
        Intent::RequestSign { .. } => "request-sign",
        Intent::SignerReplicate { .. } => "signer-replicate",
        Intent::CertificateRevoke { .. } => "certificate-revoke",
        Intent::CrlCreate { .. } => "crl-create",
    }
}

/// Refuses a decision that names other things than the intent.
///
/// # Errors
/// [`AgentError::OtherAct`].
pub(crate) fn check(intent: &Intent, decision: &Decision) -> Result<(), AgentError> {
    let answers = match (intent, decision) {
        (
            Intent::HsmInit {
                tokens,
                required,
                total,
                shares,
            },
            Decision::HsmInit {
                hsms,
                quorum_required,
                quorum_total,
                shares: decided,
            },
        ) => {
            hsms.iter().map(|hsm| &hsm.name).eq(tokens)
                && (required, total, shares) == (quorum_required, quorum_total, decided)
        }
        (Intent::HsmAttach { token: name, .. }, Decision::HsmAttach { hsm })
        | (Intent::HsmDetach { hsm: name }, Decision::HsmDetach { hsm })
        | (Intent::SignerReplicate { hsm: name, .. }, Decision::SignerReplicate { hsm, .. }) => {
            named(hsm, name)
        }
        (Intent::RequestApprove { requests }, Decision::RequestApprove { items }) => {
            items.iter().map(|item| item.request).eq(requests.iter().copied())
        }
        (
            Intent::RequestReject { requests, reason },
            Decision::RequestReject {
                requests: decided,
                reason: said,
            },
        ) => requests == decided && reason == said,
        (Intent::RequestSign { requests }, Decision::RequestSign { items }) => {
            // A new CA takes two certificates of one request, its own and that of the audit log.
            let mut decided: Vec<RequestNumber> = items.iter().map(|item| item.request).collect();
            decided.dedup();
            decided == *requests
        }
        (
            Intent::CertificateRevoke { certificate, reason },
            Decision::CertificateRevoke {
                serial, reason: said, ..
            },
        ) => {
            let asked: String = certificate.chars().filter(|c| *c != ':').collect();
            reason == said && (certificate.starts_with('#') || asked.eq_ignore_ascii_case(serial))
        }
        (Intent::CrlCreate { ca }, Decision::CrlCreate { ca: decided, .. }) => ca == decided,
        _ => false,
    };
    if answers {
        Ok(())
    } else {
        Err(AgentError::OtherAct(format!(
            "its {} names other things",
            decision.verb()
        )))
    }
}

fn named(hsm: &HsmDocument, name: &str) -> bool {
    hsm.name == name
}
