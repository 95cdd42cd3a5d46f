//! `lease.challenge`: what a custodian's agent needs to answer for one HSM of a lease.

use std::sync::Arc;

use chancery_api::{
    Base64, Condition, Failure, FailureKind, HsmDocument, HsmId, LeaseChallenge, LeaseChallengeView, LeaseId,
    LeaseText, StatementKind,
};
use chancery_keys::{Hsm, State};
use chancery_store::{CustodianRecord, HsmRecord};

use super::{hsm_attach::document, lease_turns::Turn, lease_view::unknown};
use crate::{
    Center, attest::attested, committer::store_failure, leases::Asked, tokens::hsm_failure, trust::Person,
};

/// How long the node waits for an answer to a nonce of its own, milliseconds.
const NONCE_LIFETIME_MS: u64 = 5 * 60 * 1000;

/// What a custodian is to answer.
struct Drawn {
    kind: StatementKind,
    session: String,
    challenge: [u8; 8],
    /// Where it is the HSM's own challenge: nobody else is asked before this one is kept.
    turn: Option<Turn>,
}

impl Center {
    /// Asks for what a custodian answers for one HSM of a lease.
    ///
    /// # Errors
    /// Blocked when the person is no custodian of that HSM or has answered; [`FailureKind::Conflict`] when the lease is over.
    pub async fn lease_challenge(&self, call: &LeaseChallenge) -> Result<LeaseChallengeView, Failure> {
        self.desk.notice().await;
        // Nobody's answer to this one is added to answers for another that is over.
        self.desk.forget_left().await;
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
        let question = match call.refuse {
            true => self.own_question(StatementKind::Refuse),
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
            kind: question.kind,
            challenge: question.challenge,
            log: shown.place,
            until: self.desk.now().saturating_add(NONCE_LIFETIME_MS),
        };
        self.keep_question(question.session.clone(), asked);
        if let Some(turn) = question.turn {
            turn.was_asked();
        }
        Ok(LeaseChallengeView {
            session: question.session,
            kind: question.kind,
            hsm: named.clone(),
            chain: Base64(record.chain),
            chr: registration.chr,
            challenge: Base64(question.challenge.to_vec()),
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
    ) -> Result<Drawn, Failure> {
        let hsm = self.reachable(record)?;
        if hsm.state().is_unlocked() {
            // One at work is not asked for nothing.
            self.require_wanted(call, record, registration)?;
        }
        let turn = self.turn(record, registration.person).await?;
        let answered = self.counted_by(record, &hsm, &registration.chr).await?;
        if let Some(lease) = self.desk.book().get_mut(&call.lease) {
            lease.reconcile(record.id, &answered.all);
        }
        self.require_wanted(call, record, registration)?;
        if self.has_to_be_locked(call.lease, text, record.id, &hsm, answered.this) {
            // Nobody else loses an open HSM before a custodian has signed for that.
            return Ok(self.own_question(StatementKind::Lock));
        }
        if hsm.state().is_unlocked() || answered.this {
            return Ok(self.own_question(StatementKind::Open));
        }
        let challenge = hsm
            .challenge(&registration.chr)
            .await
            .map_err(|error| hsm_failure(&error))?;
        Ok(Drawn {
            kind: StatementKind::Unlock,
            session: challenge.session,
            challenge: challenge.challenge,
            turn: Some(turn),
        })
    }

    /// A question with a nonce of the node's.
    fn own_question(&self, kind: StatementKind) -> Drawn {
        Drawn {
            kind,
            session: self.session(),
            challenge: self.random(),
            turn: None,
        }
    }

    /// Refuses a question nobody needs the answer of.
    fn require_wanted(
        &self,
        call: &LeaseChallenge,
        record: &HsmRecord,
        registration: &CustodianRecord,
    ) -> Result<(), Failure> {
        let open = self.desk.book();
        match open
            .get(&call.lease)
            .and_then(|lease| lease.attempts.get(&record.id))
        {
            Some(attempt) if attempt.granted.is_some() => Err(opened_already(&record.name)),
            Some(attempt) if attempt.has_given(registration.person) => {
                Err(answered_already(&call.person, &record.name))
            }
            _ => Ok(()),
        }
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

    /// Whether a strict lease needs an HSM locked first: it is open, or counts a custodian's answer, and not by this lease.
    pub(crate) fn has_to_be_locked(
        &self,
        lease: LeaseId,
        text: &LeaseText,
        id: HsmId,
        hsm: &Hsm,
        counts_custodian: bool,
    ) -> bool {
        text.strict && (hsm.state().is_unlocked() || counts_custodian) && !self.opened_for(lease, id)
    }

    /// Whether an HSM counts answers that were given for this lease, or is open by them.
    fn opened_for(&self, lease: LeaseId, hsm: HsmId) -> bool {
        let open = self.desk.book();
        open.get(&lease).is_some_and(|lease| lease.needs(hsm))
    }

    /// The custodians whose answers an HSM counts now.
    pub(crate) async fn counted_by(
        &self,
        record: &HsmRecord,
        hsm: &Hsm,
        chr: &str,
    ) -> Result<Counted, Failure> {
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
pub(crate) struct Counted {
    /// Whether that of the custodian asked about is among them.
    pub(crate) this: bool,
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

/// Nobody counts twice.
pub(crate) fn answered_already(person: &str, hsm: &str) -> Failure {
    Failure::new(
        FailureKind::Conflict,
        format!("{person} has answered HSM {hsm} for this lease; another custodian is needed"),
    )
}

/// An HSM of a lease by its identifier.
pub(crate) fn hsm_of(text: &LeaseText, id: HsmId) -> Option<&HsmDocument> {
    text.hsms.iter().find(|hsm| hsm.id == id)
}
