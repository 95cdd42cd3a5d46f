//! What a POST means.

use std::time::Instant;

use super::handed::{Handed, closed};
use super::limits::{MAX_HANDED, MAX_JOBS};
use super::session::{Gather, Kind, Session, State, Waiting};
use super::{Answer, Output, PostId};
use crate::message::{CommandTemplate, ResponseTemplate};

impl Session {
    /// A POST with the answer to a template. Our own agent says to which one.
    pub fn answered(&mut self, post: PostId, number: Option<u64>, response: ResponseTemplate, now: Instant) {
        self.contact = now;
        if self.is_gone() {
            return self.answer(post, Answer::Unknown);
        }
        let found = self.take_handed(number);
        if let State::Over { .. } = self.state {
            let left = response.close().is_some();
            self.too_late(found, &response);
            // An end that comes by another connection before the last word would be one without a reason.
            return if left || self.last_word_was_heard() {
                self.answer(post, Answer::Over)
            } else {
                self.acknowledge(post)
            };
        }
        // A close counts whenever it comes, also beside a POST that is held.
        if let Some(reason) = response.close().map(closed)
            && found.is_none()
        {
            return self.stop(post, &reason, now);
        }
        let Some(found) = found else {
            return self.unexpected(post, number, &response, now);
        };
        let number = found.number;
        if matches!(self.state, State::Failing { .. }) && response.close().is_none() {
            self.too_late(Some(found), &response);
            self.hold_answer(post, number, now);
            return self.pump(now);
        }
        let gathered = match self.kind {
            _ if found.jobs.is_empty() => 0,
            // What waits already goes with those who come back: two halves of all callers that take turns would each pay for a
            // way there and back.
            Kind::Foreign => (found.jobs.len() + self.queue.jobs()).min(MAX_JOBS),
            Kind::Own => found.jobs.len().min(MAX_JOBS),
        };
        let gather = self
            .limits
            .gather_after(now.saturating_duration_since(found.started));
        let worked = !found.time.is_zero();
        let outcome = found.settle(response);
        self.finish_jobs(outcome.done);
        if let Some(reason) = outcome.end {
            return self.stop(post, &reason, now);
        }
        // The card comes to a template after the work before it, and after nothing else.
        if let Some(next) = self.handed.front_mut()
            && worked
            && number < next.number
        {
            next.started = next.started.max(now);
        }
        if gathered > 0 {
            self.gather = Some(Gather {
                until: now + gather,
                jobs: gathered,
            });
        }
        self.hold_answer(post, number, now);
        self.pump(now);
    }

    /// A POST of our own agent that asks for the template with this number.
    pub fn fetch(&mut self, post: PostId, number: u64, now: Instant) {
        self.contact = now;
        if self.is_gone() {
            return self.answer(post, Answer::Unknown);
        }
        let over = matches!(self.state, State::Over { .. });
        if let Some(handed) = self.handed.iter().find(|handed| handed.number == number)
            && (!over || self.last_word == Some(number))
        {
            let body = handed.body.clone();
            let sequence = Some(number);
            return self.answer(post, Answer::Template { body, sequence });
        }
        if over {
            // Who asks for what comes after the last word has begun that; who asks for less has it on the way.
            return if self.last_word.is_some_and(|word| number < word) && !self.last_word_was_heard() {
                self.acknowledge(post)
            } else {
                self.answer(post, Answer::Over)
            };
        }
        if self.kind == Kind::Foreign || number > self.next || self.handed.len() >= MAX_HANDED {
            return self.answer(post, Answer::OutOfStep);
        }
        if number < self.next {
            // It came by another way and was answered already.
            return self.acknowledge(post);
        }
        self.hold(post, true, now);
        self.pump(now);
    }

    /// The connection of a POST is gone. What answered it may or may not have arrived.
    pub fn post_gone(&mut self, post: PostId, now: Instant) {
        if self.waiting.as_ref().is_some_and(|waiting| waiting.post == post) {
            self.waiting = None;
            self.contact = now;
        }
    }

    /// Takes the template that an answer is for from those that are with the client.
    fn take_handed(&mut self, number: Option<u64>) -> Option<Handed> {
        match (self.kind, number) {
            (Kind::Foreign, _) => self.handed.pop_front(),
            (Kind::Own, Some(number)) => {
                let index = self.handed.iter().position(|handed| handed.number == number)?;
                self.handed.remove(index)
            }
            (Kind::Own, None) => None,
        }
    }

    /// Whether the notice with the reason of the end, if there was one, was answered.
    fn last_word_was_heard(&self) -> bool {
        self.handed
            .iter()
            .all(|handed| Some(handed.number) != self.last_word)
    }

    /// An answer that came after the session was ended here: its responses are delivered to nobody.
    fn too_late(&mut self, handed: Option<Handed>, response: &ResponseTemplate) {
        let instructions = handed.map_or_else(Vec::new, |handed| handed.carried_out(response));
        if !instructions.is_empty() {
            self.outputs.push_back(Output::TooLate { instructions });
        }
    }

    /// An answer to nothing that is with the client.
    fn unexpected(&mut self, post: PostId, number: Option<u64>, response: &ResponseTemplate, now: Instant) {
        match (self.kind, number) {
            // The held POST was lost on the way and the client posts again.
            (Kind::Foreign, _) if self.waiting.is_none() && response.results.is_empty() => {
                self.hold(post, false, now);
                self.pump(now);
            }
            // Recorded already.
            (Kind::Own, Some(number)) if (1..self.next).contains(&number) => {
                let again = self.handed.iter().find(|handed| handed.number == number + 1);
                if let Some(handed) = again.filter(|handed| !handed.fetched) {
                    let body = handed.body.clone();
                    let sequence = Some(handed.number);
                    return self.answer(post, Answer::Template { body, sequence });
                }
                self.hold_answer(post, number, now);
                self.pump(now);
            }
            _ => self.answer(post, Answer::OutOfStep),
        }
    }

    /// Holds the POST that answered template `number`, unless it need not wait: then it is acknowledged.
    fn hold_answer(&mut self, post: PostId, number: u64, now: Instant) {
        let next_is_asked_for = number + 1 < self.next || self.waiting.as_ref().is_some_and(|it| it.fetch);
        if self.kind == Kind::Own && next_is_asked_for {
            self.acknowledge(post);
        } else {
            self.hold(post, false, now);
        }
    }

    /// Makes this the POST that waits. The one before was lost on the way, or needs no template any more.
    fn hold(&mut self, post: PostId, fetch: bool, now: Instant) {
        let waiting = Waiting {
            post,
            since: now,
            fetch,
        };
        if let Some(before) = self.waiting.replace(waiting) {
            self.acknowledge(before.post);
        }
    }

    /// Answers with an empty template without a number, which asks for nothing.
    fn acknowledge(&mut self, post: PostId) {
        if let Ok(body) = CommandTemplate::default().encode() {
            self.answer(post, Answer::Template { body, sequence: None });
        }
    }

    /// Ends the session at the client's wish or through its fault, and says so to the POST that brought it.
    fn stop(&mut self, post: PostId, because: &str, now: Instant) {
        let until = now + self.limits.farewell;
        self.end(because, State::Over { until });
        self.answer(post, Answer::Over);
        self.answer_waiting(Answer::Over, now);
    }
}
