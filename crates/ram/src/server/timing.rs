//! What happens when nothing happens.

use std::time::Instant;

use super::Answer;
use super::batch::Batch;
use super::session::{Kind, Session, State};

impl Session {
    /// When to call [`Self::tick`] unless something happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Gone => return None,
            State::Over { until } => return Some(until),
            State::Open | State::Finishing | State::Failing { .. } => {}
        }
        let keep_alive = self
            .waiting
            .as_ref()
            .map(|waiting| waiting.since + self.limits.keep_alive);
        let gathered = self
            .gather
            .as_ref()
            .filter(|_| self.waiting.is_some() && !self.queue.is_empty())
            .map(|gather| gather.until);
        [keep_alive, gathered, self.end_of_work(), self.end_of_silence()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.state {
            State::Gone => return,
            State::Over { until } => {
                if until <= now {
                    self.forget("", now);
                }
                return;
            }
            State::Open | State::Finishing | State::Failing { .. } => {}
        }
        if due(self.end_of_work()) {
            return self.forget(OVERDUE, now);
        }
        if due(self.end_of_silence()) {
            return self.forget(SILENT, now);
        }
        if self.gather.as_ref().is_some_and(|gather| gather.until <= now) {
            self.gather = None;
        }
        self.pump(now);
        let keep_alive = self.limits.keep_alive;
        if due(self.waiting.as_ref().map(|waiting| waiting.since + keep_alive)) {
            self.hand_out(Batch::default(), now);
        }
    }

    /// When the oldest template with work for the card has to be answered.
    fn end_of_work(&self) -> Option<Instant> {
        let handed = self.handed.iter().find(|handed| !handed.time.is_zero())?;
        let end = handed.started + handed.time;
        // While our own agent is cut off it keeps the answer. When it listens, it would have given it.
        let cut_off = self.kind == Kind::Own && self.authenticated && self.waiting.is_none();
        if !cut_off {
            return Some(end);
        }
        // However often it comes back without the answer.
        let resume = self.limits.resume;
        Some((self.contact + resume).clamp(end, end + resume))
    }

    /// When a client that has nothing to do and does not ask for anything is gone.
    fn end_of_silence(&self) -> Option<Instant> {
        let works = self.handed.iter().any(|handed| !handed.time.is_zero());
        let patience = if self.kind == Kind::Own && self.authenticated {
            self.limits.resume
        } else {
            self.limits.silence
        };
        (self.waiting.is_none() && !works).then_some(self.contact + patience)
    }

    fn forget(&mut self, because: &str, now: Instant) {
        self.end(because, State::Gone);
        self.answer_waiting(Answer::Unknown, now);
    }
}

const OVERDUE: &str = "no answer of the client within the time of its commands";
const SILENT: &str = "the client fell silent";
