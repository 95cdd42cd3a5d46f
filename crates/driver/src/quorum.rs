//! Unlocking an HSM by its custodians, one after the other, over days of waiting if need be.
//!
//! Two kinds of firmware are told apart by what they do. Most keep earlier successes when a new challenge is drawn:
//! each custodian answers a challenge of its own. Others (the Pico HSM) forget all successes at each GET CHALLENGE
//! and let one challenge serve every custodian. The session begins with a challenge for each, reads the count again
//! after every answer, and goes over to one challenge for all when the count fell.

use chancery_cvc::Reference;
use chancery_iso7816::Transport;
use chancery_schsm::PkaStatus;

use crate::card::{Authenticated, Selected};
use crate::challenge::{Challenge, QuorumError, check_length};
use crate::error::{Error, Failed};
use crate::session::sealed::HasSession;

/// How many custodians one challenge serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeMode {
    /// Each custodian answers a challenge of its own.
    Each,
    /// One challenge for all custodians: the HSM forgets successes whenever a new one is drawn.
    Shared,
}

/// What a custodian is asked to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The custodian key asked.
    pub custodian: Reference,
    /// Name of the HSM's device certificate.
    pub target: Reference,
    /// The HSM's random bytes.
    pub challenge: Challenge,
}

/// What an accepted answer led to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// More custodians must answer.
    More(PkaStatus),
    /// The quorum is reached: [`QuorumSession::finish`].
    Reached(PkaStatus),
    /// This HSM forgot the earlier answers. From now on one challenge serves all: ask every custodian again.
    StartAgain(PkaStatus),
}

/// An unlock under way. Owns the HSM, so that nothing else reaches it between a challenge and its answer.
pub struct QuorumSession<T> {
    card: Selected<T>,
    target: Reference,
    mode: ChallengeMode,
    status: PkaStatus,
    answered: Vec<Reference>,
    open: Option<Open>,
}

/// The challenge last drawn.
enum Open {
    Each(Reference),
    Shared(Challenge),
}

impl<T: Transport> QuorumSession<T> {
    /// Begins, or goes on where earlier answers left the HSM.
    ///
    /// # Errors
    /// No quorum, or custodians still to be registered, or a command failed.
    pub fn begin(mut card: Selected<T>) -> Result<Self, Failed<Selected<T>, QuorumError>> {
        match Self::look(&mut card) {
            Ok((target, status, answered)) => Ok(Self {
                card,
                target,
                mode: ChallengeMode::Each,
                status,
                answered,
                open: None,
            }),
            Err(error) => Err(Failed { card, error }),
        }
    }

    fn look(card: &mut Selected<T>) -> Result<(Reference, PkaStatus, Vec<Reference>), QuorumError> {
        let status = card.pka_status()?.ok_or(QuorumError::NotConfigured)?;
        if status.missing > 0 {
            return Err(QuorumError::Incomplete(status));
        }
        let target = card.session().device_name()?;
        let answered = if status.authenticated == 0 {
            Vec::new()
        } else {
            answered(card)?
        };
        Ok((target, status, answered))
    }

    /// Draws a challenge for this custodian, or gives the one that serves all.
    ///
    /// In mode [`ChallengeMode::Each`] an earlier question that was not answered yet is void from here on.
    ///
    /// # Errors
    /// The custodian is unknown to the HSM or has answered already, or a command failed.
    pub fn ask(&mut self, custodian: &Reference) -> Result<Question, QuorumError> {
        if self.answered.contains(custodian) {
            return Err(QuorumError::AlreadyAnswered {
                custodian: custodian.clone(),
            });
        }
        let challenge = match (self.mode, &self.open) {
            (ChallengeMode::Shared, Some(Open::Shared(challenge))) => *challenge,
            (ChallengeMode::Shared, _) => {
                let challenge = self.card.session().draw_challenge()?;
                self.open = Some(Open::Shared(challenge));
                challenge
            }
            (ChallengeMode::Each, _) => {
                self.open = None;
                let challenge = self.card.session().challenge(custodian)?.challenge();
                self.open = Some(Open::Each(custodian.clone()));
                challenge
            }
        };
        Ok(Question {
            custodian: custodian.clone(),
            target: self.target.clone(),
            challenge,
        })
    }

    /// Presents a custodian's plain signature r|s over the question, and reads the count again.
    ///
    /// # Errors
    /// No question of this custodian is open, the HSM did not accept the signature, or a command failed.
    pub fn answer(&mut self, custodian: &Reference, plain_signature: &[u8]) -> Result<Progress, QuorumError> {
        // A signature of another length reaches no card and costs no challenge.
        check_length(plain_signature)?;
        match &self.open {
            Some(Open::Each(asked)) if asked == custodian => self.open = None,
            Some(Open::Shared(_)) if self.answered.contains(custodian) => {
                return Err(QuorumError::AlreadyAnswered {
                    custodian: custodian.clone(),
                });
            }
            Some(Open::Shared(_)) => self.card.session().select_custodian(custodian)?,
            _ => {
                return Err(QuorumError::NoChallenge {
                    custodian: custodian.clone(),
                });
            }
        }
        let session = self.card.session();
        let presented = session.external_authenticate(custodian, plain_signature);
        let before = self.status;
        self.status = session.pka_status()?.ok_or(QuorumError::NotConfigured)?;
        if self.mode == ChallengeMode::Each
            && self.status.authenticated <= before.authenticated
            && before.authenticated > 0
        {
            // Either this answer did not count, or it counts and the earlier ones do not any more.
            let still = answered(&mut self.card)?;
            if self.answered.iter().any(|earlier| !still.contains(earlier)) {
                self.mode = ChallengeMode::Shared;
                self.answered.clear();
                self.open = None;
                if self.status.authenticated < self.status.required {
                    return Ok(Progress::StartAgain(self.status));
                }
            }
        }
        presented?;
        self.answered.push(custodian.clone());
        Ok(if self.status.authenticated >= self.status.required {
            Progress::Reached(self.status)
        } else {
            Progress::More(self.status)
        })
    }

    /// How many custodians one challenge serves on this HSM, as far as it has shown.
    pub const fn mode(&self) -> ChallengeMode {
        self.mode
    }

    /// The count last read.
    pub const fn status(&self) -> PkaStatus {
        self.status
    }

    /// Custodians whose answers count.
    pub fn answered(&self) -> &[Reference] {
        &self.answered
    }

    /// Name of the HSM's device certificate, which every answer covers.
    pub const fn target(&self) -> &Reference {
        &self.target
    }

    /// The unlocked HSM.
    ///
    /// # Errors
    /// [`QuorumError::Open`] while custodians are missing; the session can go on.
    pub fn finish(self) -> Result<Authenticated<T>, Failed<Self, QuorumError>> {
        let Self {
            card,
            target,
            mode,
            status,
            answered,
            open,
        } = self;
        card.into_authenticated_by_quorum()
            .map_err(|Failed { card, error }| Failed {
                card: Self {
                    card,
                    target,
                    mode,
                    status,
                    answered,
                    open,
                },
                error,
            })
    }

    /// Gives the HSM back as it is; answers that count stay until it is selected again.
    pub fn stop(self) -> Selected<T> {
        self.card
    }
}

/// Custodians the HSM itself counts.
fn answered<T: Transport>(card: &mut Selected<T>) -> Result<Vec<Reference>, Error> {
    Ok(card
        .custodians()?
        .into_iter()
        .filter(|slot| slot.answered)
        .filter_map(|slot| slot.custodian)
        .collect())
}
