//! Opening requests and reading them back as what was approved.

use std::sync::atomic::Ordering;

use chancery_api::{Failure, FailureKind, RequestNumber, RequestView, Subject, canonical_json};
use chancery_store::{Change, RequestKind, RequestRecord, RequestState, Write};
use serde_json::json;

use crate::{
    Center,
    committer::store_failure,
    env::rfc3339,
    event::{Actor, event},
};

/// What opens a request.
pub(crate) struct Opening {
    pub(crate) subject: Subject,
    pub(crate) evidence: Vec<u8>,
    pub(crate) title: String,
    /// Further rows of the same change.
    pub(crate) writes: Vec<Write>,
}

impl Center {
    /// Records a request, open.
    pub(crate) async fn open_request(
        &self,
        uid: u32,
        opening: impl FnOnce(RequestNumber) -> Opening,
    ) -> Result<RequestRecord, Failure> {
        let number = RequestNumber(self.last_request.fetch_add(1, Ordering::Relaxed) + 1);
        let Opening {
            subject,
            evidence,
            title,
            writes,
        } = opening(number);
        let now = self.clock.now_ms();
        let record = RequestRecord {
            number,
            kind: kind_of(&subject),
            state: RequestState::Open,
            title,
            document: canonical_json(&subject)
                .map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?,
            evidence,
            tbs: None,
            certificate: None,
            created_by_uid: i64::from(uid),
            created_ms: now,
        };
        let data = json!({ "request": number, "subject": subject });
        let event = event(now, "request-opened", &Actor::Local(uid), &data)?;
        let mut all = vec![Write::InsertRequest(record.clone())];
        all.extend(writes);
        self.commit(Change {
            writes: all,
            events: vec![event],
        })
        .await?;
        Ok(record)
    }

    pub(crate) async fn request_record(&self, number: RequestNumber) -> Result<RequestRecord, Failure> {
        self.store
            .request(number)
            .await
            .map_err(|error| store_failure(&error))?
            .ok_or_else(|| {
                Failure::new(FailureKind::NotFound, format!("there is no request {number}"))
                    .with_remedy("chancery request list")
            })
    }
}

/// What a request asks for, as its document says.
pub(crate) fn subject_of(record: &RequestRecord) -> Result<Subject, Failure> {
    let subject: Subject = serde_json::from_slice(&record.document)
        .map_err(|error| altered(record.number, &format!("its document cannot be read: {error}")))?;
    if kind_of(&subject) != record.kind {
        return Err(altered(record.number, "its kind and its document differ"));
    }
    Ok(subject)
}

/// A request that does not say what it said when it was approved.
pub(crate) fn altered(number: RequestNumber, why: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("request {number} was altered in the database: {why}"))
        .with_remedy("nothing was signed; find out who changed the database (`chancery audit verify`) and import the request again")
}

pub(crate) const fn kind_of(subject: &Subject) -> RequestKind {
    match subject {
        Subject::Certificate(_) => RequestKind::Certificate,
        Subject::Person(_) => RequestKind::Person,
        Subject::Ca(_) => RequestKind::Ca,
        Subject::Custodian(_) => RequestKind::Custodian,
        Subject::Signer(_) => RequestKind::Signer,
    }
}

/// A request as lists show it.
pub(crate) fn view(record: &RequestRecord) -> RequestView {
    RequestView {
        request: record.number,
        kind: record.kind.name().to_owned(),
        state: record.state.name().to_owned(),
        title: record.title.clone(),
        created: rfc3339(record.created_ms),
    }
}
