//! What is there already.

use chancery_api::{
    CaList, CertShow, CertificateDetail, FailureKind, Hash32, HsmList, HsmState, HsmView, PersonList,
    RequestDetail, RequestList, RequestNumber, RequestShow, SignerList, Subject,
};
use chancery_pki::pem;

use super::guide::Guide;
use crate::error::CliError;

impl Guide {
    /// Whether a person counts.
    pub(super) fn has_person(&self, name: &str) -> Result<bool, CliError> {
        Ok(self
            .context
            .call(&PersonList {})?
            .iter()
            .any(|person| person.name == name))
    }

    /// An HSM that the node knows.
    pub(super) fn hsm(&self, name: &str) -> Result<Option<HsmView>, CliError> {
        Ok(self
            .context
            .call(&HsmList {})?
            .into_iter()
            .find(|hsm| hsm.name == name))
    }

    /// Whether the root CA can issue.
    pub(super) fn has_active_ca(&self, name: &str) -> Result<bool, CliError> {
        Ok(self
            .context
            .call(&CaList {})?
            .iter()
            .any(|ca| ca.name == name && ca.state == "active"))
    }

    /// Whether the CA's key is on an HSM and has proven it.
    pub(super) fn has_replica(&self, ca: &str, hsm: &str) -> Result<bool, CliError> {
        Ok(self
            .context
            .call(&SignerList {})?
            .iter()
            .filter(|signer| signer.ca == ca)
            .flat_map(|signer| &signer.replicas)
            .any(|replica| replica.hsm == hsm && matches!(replica.state.as_str(), "verified" | "present")))
    }

    /// The newest request, not rejected, that asks for this.
    pub(super) fn request_for(
        &self,
        wanted: impl Fn(&Subject) -> bool,
    ) -> Result<Option<RequestDetail>, CliError> {
        let mut before = None;
        loop {
            let page = self.context.call(&RequestList {
                state: None,
                before,
                limit: PAGE,
            })?;
            for view in &page.requests {
                if view.state == "rejected" {
                    continue;
                }
                let detail = self.context.call(&RequestShow {
                    request: view.request,
                })?;
                if wanted(&detail.subject) {
                    return Ok(Some(detail));
                }
            }
            before = page.next;
            if before.is_none() {
                return Ok(None);
            }
        }
    }

    /// As [`Guide::request_for`], when it is not at its end.
    pub(super) fn pending(
        &self,
        wanted: impl Fn(&Subject) -> bool,
    ) -> Result<Option<RequestNumber>, CliError> {
        Ok(self
            .request_for(wanted)?
            .filter(|detail| detail.request.state != "done")
            .map(|detail| detail.request.request))
    }

    /// The certificate of a request.
    pub(super) fn certificate(&self, request: RequestNumber) -> Result<CertificateDetail, CliError> {
        self.context.call(&CertShow {
            certificate: format!("#{request}"),
        })
    }

    /// Does what is missing of a request: approval, decision to sign, or what was interrupted.
    pub(super) fn finish(&self, number: RequestNumber, approver: &str, signer: &str) -> Result<(), CliError> {
        let n = number.to_string();
        // Open, approved, signing: no request takes more turns than it has states.
        for _ in 0..4 {
            let detail = self.context.call(&RequestShow { request: number })?;
            let to_sign = matches!(detail.subject, Subject::Certificate(_) | Subject::Ca(_));
            match detail.request.state.as_str() {
                "open" => self.run(&["request", "approve", &n, "--as", approver])?,
                "approved" if to_sign => self.run(&["request", "sign", &n, "--as", signer])?,
                "approved" | "signing" => self.run(&["request", "resume", &n])?,
                "done" => return Ok(()),
                _ => break,
            };
        }
        Err(CliError::with_remedy(
            FailureKind::Conflict,
            format!("request {number} does not come to its end"),
            format!("chancery request why {number}"),
        ))
    }
}

/// Requests in one page.
const PAGE: u32 = 200;

/// Whether an HSM can be used once custodians answer.
pub(super) const fn is_held(hsm: &HsmView) -> bool {
    !matches!(hsm.state, HsmState::Detached | HsmState::Lost { .. })
}

/// SHA-256 of a PKCS#10 request (DER), which is how a request names it.
pub(super) fn csr_hash(bytes: &[u8]) -> Result<Hash32, CliError> {
    if !pem::is_pem(bytes) {
        return Ok(Hash32::of(bytes));
    }
    pem::decode(&[pem::REQUEST, pem::NEW_REQUEST], bytes)
        .map(|der| Hash32::of(&der))
        .map_err(|error| {
            CliError::new(
                FailureKind::Invalid,
                format!("the request cannot be read: {error}"),
            )
        })
}
