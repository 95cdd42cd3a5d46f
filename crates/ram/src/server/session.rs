//! One session.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chancery_iso7816::TransportError;

use super::batch::{Queue, Work};
use super::handed::Handed;
use super::limits::{Limits, MAX_COMMAND, MAX_JOBS};
use super::output::JobResult;
use super::{Answer, JobId, Output, PostId};
use crate::message::Initiation;

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
    pub(super) next: u64,
    /// Templates with the client, oldest first.
    pub(super) handed: VecDeque<Handed>,
    /// Number of the template with the reason for which the session was ended.
    pub(super) last_word: Option<u64>,
    /// The POST the next template answers.
    pub(super) waiting: Option<Waiting>,
    pub(super) gather: Option<Gather>,
    /// When a POST was last open.
    pub(super) contact: Instant,
    pub(super) authenticated: bool,
    next_job: u64,
    pub(super) outputs: VecDeque<Output>,
}

#[derive(Debug)]
pub(super) enum State {
    /// Takes jobs.
    Open,
    /// Does what is queued, then ends in order.
    Finishing,
    /// Has an error to tell the client as soon as that listens.
    Failing { text: String },
    /// Says that it is over, until then; to our own agent after the reason, if there is one.
    Over { until: Instant },
    /// Forgotten.
    Gone,
}

/// A POST that is held.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) post: PostId,
    pub(super) since: Instant,
    /// Whether it is a fetch, not an answer.
    pub(super) fetch: bool,
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
            last_word: None,
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

    pub(super) fn finish_jobs(&mut self, done: Vec<(JobId, JobResult)>) {
        self.outputs
            .extend(done.into_iter().map(|(job, result)| Output::Done { job, result }));
    }

    pub(super) fn answer_waiting(&mut self, answer: Answer, now: Instant) {
        if let Some(waiting) = self.waiting.take() {
            self.contact = now;
            self.answer(waiting.post, answer);
        }
    }

    pub(super) fn answer(&mut self, post: PostId, answer: Answer) {
        self.outputs.push_back(Output::Answer { post, answer });
    }
}
