//! One session.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chancery_iso7816::TransportError;

use super::batch::{Batch, Queue, Work, notice};
use super::handed::{Handed, closed};
use super::limits::{AHEAD, Limits, MAX_COMMAND, MAX_HANDED, MAX_JOBS};
use super::output::JobResult;
use super::{Answer, JobId, Output, PostId};
use crate::message::{CommandTemplate, Initiation, ResponseTemplate};

/// Who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any program that speaks RAMOverHTTP.
    Foreign,
    /// Our own agent: numbered templates, one ahead, going on after a cut.
    Own,
}

/// The server's end of a session.
#[derive(Debug)]
pub struct Session {
    pub(super) kind: Kind,
    pub(super) initiation: Initiation,
    pub(super) limits: Limits,
    pub(super) state: State,
    pub(super) queue: Queue,
    /// Number of the next template.
    next: u64,
    /// Templates with the client, oldest first.
    pub(super) handed: VecDeque<Handed>,
    /// The POST the next template answers.
    pub(super) waiting: Option<Waiting>,
    pub(super) gather: Option<Gather>,
    /// When a POST was last open.
    pub(super) contact: Instant,
    pub(super) authenticated: bool,
    next_job: u64,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
pub(super) enum State {
    /// Takes jobs.
    Open,
    /// Does what is queued, then ends in order.
    Finishing,
    /// Has an error to tell the client as soon as that listens.
    Failing { text: String },
    /// Says that it is over, until then.
    Over { until: Instant },
    /// Forgotten.
    Gone,
}

/// A POST that is held.
#[derive(Debug)]
pub(super) struct Waiting {
    post: PostId,
    pub(super) since: Instant,
    /// Whether it is a fetch, not an answer.
    fetch: bool,
}

/// The next template waits for more jobs.
#[derive(Debug)]
pub(super) struct Gather {
    pub(super) until: Instant,
    /// Jobs that are enough.
    pub(super) jobs: usize,
}

impl Session {
    /// Begins a session with its first POST, which is held.
    #[must_use]
    pub fn open(kind: Kind, initiation: Initiation, limits: Limits, post: PostId, now: Instant) -> Self {
        Self {
            kind,
            initiation,
            limits,
            state: State::Open,
            queue: Queue::default(),
            next: 1,
            handed: VecDeque::new(),
            waiting: Some(Waiting {
                post,
                since: now,
                fetch: false,
            }),
            gather: None,
            contact: now,
            authenticated: false,
            next_job: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Queues a job that goes out as soon as it can. The card has the time of [`time_for`](super::time_for) for it.
    pub fn submit(&mut self, work: Work, now: Instant) -> JobId {
        let time = work.time();
        self.submit_within(work, time, now)
    }

    /// Queues a job the card may take this long for.
    pub fn submit_within(&mut self, work: Work, time: Duration, now: Instant) -> JobId {
        self.gather = None;
        self.enqueue(work, time, now)
    }

    /// Queues a job that may wait a moment for others, to share a template with them.
    pub fn submit_ahead(&mut self, work: Work, now: Instant) -> JobId {
        let alone = self.gather.as_ref().is_none_or(|gather| gather.jobs <= 1);
        if alone && self.queue.is_empty() {
            self.gather = Some(Gather {
                until: now + self.limits.burst,
                jobs: MAX_JOBS,
            });
        }
        let time = work.time();
        self.enqueue(work, time, now)
    }

    /// Hands out what waited for more jobs.
    pub fn flush(&mut self, now: Instant) {
        self.gather = None;
        self.pump(now);
    }

    /// Takes a job back that is not with the client yet; `false` when it is, and its result still comes.
    pub fn cancel(&mut self, job: JobId) -> bool {
        self.queue.cancel(job)
    }

    /// Tells the user at the client something; below 0 is an error, which this is not for: see [`Self::fail`].
    pub fn notify(&mut self, id: u32, text: &str, seconds: Option<u32>, now: Instant) {
        if matches!(self.state, State::Open) {
            let id = i32::try_from(id).unwrap_or(i32::MAX);
            self.queue.push_notice(id, text, seconds);
            self.pump(now);
        }
    }

    /// Ends the session in order after what is queued, and tells the user.
    pub fn finish(&mut self, text: &str, now: Instant) {
        if matches!(self.state, State::Open) {
            self.queue.push_notice(0, text, None);
            self.gather = None;
            self.state = State::Finishing;
            self.outputs.push_back(Output::Ended {
                because: text.to_owned(),
            });
            self.pump(now);
        }
    }

    /// Ends the session and tells the user this error. Jobs that are not done fail at once.
    pub fn fail(&mut self, text: &str, now: Instant) {
        if self.is_ending() {
            return;
        }
        self.end(
            text,
            State::Failing {
                text: text.to_owned(),
            },
        );
        self.pump(now);
    }

    /// Ends the session without a word: the node stops.
    pub fn close(&mut self, because: &str, now: Instant) {
        let until = now + self.limits.farewell;
        self.end(because, State::Over { until });
        self.answer_waiting(Answer::Over, now);
    }

    /// Chip authentication has proven the token's device: from now on our own agent may go on after a cut.
    pub fn authenticated(&mut self) {
        self.authenticated = true;
    }

    /// A POST with the answer to a template. Our own agent says to which one.
    pub fn answered(&mut self, post: PostId, number: Option<u64>, response: ResponseTemplate, now: Instant) {
        self.contact = now;
        match self.state {
            State::Gone => return self.answer(post, Answer::Unknown),
            State::Over { .. } => return self.answer(post, Answer::Over),
            _ => {}
        }
        let found = match (self.kind, number) {
            (Kind::Foreign, _) => self.handed.pop_front(),
            (Kind::Own, Some(number)) => self
                .handed
                .iter()
                .position(|handed| handed.number == number)
                .and_then(|index| self.handed.remove(index)),
            (Kind::Own, None) => None,
        };
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
            self.hold_answer(post, number, now);
            return self.pump(now);
        }
        let gathered = found.jobs.len().min(MAX_JOBS);
        let outcome = found.settle(response);
        self.finish_jobs(outcome.done);
        if let Some(reason) = outcome.end {
            return self.stop(post, &reason, now);
        }
        if let Some(next) = self.handed.front_mut() {
            next.started = next.started.max(now);
        }
        if gathered > 0 {
            self.gather = Some(Gather {
                until: now + self.limits.gather,
                jobs: gathered,
            });
        }
        self.hold_answer(post, number, now);
        self.pump(now);
    }

    /// A POST of our own agent that asks for the template with this number.
    pub fn fetch(&mut self, post: PostId, number: u64, now: Instant) {
        self.contact = now;
        match self.state {
            State::Gone => return self.answer(post, Answer::Unknown),
            State::Over { .. } => return self.answer(post, Answer::Over),
            _ => {}
        }
        if let Some(handed) = self.handed.iter().find(|handed| handed.number == number) {
            let body = handed.body.clone();
            let sequence = Some(number);
            return self.answer(post, Answer::Template { body, sequence });
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

    /// The next thing that has become of something.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What the client said of its card and its limits.
    #[must_use]
    pub fn initiation(&self) -> &Initiation {
        &self.initiation
    }

    /// Who the client is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes of the longest command that can be submitted.
    #[must_use]
    pub fn max_command(&self) -> usize {
        self.initiation
            .max_command
            .and_then(|limit| usize::try_from(limit).ok())
            .map_or(MAX_COMMAND, |limit| limit.min(MAX_COMMAND))
    }

    /// Whether it takes no more jobs.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        !matches!(self.state, State::Open)
    }

    /// Whether there is nothing left to say, not even that it is over.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    fn enqueue(&mut self, work: Work, time: Duration, now: Instant) -> JobId {
        let id = JobId(self.next_job);
        self.next_job += 1;
        if self.is_ending() {
            let result = Err(TransportError::lost("the session is over"));
            self.outputs.push_back(Output::Done { job: id, result });
        } else {
            self.queue.push(id, work, time);
            self.pump(now);
        }
        id
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

    /// Hands out what waits, if somebody waits for it.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.waiting.is_none() {
            return;
        }
        match &self.state {
            State::Open | State::Finishing => {}
            State::Failing { text } => {
                let objects = vec![notice(ERROR, text, None)];
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
            started: now,
            time: batch.time,
            fetched: waiting.fetch,
        });
        let sequence = (self.kind == Kind::Own).then_some(number);
        self.answer(waiting.post, Answer::Template { body, sequence });
    }

    /// Ends the session at the client's wish or through its fault, and says so to the POST that brought it.
    fn stop(&mut self, post: PostId, because: &str, now: Instant) {
        let until = now + self.limits.farewell;
        self.end(because, State::Over { until });
        self.answer(post, Answer::Over);
        self.answer_waiting(Answer::Over, now);
    }

    /// Ends the session: every job fails.
    pub(super) fn end(&mut self, because: &str, state: State) {
        if matches!(self.state, State::Open) {
            self.outputs.push_back(Output::Ended {
                because: because.to_owned(),
            });
        }
        self.state = state;
        let mut jobs = self.queue.clear();
        for handed in &mut self.handed {
            jobs.extend(handed.jobs.drain(..).map(|(job, _)| job));
        }
        let lost = || Err(TransportError::lost(because));
        self.finish_jobs(jobs.into_iter().map(|job| (job, lost())).collect());
    }

    fn finish_jobs(&mut self, done: Vec<(JobId, JobResult)>) {
        self.outputs
            .extend(done.into_iter().map(|(job, result)| Output::Done { job, result }));
    }

    pub(super) fn answer_waiting(&mut self, answer: Answer, now: Instant) {
        if let Some(waiting) = self.waiting.take() {
            self.contact = now;
            self.answer(waiting.post, answer);
        }
    }

    fn answer(&mut self, post: PostId, answer: Answer) {
        self.outputs.push_back(Output::Answer { post, answer });
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
