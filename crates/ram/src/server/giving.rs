//! When which jobs go out.

use std::time::Instant;

use chancery_iso7816::TransportError;

use super::batch::{Batch, notice};
use super::handed::Handed;
use super::limits::{AHEAD, MAX_JOBS};
use super::session::{Gather, Kind, Session, State};
use super::{Answer, Output};
use crate::message::CommandTemplate;

impl Session {
    /// Hands out what waits, if somebody waits for it.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.waiting.is_none() {
            return;
        }
        match &self.state {
            State::Open | State::Finishing => {}
            State::Failing { text } => {
                let objects = vec![notice(ERROR, text, None)];
                self.last_word = Some(self.next);
                self.hand_out(
                    Batch {
                        objects,
                        ..Batch::default()
                    },
                    now,
                );
                let until = now + self.limits.farewell;
                self.state = State::Over { until };
                return;
            }
            State::Over { .. } => return self.answer_waiting(Answer::Over, now),
            State::Gone => return self.answer_waiting(Answer::Unknown, now),
        }
        if self.handed.len() >= self.ahead() {
            return;
        }
        if self.queue.is_empty() {
            if matches!(self.state, State::Finishing) && self.handed.is_empty() {
                let until = now + self.limits.farewell;
                self.state = State::Over { until };
                self.answer_waiting(Answer::Over, now);
            }
            return;
        }
        let enough = |gather: &Gather| now >= gather.until || self.queue.jobs() >= gather.jobs;
        if self.gather.as_ref().is_none_or(enough) {
            self.gather = None;
            let batch = self.queue.take(self.share());
            self.hand_out(batch, now);
        }
    }

    /// Answers the POST that waits with a template.
    pub(super) fn hand_out(&mut self, batch: Batch, now: Instant) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        self.contact = now;
        let number = self.next;
        self.next += 1;
        let body = match CommandTemplate(batch.objects).encode() {
            Ok(body) => body,
            Err(error) => {
                // The limits of a batch keep this from happening; nobody may wait for ever if they do not.
                let reason = error.to_string();
                for (job, _) in batch.jobs {
                    let reason = reason.clone();
                    let result = Err(TransportError::Failed { reason });
                    self.outputs.push_back(Output::Done { job, result });
                }
                return self.answer(waiting.post, Answer::OutOfStep);
            }
        };
        self.handed.push_back(Handed {
            number,
            body: body.clone(),
            jobs: batch.jobs,
            instructions: batch.instructions,
            started: now,
            time: batch.time,
            fetched: waiting.fetch,
        });
        let sequence = (self.kind == Kind::Own).then_some(number);
        self.answer(waiting.post, Answer::Template { body, sequence });
    }

    /// Jobs to hand out now. Where one template can be ahead of the card, some stay for that one: were all in one, the card
    /// would rest until their callers came back.
    fn share(&self) -> usize {
        match self.kind {
            Kind::Own if self.handed.is_empty() => self.queue.jobs().div_ceil(2).clamp(1, MAX_JOBS),
            Kind::Own | Kind::Foreign => MAX_JOBS,
        }
    }

    /// Templates that may be with the client while another goes out.
    fn ahead(&self) -> usize {
        match self.kind {
            Kind::Foreign => 1,
            Kind::Own => AHEAD,
        }
    }
}

/// Number of the notice that ends a session with an error.
const ERROR: i32 = -1;
