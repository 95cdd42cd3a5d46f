//! Signatures on a way that takes several commands at a time: the next ones are under way before the last answer comes.
//!
//! Answers come in the order of the commands and are handed over one by one. Whatever else is asked for waits until nothing is
//! under way. A channel that is lost voids what is under way: it is sent again through the next one, for a signature made twice
//! is one as good as the other, use counters excepted.

use std::collections::VecDeque;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use chancery_driver::{Collected, Error, Submitted};
use chancery_iso7816::TransportError;

use super::held::Held;
use super::replies;
use super::{Job, SignJob, Worker};
use crate::HsmError;

/// How often a signature is sent at most.
const MOST_TRIES: u8 = 3;
/// How long is waited for a request before an answer is waited for, on a way that does not tell when one is there.
const GRACE: Duration = Duration::from_millis(1);
/// How long is waited for either on a way that tells, should it ever forget to.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Stream {
    /// To be sent, before what the queue holds.
    waiting: VecDeque<Wanted>,
    under_way: VecDeque<(Wanted, Submitted)>,
    /// What came that is no signature; nothing more is taken from the queue.
    ended: Option<Job>,
    /// Nobody is left who could ask for anything.
    over: bool,
}

struct Wanted {
    job: SignJob,
    tries: u8,
}

impl Wanted {
    const fn new(job: SignJob) -> Self {
        Self { job, tries: 0 }
    }
}

impl Worker {
    /// Signs as long as signatures are asked for. Gives back the request that ended it.
    pub(super) fn stream(&mut self, first: SignJob) -> Option<Job> {
        self.touched = true;
        self.shared.at_work(Instant::now());
        let mut stream = Stream::default();
        stream.waiting.push_back(Wanted::new(first));
        loop {
            self.fill(&mut stream);
            let Some((wanted, submitted)) = stream.under_way.pop_front() else {
                return stream.ended;
            };
            self.collect(&mut stream, wanted, submitted);
        }
    }

    fn takes_more(&self, stream: &Stream) -> bool {
        stream.ended.is_none() && !stream.over && !self.shared.is_closing() && !self.is_to_be_locked()
    }

    /// Sends what is asked for, as far as the way takes it.
    fn fill(&mut self, stream: &mut Stream) {
        while stream.under_way.len() < self.window {
            let wanted = match stream.waiting.pop_front() {
                Some(wanted) => wanted,
                None if !self.takes_more(stream) => return,
                None => match self.jobs.try_recv() {
                    Ok(job) => {
                        stream.take(job);
                        continue;
                    }
                    Err(_) => return,
                },
            };
            if wanted.job.reply.is_closed() {
                continue;
            }
            if let Err(failure) = self.require_era(&wanted.job) {
                self.hand_over(wanted, Err(failure));
                continue;
            }
            let Held::Open(card) = &mut self.card else {
                self.hand_over(wanted, Err(self.shared.not_open()));
                continue;
            };
            let SignJob {
                key,
                algorithm,
                ref input,
                ..
            } = wanted.job;
            match card.submit(key, algorithm, input) {
                Ok(submitted) => stream.under_way.push_back((wanted, submitted)),
                Err(error) if is_void(&error) => self.void(stream, wanted, error),
                Err(error) => {
                    let failure = self.broken("sign", error);
                    self.hand_over(wanted, Err(failure));
                }
            }
        }
    }

    /// Waits for the oldest answer or, where that is possible at the same time, for another request.
    fn collect(&mut self, stream: &mut Stream, wanted: Wanted, submitted: Submitted) {
        let room = stream.under_way.len() + 1 < self.window && self.takes_more(stream);
        if room && !self.tells && self.wait_for_request(stream, GRACE) {
            stream.under_way.push_front((wanted, submitted));
            return;
        }
        let Held::Open(card) = &mut self.card else {
            // Cannot be: what is under way was sent to an open token.
            return self.hand_over(wanted, Err(self.shared.not_open()));
        };
        let result = if room && self.tells {
            match card.try_collect(submitted) {
                Ok(Collected::Signature(signature)) => Ok(signature),
                Ok(Collected::NotYet(submitted)) => {
                    stream.under_way.push_front((wanted, submitted));
                    self.wait_for_request(stream, LOOK_AGAIN);
                    return;
                }
                Err(error) => Err(error),
            }
        } else {
            card.collect(submitted)
        };
        match result {
            Ok(signature) => self.hand_over(wanted, Ok(signature)),
            Err(error) if is_void(&error) => self.void(stream, wanted, error),
            Err(error) => self.refused(stream, wanted, error),
        }
    }

    /// Whether a request came.
    fn wait_for_request(&self, stream: &mut Stream, limit: Duration) -> bool {
        match self.jobs.recv_timeout(limit) {
            Ok(job) => {
                stream.take(job);
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                stream.over = true;
                true
            }
        }
    }

    /// One answer was a refusal. What it means is asked of the token, which takes that only when nothing is under way.
    fn refused(&mut self, stream: &mut Stream, wanted: Wanted, error: Error) {
        let mut refusals = vec![(wanted, error)];
        while let Some((wanted, submitted)) = stream.under_way.pop_front() {
            let Held::Open(card) = &mut self.card else {
                stream.waiting.push_back(wanted);
                continue;
            };
            match card.collect(submitted) {
                Ok(signature) => self.hand_over(wanted, Ok(signature)),
                Err(error) if is_void(&error) => self.void(stream, wanted, error),
                Err(error) => refusals.push((wanted, error)),
            }
        }
        for (wanted, error) in refusals {
            let failure = self.failed("sign", error);
            self.hand_over(wanted, Err(failure));
        }
    }

    /// Nothing that is under way is answered any more. Once there is another channel to an open token it is sent again.
    fn void(&mut self, stream: &mut Stream, wanted: Wanted, error: Error) {
        let voided = stream.under_way.drain(..).map(|(wanted, _)| wanted);
        let mut again: VecDeque<_> = voided.collect();
        let failure = self.broken("sign", error);
        let goes_on = matches!(
            failure,
            HsmError::ChannelLost { .. } | HsmError::NotLetThrough { .. }
        );
        tracing::warn!(
            hsm = self.shared.name,
            commands = again.len() + 1,
            goes_on,
            "signatures under way got no answer"
        );
        if let HsmError::NotLetThrough { .. } = failure {
            // That was this command; the others had no chance.
            self.hand_over(wanted, Err(failure));
        } else {
            again.push_front(wanted);
            for wanted in &mut again {
                wanted.tries += 1;
            }
        }
        again.append(&mut stream.waiting);
        for wanted in again {
            if goes_on && wanted.tries < MOST_TRIES {
                // One that the token is no longer open for is told so when it is to be sent.
                stream.waiting.push_back(wanted);
            } else if goes_on {
                self.hand_over(wanted, Err(self.channel_lost("sign")));
            } else {
                self.hand_over(wanted, Err(self.shared.not_open()));
            }
        }
    }

    fn hand_over(&self, wanted: Wanted, result: Result<Vec<u8>, HsmError>) {
        self.shared.at_work(Instant::now());
        replies::hand_over(&self.shared, wanted.job.key, wanted.job.reply, result);
    }
}

impl Stream {
    fn take(&mut self, job: Job) {
        match job {
            Job::Sign(job) => self.waiting.push_back(Wanted::new(job)),
            Job::Wake => {}
            other => self.ended = Some(other),
        }
    }
}

/// Whether an error says that nothing under way is answered any more.
const fn is_void(error: &Error) -> bool {
    matches!(error, Error::Link { source, .. } if !matches!(source, TransportError::TooLong { .. }))
}
