//! Custodians are asked one after the other where an HSM has one challenge open, and each keeps a few questions open, not all.

use std::{collections::HashMap, time::Duration};

use chancery_api::{Failure, FailureKind, HsmId, PersonId, StatementKind};
use chancery_store::HsmRecord;

use crate::{
    Center,
    leases::{Asked, Desk, Place},
};

/// How often it is looked whose turn it is.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long a custodian waits for a turn, milliseconds.
const PATIENCE_MS: u64 = 45 * 1000;
/// Most questions to one custodian; the one that ends first gives way.
const MOST_OF_ONE: usize = 32;

/// A custodian's turn at an HSM; given back unless the custodian was asked.
pub(super) struct Turn {
    desk: Desk,
    hsm: HsmId,
    person: PersonId,
    /// While it waits: what names the call.
    call: Option<u64>,
    asked: bool,
}

impl Turn {
    /// The custodian has the HSM's challenge: the turn lasts until it is answered, or its time is over and somebody else waits.
    pub(super) fn was_asked(mut self) {
        self.asked = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        match self.call {
            Some(call) => self.desk.turns().leave(self.hsm, self.person, call),
            None => {
                let mut turns = self.desk.turns();
                if !self.asked {
                    turns.done(self.hsm, self.person);
                }
                turns.arrived(self.hsm, self.person);
            }
        }
        self.desk.tell();
    }
}

/// A custodian's answer on its way to an HSM: the turn lasts until it has arrived.
pub(super) struct Answering {
    desk: Desk,
    hsm: HsmId,
    person: PersonId,
    /// Whether the turn is this person's still.
    holds: bool,
    comes_again: bool,
}

impl Answering {
    /// It did not get as far as the HSM: the turn goes on.
    pub(super) fn comes_again(mut self) {
        self.comes_again = true;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.holds {
            return;
        }
        let mut turns = self.desk.turns();
        if !self.comes_again {
            turns.done(self.hsm, self.person);
        }
        turns.arrived(self.hsm, self.person);
        drop(turns);
        self.desk.tell();
    }
}

impl Center {
    /// Keeps the turn of a custodian whose answer has come until it has been carried to the HSM.
    pub(super) fn answering(&self, hsm: HsmId, person: PersonId) -> Answering {
        Answering {
            desk: self.desk.clone(),
            hsm,
            person,
            holds: self.desk.turns().set_out(hsm, person),
            comes_again: false,
        }
    }

    /// Waits until it is a custodian's turn at an HSM.
    pub(super) async fn turn(&self, hsm: &HsmRecord, person: PersonId) -> Result<Turn, Failure> {
        let mut changed = self.desk.changed.subscribe();
        let begun = self.desk.now();
        let call = self.desk.turns().join(hsm.id, person);
        let mut turn = Turn {
            desk: self.desk.clone(),
            hsm: hsm.id,
            person,
            call: Some(call),
            asked: false,
        };
        loop {
            let now = self.desk.now();
            let place = self.desk.turns().take(hsm.id, person, call, now);
            match place {
                Place::Yours => {
                    turn.call = None;
                    return Ok(turn);
                }
                Place::Replaced => {
                    return Err(Failure::new(
                        FailureKind::Conflict,
                        format!("the same custodian asked for HSM {} again meanwhile", hsm.name),
                    ));
                }
                Place::Later if now.saturating_sub(begun) >= PATIENCE_MS => {
                    return Err(Failure::new(
                        FailureKind::Unavailable,
                        format!("other custodians are being asked for HSM {}", hsm.name),
                    )
                    .with_remedy("answer again: chancery approve --as NAME"));
                }
                // Somebody answered, or time passed: both are looked at again.
                Place::Later => drop(tokio::time::timeout(LOOK_AGAIN, changed.changed()).await),
            }
        }
    }

    /// Keeps a question until it is answered or too old. Who asks for many loses the own ones, never those of others.
    pub(super) fn keep_question(&self, session: String, asked: Asked) {
        let mut waiting = self.lock(&self.desk.asked);
        let now = self.desk.now();
        waiting.retain(|_, asked| asked.until > now);
        if asked.kind == StatementKind::Unlock {
            // An HSM has one challenge open: the one before is replaced.
            waiting.retain(|_, before| before.hsm != asked.hsm || before.kind != StatementKind::Unlock);
        }
        make_room(&mut waiting, asked.person);
        waiting.insert(session, asked);
    }
}

fn make_room(waiting: &mut HashMap<String, Asked>, person: PersonId) {
    loop {
        let own = || waiting.iter().filter(|(_, asked)| asked.person == person);
        if own().count() < MOST_OF_ONE {
            return;
        }
        let first = own()
            .min_by_key(|(_, asked)| asked.until)
            .map(|(session, _)| session.clone());
        if let Some(first) = first {
            waiting.remove(&first);
        }
    }
}
