//! `hsm unlock` and `hsm lock`: challenges carried to custodians, answers carried back.
//!
//! The HSM decides whether an answer counts; nothing here can replace a custodian.

use chancery_api::{
    Base64, Condition, Failure, FailureKind, HsmLock, HsmView, UnlockAnswer, UnlockChallenge,
    UnlockChallengeView,
};
use chancery_keys::State;
use chancery_store::Change;
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
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("HSM {} is unlocked already", call.hsm),
            ));
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
        let outcome = hsm.answer(&call.session, &call.signature.0).await;
        let now = self.clock.now_ms();
        let view = self.hsm_view(&record).await?;
        let (name, data) = match &outcome {
            Ok(state) => (
                if matches!(state, State::Unlocked { .. }) {
                    "hsm-unlocked"
                } else {
                    "custodian-answered"
                },
                json!({ "hsm": record.name, "state": view.state }),
            ),
            Err(error) => (
                "answer-refused",
                json!({ "hsm": record.name, "because": error.to_string() }),
            ),
        };
        self.commit(Change {
            writes: Vec::new(),
            events: vec![event(now, name, &Actor::Node, &data)?],
        })
        .await?;
        outcome.map_err(|error| hsm_failure(&error))?;
        Ok(view)
    }

    /// Locks HSMs at once.
    ///
    /// # Errors
    /// When an HSM named is unknown or not attached.
    pub async fn hsm_lock(&self, call: &HsmLock, uid: u32) -> Result<Vec<HsmView>, Failure> {
        let mut views = Vec::new();
        for record in self.hsm_records().await? {
            let named = call.hsms.contains(&record.name);
            if !named && !call.hsms.is_empty() {
                continue;
            }
            let hsm = match self.held(&record) {
                Ok(hsm) => hsm,
                Err(failure) if named => return Err(failure),
                Err(_) => continue,
            };
            hsm.lock().await.map_err(|error| hsm_failure(&error))?;
            let data = json!({ "hsm": record.name });
            let event = event(self.clock.now_ms(), "hsm-locked", &Actor::Local(uid), &data)?;
            self.commit(Change {
                writes: Vec::new(),
                events: vec![event],
            })
            .await?;
            views.push(self.hsm_view(&record).await?);
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
