//! `request reject`.

use chancery_api::{Decision, Failure, FailureKind, Performed, RequestNumber};
use chancery_store::{Change, DecisionKind, RequestState, Write};
use serde_json::json;

use super::approve::check_numbers;
use crate::{
    Center,
    acts::ProvenAct,
    event::{Actor, event},
    rights,
    trust::{People, Person},
};

impl Center {
    pub(crate) async fn draft_reject(
        &self,
        people: &People,
        person: &Person,
        requests: Vec<RequestNumber>,
        reason: String,
    ) -> Result<Decision, Failure> {
        check_numbers(&requests)?;
        if reason.trim().is_empty() {
            return Err(Failure::new(FailureKind::Invalid, "a rejection names a reason"));
        }
        self.check_reject(people, person, &requests).await?;
        Ok(Decision::RequestReject { requests, reason })
    }

    pub(crate) async fn reject(
        &self,
        people: &People,
        act: ProvenAct,
        requests: Vec<RequestNumber>,
    ) -> Result<Performed, Failure> {
        self.check_reject(people, &act.person, &requests).await?;
        let data = json!({ "requests": requests });
        let event = event(self.clock.now_ms(), "requests-rejected", &Actor::Act(&act), &data)?;
        let id = act.record.id;
        let mut writes = vec![Write::InsertAct(act.record)];
        for request in &requests {
            let from = self.request_record(*request).await?.state;
            writes.push(Write::MoveRequest {
                request: *request,
                from,
                to: RequestState::Rejected,
            });
            writes.push(Write::InsertDecision {
                request: *request,
                kind: DecisionKind::Reject,
                act: id,
            });
        }
        self.commit(Change {
            writes,
            events: vec![event],
        })
        .await?;
        self.request_details(people, &requests).await
    }

    async fn check_reject(
        &self,
        people: &People,
        person: &Person,
        requests: &[RequestNumber],
    ) -> Result<(), Failure> {
        let mut unmet = Vec::new();
        for number in requests {
            let record = self.request_record(*number).await?;
            unmet.extend(rights::missing_role(
                people,
                person,
                &[rights::approver(record.kind)],
                &format!("reject request {number}"),
            ));
            if !matches!(record.state, RequestState::Open | RequestState::Approved) {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!(
                        "request {number} is {}: it cannot be rejected any more",
                        record.state.name()
                    ),
                ));
            }
        }
        if unmet.is_empty() {
            Ok(())
        } else {
            Err(Failure::blocked("the requests cannot be rejected", unmet))
        }
    }
}
