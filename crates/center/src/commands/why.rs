//! The explain engine: what stands between a request and its end, in the order in which it should be met.

use chancery_api::{Condition, Failure, FailureKind, HsmId, RequestNumber, Role, Subject, WhyView};
use chancery_keys::State;
use chancery_store::{RequestRecord, RequestState};

use super::approve::{Approval, approvals_needed};
use crate::{
    Center,
    committer::store_failure,
    request::{subject_of, view},
    rights,
    trust::{People, Person},
};

/// The next action on a request and what stands in its way.
pub(crate) struct Explanation {
    pub(crate) action: Option<&'static str>,
    pub(crate) unmet: Vec<Condition>,
    pub(crate) next: Option<String>,
}

impl Center {
    /// Explains a request.
    ///
    /// # Errors
    /// [`chancery_api::FailureKind::NotFound`] for an unknown number.
    pub async fn request_why(&self, number: RequestNumber) -> Result<WhyView, Failure> {
        let people = self.people().await?;
        let record = self.request_record(number).await?;
        let Explanation { action, unmet, next } = self.unmet(&people, &record).await?;
        Ok(WhyView {
            request: view(&record),
            action: action.map(str::to_owned),
            unmet,
            next,
        })
    }

    pub(crate) async fn unmet(
        &self,
        people: &People,
        record: &RequestRecord,
    ) -> Result<Explanation, Failure> {
        let number = record.number;
        let subject = subject_of(record)?;
        let signed = matches!(subject, Subject::Certificate(_) | Subject::Ca(_));
        match record.state {
            RequestState::Done | RequestState::Rejected => Ok(Explanation {
                action: None,
                unmet: Vec::new(),
                next: None,
            }),
            RequestState::Open if !signed => Ok(Explanation {
                action: Some("approve"),
                unmet: self
                    .approval_condition(people, record, &subject)
                    .await?
                    .into_iter()
                    .collect(),
                next: Some(format!("chancery request approve {number} --as NAME")),
            }),
            RequestState::Open => Ok(Explanation {
                action: Some("sign"),
                unmet: self.unmet_for_signing(people, record, None).await?,
                next: Some(format!("chancery request approve {number} --as NAME")),
            }),
            RequestState::Approved if signed => Ok(Explanation {
                action: Some("sign"),
                unmet: self.unmet_for_signing(people, record, None).await?,
                next: Some(format!("chancery request sign {number} --as NAME")),
            }),
            RequestState::Approved => Ok(Explanation {
                action: Some("resume"),
                unmet: self.unmet_for_registration(&subject).await?,
                next: Some(format!("chancery request resume {number}")),
            }),
            RequestState::Signing => Ok(Explanation {
                action: Some("resume"),
                unmet: self.key_conditions(&subject).await?,
                next: Some(format!("chancery request resume {number}")),
            }),
        }
    }

    /// What stands in the way of `request sign`, for one actor or for anybody.
    pub(crate) async fn unmet_for_signing(
        &self,
        people: &People,
        record: &RequestRecord,
        actor: Option<&Person>,
    ) -> Result<Vec<Condition>, Failure> {
        let subject = subject_of(record)?;
        let approvals = match record.state {
            RequestState::Done | RequestState::Rejected => Vec::new(),
            _ => self.valid_approvers(people, record, &subject).await?,
        };
        self.unmet_given(people, (record, &subject), &approvals, actor)
            .await
    }

    /// As [`Self::unmet_for_signing`], with the approvals that hold.
    pub(crate) async fn unmet_given(
        &self,
        people: &People,
        (record, subject): (&RequestRecord, &Subject),
        approvals: &[Approval],
        actor: Option<&Person>,
    ) -> Result<Vec<Condition>, Failure> {
        let number = record.number;
        let mut unmet = Vec::new();
        match record.state {
            RequestState::Open => unmet.extend(Self::lacking_approval(people, record, approvals)),
            RequestState::Approved => {
                if let Subject::Certificate(document) = &subject {
                    match self.issuance(record, document.clone()).await {
                        Ok(_) => {}
                        // Something else than a condition: what was approved was altered.
                        Err(failure) if failure.kind == FailureKind::Refused => return Err(failure),
                        Err(failure) => {
                            let remedy = failure
                                .remedy
                                .unwrap_or_else(|| format!("chancery request show {number}"));
                            unmet.push(Condition::new("changed", failure.message, remedy, Vec::new()));
                        }
                    }
                }
            }
            RequestState::Signing => unmet.push(Condition::new(
                "interrupted",
                format!("request {number} was decided on and its signing was interrupted"),
                format!("chancery request resume {number}"),
                Vec::new(),
            )),
            RequestState::Done | RequestState::Rejected => unmet.push(Condition::new(
                "state",
                format!(
                    "request {number} is {}: there is nothing left to sign",
                    record.state.name()
                ),
                format!("chancery request show {number}"),
                Vec::new(),
            )),
        }
        if matches!(record.state, RequestState::Done | RequestState::Rejected) {
            return Ok(unmet);
        }
        unmet.extend(self.key_conditions(subject).await?);
        unmet.extend(Self::signer_condition(people, record, approvals, actor));
        Ok(unmet)
    }

    async fn approval_condition(
        &self,
        people: &People,
        record: &RequestRecord,
        subject: &Subject,
    ) -> Result<Option<Condition>, Failure> {
        let approvals = self.valid_approvers(people, record, subject).await?;
        Ok(Self::lacking_approval(people, record, &approvals))
    }

    fn lacking_approval(people: &People, record: &RequestRecord, have: &[Approval]) -> Option<Condition> {
        let role = rights::approver(record.kind);
        let need = approvals_needed(people, record, have);
        if have.len() >= need {
            return None;
        }
        let who: Vec<String> = people
            .all()
            .into_iter()
            .filter(|person| person.has(role) && have.iter().all(|approval| approval.person != person.id))
            .map(|person| person.name.clone())
            .collect();
        let number = record.number;
        let remedy = match who.first() {
            Some(name) => format!("chancery request approve {number} --as {name}"),
            None => format!("add a person: chancery person add NAME --role {}", role.name()),
        };
        Some(Condition::new(
            "approval",
            format!(
                "request {number} has {} of {need} approvals by a {}",
                have.len(),
                role.title()
            ),
            remedy,
            who,
        ))
    }

    /// What stands between a request and the key that signs it.
    async fn key_conditions(&self, subject: &Subject) -> Result<Vec<Condition>, Failure> {
        let on = match subject {
            Subject::Certificate(document) => {
                // What the HSMs say is known here; only what is missing is looked up.
                if self
                    .known_authority(&document.ca)
                    .is_some_and(|known| self.is_unlocked(&known.key))
                {
                    return Ok(Vec::new());
                }
                let ca = self.ca_record(&document.ca).await?;
                self.ca_key(&ca).await?.map(|key| key.on)
            }
            Subject::Ca(document) => {
                let ca = self
                    .store
                    .ca_by_name(&document.name)
                    .await
                    .map_err(|error| store_failure(&error))?;
                let key = match ca {
                    Some(ca) => self.ca_key(&ca).await?,
                    None => None,
                };
                Some(key.map_or_else(|| vec![document.hsm.id], |key| key.on))
            }
            Subject::Signer(document) => Some(vec![document.hsm.id]),
            Subject::Person(_) | Subject::Custodian(_) => return Ok(Vec::new()),
        };
        match on {
            Some(on) => self.quorum_conditions(&on).await,
            None => Ok(vec![Condition::new(
                "key",
                "the CA has no key yet",
                "chancery ca list",
                Vec::new(),
            )]),
        }
    }

    /// Empty when one of these HSMs is unlocked. Any one of them is enough: the condition is of the one that needs least, and its remedy
    /// names the others.
    pub(crate) async fn quorum_conditions(&self, on: &[HsmId]) -> Result<Vec<Condition>, Failure> {
        let mut unmet = Vec::new();
        let mut detached = Vec::new();
        for record in self
            .hsm_records()
            .await?
            .into_iter()
            .filter(|record| on.contains(&record.id))
        {
            let Some(hsm) = self.pool.get(record.id) else {
                detached.push(record.name);
                continue;
            };
            if self.desk.is_open_for_all(record.id) {
                return Ok(Vec::new());
            }
            let view = self.hsm_view(&record).await?;
            let name = &record.name;
            let could: Vec<String> = view
                .custodians
                .iter()
                .filter(|custodian| !custodian.answered && !custodian.person.is_empty())
                .map(|custodian| custodian.person.clone())
                .collect();
            let unlock = format!(
                "chancery hsm unlock {name} --as {}",
                could.first().map_or("NAME", String::as_str)
            );
            let quorum = view.quorum;
            let answers_missing = match hsm.state() {
                State::Quorum { have, need } => need.saturating_sub(have),
                State::Locked => quorum.map_or(u8::MAX, |quorum| quorum.required),
                _ => u8::MAX,
            };
            let condition = match hsm.state() {
                // It was opened while the question was asked.
                State::Unlocked { .. } if self.desk.is_open_for_all(record.id) => return Ok(Vec::new()),
                State::Unlocked { .. } => Condition::new(
                    "leases",
                    format!("HSM {name} is open for leases of signing keys alone"),
                    format!("chancery hsm lock {name}; {unlock}"),
                    could,
                ),
                State::Locked => match quorum {
                    Some(quorum) => Condition::new(
                        "quorum",
                        format!("quorum 0 of {} on {name}", quorum.required),
                        unlock,
                        could,
                    ),
                    None => Condition::new(
                        "no-quorum",
                        format!("HSM {name} was not initialised to be opened by custodians"),
                        "use an HSM made with `chancery hsm init`",
                        Vec::new(),
                    ),
                },
                State::Quorum { have, need } => Condition::new(
                    "quorum",
                    format!("quorum {have} of {need} on {name}"),
                    unlock,
                    could,
                ),
                State::Unregistered { missing } => Condition::new(
                    "custodians",
                    format!("{missing} custodians of {name} are not registered yet"),
                    format!("chancery custodian register PERSON --hsm {name} --as NAME"),
                    Vec::new(),
                ),
                State::NotInitialised => Condition::new(
                    "initialised",
                    format!("HSM {name} is not initialised"),
                    format!("chancery hsm init {name}"),
                    Vec::new(),
                ),
                State::Lost { because, .. } => Condition::new(
                    "attached",
                    format!("HSM {name} was lost because {because}"),
                    format!("bring the token back, then: chancery hsm attach {name} --as NAME"),
                    Vec::new(),
                ),
            };
            unmet.push((answers_missing, condition));
        }
        unmet.sort_by_key(|(answers_missing, _)| *answers_missing);
        let mut unmet: Vec<Condition> = unmet.into_iter().map(|(_, condition)| condition).collect();
        if unmet.len() + detached.len() > 1 && !unmet.is_empty() {
            // Lines to be typed, in the order in which they need least.
            let mut others: Vec<String> = unmet.drain(1..).map(|other| other.remedy).collect();
            others.extend(
                detached
                    .iter()
                    .map(|name| format!("chancery hsm attach {name} --as NAME")),
            );
            unmet[0].or = others;
        }
        if unmet.is_empty() {
            let people = self.people().await?;
            let mut who = people.with_role(Role::TrustcenterOperator);
            who.extend(people.with_role(Role::TrustcenterManager));
            who.sort();
            who.dedup();
            let name = detached.first().map_or("NAME", String::as_str);
            unmet.push(Condition::new(
                "attached",
                match detached.is_empty() {
                    true => "no HSM holds the key".to_owned(),
                    false => format!("no HSM that holds the key is attached ({})", detached.join(", ")),
                },
                format!(
                    "chancery hsm attach {name} --as {}",
                    who.first().map_or("NAME", String::as_str)
                ),
                who,
            ));
        }
        Ok(unmet)
    }

    /// Approval and signing are for two people.
    fn signer_condition(
        people: &People,
        record: &RequestRecord,
        approvers: &[Approval],
        actor: Option<&Person>,
    ) -> Option<Condition> {
        let number = record.number;
        let officer = Role::CertificationOfficer;
        let able: Vec<String> = people
            .all()
            .into_iter()
            .filter(|person| {
                person.has(officer) && approvers.iter().all(|approval| approval.person != person.id)
            })
            .map(|person| person.name.clone())
            .collect();
        let remedy = match able.first() {
            Some(name) => format!("chancery request sign {number} --as {name}"),
            None => format!("add a person: chancery person add NAME --role {}", officer.name()),
        };
        if let Some(actor) = actor {
            if !actor.has(officer) {
                return rights::missing_role(people, actor, &[officer], &format!("sign request {number}"));
            }
            if approvers.iter().any(|approval| approval.person == actor.id) {
                let what = format!(
                    "{} approved request {number}; another person must have it signed",
                    actor.name
                );
                return Some(Condition::new("other-person", what, remedy, able));
            }
        } else if able.is_empty() {
            let what = format!(
                "there is no {} who did not approve request {number}",
                officer.title()
            );
            return Some(Condition::new("other-person", what, remedy, able));
        }
        None
    }

    async fn unmet_for_registration(&self, subject: &Subject) -> Result<Vec<Condition>, Failure> {
        let custodian = match subject {
            Subject::Custodian(custodian) => custodian,
            Subject::Signer(_) => return self.key_conditions(subject).await,
            _ => return Ok(Vec::new()),
        };
        let mut unmet = Vec::new();
        for hsm in &custodian.hsms {
            if self.pool.get(hsm.id).is_none() {
                unmet.push(Condition::new(
                    "attached",
                    format!("HSM {} is not attached", hsm.name),
                    format!("chancery hsm attach {} --as NAME", hsm.name),
                    Vec::new(),
                ));
            }
        }
        Ok(unmet)
    }
}
