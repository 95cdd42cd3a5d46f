//! Acts: shown from the bytes that will be signed, then signed.

use chancery_api::{
    ActPayload, ApprovedItem, Base64, Decision, HsmDocument, InstallationId, Intent, SignedAct, Subject,
    canonical_json, statement,
};
use chancery_schsm::Algorithm;

use crate::{ACT_KEY, AgentError, intent, text::one_line, token::UnlockedToken};

/// An act as this side understood it. It can only be made from the bytes that will be signed.
#[derive(Debug)]
pub struct ShownAct {
    payload: ActPayload,
    bytes: Vec<u8>,
}

impl ShownAct {
    /// Reads a draft and refuses one that is not for this installation, this person and this verb, or not in canonical form: what is
    /// shown is all there is.
    ///
    /// # Errors
    /// [`AgentError::OtherAct`].
    pub fn read(
        draft: &[u8],
        installation: InstallationId,
        person: &str,
        verb: &str,
    ) -> Result<Self, AgentError> {
        let payload: ActPayload = serde_json::from_slice(draft)
            .map_err(|error| AgentError::OtherAct(format!("it cannot be read ({error})")))?;
        let canonical = canonical_json(&payload).map_err(|error| AgentError::OtherAct(error.to_string()))?;
        let wrong = if canonical != draft {
            Some("it is not in canonical form".to_owned())
        } else if payload.installation != installation {
            Some(format!("it is for installation {}", payload.installation))
        } else if payload.name != person {
            Some(format!("it is for {}", one_line(&payload.name)))
        } else if payload.decision.verb() != verb {
            Some(format!(
                "it decides on {}, not on {verb}",
                payload.decision.verb()
            ))
        } else {
            None
        };
        match wrong {
            Some(why) => Err(AgentError::OtherAct(why)),
            None => Ok(Self {
                payload,
                bytes: draft.to_vec(),
            }),
        }
    }

    /// As [`ShownAct::read`], for a draft that has to decide exactly what was asked for: these requests, these HSMs, this reason.
    ///
    /// # Errors
    /// [`AgentError::OtherAct`].
    pub fn answering(
        draft: &[u8],
        installation: InstallationId,
        person: &str,
        intent: &Intent,
    ) -> Result<Self, AgentError> {
        let shown = Self::read(draft, installation, person, intent::verb(intent))?;
        intent::check(intent, shown.decision())?;
        Ok(shown)
    }

    /// What is decided.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.payload.decision
    }

    /// Everything that is decided, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} decides: {}",
            one_line(&self.payload.name),
            self.payload.decision.verb()
        )];
        decision_lines(&self.payload.decision, &mut lines);
        lines
    }
}

/// Signs an act with the token's act key: one APDU.
///
/// # Errors
/// [`AgentError::Card`] when the token does not sign.
pub fn sign_act(token: &mut UnlockedToken, act: &ShownAct) -> Result<SignedAct, AgentError> {
    sign_payload(token, act.payload.installation, act.bytes.clone())
}

pub(crate) fn sign_payload(
    token: &mut UnlockedToken,
    installation: InstallationId,
    payload: Vec<u8>,
) -> Result<SignedAct, AgentError> {
    let signature = token
        .card
        .sign(
            ACT_KEY,
            Algorithm::EcdsaSha256,
            &statement(installation, &payload),
        )
        .map_err(AgentError::card(&token.name))?;
    Ok(SignedAct {
        payload: Base64(payload),
        signature: Base64(signature),
    })
}

impl UnlockedToken {
    /// Signs the act by which the first manager of an installation comes into being; there is no node yet that could draft it.
    ///
    /// # Errors
    /// [`AgentError::OtherAct`] when the decision is another one, [`AgentError::Card`] when the token does not sign.
    pub fn sign_first_act(&mut self, payload: &ActPayload) -> Result<SignedAct, AgentError> {
        if !matches!(payload.decision, Decision::Init { .. }) {
            return Err(AgentError::OtherAct(
                "only `init` is signed without a draft".to_owned(),
            ));
        }
        let bytes = canonical_json(payload).map_err(|error| AgentError::OtherAct(error.to_string()))?;
        sign_payload(self, payload.installation, bytes)
    }
}

fn decision_lines(decision: &Decision, lines: &mut Vec<String>) {
    let mut line = |text: String| lines.push(format!("  {text}"));
    match decision {
        Decision::Init { person } => line(format!(
            "first manager {}, key {}",
            one_line(&person.name),
            person.key
        )),
        Decision::HsmInit {
            hsms,
            quorum_required,
            quorum_total,
            shares,
        } => {
            line(format!(
                "ERASES and initialises: any {quorum_required} of {quorum_total} custodians open it; {shares} key shares"
            ));
            hsms.iter().for_each(|hsm| line(hsm_line(hsm)));
        }
        Decision::HsmAttach { hsm } | Decision::HsmDetach { hsm } => line(hsm_line(hsm)),
        Decision::RequestApprove { items } => items.iter().for_each(|item| approved_lines(item, &mut line)),
        Decision::RequestReject { requests, reason } => {
            let numbers: Vec<_> = requests.iter().map(ToString::to_string).collect();
            line(format!(
                "requests {}, because: {}",
                numbers.join(", "),
                one_line(reason)
            ));
        }
        Decision::RequestSign { items } => {
            for item in items {
                line(format!(
                    "request {}: {} of CA {}",
                    item.request,
                    one_line(&item.subject),
                    one_line(&item.ca)
                ));
                line(format!("  serial {}", one_line(&item.serial)));
                item.names
                    .iter()
                    .for_each(|name| line(format!("  name {}", one_line(name))));
                line(format!("  to-be-signed bytes SHA-256 {}", item.tbs));
            }
        }
        Decision::SignerReplicate { key, hsm, .. } => {
            line(format!("key SHA-256 {key} is copied to"));
            line(hsm_line(hsm));
        }
        Decision::CertificateRevoke { ca, serial, reason } => {
            line(format!(
                "certificate {} of CA {}, reason {}",
                one_line(serial),
                one_line(ca),
                one_line(reason)
            ));
        }
        Decision::CrlCreate {
            ca,
            number,
            entries,
            next_update,
            tbs,
        } => {
            line(format!(
                "CRL {number} of CA {}: {entries} certificates revoked",
                one_line(ca)
            ));
            line(format!("  good until {}", one_line(next_update)));
            line(format!("  to-be-signed bytes SHA-256 {tbs}"));
        }
    }
}

fn hsm_line(hsm: &HsmDocument) -> String {
    format!(
        "HSM {} is {}, device key SHA-256 {}",
        one_line(&hsm.name),
        one_line(&hsm.device),
        hsm.key
    )
}

fn approved_lines(item: &ApprovedItem, line: &mut impl FnMut(String)) {
    let number = item.request;
    match &item.subject {
        Subject::Certificate(document) => {
            line(format!(
                "request {number}: {} certificate of CA {} for {}",
                one_line(&document.profile),
                one_line(&document.ca),
                one_line(&document.subject)
            ));
            document
                .names
                .iter()
                .for_each(|name| line(format!("  name {}", one_line(name))));
            line(format!(
                "  CSR SHA-256 {}, key SHA-256 {}",
                document.csr, document.key
            ));
            line(format!("  issuer certificate SHA-256 {}", document.issuer));
            line(format!("  profile SHA-256 {}", document.profile_hash));
            if let Some(tbs) = item.tbs {
                line(format!("  to-be-signed bytes SHA-256 {tbs}"));
            }
            document
                .ignored
                .iter()
                .for_each(|part| line(format!("  ignored: {}", one_line(part))));
        }
        Subject::Person(person) => {
            let roles: Vec<_> = person.roles.iter().map(|role| role.title()).collect();
            line(format!(
                "request {number}: person {} as {}",
                one_line(&person.name),
                roles.join(", ")
            ));
            line(format!(
                "  token {}, key SHA-256 {}",
                one_line(&person.device),
                person.key
            ));
        }
        Subject::Ca(ca) => {
            line(format!(
                "request {number}: new CA {}: {}",
                one_line(&ca.name),
                one_line(&ca.subject)
            ));
            line(format!(
                "  {} key by profile {} (SHA-256 {}), generated in",
                one_line(&ca.algorithm),
                one_line(&ca.profile),
                ca.profile_hash
            ));
            line(format!("  {}", hsm_line(&ca.hsm)));
        }
        Subject::Signer(signer) => {
            line(format!(
                "request {number}: new signing key {}",
                one_line(&signer.name)
            ));
            line(format!(
                "  {} key, for signatures that a quorum permits and never for certificates, generated in",
                one_line(&signer.algorithm)
            ));
            line(format!("  {}", hsm_line(&signer.hsm)));
        }
        Subject::Custodian(custodian) => {
            line(format!(
                "request {number}: {} becomes custodian of",
                one_line(&custodian.name)
            ));
            custodian
                .hsms
                .iter()
                .for_each(|hsm| line(format!("  {}", hsm_line(hsm))));
            line(format!(
                "  with key {} (SHA-256 {}) in token {}",
                one_line(&custodian.chr),
                custodian.key,
                one_line(&custodian.device)
            ));
        }
    }
}
