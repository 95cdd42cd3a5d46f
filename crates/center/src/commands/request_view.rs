//! `request list` and `request show`.

use chancery_api::{
    ActPayload, Base64, Decision, DecisionView, Failure, FailureKind, Performed, RequestDetail, RequestList,
    RequestNumber, RequestPage, Subject,
};
use chancery_store::{
    CertificateRecord, CertificateState, DecidedRequest, DecisionKind, DecisionRecord, RequestRecord,
    RequestState,
};

use super::sign::Claim;
use crate::{
    Center,
    acts::ProvenAct,
    committer::store_failure,
    env::rfc3339,
    request::{subject_of, view},
    trust::People,
};

impl Center {
    /// Requests, newest first.
    ///
    /// # Errors
    /// [`FailureKind::Invalid`] for an unknown state.
    pub async fn request_list(&self, call: &RequestList) -> Result<RequestPage, Failure> {
        let state = match &call.state {
            None => None,
            Some(text) => Some(RequestState::from_name(text).ok_or_else(|| {
                Failure::new(FailureKind::Invalid, format!("no request state {text:?}"))
                    .with_remedy("states are open, approved, signing, done and rejected")
            })?),
        };
        let limit = call.limit.clamp(1, 200);
        let records = self
            .store
            .requests(state, call.before, limit)
            .await
            .map_err(|error| store_failure(&error))?;
        let full = u32::try_from(records.len()) == Ok(limit);
        Ok(RequestPage {
            next: records.last().filter(|_| full).map(|record| record.number),
            requests: records.iter().map(view).collect(),
        })
    }

    /// One request in full.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown number.
    pub async fn request_show(&self, number: RequestNumber) -> Result<RequestDetail, Failure> {
        let people = self.people().await?;
        self.request_detail(&people, number).await
    }

    async fn request_detail(&self, people: &People, number: RequestNumber) -> Result<RequestDetail, Failure> {
        let record = self.request_record(number).await?;
        let subject = subject_of(&record)?;
        let decisions = self
            .store
            .decisions(number)
            .await
            .map_err(|error| store_failure(&error))?;
        let (certificate, der) = match record.certificate {
            Some(id) => match self
                .store
                .certificate(id)
                .await
                .map_err(|error| store_failure(&error))?
            {
                Some(certificate) => (
                    Some(self.certificate_view(&certificate).await?),
                    certificate.der.map(Base64),
                ),
                None => (None, None),
            },
            None => (None, None),
        };
        let unmet = self.unmet(people, &record).await?.unmet;
        Ok(RequestDetail {
            request: view(&record),
            subject,
            decisions: decisions.iter().map(decision_view).collect(),
            certificate,
            der,
            unmet,
        })
    }

    pub(crate) async fn request_details(
        &self,
        people: &People,
        numbers: &[RequestNumber],
    ) -> Result<Performed, Failure> {
        let mut requests = Vec::with_capacity(numbers.len());
        for number in numbers {
            requests.push(self.request_detail(people, *number).await?);
        }
        Ok(Performed::Requests { requests })
    }
}

fn decision_view(decision: &DecisionRecord) -> DecisionView {
    let payload: Option<ActPayload> = serde_json::from_slice(&decision.act.payload).ok();
    let reason = match payload.as_ref().map(|payload| &payload.decision) {
        Some(Decision::RequestReject { reason, .. }) => Some(reason.clone()),
        _ => None,
    };
    DecisionView {
        decision: decision.kind.name().to_owned(),
        person: payload.map_or_else(|| "unreadable".to_owned(), |payload| payload.name),
        time: rfc3339(decision.act.created_ms),
        reason,
    }
}

/// A request that was just signed, from what is known of it: nothing is read again.
pub(crate) fn signed_detail(
    people: &People,
    act: &ProvenAct,
    (decided, subject): (&DecidedRequest, Subject),
    claim: &Claim,
    der: Option<Vec<u8>>,
) -> RequestDetail {
    let record = RequestRecord {
        state: RequestState::Done,
        ..decided.request.clone()
    };
    let name = |decision: &DecisionRecord| {
        let person = people.get(decision.act.person);
        person.map_or_else(|| decision.act.person.to_string(), |person| person.name.clone())
    };
    let mut decisions: Vec<DecisionView> = decided
        .decisions
        .iter()
        .map(|decision| DecisionView {
            decision: decision.kind.name().to_owned(),
            person: name(decision),
            time: rfc3339(decision.act.created_ms),
            reason: None,
        })
        .collect();
    decisions.push(DecisionView {
        decision: DecisionKind::Sign.name().to_owned(),
        person: act.person.name.clone(),
        time: rfc3339(act.record.created_ms),
        reason: None,
    });
    let certificate = claim.certificates.first().map(|certificate| {
        let issued = CertificateRecord {
            state: CertificateState::Issued,
            ..certificate.clone()
        };
        super::certificate::view(&issued, claim.ca.name.clone())
    });
    RequestDetail {
        request: view(&record),
        subject,
        decisions,
        certificate,
        der: der.map(Base64),
        unmet: Vec::new(),
    }
}
