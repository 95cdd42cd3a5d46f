//! `lease.challenge`: what a custodian's agent needs to answer for one HSM of a lease.

use std::{sync::Arc, time::Duration};

use chancery_api::{
    Base64, Condition, Failure, FailureKind, HsmDocument, HsmId, LeaseChallenge, LeaseChallengeView, LeaseId,
    LeaseText, PersonId, StatementKind,
};
use chancery_keys::{Hsm, State};
use chancery_store::{CustodianRecord, HsmRecord};

use super::{hsm_attach::document, lease_view::unknown};
use crate::{
    Center, attest::attested, committer::store_failure, event::Actor, leases::Asked, tokens::hsm_failure,
    trust::Person,
};

/// How long the node waits for an answer to a nonce of its own, milliseconds.
const NONCE_LIFETIME_MS: u64 = 5 * 60 * 1000;
/// How long a custodian's agent may take for an HSM's challenge while another one waits, milliseconds.
const TURN_MS: u64 = 10 * 1000;
/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Most questions kept; the one that ends first gives way.
const MOST_ASKED: usize = 4096;

impl Center {
    /// Asks for what a custodian answers for one HSM of a lease.
    ///
    /// # Errors
    /// Blocked when the person is no custodian of that HSM or has answered; [`FailureKind::Conflict`] when the lease is over.
    pub async fn lease_challenge(&self, call: &LeaseChallenge) -> Result<LeaseChallengeView, Failure> {
        self.desk.notice().await;
        let people = self.people().await?;
        let person = people.by_name(&call.person)?;
        let text = self.open_text(call.lease).await?;
        let named = text.hsms.iter().find(|hsm| hsm.name == call.hsm).ok_or_else(|| {
            Failure::new(
                FailureKind::NotFound,
                format!("lease {} names no HSM {}", call.lease, call.hsm),
            )
        })?;
        let record = self.hsm_record(&call.hsm).await?;
        if document(&record) != *named {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("HSM {} is another one now than in the lease", call.hsm),
            ));
        }
        let registration = match self.registration(person, &record).await {
            Ok(registration) => registration,
            Err(failure) => {
                self.note(call.lease, failure.message.clone());
                return Err(failure);
            }
        };
        let (kind, session, challenge) = match call.refuse {
            true => (StatementKind::Refuse, self.session(), self.random()),
            false => self.question(call, &text, &record, &registration).await?,
        };
        let shown = self.log_since(call.seen).await?;
        let asked = Asked {
            lease: call.lease,
            hsm: record.id,
            person: person.id,
            name: person.name.clone(),
            chr: registration.chr.clone(),
            spki: registration.public_key,
            chain: registration.chain,
            key_request: registration.key_request,
            kind,
            challenge,
            log: shown.place,
            until: self.desk.now().saturating_add(NONCE_LIFETIME_MS),
        };
        {
            let mut waiting = self.lock(&self.desk.asked);
            let now = self.desk.now();
            waiting.retain(|_, asked| asked.until > now);
            if waiting.len() >= MOST_ASKED
                && let Some(first) = waiting
                    .iter()
                    .min_by_key(|(_, asked)| asked.until)
                    .map(|(session, _)| session.clone())
            {
                waiting.remove(&first);
            }
            if kind == StatementKind::Unlock {
                // An HSM has one challenge open: the one before is replaced.
                waiting.retain(|_, asked| asked.hsm != record.id || asked.kind != StatementKind::Unlock);
            }
            waiting.insert(session.clone(), asked);
        }
        Ok(LeaseChallengeView {
            session,
            kind,
            hsm: named.clone(),
            chain: Base64(record.chain),
            chr: registration.chr,
            challenge: Base64(challenge.to_vec()),
            log: shown.place,
            consistency: shown.proof,
            checkpoint: shown.checkpoint,
        })
    }

    /// The text of a lease that custodians can still answer.
    pub(crate) async fn open_text(&self, id: LeaseId) -> Result<Arc<LeaseText>, Failure> {
        let known = self
            .desk
            .book()
            .get(&id)
            .filter(|lease| lease.state.is_open())
            .map(|lease| Arc::clone(&lease.text));
        match known {
            Some(text) => Ok(text),
            None => {
                let view = self.lease_view(id).await.map_err(|_| unknown(id))?;
                let because = view
                    .because
                    .map_or_else(String::new, |because| format!(": {because}"));
                Err(Failure::new(
                    FailureKind::Conflict,
                    format!("lease {id} is {}{because}", view.state.name()),
                ))
            }
        }
    }

    /// The HSM's own challenge, or a nonce where the HSM is open already or counts this custodian already.
    async fn question(
        &self,
        call: &LeaseChallenge,
        text: &LeaseText,
        record: &HsmRecord,
        registration: &CustodianRecord,
    ) -> Result<(StatementKind, String, [u8; 8]), Failure> {
        let hsm = self.reachable(record)?;
        self.wait_for_turn(record.id, registration.person).await;
        let mut answered = self.counted_by(record, &hsm, &registration.chr).await?;
        {
            let mut open = self.desk.book();
            if let Some(lease) = open.get_mut(&call.lease) {
                lease.reconcile(record.id, &answered.all);
                let attempt = lease.attempt(record.id);
                if attempt.granted.is_some() {
                    return Err(opened_already(&record.name));
                }
                if attempt
                    .given
                    .iter()
                    .any(|given| given.person == registration.person)
                {
                    return Err(Failure::new(
                        FailureKind::Conflict,
                        format!(
                            "{} has answered HSM {} for this lease; another custodian is needed",
                            call.person, record.name
                        ),
                    ));
                }
            }
        }
        if text.strict
            && (hsm.state().is_unlocked() || answered.this)
            && !self.opened_for(call.lease, record.id)
        {
            let _one_at_a_time = self.desk.answering.lock().await;
            hsm.lock().await.map_err(|error| hsm_failure(&error))?;
            let because = format!("lease {} is strict", call.lease);
            self.record_locked(&record.name, &because, &Actor::Node).await?;
            self.desk.notice().await;
            answered.this = false;
        }
        if hsm.state().is_unlocked() || answered.this {
            return Ok((StatementKind::Open, self.session(), self.random()));
        }
        let challenge = hsm
            .challenge(&registration.chr)
            .await
            .map_err(|error| hsm_failure(&error))?;
        Ok((StatementKind::Unlock, challenge.session, challenge.challenge))
    }

    /// An HSM that custodians can answer now; others have nothing to be asked for.
    fn reachable(&self, record: &HsmRecord) -> Result<Hsm, Failure> {
        let conflict = |what: String| Failure::new(FailureKind::Conflict, what);
        let name = &record.name;
        let hsm = self
            .pool
            .get(record.id)
            .ok_or_else(|| conflict(format!("HSM {name} is not attached now")))?;
        match hsm.state() {
            State::Locked | State::Quorum { .. } | State::Unlocked { .. } => Ok(hsm),
            state => Err(conflict(format!("HSM {name} is out of reach now: {state}"))),
        }
    }

    /// An HSM has one challenge open at a time: the question to another custodian is waited for a little before it is replaced.
    async fn wait_for_turn(&self, hsm: HsmId, person: PersonId) {
        let mut changed = self.desk.changed.subscribe();
        let begun = self.desk.now();
        loop {
            let now = self.desk.now();
            let taken = self.lock(&self.desk.asked).values().any(|asked| {
                let age = NONCE_LIFETIME_MS.saturating_sub(asked.until.saturating_sub(now));
                asked.hsm == hsm
                    && asked.person != person
                    && asked.kind == StatementKind::Unlock
                    && age < TURN_MS
            });
            if !taken || now.saturating_sub(begun) >= TURN_MS {
                return;
            }
            // Somebody answered, or time passed: both are looked at again.
            drop(tokio::time::timeout(LOOK_AGAIN, changed.changed()).await);
        }
    }

    /// Whether an HSM counts answers that were given for this lease, or is open by them.
    fn opened_for(&self, lease: LeaseId, hsm: HsmId) -> bool {
        let open = self.desk.book();
        open.get(&lease).is_some_and(|lease| lease.needs(hsm))
    }

    /// The custodians whose answers an HSM counts now.
    async fn counted_by(&self, record: &HsmRecord, hsm: &Hsm, chr: &str) -> Result<Counted, Failure> {
        let inspection = self
            .inspect(record.id, hsm)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let listed = inspection
            .custodians
            .iter()
            .find(|custodian| custodian.chr == chr);
        let Some(listed) = listed else {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("HSM {} does not list the custodian key {chr}", record.name),
            ));
        };
        let this = listed.answered;
        let answered = inspection
            .custodians
            .iter()
            .filter(|custodian| custodian.answered);
        Ok(Counted {
            this,
            all: answered.map(|custodian| custodian.chr.clone()).collect(),
        })
    }

    /// The registration of a person as custodian of an HSM: approved by managers, and the person's token vouches for the key.
    pub(crate) async fn registration(
        &self,
        person: &Person,
        record: &HsmRecord,
    ) -> Result<CustodianRecord, Failure> {
        let people = self.people().await?;
        let rows = self.store.custodians(record.id).await;
        let rows = rows.map_err(|error| store_failure(&error))?;
        for row in rows {
            if row.person == person.id && self.custodian_holds(&people, &row).await? {
                let what = format!("the custodian key of {}", person.name);
                let key = attested(&self.anchors, &row.chain, &row.key_request, &what)?;
                if key.spki != row.public_key || key.chr != row.chr {
                    return Err(Failure::new(
                        FailureKind::Refused,
                        format!("{what} is not the one its token vouches for"),
                    )
                    .with_remedy("somebody changed the database; run `chancery audit verify`"));
                }
                return Ok(row);
            }
        }
        let mut names: Vec<_> = self.custodian_names(record.id).await?.into_values().collect();
        names.sort();
        let what = format!("{} is no custodian of HSM {}", person.name, record.name);
        Err(Failure::blocked(
            what.clone(),
            vec![Condition::new(
                "custodian",
                what,
                format!(
                    "chancery approve --as {}",
                    names.first().map_or("NAME", String::as_str)
                ),
                names,
            )],
        ))
    }

    fn session(&self) -> String {
        hex::encode(self.random::<16>())
    }
}

/// Answers that an HSM counts.
struct Counted {
    /// Whether that of the custodian asked about is among them.
    this: bool,
    /// Holder references of the keys.
    all: Vec<String>,
}

/// Nothing is asked for an HSM that enough custodians have opened for the lease.
pub(crate) fn opened_already(hsm: &str) -> Failure {
    Failure::new(
        FailureKind::Conflict,
        format!("enough custodians have opened HSM {hsm} for this lease"),
    )
}

/// An HSM of a lease by its identifier.
pub(crate) fn hsm_of(text: &LeaseText, id: HsmId) -> Option<&HsmDocument> {
    text.hsms.iter().find(|hsm| hsm.id == id)
}
