//! `request approve`.

use std::sync::Arc;

use chancery_api::{
    ApprovedItem, Condition, Decision, Failure, FailureKind, Hash32, PersonId, RequestNumber, Subject,
};
use chancery_store::{
    ActRecord, Change, DecisionKind, DecisionRecord, RequestKind, RequestRecord, RequestState, Write,
};
use serde_json::json;

use crate::{
    Center,
    acts::{self, ActHashes, Prepared, ProvenAct},
    attest::attested,
    committer::store_failure,
    event::{Actor, event},
    evidence::TokenEvidence,
    request::{altered, subject_of},
    rights,
    trust::{self, People, Person},
};

/// Most requests in one act.
const MOST_ITEMS: usize = 500;

impl Center {
    pub(crate) async fn draft_approve(
        &self,
        people: &People,
        person: &Person,
        requests: &[RequestNumber],
    ) -> Result<(Decision, Prepared), Failure> {
        check_numbers(requests)?;
        let mut items: Vec<ApprovedItem> = Vec::new();
        let mut prepared = Vec::new();
        let mut unmet = Vec::new();
        for number in requests {
            let record = self.request_record(*number).await?;
            self.check_open(people, person, &record, &mut unmet).await?;
            let subject = subject_of(&record)?;
            let tbs = match &subject {
                Subject::Certificate(document) => {
                    let issuance = self.issuance(&record, document.clone()).await?;
                    Some(self.prepare_inputs(&issuance.inputs())?.as_der().to_vec())
                }
                Subject::Ca(_) if items.iter().any(|item| matches!(item.subject, Subject::Ca(_))) => {
                    return Err(Failure::new(
                        FailureKind::Invalid,
                        "CAs are approved one at a time",
                    ));
                }
                Subject::Signer(_)
                    if items
                        .iter()
                        .any(|item| matches!(item.subject, Subject::Signer(_))) =>
                {
                    return Err(Failure::new(
                        FailureKind::Invalid,
                        "signing keys are approved one at a time",
                    ));
                }
                Subject::Ca(_) | Subject::Person(_) | Subject::Custodian(_) | Subject::Signer(_) => None,
            };
            items.push(ApprovedItem {
                request: *number,
                document: Hash32::of(&record.document),
                subject,
                tbs: tbs.as_deref().map(Hash32::of),
            });
            prepared.push(tbs.unwrap_or_default());
        }
        if !unmet.is_empty() {
            return Err(Failure::blocked(
                format!("{} cannot approve this", person.name),
                unmet,
            ));
        }
        Ok((Decision::RequestApprove { items }, prepared))
    }

    pub(crate) async fn approve(
        &self,
        people: &People,
        act: ProvenAct,
        items: Vec<ApprovedItem>,
        prepared: Prepared,
    ) -> Result<chancery_api::Performed, Failure> {
        // Of two managers who approve at the same time one has to see the other's approval, or nobody's would be the last one.
        let only_certificates = items
            .iter()
            .all(|item| matches!(item.subject, Subject::Certificate(_)));
        let one_at_a_time = match only_certificates {
            true => None,
            false => Some(self.approvals.lock().await),
        };
        let fresh = match one_at_a_time {
            Some(_) => Some(self.people().await?),
            None => None,
        };
        let people = fresh.as_deref().unwrap_or(people);
        let decides_on_people = items
            .iter()
            .any(|item| !matches!(item.subject, Subject::Certificate(_)));
        if decides_on_people && act.payload.time.as_str() < people.newest() {
            return Err(Failure::new(
                FailureKind::Conflict,
                "somebody came to count since this approval was drafted",
            )
            .with_remedy("repeat the command"));
        }
        let mut unmet = Vec::new();
        let mut writes = vec![Write::InsertAct(act.record.clone())];
        let mut approved = Vec::new();
        for (item, tbs) in items.iter().zip(prepared) {
            let record = self.request_record(item.request).await?;
            if Hash32::of(&record.document) != item.document || subject_of(&record)? != item.subject {
                return Err(altered(
                    item.request,
                    "it says something else than what was approved",
                ));
            }
            self.check_open(people, &act.person, &record, &mut unmet).await?;
            let enough = self
                .enough_with(people, &record, &item.subject, act.person.id)
                .await?;
            writes.push(Write::InsertDecision {
                request: record.number,
                kind: DecisionKind::Approve,
                act: act.record.id,
            });
            if enough {
                writes.extend(self.approval_writes(&record, &item.subject, tbs).await?);
                approved.push((record, item.subject.clone()));
            }
        }
        if !unmet.is_empty() {
            return Err(Failure::blocked(
                format!("{} cannot approve this", act.person.name),
                unmet,
            ));
        }
        let numbers: Vec<_> = items.iter().map(|item| item.request).collect();
        let approved_numbers: Vec<_> = approved.iter().map(|(record, _)| record.number).collect();
        let data = json!({ "requests": numbers, "approved": approved_numbers });
        let event = event(self.clock.now_ms(), "requests-approved", &Actor::Act(&act), &data)?;
        self.commit(Change {
            writes,
            events: vec![event],
        })
        .await?;
        drop(one_at_a_time);
        let mut left = Vec::new();
        for (mut record, subject) in approved {
            record.state = RequestState::Approved;
            let number = record.number;
            let carried_out = match &subject {
                Subject::Custodian(custodian) => self.register_custodian(&record, custodian).await,
                Subject::Ca(ca) => self.try_ca_key(&record, ca).await,
                Subject::Signer(_) => self.ensure_signing_key(&record).await,
                Subject::Certificate(_) | Subject::Person(_) => Ok(()),
            };
            if let Err(failure) = carried_out {
                left.push((number, failure));
            }
        }
        let resume: Vec<_> = left
            .iter()
            .map(|(number, _)| format!("chancery request resume {number}"))
            .collect();
        let Some((number, mut failure)) = left.into_iter().next() else {
            return self.request_details(people, &numbers).await;
        };
        failure.message = format!(
            "request {number} is approved, but not yet carried out: {}",
            failure.message
        );
        failure
            .remedy
            .get_or_insert_with(|| format!("remove the cause, then: {}", resume.join("; ")));
        Err(failure)
    }

    /// Approvals of a request that hold: by people with the right role, over what the request says now.
    pub(crate) async fn valid_approvers(
        &self,
        people: &People,
        record: &RequestRecord,
        subject: &Subject,
    ) -> Result<Vec<Approval>, Failure> {
        let decisions = self
            .store
            .decisions(record.number)
            .await
            .map_err(|error| store_failure(&error))?;
        self.approvals_among(people, record, subject, &decisions, &mut ActHashes::default())
    }

    /// Those of the decisions on a request that are approvals that hold.
    pub(crate) fn approvals_among(
        &self,
        people: &People,
        record: &RequestRecord,
        subject: &Subject,
        decisions: &[DecisionRecord],
        hashes: &mut ActHashes,
    ) -> Result<Vec<Approval>, Failure> {
        let role = rights::approver(record.kind);
        let mut valid: Vec<Approval> = Vec::new();
        for decision in decisions
            .iter()
            .filter(|decision| decision.kind == DecisionKind::Approve)
        {
            let person = people
                .get(decision.act.person)
                .ok_or_else(|| altered(record.number, "somebody approved it who gives no rights"))?;
            if !person.has(role) {
                return Err(altered(
                    record.number,
                    &format!("{} approved it and is no {}", person.name, role.title()),
                ));
            }
            let act = hashes.of(&decision.act);
            let tbs = self.approval_holds(person, (&decision.act, act), record, subject)?;
            if valid.iter().all(|approval| approval.person != person.id) {
                let time = match record.kind {
                    RequestKind::Certificate => String::new(),
                    _ => trust::newest_approval(std::slice::from_ref(decision)),
                };
                valid.push(Approval {
                    person: person.id,
                    tbs,
                    time,
                });
            }
        }
        Ok(valid)
    }

    /// Checks one approval; one that was checked before costs a hash.
    fn approval_holds(
        &self,
        person: &Person,
        (act, hash): (&ActRecord, Hash32),
        record: &RequestRecord,
        subject: &Subject,
    ) -> Result<Option<Hash32>, Failure> {
        let act_key = acts::digest(&[b"act", &hash.0, &person.public_key]);
        let key = acts::digest(&[
            b"approval",
            &act_key.0,
            &record.document,
            &record.number.0.to_be_bytes(),
        ]);
        let known = self.lock(&self.checked).get(&key);
        if let Some(tbs) = known {
            return Ok(tbs);
        }
        let proven = self.lock(&self.proven).get(&act_key);
        let payload = match proven {
            Some(payload) => payload,
            None => {
                let payload =
                    acts::verify_record(self.installation.id, act, &person.public_key).map_err(|error| {
                        altered(
                            record.number,
                            &format!("the approval of {} does not hold: {error}", person.name),
                        )
                    })?;
                let payload = Arc::new(payload);
                self.lock(&self.proven).put(act_key, Arc::clone(&payload));
                payload
            }
        };
        let tbs =
            trust::covers(person, &payload, record, subject).map_err(|why| altered(record.number, &why))?;
        self.lock(&self.checked).put(key, tbs);
        Ok(tbs)
    }

    async fn enough_with(
        &self,
        people: &People,
        record: &RequestRecord,
        subject: &Subject,
        actor: PersonId,
    ) -> Result<bool, Failure> {
        let approvals = self.valid_approvers(people, record, subject).await?;
        let mut approvers: Vec<PersonId> = approvals.iter().map(|approval| approval.person).collect();
        approvers.push(actor);
        approvers.sort_unstable();
        approvers.dedup();
        Ok(approvers.len() >= approvals_needed(people, record, &approvals))
    }

    async fn check_open(
        &self,
        people: &People,
        person: &Person,
        record: &RequestRecord,
        unmet: &mut Vec<Condition>,
    ) -> Result<(), Failure> {
        let number = record.number;
        if record.state != RequestState::Open {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!(
                    "request {number} is {}: there is nothing to approve",
                    record.state.name()
                ),
            )
            .with_remedy(format!("chancery request show {number}")));
        }
        let role = rights::approver(record.kind);
        unmet.extend(rights::missing_role(
            people,
            person,
            &[role],
            &format!("approve request {number}"),
        ));
        let subject = subject_of(record)?;
        let approvals = self.valid_approvers(people, record, &subject).await?;
        if approvals.iter().any(|approval| approval.person == person.id) {
            let others: Vec<_> = people
                .with_role(role)
                .into_iter()
                .filter(|name| *name != person.name)
                .collect();
            unmet.push(Condition::new(
                "other-person",
                format!(
                    "{} has approved request {number} already; another person is needed",
                    person.name
                ),
                format!("have another {} approve it", role.title()),
                others,
            ));
        }
        Ok(())
    }

    /// The rows that the last needed approval makes.
    async fn approval_writes(
        &self,
        record: &RequestRecord,
        subject: &Subject,
        tbs: Vec<u8>,
    ) -> Result<Vec<Write>, Failure> {
        let request = record.number;
        let to = |to| Write::MoveRequest {
            request,
            from: RequestState::Open,
            to,
        };
        match subject {
            Subject::Certificate(document) => {
                let issuance = self.issuance(record, document.clone()).await?;
                issuance.reproduce(record, &tbs)?;
                Ok(vec![
                    to(RequestState::Approved),
                    Write::SetRequestTbs {
                        request,
                        state: RequestState::Approved,
                        tbs,
                    },
                ])
            }
            Subject::Person(document) => {
                let evidence = TokenEvidence::decode(&record.evidence)?;
                let what = format!("the key of {}", document.name);
                let key = attested(&self.anchors, &evidence.chain.0, &evidence.key_request.0, &what)?;
                if Hash32::of(&key.spki) != document.key {
                    return Err(altered(request, "its evidence is about another key"));
                }
                self.refuse_taken(document, &key.spki).await?;
                self.refuse_custodian_key(&key.spki, &what).await?;
                let mut writes = Self::person_writes(record, document, key.spki, self.clock.now_ms())?;
                writes.push(to(RequestState::Done));
                Ok(writes)
            }
            Subject::Ca(document) => {
                let mut writes = self.ca_writes(record, document).await?;
                writes.push(to(RequestState::Approved));
                Ok(writes)
            }
            Subject::Signer(document) => {
                let mut writes = self.signing_key_writes(record, document).await?;
                writes.push(to(RequestState::Approved));
                Ok(writes)
            }
            Subject::Custodian(custodian) => {
                self.refuse_custodian(request, custodian).await?;
                Ok(vec![to(RequestState::Approved)])
            }
        }
    }
}

/// An approval that holds.
pub(crate) struct Approval {
    pub(crate) person: PersonId,
    /// The to-be-signed bytes it covers.
    pub(crate) tbs: Option<Hash32>,
    /// When it was drafted, RFC 3339; empty where one approval is enough at any time.
    time: String,
}

/// How many people must approve a request: while it is open as many as there have to be now, later as many as there had to be when
/// the last of these approvals was given.
pub(crate) fn approvals_needed(people: &People, record: &RequestRecord, approvals: &[Approval]) -> usize {
    match record.kind {
        RequestKind::Certificate => 1,
        _ if record.state == RequestState::Open => people.managers_needed().max(1),
        RequestKind::Person | RequestKind::Ca | RequestKind::Custodian | RequestKind::Signer => {
            let newest = approvals.iter().map(|approval| approval.time.as_str()).max();
            newest.map_or(1, |time| people.managers_needed_at(time))
        }
    }
}

pub(crate) fn check_numbers(requests: &[RequestNumber]) -> Result<(), Failure> {
    if requests.is_empty() || requests.len() > MOST_ITEMS {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!("name 1 to {MOST_ITEMS} requests"),
        ));
    }
    let mut sorted = requests.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == requests.len() {
        Ok(())
    } else {
        Err(Failure::new(FailureKind::Invalid, "a request is named twice"))
    }
}
