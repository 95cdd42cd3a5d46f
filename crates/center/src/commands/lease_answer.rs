//! `lease.answer`: a custodian's answer for one HSM of a lease, or a refusal.

use std::sync::Arc;

use chancery_api::{
    Base64, Failure, FailureKind, Hash32, HsmDocument, LeaseAnswer, LeaseId, LeaseState, LeaseText,
    LeaseView, StatementKind, lease_statement,
};
use chancery_keys::State;
use chancery_store::{Change, HsmRecord, LeaseAnswerRecord, Write};
use serde_json::{Value, json};

use super::{
    hsm_attach::document, lease_challenge::hsm_of, lease_end::LONGEST_REASON, lease_request::is_one_line,
    lease_view::unknown,
};
use crate::{
    Center,
    event::{Actor, event},
    leases::{Asked, Given, signed_by},
    tokens::hsm_failure,
};

impl Center {
    /// Takes a custodian's answer.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] for an answer to something else, by somebody else, or a second time.
    pub async fn lease_answer(&self, call: &LeaseAnswer) -> Result<LeaseView, Failure> {
        self.desk.notice().await;
        let asked = self.take_question(call)?;
        let _turn = (asked.kind == StatementKind::Unlock).then(|| self.answering(asked.hsm, asked.person));
        let text = self.open_text(call.lease).await?;
        let hsm = hsm_of(&text, asked.hsm).ok_or_else(|| unknown(call.lease))?;
        let record = self.hsm_record(&hsm.name).await?;
        if document(&record) != *hsm {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("HSM {} is another one now than in the lease", hsm.name),
            ));
        }
        let reason = reason(call, &asked)?;
        if asked.kind == StatementKind::Refuse {
            // No HSM is needed for that.
            let counting = self.desk.counting.lock().await;
            self.require_signed(call, &asked, hsm, reason).await?;
            self.refused(call, &asked, hsm, reason.unwrap_or_default())
                .await?;
            drop(counting);
            self.desk.lock_unneeded().await;
        } else {
            let _one_at_a_time = self.desk.answering(asked.hsm).await;
            let about = self.require_signed(call, &asked, hsm, reason).await?;
            match asked.kind {
                StatementKind::Lock => self.agreed_lock(call, &asked, &record, hsm, &text).await?,
                StatementKind::Unlock => {
                    self.require_first(call.lease, &asked, hsm)?;
                    self.agreed_unlock(call, &asked, &record, hsm, &about).await?;
                }
                _ => {
                    self.require_first(call.lease, &asked, hsm)?;
                    self.agreed_open(call, &asked, &record, hsm, &about).await?;
                }
            }
        }
        self.desk.tell();
        self.desk.wake();
        self.lease_view(call.lease).await
    }

    /// The text of the lease, when the custodian signed it.
    async fn require_signed(
        &self,
        call: &LeaseAnswer,
        asked: &Asked,
        hsm: &HsmDocument,
        reason: Option<&str>,
    ) -> Result<Arc<[u8]>, Failure> {
        let (bytes, earlier) = {
            let open = self.desk.book();
            let lease = open.get(&call.lease).ok_or_else(|| unknown(call.lease))?;
            (Arc::clone(&lease.bytes), lease.earlier.clone())
        };
        let is_signed = |text: &[u8]| {
            let device = &hsm.device;
            let statement = lease_statement(asked.kind, text, asked.log, reason, device, asked.challenge);
            signed_by(&asked.spki, &statement, &call.statement.0)
        };
        if is_signed(&bytes) {
            return Ok(bytes);
        }
        if earlier.iter().any(|text| is_signed(text)) {
            return Err(self.widened_meanwhile(call.lease, &asked.name));
        }
        let because = "the statement is not signed by that custodian's key over this lease and question";
        self.refuse_answer(asked, hsm, because).await?;
        Err(Failure::new(
            FailureKind::Refused,
            format!("the answer of {} does not count: {because}", asked.name),
        )
        .with_remedy("answer with the custodian's own token: chancery approve --as NAME"))
    }

    /// Refuses an answer about a lease that ended, or has another text, since the answer was looked at.
    fn require_text(&self, id: LeaseId, text: &Arc<[u8]>, person: &str) -> Result<(), Failure> {
        let now = {
            let open = self.desk.book();
            let lease = open.get(&id).filter(|lease| lease.state.is_open());
            lease.map(|lease| Arc::clone(&lease.bytes))
        };
        match now {
            None => Err(ended_meanwhile()),
            Some(now) if !Arc::ptr_eq(&now, text) => Err(self.widened_meanwhile(id, person)),
            Some(_) => Ok(()),
        }
    }

    /// What was asked in this session; each question is answered once.
    fn take_question(&self, call: &LeaseAnswer) -> Result<Asked, Failure> {
        let now = self.desk.now();
        let mut waiting = self.lock(&self.desk.asked);
        let asked = waiting
            .get(&call.session)
            .filter(|asked| asked.until > now)
            .cloned();
        let Some(asked) = asked else {
            return Err(Failure::new(
                FailureKind::Refused,
                "nothing was asked in this session: it was answered before, is too old, or the node was restarted",
            )
            .with_remedy("ask again: chancery approve --as NAME"));
        };
        if asked.lease != call.lease {
            return Err(Failure::new(
                FailureKind::Refused,
                "this answer belongs to another lease",
            ));
        }
        waiting.remove(&call.session);
        Ok(asked)
    }

    /// Refuses a second answer of the same person: distinct people count, and receipts name each once.
    fn require_first(&self, lease: LeaseId, asked: &Asked, hsm: &HsmDocument) -> Result<(), Failure> {
        let open = self.desk.book();
        let attempt = open.get(&lease).and_then(|lease| lease.attempts.get(&asked.hsm));
        match attempt.is_some_and(|attempt| attempt.has_given(asked.person)) {
            true => Err(super::lease_challenge::answered_already(&asked.name, &hsm.name)),
            false => Ok(()),
        }
    }

    async fn refused(
        &self,
        call: &LeaseAnswer,
        asked: &Asked,
        hsm: &HsmDocument,
        reason: &str,
    ) -> Result<(), Failure> {
        let mut row = self.answer_row(call, asked)?;
        if let Some(lease) = self.desk.book().get_mut(&call.lease) {
            // Another answer does not take its place.
            lease.answers += 1;
            row.place = lease.answers;
        }
        let data = answer_data(call, asked, hsm);
        let event = event(self.clock.now_ms(), "lease-refused", &Actor::Node, &data)?;
        let because = format!("{} refused: {reason}", asked.name);
        let with = Some((Write::InsertLeaseAnswer(row), event));
        self.end(call.lease, LeaseState::Refused, because, &Actor::Node, with)
            .await
            .map(drop)
    }

    /// The HSM is open, or counts this custodian already: the node decides whether enough agree.
    async fn agreed_open(
        &self,
        call: &LeaseAnswer,
        asked: &Asked,
        record: &HsmRecord,
        hsm: &HsmDocument,
        about: &Arc<[u8]>,
    ) -> Result<(), Failure> {
        let held = self.held(record)?;
        let era = held.status().era;
        let inspection = self
            .inspect(record.id, &held)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let listed = inspection
            .custodians
            .iter()
            .find(|custodian| custodian.chr == asked.chr);
        let counts = match held.state() {
            State::Unlocked { .. } => listed.is_some(),
            _ => listed.is_some_and(|custodian| custodian.answered),
        };
        if !counts {
            return Err(locked_meanwhile(&hsm.name));
        }
        self.agreed(call, asked, record, hsm, era, about).await
    }

    /// The HSM decides whether the answer counts.
    async fn agreed_unlock(
        &self,
        call: &LeaseAnswer,
        asked: &Asked,
        record: &HsmRecord,
        hsm: &HsmDocument,
        about: &Arc<[u8]>,
    ) -> Result<(), Failure> {
        let answer = call.unlock.as_ref().ok_or_else(|| {
            Failure::new(
                FailureKind::Invalid,
                "the answer to the HSM's challenge is missing",
            )
        })?;
        let held = self.held(record)?;
        if let Err(error) = held.answer(&call.session, &answer.0).await {
            self.refuse_answer(asked, hsm, &error.to_string()).await?;
            return Err(hsm_failure(&error));
        }
        let era = held.status().era;
        self.desk.not_open_for_all(record.id);
        let recorded = self.agreed(call, asked, record, hsm, era, about).await;
        if recorded.is_err() {
            // An HSM is not open without a trace: what cannot be recorded is undone.
            held.lock().await.map_err(|error| hsm_failure(&error))?;
        }
        recorded
    }

    /// A custodian has an open HSM locked for a strict lease. That is recorded with the statement, and counts for nothing else: the
    /// HSM's own quorum decides from then on.
    async fn agreed_lock(
        &self,
        call: &LeaseAnswer,
        asked: &Asked,
        record: &HsmRecord,
        hsm: &HsmDocument,
        text: &LeaseText,
    ) -> Result<(), Failure> {
        let held = self.held(record)?;
        let counted = self.counted_by(record, &held, &asked.chr).await?;
        if !self.has_to_be_locked(call.lease, text, record.id, &held, counted.this) {
            return Ok(());
        }
        let data = answer_data(call, asked, hsm);
        let event = event(self.clock.now_ms(), "lease-locks", &Actor::Node, &data)?;
        self.commit(Change {
            writes: Vec::new(),
            events: vec![event],
        })
        .await?;
        held.lock().await.map_err(|error| hsm_failure(&error))?;
        self.desk.not_open_for_all(record.id);
        let because = format!("lease {} is strict, and {} answers it", call.lease, asked.name);
        self.record_locked(&hsm.name, &because, &Actor::Node).await?;
        self.desk.notice().await;
        Ok(())
    }

    /// Counts an answer given in this era of the HSM about this text of the lease, and records it with everything an outsider needs to check it; the
    /// lease is live when enough custodians of an open HSM agree.
    async fn agreed(
        &self,
        call: &LeaseAnswer,
        asked: &Asked,
        record: &HsmRecord,
        hsm: &HsmDocument,
        era: u64,
        about: &Arc<[u8]>,
    ) -> Result<(), Failure> {
        let held = self.held(record)?;
        let inspection = self
            .inspect(record.id, &held)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let needed = inspection.quorum.map_or(u8::MAX, |quorum| quorum.required);
        let answered: Vec<String> = inspection
            .custodians
            .iter()
            .filter(|custodian| custodian.answered)
            .map(|custodian| custodian.chr.clone())
            .collect();
        // From here on the text stays what it is.
        let _counting = self.desk.counting.lock().await;
        self.require_text(call.lease, about, &asked.name)?;
        let status = held.status();
        if status.era != era {
            return Err(locked_meanwhile(&hsm.name));
        }
        let is_open = status.state.is_unlocked();
        let mut row = self.answer_row(call, asked)?;
        let mut events = Vec::new();
        let now_ms = self.clock.now_ms();
        let update = {
            let now = self.desk.now();
            let mut open = self.desk.book();
            let lease = open
                .get_mut(&call.lease)
                .filter(|lease| lease.state.is_open())
                .ok_or_else(ended_meanwhile)?;
            lease.reconcile(record.id, &answered);
            lease.attempt(record.id).go_on_in(era);
            if asked.kind == StatementKind::Unlock && !answered.contains(&asked.chr) {
                return Err(Failure::new(
                    FailureKind::Unavailable,
                    format!(
                        "HSM {} forgot the answers given so far: everybody answers again",
                        hsm.name
                    ),
                )
                .with_remedy("answer again: chancery approve --as NAME"));
            }
            if lease.attempt(record.id).granted.is_some() {
                return Err(super::lease_challenge::opened_already(&hsm.name));
            }
            lease.answers += 1;
            let place = lease.answers;
            let attempt = lease.attempt(record.id);
            let number = attempt.number;
            (row.place, row.attempt) = (place, number);
            let statement = super::receipt::statement(row.clone(), hsm);
            attempt.given.push(Given {
                statement,
                person: asked.person,
                name: asked.name.clone(),
                chr: asked.chr.clone(),
                kind: asked.kind,
            });
            let enough = attempt.people() >= usize::from(needed);
            let data = answer_data(call, asked, hsm);
            events.push(event(now_ms, "lease-answered", &Actor::Node, &data)?);
            if enough && is_open {
                attempt.grant(era, needed);
                let custodians: Vec<_> = attempt.given.iter().map(|given| given.name.clone()).collect();
                let node_enforced = attempt
                    .given
                    .iter()
                    .any(|given| given.kind == StatementKind::Open);
                let data = json!({
                    "lease": call.lease, "hsm": hsm, "attempt": number, "needed": needed, "custodians": custodians,
                    "node_enforced": node_enforced,
                });
                events.push(event(now_ms, "lease-granted", &Actor::Node, &data)?);
                lease.waits_until = None;
                match lease.state {
                    LeaseState::Waiting => lease.settle(LeaseState::Live, None),
                    _ => lease.version += 1,
                }
            } else {
                if lease.waits_until.is_some() {
                    lease.because = None;
                }
                lease.version += 1;
            }
            lease.update(self.epoch, now)
        };
        // In memory it counts from here on, and is taken back when it cannot be recorded.
        let writes = vec![Write::InsertLeaseAnswer(row), update];
        let committed = self.commit(Change { writes, events }).await;
        if committed.is_err() {
            let mut open = self.desk.book();
            if let Some(lease) = open.get_mut(&call.lease) {
                lease
                    .attempts
                    .insert(record.id, crate::leases::Attempt::new(lease.answers + 1));
                if lease.state == LeaseState::Live && lease.granted().is_empty() {
                    lease.settle(
                        LeaseState::Waiting,
                        Some("the answers could not be recorded".to_owned()),
                    );
                }
            }
        }
        committed
    }

    /// Tells the requester of a lease that waits what went wrong; the next answer that counts takes it back.
    pub(crate) fn note(&self, lease: LeaseId, what: String) {
        if let Some(lease) = self.desk.book().get_mut(&lease)
            && lease.state == LeaseState::Waiting
            && lease.waits_until.is_some()
        {
            lease.because = Some(what);
            lease.version += 1;
        }
        self.desk.tell();
    }

    async fn refuse_answer(&self, asked: &Asked, hsm: &HsmDocument, because: &str) -> Result<(), Failure> {
        self.note(
            asked.lease,
            format!("an answer given as {} did not count: {because}", asked.name),
        );
        let data = json!({
            "lease": asked.lease, "hsm": hsm.name, "person": asked.name, "chr": asked.chr,
            "kind": asked.kind, "because": because,
        });
        let event = event(self.clock.now_ms(), "lease-answer-refused", &Actor::Node, &data)?;
        self.commit(Change {
            writes: Vec::new(),
            events: vec![event],
        })
        .await
    }

    fn answer_row(&self, call: &LeaseAnswer, asked: &Asked) -> Result<LeaseAnswerRecord, Failure> {
        let mut open = self.desk.book();
        let lease = open.get_mut(&call.lease).ok_or_else(|| unknown(call.lease))?;
        Ok(LeaseAnswerRecord {
            lease: call.lease,
            place: lease.answers + 1,
            hsm: asked.hsm,
            attempt: lease.attempt(asked.hsm).number,
            person: asked.person,
            name: asked.name.clone(),
            chr: asked.chr.clone(),
            chain: asked.chain.clone(),
            key_request: asked.key_request.clone(),
            kind: asked.kind,
            challenge: asked.challenge.to_vec(),
            log_size: i64::try_from(asked.log.size).unwrap_or(i64::MAX),
            log_root: asked.log.root.0.to_vec(),
            unlock: call.unlock.as_ref().map(|answer| answer.0.clone()),
            statement: call.statement.0.clone(),
            reason: call.reason.clone(),
            answered_ms: self.clock.now_ms(),
        })
    }
}

fn ended_meanwhile() -> Failure {
    Failure::new(FailureKind::Conflict, "the lease ended meanwhile")
}

fn locked_meanwhile(hsm: &str) -> Failure {
    Failure::new(
        FailureKind::Refused,
        format!("HSM {hsm} was locked meanwhile, so its own quorum decides"),
    )
    .with_remedy("answer again: chancery approve --as NAME")
}

/// The reason of a refusal, and of nothing else.
fn reason<'a>(call: &'a LeaseAnswer, asked: &Asked) -> Result<Option<&'a str>, Failure> {
    match (asked.kind, call.reason.as_deref()) {
        (StatementKind::Refuse, Some(reason))
            if !reason.trim().is_empty() && is_one_line(reason, LONGEST_REASON) =>
        {
            Ok(Some(reason))
        }
        (StatementKind::Refuse, _) => Err(Failure::new(
            FailureKind::Invalid,
            format!("a refusal says why, in one line of at most {LONGEST_REASON} characters"),
        )),
        (_, None) => Ok(None),
        (_, Some(_)) => Err(Failure::new(FailureKind::Invalid, "only a refusal has a reason")),
    }
}

/// An answer with everything an outsider needs to check it.
fn answer_data(call: &LeaseAnswer, asked: &Asked, hsm: &HsmDocument) -> Value {
    json!({
        "lease": asked.lease, "hsm": hsm, "person": asked.name, "chr": asked.chr,
        "key": Hash32::of(&asked.spki), "kind": asked.kind, "challenge": hex::encode(asked.challenge),
        "log": asked.log, "unlock": call.unlock, "statement": call.statement, "reason": call.reason,
        "chain": Base64(asked.chain.clone()), "key_request": Base64(asked.key_request.clone()),
    })
}
