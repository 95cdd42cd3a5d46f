//! `hsm unlock` and `hsm lock`: challenges carried to custodians, answers carried back.
//!
//! The HSM decides whether an answer counts; nothing here can replace a custodian.

use chancery_api::{
    Base64, Condition, Failure, FailureKind, Hash32, HsmLock, HsmView, UnlockAnswer, UnlockChallenge,
    UnlockChallengeView,
};
use chancery_keys::{HsmError, State};
use chancery_store::{Change, HsmRecord};
use serde_json::json;

use crate::{
    Center,
    event::{Actor, event},
    tokens::hsm_failure,
};

impl Center {
    /// Asks an HSM for a challenge for one custodian.
    ///
    /// # Errors
    /// Blocked when the person is not registered in that HSM or has answered already.
    pub async fn unlock_challenge(&self, call: &UnlockChallenge) -> Result<UnlockChallengeView, Failure> {
        let people = self.people().await?;
        let person = people.by_name(&call.person)?;
        let record = self.hsm_record(&call.hsm).await?;
        let hsm = self.held(&record)?;
        if matches!(hsm.state(), State::Unlocked { .. }) {
            if self.desk.is_open_for_all(record.id) {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!("HSM {} is unlocked already", call.hsm),
                ));
            }
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("HSM {} is open for leases of signing keys alone", call.hsm),
            )
            .with_remedy(format!(
                "lock it first, its leases then ask their custodians again: chancery hsm lock {}",
                call.hsm
            )));
        }
        self.desk.notice().await;
        if self.desk.counts_for_a_lease(record.id) {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!(
                    "HSM {} counts an answer that a custodian gave for a lease, and for nothing else",
                    call.hsm
                ),
            )
            .with_remedy(format!(
                "wait until that lease is answered, or forget the answer: chancery hsm lock {}",
                call.hsm
            )));
        }
        let inspection = self
            .inspect(record.id, &hsm)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let names = self.custodian_names(record.id).await?;
        let registered: Vec<String> = inspection
            .custodians
            .iter()
            .filter(|custodian| !custodian.answered)
            .filter_map(|custodian| names.get(&custodian.chr).cloned())
            .collect();
        let of_person = inspection
            .custodians
            .iter()
            .find(|custodian| names.get(&custodian.chr).is_some_and(|name| *name == person.name));
        let blocked = |code: &str, what: String| {
            Failure::blocked(
                what.clone(),
                vec![Condition::new(
                    code,
                    what,
                    format!(
                        "chancery hsm unlock {} --as {}",
                        call.hsm,
                        registered.first().map_or("NAME", |n| n)
                    ),
                    registered.clone(),
                )],
            )
        };
        let Some(custodian) = of_person else {
            return Err(blocked(
                "custodian",
                format!("{} is no custodian of HSM {}", call.person, call.hsm),
            ));
        };
        if custodian.answered {
            return Err(blocked(
                "answered",
                format!(
                    "{} has answered HSM {} already; another custodian is needed",
                    call.person, call.hsm
                ),
            ));
        }
        let challenge = hsm
            .challenge(&custodian.chr)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let asked = json!({
            "person": person.name, "chr": custodian.chr, "challenge": hex::encode(challenge.challenge),
        });
        {
            let mut waiting = self.lock(&self.asked);
            // Challenges that nobody answered are of no use after a while; an HSM has one open at a time.
            if waiting.len() >= 256 {
                waiting.clear();
            }
            waiting.insert(challenge.session.clone(), asked);
        }
        Ok(UnlockChallengeView {
            session: challenge.session,
            hsm: record.name,
            chain: Base64(hsm.identity().chain.clone()),
            chr: custodian.chr.clone(),
            challenge: Base64(challenge.challenge.to_vec()),
        })
    }

    /// Carries a custodian's answer to the HSM.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] when the HSM does not accept it.
    pub async fn unlock_answer(&self, call: &UnlockAnswer) -> Result<HsmView, Failure> {
        let record = self.hsm_record(&call.hsm).await?;
        let hsm = self.held(&record)?;
        let _one_at_a_time = self.desk.answering(record.id).await;
        let outcome = hsm.answer(&call.session, &call.signature.0).await;
        if matches!(outcome, Ok(State::Unlocked { .. })) {
            self.desk.opened_for_all(record.id, hsm.status().era);
            self.desk.wake();
        }
        let recorded = self.record_answer(&record, call, &outcome).await;
        if outcome.is_ok() && recorded.is_err() {
            // An HSM is not open without a trace: what cannot be recorded is undone.
            hsm.lock().await.map_err(|error| hsm_failure(&error))?;
        }
        let view = recorded?;
        outcome.map_err(|error| hsm_failure(&error))?;
        Ok(view)
    }

    /// Records an answer with everything an outsider needs to check it: who the HSM is, the key that was asked, the signature.
    async fn record_answer(
        &self,
        record: &HsmRecord,
        call: &UnlockAnswer,
        outcome: &Result<State, HsmError>,
    ) -> Result<HsmView, Failure> {
        let now = self.clock.now_ms();
        let view = self.hsm_view(record).await?;
        let asked = {
            let mut waiting = self.lock(&self.asked);
            match outcome {
                Ok(_) => waiting.remove(&call.session),
                // An answer of the wrong form leaves the challenge open.
                Err(_) => waiting.get(&call.session).cloned(),
            }
        };
        let (name, data) = match outcome {
            Ok(state) => (
                if matches!(state, State::Unlocked { .. }) {
                    "hsm-unlocked"
                } else {
                    "custodian-answered"
                },
                json!({
                    "hsm": record.name, "device": record.device, "key": Hash32::of(&record.device_key),
                    "asked": asked, "signature": call.signature, "state": view.state,
                }),
            ),
            Err(error) => (
                "answer-refused",
                json!({ "hsm": record.name, "asked": asked, "because": error.to_string() }),
            ),
        };
        self.commit(Change {
            writes: Vec::new(),
            events: vec![event(now, name, &Actor::Node, &data)?],
        })
        .await?;
        Ok(view)
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
