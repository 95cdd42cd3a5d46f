//! Unlocking an HSM by its custodians, one after the other, over days of waiting if need be.
//!
//! Two kinds of firmware are told apart by what they do. Most keep earlier successes when a new challenge is drawn:
//! each custodian answers a challenge of its own. Others (the Pico HSM) forget all successes at each GET CHALLENGE
//! and let one challenge serve every custodian. A session begins with a challenge for each, reads the count again after
//! every answer, and goes over to one challenge for all when an answer was accepted and the ones before are gone.
//!
//! Between two custodians the HSM can go its own way: [`QuorumSession::memory`] is what [`QuorumSession::resume`] needs
//! besides the HSM itself.

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

/// What a session knows that the HSM does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumMemory {
    mode: ChallengeMode,
    shared: Option<Challenge>,
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
pub enum Progress {
    /// More custodians must answer.
    More(PkaStatus),
    /// The quorum is reached: [`QuorumSession::finish`].
    Reached(PkaStatus),
    /// This HSM forgot the earlier answers. From now on one challenge serves all, and has been drawn: ask every custodian
    /// again.
    StartAgain(PkaStatus),
}

impl Progress {
    /// The count after the answer.
    #[must_use]
    pub const fn status(&self) -> PkaStatus {
        match self {
            Self::More(status) | Self::Reached(status) | Self::StartAgain(status) => *status,
        }
    }
}

impl Default for QuorumMemory {
    /// Of an HSM that nothing is known of.
    fn default() -> Self {
        Self {
            mode: ChallengeMode::Each,
            shared: None,
        }
    }
}

impl QuorumMemory {
    /// How many custodians one challenge serves on this HSM, as far as it has shown.
    #[must_use]
    pub const fn mode(&self) -> ChallengeMode {
        self.mode
    }

    /// What is left of it when the HSM was selected again: its challenges are void.
    pub const fn selected_again(&mut self) {
        self.shared = None;
    }
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
    pub fn begin(card: Selected<T>) -> Result<Self, Failed<Selected<T>, QuorumError>> {
        Self::resume(card, &QuorumMemory::default())
    }

    /// As [`Self::begin`], on an HSM that has not been selected since an earlier session had this [`Self::memory`].
    ///
    /// # Errors
    /// As there.
    pub fn resume(
        mut card: Selected<T>,
        memory: &QuorumMemory,
    ) -> Result<Self, Failed<Selected<T>, QuorumError>> {
        let open = memory.shared.map(Open::Shared);
        // Whoever answered an earlier challenge is forgotten when the one for all is drawn.
        let counts = memory.mode == ChallengeMode::Each || open.is_some();
        match Self::look(&mut card, counts) {
            Ok((target, status, answered)) => Ok(Self {
                card,
                target,
                mode: memory.mode,
                status,
                answered,
                open,
            }),
            Err(error) => Err(Failed { card, error }),
        }
    }

    fn look(
        card: &mut Selected<T>,
        counts: bool,
    ) -> Result<(Reference, PkaStatus, Vec<Reference>), QuorumError> {
        let status = card.pka_status()?.ok_or(QuorumError::NotConfigured)?;
        if status.missing > 0 {
            return Err(QuorumError::Incomplete(status));
        }
        let target = card.session().device_name()?;
        let answered = if counts && status.authenticated > 0 {
            answered(card)?
        } else {
            Vec::new()
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
            (ChallengeMode::Shared, _) => self.draw_for_all()?,
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
    /// No question of this custodian is open, the HSM did not accept the signature, or a command failed; the count is that
    /// of the HSM either way.
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
        let counted = session.pka_status();
        let status = match counted {
            Ok(Some(status)) => status,
            Ok(None) => return presented.and(Err(QuorumError::NotConfigured)),
            Err(error) => return presented.and_then(|()| Err(error.into())),
        };
        let before = std::mem::replace(&mut self.status, status);
        if before.authenticated > 0 && status.authenticated <= before.authenticated {
            // Either this answer did not count, or it counts and the earlier ones do not any more.
            let still = answered(&mut self.card)?;
            let forgot = self.answered.iter().any(|earlier| !still.contains(earlier));
            self.answered = still;
            // Had something else reset the HSM, it would not have accepted an answer.
            let accepted = presented.is_ok();
            if self.mode == ChallengeMode::Each
                && forgot
                && accepted
                && status.authenticated < status.required
            {
                self.mode = ChallengeMode::Shared;
                self.draw_for_all()?;
                self.status = self.card.pka_status()?.ok_or(QuorumError::NotConfigured)?;
                return Ok(Progress::StartAgain(self.status));
            }
        }
        if presented.is_err() && status.authenticated == 0 {
            // Nobody's answer is lost by a new challenge, and this one may be void.
            self.open = None;
        }
        presented?;
        if !self.answered.contains(custodian) {
            self.answered.push(custodian.clone());
        }
        Ok(if status.authenticated >= status.required {
            self.open = None;
            Progress::Reached(status)
        } else {
            Progress::More(status)
        })
    }

    /// Draws the challenge for all, which makes the HSM forget every answer.
    fn draw_for_all(&mut self) -> Result<Challenge, Error> {
        self.open = None;
        let challenge = self.card.session().draw_challenge()?;
        self.answered.clear();
        self.status.authenticated = 0;
        self.open = Some(Open::Shared(challenge));
        Ok(challenge)
    }

    /// What a later session on this HSM needs to go on: [`Self::resume`].
    pub fn memory(&self) -> QuorumMemory {
        QuorumMemory {
            mode: self.mode,
            shared: match self.open {
                Some(Open::Shared(challenge)) => Some(challenge),
                _ => None,
            },
        }
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
