//! `request resume`: what was decided and then interrupted is carried on; it needs no new act.

use chancery_api::{
    ActPayload, Decision, Failure, FailureKind, Hash32, RequestDetail, RequestNumber, Role, Subject,
};
use chancery_store::{
    CertificateRecord, Change, DecisionKind, DecisionRecord, RequestRecord, RequestState, Write,
};
use serde_json::json;

use super::{approve::Approval, sign::Claim};
use crate::{
    Center, acts,
    committer::store_failure,
    event::{Actor, event},
    request::{altered, subject_of},
    trust::People,
};

impl Center {
    /// Carries on.
    ///
    /// # Errors
    /// Blocked as the interrupted step itself; [`FailureKind::Conflict`] when nothing was interrupted.
    pub async fn request_resume(&self, number: RequestNumber) -> Result<RequestDetail, Failure> {
        let people = self.people().await?;
        let record = self.request_record(number).await?;
        let subject = subject_of(&record)?;
        match (record.state, &subject) {
            (RequestState::Approved, Subject::Custodian(custodian)) => {
                self.require_approval(&people, &record, &subject).await?;
                self.register_custodian(&record, custodian).await?;
            }
            (RequestState::Approved, Subject::Ca(_)) => {
                self.require_approval(&people, &record, &subject).await?;
                self.ensure_ca_key(&record).await?;
            }
            (RequestState::Approved, Subject::Signer(_)) => {
                self.require_approval(&people, &record, &subject).await?;
                self.ensure_signing_key(&record).await?;
            }
            (RequestState::Signing, _) => {
                self.require_approval(&people, &record, &subject).await?;
                let claim = self.reclaim(&people, &record, &subject).await?;
                self.finish(&claim).await?;
            }
            _ => {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!(
                        "request {number} is {}: nothing of it was interrupted",
                        record.state.name()
                    ),
                )
                .with_remedy(format!("chancery request why {number}")));
            }
        }
        self.request_show(number).await
    }

    pub(crate) async fn require_approval(
        &self,
        people: &People,
        record: &RequestRecord,
        subject: &Subject,
    ) -> Result<(), Failure> {
        let approvers = self.valid_approvers(people, record, subject).await?;
        if approvers.len() < super::approve::approvals_needed(people, record, &approvers) {
            return Err(altered(
                record.number,
                "its state says approved, but no approval holds",
            ));
        }
        Ok(())
    }

    /// Takes over the claim of an earlier start of the node, or of a call that failed: the same bytes, signed again.
    async fn reclaim(
        &self,
        people: &People,
        record: &RequestRecord,
        subject: &Subject,
    ) -> Result<Claim, Failure> {
        let failed = |error| store_failure(&error);
        let certificates: Vec<CertificateRecord> = self
            .store
            .certificates_signing()
            .await
            .map_err(failed)?
            .into_iter()
            .filter(|certificate| certificate.request == Some(record.number))
            .collect();
        let first = record
            .certificate
            .ok_or_else(|| altered(record.number, "its certificate is gone"))?;
        let ca_id = certificates
            .iter()
            .find(|certificate| certificate.id == first)
            .map(|certificate| certificate.ca)
            .ok_or_else(|| altered(record.number, "its certificate is gone or signed already"))?;
        let ca = self
            .store
            .ca(ca_id)
            .await
            .map_err(failed)?
            .ok_or_else(|| altered(record.number, "its CA is gone"))?;
        let decisions = self.store.decisions(record.number).await.map_err(failed)?;
        let approvals = self.valid_approvers(people, record, subject).await?;
        for certificate in &certificates {
            if certificate.ca != ca.id {
                return Err(altered(record.number, "its certificates name different CAs"));
            }
            self.decided(people, record, certificate, &ca.name, &decisions, &approvals)?;
        }
        match subject {
            Subject::Certificate(document) => {
                let issuance = self.issuance(record, document.clone()).await?;
                if issuance.authority.id != ca.id {
                    return Err(altered(record.number, "its certificate names another CA"));
                }
                for certificate in &certificates {
                    issuance.reproduce(record, &certificate.tbs)?;
                }
            }
            _ if ca.request != record.number => {
                return Err(altered(record.number, "its certificate names another CA"));
            }
            _ => {}
        }
        let key = self
            .ca_key(&ca)
            .await?
            .ok_or_else(|| altered(record.number, "the key of its CA is gone"))?;
        if !self.is_unlocked(&key) {
            let unmet = self.quorum_conditions(&key.on).await?;
            return Err(Failure::blocked(
                format!("request {} cannot be signed now", record.number),
                unmet,
            ));
        }
        let mut certificates = certificates;
        certificates.sort_by_key(|certificate| certificate.id != first);
        let writes: Vec<_> = certificates
            .iter_mut()
            .filter(|certificate| certificate.epoch != self.epoch)
            .map(|certificate| {
                certificate.epoch = self.epoch;
                Write::ReclaimCertificate {
                    certificate: certificate.id,
                    epoch: self.epoch,
                }
            })
            .collect();
        if !writes.is_empty() {
            let serials: Vec<_> = certificates
                .iter()
                .map(|certificate| hex::encode(&certificate.serial))
                .collect();
            let data =
                json!({ "request": record.number, "ca": ca.name, "serials": serials, "epoch": self.epoch });
            let events = vec![event(
                self.clock.now_ms(),
                "claim-taken-over",
                &Actor::Node,
                &data,
            )?];
            self.commit(Change { writes, events }).await?;
        }
        Ok(Claim {
            request: record.number,
            ca,
            key,
            certificates,
        })
    }

    /// Checks that a Certification Officer who did not approve the request decided on exactly these bytes.
    fn decided(
        &self,
        people: &People,
        record: &RequestRecord,
        certificate: &CertificateRecord,
        ca: &str,
        decisions: &[DecisionRecord],
        approvals: &[Approval],
    ) -> Result<(), Failure> {
        let tbs = Hash32::of(&certificate.tbs);
        let serial = hex::encode(&certificate.serial);
        for decision in decisions
            .iter()
            .filter(|decision| decision.kind == DecisionKind::Sign)
        {
            let Some(person) = people.get(decision.act.person) else {
                continue;
            };
            let approved = approvals.iter().any(|approval| approval.person == person.id);
            if decision.act.id != certificate.act || !person.has(Role::CertificationOfficer) || approved {
                continue;
            }
            let payload: ActPayload =
                acts::verify_record(self.installation.id, &decision.act, &person.public_key).map_err(
                    |error| {
                        altered(
                            record.number,
                            &format!("the decision of {}: {error}", person.name),
                        )
                    },
                )?;
            if let Decision::RequestSign { items } = payload.decision
                && items.iter().any(|item| {
                    item.request == record.number && item.ca == ca && item.tbs == tbs && item.serial == serial
                })
            {
                return Ok(());
            }
        }
        Err(altered(record.number, "nobody decided to sign these bytes"))
    }
}
