//! `request list` and `request show`.

use chancery_api::{
    ActPayload, Base64, Decision, DecisionView, Failure, FailureKind, Performed, RequestDetail, RequestList,
    RequestNumber, RequestPage,
};
use chancery_store::{DecisionRecord, RequestState};

use crate::{
    Center,
    committer::store_failure,
    env::rfc3339,
    request::{subject_of, view},
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
        let record = self.request_record(number).await?;
        let subject = subject_of(&record)?;
        let people = self.people().await?;
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
        let unmet = self.unmet(&people, &record).await?.unmet;
        Ok(RequestDetail {
            request: view(&record),
            subject,
            decisions: decisions.iter().map(decision_view).collect(),
            certificate,
            der,
            unmet,
        })
    }

    pub(crate) async fn request_details(&self, numbers: &[RequestNumber]) -> Result<Performed, Failure> {
        let mut requests = Vec::with_capacity(numbers.len());
        for number in numbers {
            requests.push(self.request_show(*number).await?);
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
