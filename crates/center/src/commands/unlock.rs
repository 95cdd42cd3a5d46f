//! `hsm unlock` and `hsm lock`: challenges carried to custodians, answers carried back.
//!
//! The HSM decides whether an answer counts; nothing here can replace a custodian.

use std::collections::HashMap;

use chancery_api::{
    Base64, Condition, Failure, FailureKind, Hash32, HsmLock, HsmView, UnlockAnswer, UnlockChallenge,
    UnlockChallengeView,
};
use chancery_driver::ANSWER_LENGTH;
use chancery_keys::{Hsm, HsmError, Inspection, State};
use chancery_store::{Change, HsmRecord};
use serde_json::{Value, json};

use super::unlock_questions::Question;
use crate::{
    Center,
    event::{Actor, event},
    tokens::hsm_failure,
    trust::Person,
};

impl Center {
    /// Asks an HSM for a challenge for one custodian, in turn with others who are asked.
    ///
    /// # Errors
    /// Blocked when the person is not registered in that HSM or has answered already; [`FailureKind::Conflict`] when the HSM is open,
    /// or counts what custodians gave for leases.
    pub async fn unlock_challenge(&self, call: &UnlockChallenge) -> Result<UnlockChallengeView, Failure> {
        let people = self.people().await?;
        let person = people.by_name(&call.person)?;
        let record = self.hsm_record(&call.hsm).await?;
        let hsm = self.held(&record)?;
        self.require_free_of_leases(&record, &hsm).await?;
        let names = self.custodian_names(record.id).await?;
        if !names.values().any(|name| *name == person.name) {
            // Nobody's turn is taken by somebody who cannot answer.
            let inspection = self
                .inspect(record.id, &hsm)
                .await
                .map_err(|error| hsm_failure(&error))?;
            return Err(no_custodian(call, &still_to_answer(&inspection, &names)));
        }
        let turn = self
            .turn(&record, person.id)
            .await
            .map_err(|failure| of_unlock(failure, call))?;
        // Others were asked meanwhile.
        let hsm = self.held(&record)?;
        let inspection = self.require_given_for_all(&record, &hsm).await?;
        let chr = custodian(call, person, &inspection, &names)?;
        let challenge = hsm.challenge(&chr).await.map_err(|error| hsm_failure(&error))?;
        let question = Question {
            session: challenge.session.clone(),
            person: person.id,
            name: person.name.clone(),
            chr: chr.clone(),
            challenge: challenge.challenge,
        };
        self.lock(&self.unlocking).ask(record.id, question);
        turn.was_asked();
        Ok(UnlockChallengeView {
            session: challenge.session,
            hsm: record.name,
            chain: Base64(hsm.identity().chain.clone()),
            chr,
            challenge: Base64(challenge.challenge.to_vec()),
        })
    }

    /// Carries a custodian's answer to the HSM.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] when nothing was asked by `hsm unlock` in that session, or the HSM does not accept the answer;
    /// [`FailureKind::Conflict`] when the HSM counts what custodians gave for leases by now.
    pub async fn unlock_answer(&self, call: &UnlockAnswer) -> Result<HsmView, Failure> {
        let record = self.hsm_record(&call.hsm).await?;
        let hsm = self.held(&record)?;
        let _one_at_a_time = self.desk.answering(record.id).await;
        if call.signature.0.len() != ANSWER_LENGTH {
            // It costs the challenge nothing.
            return Err(Failure::new(
                FailureKind::Refused,
                format!(
                    "an answer has {ANSWER_LENGTH} bytes, this one has {}",
                    call.signature.0.len()
                ),
            )
            .with_remedy("an answer is r and s of the custodian's signature, 32 bytes each"));
        }
        let asked = self.lock(&self.unlocking).take(record.id, &call.session);
        let Some(asked) = asked else {
            return Err(nothing_asked(&record.name));
        };
        let turn = self.answering(record.id, asked.person);
        // From lock to lock: read afterwards it might be the one that others opened the HSM in.
        let era = hsm.status().era;
        if let Err(failure) = self.require_given_for_all(&record, &hsm).await {
            self.record_refused(&record, &asked, &failure.message).await?;
            return Err(failure);
        }
        let state = match hsm.answer(&call.session, &call.signature.0).await {
            Ok(state) => state,
            Err(error @ HsmError::Busy { .. }) => {
                // It did not get as far as the HSM, and may come again.
                turn.comes_again();
                self.lock(&self.unlocking).ask(record.id, asked);
                return Err(hsm_failure(&error));
            }
            Err(error) => {
                self.record_refused(&record, &asked, &error.to_string()).await?;
                return Err(hsm_failure(&error));
            }
        };
        self.lock(&self.unlocking)
            .count(record.id, era, asked.chr.clone());
        if state.is_unlocked() {
            self.desk.opened_for_all(record.id, era);
            self.desk.wake();
        }
        let recorded = self.record_answer(&record, call, &asked, &state).await;
        if recorded.is_err() {
            // An HSM is not open without a trace: what cannot be recorded is undone.
            hsm.lock().await.map_err(|error| hsm_failure(&error))?;
        }
        recorded
    }

    /// Refuses an HSM that is open, or counts answers that custodians gave for leases that are not over.
    async fn require_free_of_leases(&self, record: &HsmRecord, hsm: &Hsm) -> Result<(), Failure> {
        let name = &record.name;
        if hsm.state().is_unlocked() {
            if self.desk.is_open_for_all(record.id) {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!("HSM {name} is unlocked already"),
                ));
            }
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("HSM {name} is open for leases of signing keys alone"),
            )
            .with_remedy(format!(
                "lock it first, its leases then ask their custodians again: chancery hsm lock {name}"
            )));
        }
        self.desk.notice().await;
        if self.desk.counts_for_a_lease(record.id) {
            return Err(given_for_a_lease(name).with_remedy(format!(
                "wait until that lease is answered, or forget the answer: chancery hsm lock {name}"
            )));
        }
        Ok(())
    }

    /// Refuses an HSM that counts any answer but those given to `hsm unlock` since it was locked: also one for a lease that is over,
    /// or one that nobody could tell of.
    async fn require_given_for_all(&self, record: &HsmRecord, hsm: &Hsm) -> Result<Inspection, Failure> {
        self.require_free_of_leases(record, hsm).await?;
        let era = hsm.status().era;
        let inspection = self
            .inspect(record.id, hsm)
            .await
            .map_err(|error| hsm_failure(&error))?;
        if self.lock(&self.unlocking).has_all(record.id, era, &inspection) {
            return Ok(inspection);
        }
        let name = &record.name;
        Err(given_for_a_lease(name).with_remedy(format!(
            "forget it, and have everybody answer: chancery hsm lock {name}; chancery hsm unlock {name} --as NAME"
        )))
    }

    /// Records an answer with everything an outsider needs to check it: who the HSM is, the key that was asked, the signature.
    async fn record_answer(
        &self,
        record: &HsmRecord,
        call: &UnlockAnswer,
        asked: &Question,
        state: &State,
    ) -> Result<HsmView, Failure> {
        let view = self.hsm_view(record).await?;
        let name = match state.is_unlocked() {
            true => "hsm-unlocked",
            false => "custodian-answered",
        };
        let data = json!({
            "hsm": record.name, "device": record.device, "key": Hash32::of(&record.device_key),
            "asked": asked.told(), "signature": call.signature, "state": view.state,
        });
        self.record_event(name, &data).await?;
        Ok(view)
    }

    /// Records that an answer to a question did not count. There is no such record of an answer to nothing.
    async fn record_refused(
        &self,
        record: &HsmRecord,
        asked: &Question,
        because: &str,
    ) -> Result<(), Failure> {
        let data = json!({ "hsm": record.name, "asked": asked.told(), "because": because });
        self.record_event("answer-refused", &data).await
    }

    async fn record_event(&self, name: &str, data: &Value) -> Result<(), Failure> {
        self.commit(Change {
            writes: Vec::new(),
            events: vec![event(self.clock.now_ms(), name, &Actor::Node, data)?],
        })
        .await
    }

    /// An HSM that custodians opened for leases of signing keys is open for nothing else.
    pub(crate) fn refuse_open_for_leases(&self, record: &HsmRecord) -> Result<(), Failure> {
        let open = self
            .pool
            .get(record.id)
            .is_some_and(|hsm| hsm.state().is_unlocked());
        if !open || self.desk.is_open_for_all(record.id) {
            return Ok(());
        }
        let name = &record.name;
        let what = format!("HSM {name} is open for leases of signing keys alone");
        let remedy = format!("chancery hsm lock {name}; chancery hsm unlock {name} --as NAME");
        Err(Failure::blocked(
            what.clone(),
            vec![Condition::new("leases", what, remedy, Vec::new())],
        ))
    }

    /// Records that an HSM was locked without being asked to.
    pub(crate) async fn record_locked(
        &self,
        hsm: &str,
        because: &str,
        actor: &Actor<'_>,
    ) -> Result<(), Failure> {
        let data = json!({ "hsm": hsm, "because": because });
        self.commit(Change {
            writes: Vec::new(),
            events: vec![event(self.clock.now_ms(), "hsm-locked", actor, &data)?],
        })
        .await
    }

    /// Locks HSMs at once.
    ///
    /// # Errors
    /// When an HSM named is unknown or not attached.
    pub async fn hsm_lock(&self, call: &HsmLock, uid: u32) -> Result<Vec<HsmView>, Failure> {
        let mut locked_now = Vec::new();
        let mut failed = None;
        for record in self.hsm_records().await? {
            let named = call.hsms.contains(&record.name);
            if !named && !call.hsms.is_empty() {
                continue;
            }
            // One HSM that cannot be locked leaves no other one open.
            let locked = match self.held(&record) {
                Ok(hsm) => match hsm.lock().await {
                    // A lost one was locked by its loss.
                    Err(HsmError::Lost { .. }) if !named => continue,
                    outcome => outcome.map_err(|error| hsm_failure(&error)),
                },
                Err(_) if !named => continue,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = locked {
                failed.get_or_insert(failure);
                continue;
            }
            self.desk.not_open_for_all(record.id);
            locked_now.push(record);
        }
        // Locked first, told afterwards: a full disk keeps no HSM open.
        let mut events = Vec::new();
        for record in &locked_now {
            let data = json!({ "hsm": record.name });
            events.push(event(
                self.clock.now_ms(),
                "hsm-locked",
                &Actor::Local(uid),
                &data,
            )?);
        }
        if !events.is_empty() {
            self.commit(Change {
                writes: Vec::new(),
                events,
            })
            .await?;
        }
        self.desk.notice().await;
        let mut views = Vec::new();
        for record in &locked_now {
            views.push(self.hsm_view(record).await?);
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        if let Some(unknown) = call
            .hsms
            .iter()
            .find(|name| views.iter().all(|view| view.name != **name))
        {
            return Err(Failure::new(
                FailureKind::NotFound,
                format!("there is no HSM named {unknown}"),
            ));
        }
        Ok(views)
    }
}

/// The holder reference of the person's key in an HSM that still waits for this custodian.
fn custodian(
    call: &UnlockChallenge,
    person: &Person,
    inspection: &Inspection,
    names: &HashMap<String, String>,
) -> Result<String, Failure> {
    let of_person = inspection
        .custodians
        .iter()
        .find(|custodian| names.get(&custodian.chr).is_some_and(|name| *name == person.name));
    let registered = still_to_answer(inspection, names);
    let Some(custodian) = of_person else {
        return Err(no_custodian(call, &registered));
    };
    if custodian.answered {
        let what = format!(
            "{} has answered HSM {} already; another custodian is needed",
            call.person, call.hsm
        );
        return Err(blocked(call, &registered, "answered", what));
    }
    Ok(custodian.chr.clone())
}

/// Names of the custodians that an HSM lists and has no answer of.
fn still_to_answer(inspection: &Inspection, names: &HashMap<String, String>) -> Vec<String> {
    inspection
        .custodians
        .iter()
        .filter(|custodian| !custodian.answered)
        .filter_map(|custodian| names.get(&custodian.chr).cloned())
        .collect()
}

fn no_custodian(call: &UnlockChallenge, registered: &[String]) -> Failure {
    let what = format!("{} is no custodian of HSM {}", call.person, call.hsm);
    blocked(call, registered, "custodian", what)
}

fn blocked(call: &UnlockChallenge, registered: &[String], code: &str, what: String) -> Failure {
    let remedy = format!(
        "chancery hsm unlock {} --as {}",
        call.hsm,
        registered.first().map_or("NAME", |n| n)
    );
    let condition = Condition::new(code, what.clone(), remedy, registered.to_vec());
    Failure::blocked(what, vec![condition])
}

/// Where turns are taken for leases too, the next step here is another one.
fn of_unlock(mut failure: Failure, call: &UnlockChallenge) -> Failure {
    if failure.remedy.is_some() {
        failure.remedy = Some(format!(
            "answer again: chancery hsm unlock {} --as {}",
            call.hsm, call.person
        ));
    }
    failure
}

fn given_for_a_lease(hsm: &str) -> Failure {
    Failure::new(
        FailureKind::Conflict,
        format!("HSM {hsm} counts an answer that a custodian gave for a lease, and for nothing else"),
    )
}

fn nothing_asked(hsm: &str) -> Failure {
    Failure::new(
        FailureKind::Refused,
        format!(
            "hsm unlock asked nothing of HSM {hsm} in this session: it was answered before, the same custodian was asked again, the \
             challenge was drawn for a lease, or the node was restarted"
        ),
    )
    .with_remedy(format!("ask for a new challenge: chancery hsm unlock {hsm} --as NAME"))
}
