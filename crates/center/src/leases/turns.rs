//! Whose turn it is to answer a locked HSM. It has one challenge open: a custodian who asks for another one takes away that of the one
//! before, so each has a little time in peace, one after the other in the order they came.

use std::collections::{HashMap, VecDeque};

use chancery_api::{HsmId, PersonId};

/// How long a custodian's agent may take for an HSM's challenge while another one waits, milliseconds.
const TURN_MS: u64 = 10 * 1000;

/// The lines before all HSMs.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    lines: HashMap<HsmId, Line>,
    last: u64,
}

#[derive(Debug, Default)]
struct Line {
    holder: Option<Holder>,
    /// Each person once.
    waiting: VecDeque<(PersonId, u64)>,
}

#[derive(Debug)]
struct Holder {
    person: PersonId,
    /// Since when: a reading of the node's monotonic clock. Asking again begins no new turn.
    since: u64,
    /// Calls at the HSM now, which draw a challenge or answer one. The next in the line waits for them: a challenge that is drawn late
    /// takes away that of the next, and one of the next takes away what is being answered.
    under_way: usize,
    /// Before its time: it was answered, or nothing was asked.
    ended: bool,
}

impl Holder {
    fn may_ask(&self, now: u64) -> bool {
        !self.ended && now.saturating_sub(self.since) < TURN_MS
    }

    fn is_gone(&self) -> bool {
        self.ended && self.under_way == 0
    }
}

/// Where somebody in a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is this person's turn.
    Yours,
    /// Others come first.
    Later,
    /// The same person asked again, and stands here by that call.
    Replaced,
}

impl Turns {
    /// Joins the line before an HSM; who stands there keeps the place. The number names this call.
    pub(crate) fn join(&mut self, hsm: HsmId, person: PersonId) -> u64 {
        self.last += 1;
        let line = self.lines.entry(hsm).or_default();
        match line.waiting.iter_mut().find(|(waits, _)| *waits == person) {
            Some((_, call)) => *call = self.last,
            None => line.waiting.push_back((person, self.last)),
        }
        self.last
    }

    /// Takes the turn, if it is this person's, for a call that is under way until [`Turns::arrived`].
    pub(crate) fn take(&mut self, hsm: HsmId, person: PersonId, call: u64, now: u64) -> Place {
        let line = self.lines.entry(hsm).or_default();
        let Some(at) = line.waiting.iter().position(|waits| *waits == (person, call)) else {
            return Place::Replaced;
        };
        match &mut line.holder {
            Some(holder) if holder.person == person && holder.may_ask(now) => holder.under_way += 1,
            Some(holder) if holder.may_ask(now) || holder.under_way > 0 => return Place::Later,
            _ if at > 0 => return Place::Later,
            holder => {
                *holder = Some(Holder {
                    person,
                    since: now,
                    under_way: 1,
                    ended: false,
                });
            }
        }
        line.waiting.remove(at);
        Place::Yours
    }

    /// A call of this person is under way, until [`Turns::arrived`], if it is this person's turn.
    pub(crate) fn set_out(&mut self, hsm: HsmId, person: PersonId) -> bool {
        let holder = self.held_by(hsm, person);
        holder.map(|holder| holder.under_way += 1).is_some()
    }

    /// A call that was under way is at its end.
    pub(crate) fn arrived(&mut self, hsm: HsmId, person: PersonId) {
        if let Some(holder) = self.held_by(hsm, person) {
            holder.under_way = holder.under_way.saturating_sub(1);
        }
        self.tidy(hsm);
    }

    /// Leaves the line.
    pub(crate) fn leave(&mut self, hsm: HsmId, person: PersonId, call: u64) {
        if let Some(line) = self.lines.get_mut(&hsm) {
            line.waiting.retain(|waits| *waits != (person, call));
        }
        self.tidy(hsm);
    }

    /// Ends this person's turn.
    pub(crate) fn done(&mut self, hsm: HsmId, person: PersonId) {
        if let Some(holder) = self.held_by(hsm, person) {
            holder.ended = true;
        }
        self.tidy(hsm);
    }

    fn held_by(&mut self, hsm: HsmId, person: PersonId) -> Option<&mut Holder> {
        let holder = self.lines.get_mut(&hsm)?.holder.as_mut()?;
        (holder.person == person).then_some(holder)
    }

    fn tidy(&mut self, hsm: HsmId) {
        if let Some(line) = self.lines.get_mut(&hsm) {
            line.holder.take_if(|holder| holder.is_gone());
            if line.holder.is_none() && line.waiting.is_empty() {
                self.lines.remove(&hsm);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn hsm() -> HsmId {
        HsmId::new(Uuid::from_bytes([1; 16]))
    }

    fn person(number: u8) -> PersonId {
        PersonId::new(Uuid::from_bytes([number; 16]))
    }

    /// It is this person's turn, and the HSM has drawn the challenge.
    #[track_caller]
    fn asks(turns: &mut Turns, by: PersonId, call: u64, now: u64) {
        assert_eq!(turns.take(hsm(), by, call, now), Place::Yours);
        turns.arrived(hsm(), by);
    }

    #[test]
    fn who_asks_again_and_again_keeps_nobody_out() {
        let mut turns = Turns::default();
        let (alice, bob) = (person(1), person(2));
        let call = turns.join(hsm(), alice);
        asks(&mut turns, alice, call, 0);
        let waits = turns.join(hsm(), bob);
        for now in (1_000..TURN_MS).step_by(1_000) {
            let again = turns.join(hsm(), alice);
            asks(&mut turns, alice, again, now);
            assert_eq!(turns.take(hsm(), bob, waits, now), Place::Later);
        }
        // Her turn is over, however often she asked; who waits comes first.
        let again = turns.join(hsm(), alice);
        assert_eq!(turns.take(hsm(), alice, again, TURN_MS), Place::Later);
        asks(&mut turns, bob, waits, TURN_MS);
        // And has as much time in peace.
        assert_eq!(turns.take(hsm(), alice, again, 2 * TURN_MS - 1), Place::Later);
        turns.done(hsm(), bob);
        asks(&mut turns, alice, again, 2 * TURN_MS - 1);
    }

    #[test]
    fn a_challenge_that_is_drawn_late_is_waited_for() {
        let mut turns = Turns::default();
        let (alice, bob) = (person(1), person(2));
        let call = turns.join(hsm(), alice);
        asks(&mut turns, alice, call, 0);
        let late = turns.join(hsm(), alice);
        assert_eq!(turns.take(hsm(), alice, late, TURN_MS - 1), Place::Yours);
        let waits = turns.join(hsm(), bob);
        assert_eq!(turns.take(hsm(), bob, waits, 2 * TURN_MS), Place::Later);
        // But no other call of hers comes between, nor does her answer to the one before let him in.
        let again = turns.join(hsm(), alice);
        assert_eq!(turns.take(hsm(), alice, again, 2 * TURN_MS), Place::Later);
        turns.done(hsm(), alice);
        assert_eq!(turns.take(hsm(), bob, waits, 2 * TURN_MS), Place::Later);
        turns.arrived(hsm(), alice);
        asks(&mut turns, bob, waits, 2 * TURN_MS);
    }

    #[test]
    fn an_answer_on_its_way_is_waited_for() {
        let mut turns = Turns::default();
        let (alice, bob) = (person(1), person(2));
        let call = turns.join(hsm(), alice);
        asks(&mut turns, alice, call, 0);
        let waits = turns.join(hsm(), bob);
        assert!(turns.set_out(hsm(), alice));
        assert!(!turns.set_out(hsm(), bob), "it is not his turn");
        assert_eq!(turns.take(hsm(), bob, waits, TURN_MS), Place::Later);
        turns.done(hsm(), alice);
        turns.arrived(hsm(), alice);
        asks(&mut turns, bob, waits, 1);
    }

    #[test]
    fn a_call_that_was_given_up_holds_no_place() {
        let mut turns = Turns::default();
        let (alice, bob, carol) = (person(1), person(2), person(3));
        let call = turns.join(hsm(), alice);
        asks(&mut turns, alice, call, 0);
        let first = turns.join(hsm(), bob);
        let behind = turns.join(hsm(), carol);
        let second = turns.join(hsm(), bob);
        assert_eq!(turns.take(hsm(), bob, first, TURN_MS), Place::Replaced);
        assert_eq!(
            turns.take(hsm(), carol, behind, TURN_MS),
            Place::Later,
            "bob came first"
        );
        turns.leave(hsm(), bob, first);
        assert_eq!(turns.take(hsm(), carol, behind, TURN_MS), Place::Later);
        turns.leave(hsm(), bob, second);
        asks(&mut turns, carol, behind, TURN_MS);
        turns.done(hsm(), alice);
        assert_eq!(turns.lines.len(), 1, "only who has the turn ends it");
        turns.done(hsm(), carol);
        assert!(turns.lines.is_empty());
    }

    #[test]
    fn hsms_have_a_line_each() {
        let mut turns = Turns::default();
        let other = HsmId::new(Uuid::from_bytes([2; 16]));
        let call = turns.join(hsm(), person(1));
        assert_eq!(turns.take(hsm(), person(1), call, 0), Place::Yours);
        let call = turns.join(other, person(2));
        assert_eq!(turns.take(other, person(2), call, 0), Place::Yours);
    }
}
