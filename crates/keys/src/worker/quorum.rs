//! A challenge for a custodian and the answer to it. Between the two nothing else reaches the token.

use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use chancery_cvc::Reference;
use chancery_driver::{ANSWER_LENGTH, PendingChallenge, QuorumError, Selected};
use chancery_schsm::PkaStatus;

use super::held::{Held, SharedToken};
use super::{Job, Reply, Worker};
use crate::shared::Shared;
use crate::{Challenge, HsmError, Inspection, State};

/// How the wait for an answer ended.
enum Ended {
    /// The token has seen an answer.
    Answered(Result<PkaStatus, QuorumError>, Reply<State>),
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
        let prepared = self.prepare(custodian).and_then(|(seen, name)| {
            let card = self.take_selected()?;
            Ok((seen, name, card))
        });
        let (seen, name, mut card) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                drop(reply.send(Err(error)));
                return None;
            }
        };
        let before = self.status.map_or(0, |status| status.authenticated);
        let pending = match card.challenge(&name) {
            Ok(pending) => pending,
            Err(error) => {
                self.card = Held::Selected(card);
                drop(reply.send(Err(self.quorum_failed("give a challenge", error))));
                return None;
            }
        };
        let session = match random_session() {
            Ok(session) => session,
            Err(what) => {
                self.card = Held::Selected(card);
                let hsm = self.shared.name.clone();
                drop(reply.send(Err(HsmError::Unsupported { hsm, what })));
                return None;
            }
        };
        let challenge = Challenge {
            session: session.clone(),
            challenge: pending.challenge().0,
        };
        let ended = match reply.send(Ok(challenge)) {
            Ok(()) => {
                let until = Instant::now() + self.options.challenge_expiry;
                wait(&self.jobs, &self.shared, &seen, &session, until, pending)
            }
            // Nobody will answer.
            Err(_) => Ended::Closed,
        };
        self.card = Held::Selected(card);
        match ended {
            Ended::Answered(result, reply) => {
                let state = self.answered(before, result);
                drop(reply.send(state));
                None
            }
            Ended::Replaced(job) => Some(job),
            Ended::Expired => {
                tracing::info!(hsm = self.shared.name, custodian, "challenge expired");
                self.expired = Some(session);
                None
            }
            Ended::Closed => None,
        }
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
        match seen.custodians.iter().find(|known| known.chr == custodian) {
            None => return Err(HsmError::NoSuchCustodian { hsm, custodian }),
            // The token would take the answer and count it once.
            Some(known) if known.answered => return Err(HsmError::AlreadyAnswered { hsm, custodian }),
            Some(_) => {}
        }
        let name = Reference::new(&custodian).map_err(|_| HsmError::NoSuchCustodian { hsm, custodian })?;
        Ok((seen, name))
    }

    fn take_selected(&mut self) -> Result<Selected<SharedToken>, HsmError> {
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
    fn answered(&mut self, before: u8, result: Result<PkaStatus, QuorumError>) -> Result<State, HsmError> {
        match result {
            Ok(status) if status.authenticated <= before => {
                self.look(None)?;
                Err(HsmError::Unsupported {
                    hsm: self.shared.name.clone(),
                    what: "it forgets the answers before whenever a challenge is drawn; this is not handled yet",
                })
            }
            Ok(status) => {
                self.settle(Some(status), None)?;
                Ok(self.shared.state())
            }
            Err(error) => {
                let failure = self.quorum_failed("take the answer", error);
                // The count decides, whatever the refusal meant.
                if !matches!(self.card, Held::Gone) {
                    self.check()?;
                }
                Err(failure)
            }
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
    pending: PendingChallenge<'_, SharedToken>,
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
                return Ended::Answered(pending.answer(&signature), reply);
            }
            Job::Inspect(reply) => drop(reply.send(Ok(seen.clone()))),
            Job::Sign(job) => drop(job.reply.send(Err(shared.busy(WHY)))),
            Job::Run(task) => task(Err(shared.busy(WHY))),
            Job::Wake => {}
            Job::Challenge { ref reply, .. } if reply.is_closed() => {}
            job @ (Job::Challenge { .. } | Job::Lock(_) | Job::Reconnect(_)) => return Ended::Replaced(job),
        }
    }
}

/// 128 random bits as text.
fn random_session() -> Result<String, &'static str> {
    let mut bytes = [0u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
