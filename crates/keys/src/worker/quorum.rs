//! A challenge for a custodian and the answer to it. Between the two nothing else reaches the token.

use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use chancery_cvc::Reference;
use chancery_driver::{ANSWER_LENGTH, Failed, Progress, QuorumError, QuorumSession};

use super::held::{Held, counted};
use super::way::Way;
use super::{Job, Reply, Worker};
use crate::shared::Shared;
use crate::{Challenge, HsmError, Inspection, State};

/// What is told of an HSM that has shown that its custodians answer over one challenge.
const ONE_FOR_ALL: &str =
    "it takes one challenge for all custodians and forgot the answers before: everybody answers again";
/// What is told of an HSM whose count fell while a challenge was open.
const FORGOTTEN: &str =
    "the answers before are gone: it forgets them when a challenge is drawn, or it was reset";

type Unlocking = QuorumSession<Way>;

/// How the wait for an answer ended.
enum Ended {
    /// The token has seen an answer.
    Answered(Result<Progress, QuorumError>, Reply<State>),
    /// Another request takes its place.
    Replaced(Job),
    /// Nobody answered in time.
    Expired,
    /// The HSM is being closed.
    Closed,
}

impl Worker {
    /// Draws a challenge and waits for its answer. Gives back the request that replaced it.
    pub(super) fn challenge(&mut self, custodian: &str, reply: Reply<Challenge>) -> Option<Job> {
        if reply.is_closed() {
            return None;
        }
        let (seen, name, mut quorum, open) = match self.twice(|worker| worker.begin(custodian)) {
            Ok(begun) => begun,
            Err(error) => {
                drop(reply.send(Err(error)));
                return None;
            }
        };
        let session = open.session.clone();
        let ended = match reply.send(Ok(open)) {
            Ok(()) => {
                let until = Instant::now() + self.options.challenge_expiry;
                wait(
                    &self.jobs,
                    &self.shared,
                    &seen,
                    &session,
                    until,
                    &name,
                    &mut quorum,
                )
            }
            // Nobody will answer.
            Err(_) => Ended::Closed,
        };
        self.put_down(quorum);
        match ended {
            Ended::Answered(result, reply) => {
                let state = self.answered(result);
                drop(reply.send(state));
                None
            }
            Ended::Replaced(job) => {
                self.unanswered();
                Some(job)
            }
            Ended::Expired => {
                tracing::info!(hsm = self.shared.name, custodian, "challenge expired");
                self.expired = Some(session);
                self.unanswered();
                None
            }
            Ended::Closed => {
                self.unanswered();
                None
            }
        }
    }

    /// Draws the challenge, or takes the one that serves all. The token is in the session's hands afterwards.
    fn begin(&mut self, custodian: &str) -> Result<(Inspection, Reference, Unlocking, Challenge), HsmError> {
        let (seen, name) = self.prepare(custodian)?;
        let mut bytes = [0u8; 16];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| HsmError::Unsupported {
            hsm: self.shared.name.clone(),
            what: "the system gives no random bytes",
        })?;
        // 128 random bits as text.
        let session = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let card = self.take_selected()?;
        let mut quorum = match QuorumSession::resume(card, &self.memory) {
            Ok(quorum) => quorum,
            Err(Failed { card, error }) => {
                self.card = Held::Selected(card);
                return Err(self.quorum_failed("give a challenge", error));
            }
        };
        match quorum.ask(&name) {
            Ok(question) => {
                let challenge = question.challenge.0;
                Ok((seen, name, quorum, Challenge { session, challenge }))
            }
            Err(error) => {
                self.put_down(quorum);
                Err(self.quorum_failed("give a challenge", error))
            }
        }
    }

    fn put_down(&mut self, quorum: Unlocking) {
        self.memory = quorum.memory();
        self.card = Held::Selected(quorum.stop());
    }

    /// Whether this custodian can be asked now.
    fn prepare(&mut self, custodian: &str) -> Result<(Inspection, Reference), HsmError> {
        let seen = self.inspect()?;
        let hsm = self.shared.name.clone();
        if seen.quorum.is_none_or(|quorum| quorum.missing > 0) {
            let state = self.shared.state();
            return Err(HsmError::NoQuorum { hsm, state });
        }
        let custodian = custodian.to_owned();
        if !seen.custodians.iter().any(|known| known.chr == custodian) {
            return Err(HsmError::NoSuchCustodian { hsm, custodian });
        }
        let name = Reference::new(&custodian).map_err(|_| HsmError::NoSuchCustodian { hsm, custodian })?;
        Ok((seen, name))
    }

    fn take_selected(&mut self) -> Result<chancery_driver::Selected<Way>, HsmError> {
        match mem::replace(&mut self.card, Held::Gone) {
            Held::Selected(card) => Ok(card),
            other => {
                self.card = other;
                Err(HsmError::Input {
                    hsm: self.shared.name.clone(),
                    what: format!("it is {} and takes no answers", self.shared.state()),
                })
            }
        }
    }

    /// What an answer led to.
    fn answered(&mut self, result: Result<Progress, QuorumError>) -> Result<State, HsmError> {
        match result {
            Ok(progress) => {
                let because = matches!(progress, Progress::StartAgain(_)).then(|| {
                    tracing::warn!(hsm = self.shared.name, "{ONE_FOR_ALL}");
                    ONE_FOR_ALL.to_owned()
                });
                self.settle(Some(progress.status()), because)?;
                Ok(self.shared.state())
            }
            Err(error) => {
                let before = self.status;
                let failure = self.quorum_failed("take the answer", error);
                // The count decides, whatever the refusal meant.
                if !matches!(self.card, Held::Gone) {
                    self.twice(Self::check)?;
                }
                // The answer arrived, and what the token said to it did not.
                if matches!(failure, HsmError::ChannelLost { .. }) && counted(self.status) > counted(before) {
                    return Ok(self.shared.state());
                }
                Err(failure)
            }
        }
    }

    /// A challenge that is not answered costs nothing, except where the answers before were forgotten for it.
    fn unanswered(&mut self) {
        let (Held::Selected(card), Some(before)) = (&mut self.card, self.status) else {
            return;
        };
        match card.pka_status() {
            Ok(Some(now)) if now.authenticated < before.authenticated => {
                // Whoever looks at the HSM next sees what this could not do.
                drop(self.settle(Some(now), Some(FORGOTTEN.to_owned())));
            }
            Ok(_) => {}
            Err(error) => drop(self.broken("tell its state", error)),
        }
    }

    /// What a failed step of an unlock means.
    pub(super) fn quorum_failed(&mut self, doing: &'static str, error: QuorumError) -> HsmError {
        let hsm = self.shared.name.clone();
        match error {
            QuorumError::Card(error) => self.broken(doing, error),
            QuorumError::NotRegistered { custodian } => HsmError::NoSuchCustodian {
                hsm,
                custodian: custodian.to_string(),
            },
            QuorumError::AlreadyAnswered { custodian } => HsmError::AlreadyAnswered {
                hsm,
                custodian: custodian.to_string(),
            },
            error @ (QuorumError::WrongAnswer { .. } | QuorumError::AnswerLength { .. }) => {
                HsmError::AnswerRefused {
                    hsm,
                    source: Box::new(error),
                }
            }
            QuorumError::NoChallenge { .. } => HsmError::NoSuchChallenge { hsm },
            QuorumError::PinMissing => HsmError::Unsupported {
                hsm,
                what: "it wants a user PIN besides its quorum",
            },
            _ => HsmError::NoQuorum {
                hsm,
                state: self.shared.state(),
            },
        }
    }
}

/// Waits for the answer to an open challenge. What reads gets what was read before the challenge; what would reach
/// the token is refused as busy; what ends the challenge ends it.
fn wait(
    jobs: &Receiver<Job>,
    shared: &Shared,
    seen: &Inspection,
    session: &str,
    until: Instant,
    custodian: &Reference,
    quorum: &mut Unlocking,
) -> Ended {
    const WHY: &str = "a challenge is open";
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if shared.is_closing() {
            return Ended::Closed;
        }
        if left.is_zero() {
            return Ended::Expired;
        }
        let job = match jobs.recv_timeout(left) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => return Ended::Expired,
            Err(RecvTimeoutError::Disconnected) => return Ended::Closed,
        };
        match job {
            Job::Answer {
                session: named,
                reply,
                ..
            } if named != session => {
                let hsm = shared.name.clone();
                drop(reply.send(Err(HsmError::NoSuchChallenge { hsm })));
            }
            // A caller that went away does not spend the challenge.
            Job::Answer { reply, .. } if reply.is_closed() => {}
            Job::Answer { signature, reply, .. } if signature.len() != ANSWER_LENGTH => {
                drop(reply.send(Err(HsmError::AnswerRefused {
                    hsm: shared.name.clone(),
                    source: Box::new(QuorumError::AnswerLength {
                        found: signature.len(),
                    }),
                })));
            }
            Job::Answer { signature, reply, .. } => {
                return Ended::Answered(quorum.answer(custodian, &signature), reply);
            }
            Job::Inspect(reply) => drop(reply.send(Ok(seen.clone()))),
            Job::Sign(job) => drop(job.reply.send(Err(shared.busy(WHY)))),
            Job::LockIn { reply, .. } => drop(reply.send(Err(shared.not_open()))),
            Job::Run(task) => task(Err(shared.busy(WHY))),
            Job::Wake => {}
            Job::Challenge { ref reply, .. } if reply.is_closed() => {}
            job @ (Job::Challenge { .. } | Job::Lock(_) | Job::Reconnect(_)) => return Ended::Replaced(job),
        }
    }
}
