//! One custodian's answer to the HSM's challenge (reference: ISO/IEC 7816-4 11.5.3 and 11.5.4).

use std::fmt;

use chancery_cvc::Reference;
use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::{InitializeOptions, PkaStatus};

use crate::error::{Doing, Error};
use crate::introduce::key_reference;
use crate::pin::PinStatus;
use crate::session::Session;

/// Length of a plain signature r|s of a custodian key on a 256-bit curve, in bytes.
pub const ANSWER_LENGTH: usize = 64;

/// The eight random bytes an HSM wants signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Challenge(pub [u8; 8]);

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(..)")
    }
}

/// Why a quorum was not brought forward.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// The token was not initialised for public key authentication.
    #[error("the token was not initialised with a quorum")]
    NotConfigured,
    /// Custodian keys are still to be registered; until then there is no quorum.
    #[error("{} of {} custodian keys are not registered yet", .0.missing, .0.total)]
    Incomplete(PkaStatus),
    /// Too few custodians have answered.
    #[error("quorum {} of {}", .0.authenticated, .0.required)]
    Open(PkaStatus),
    /// The quorum is reached, and the token wants its user PIN as well.
    #[error("the quorum is reached, the token's user PIN is needed as well")]
    PinMissing,
    /// No such custodian in this HSM.
    #[error("{custodian} is not a custodian of this HSM")]
    NotRegistered {
        /// The name that was asked for.
        custodian: Reference,
    },
    /// This custodian's answer counts already.
    #[error("{custodian} has answered already")]
    AlreadyAnswered {
        /// The custodian.
        custodian: Reference,
    },
    /// No challenge is open for this custodian: never drawn, answered, or replaced by a later one.
    #[error("no challenge is open for {custodian}")]
    NoChallenge {
        /// The custodian.
        custodian: Reference,
    },
    /// The answer is not a signature of a custodian key.
    #[error("an answer is a plain signature of {ANSWER_LENGTH} bytes, this one has {found}")]
    AnswerLength {
        /// Bytes found.
        found: usize,
    },
    /// The HSM did not accept the signature: wrong key, wrong HSM, or an earlier challenge.
    #[error("the HSM did not accept the answer of {custodian}")]
    WrongAnswer {
        /// The custodian.
        custodian: Reference,
        /// The HSM's refusal.
        #[source]
        source: Error,
    },
    /// A card command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

/// A challenge drawn for one custodian. While it lives no other command can reach the HSM.
///
/// Dropping it unanswered costs nothing.
pub struct PendingChallenge<'a, T> {
    session: &'a mut Session<T>,
    custodian: Reference,
    challenge: Challenge,
}

impl<T: Transport> PendingChallenge<'_, T> {
    /// What the custodian's token signs, behind the name of the HSM's device certificate.
    #[must_use]
    pub const fn challenge(&self) -> Challenge {
        self.challenge
    }

    /// Name of the custodian key asked.
    #[must_use]
    pub const fn custodian(&self) -> &Reference {
        &self.custodian
    }

    /// Presents the plain signature r|s and reads the count again.
    ///
    /// The challenge is used up, whatever the result.
    ///
    /// # Errors
    /// The signature was not accepted, or a command failed.
    pub fn answer(self, plain_signature: &[u8]) -> Result<PkaStatus, QuorumError> {
        self.session
            .external_authenticate(&self.custodian, plain_signature)?;
        self.session.pka_status()?.ok_or(QuorumError::NotConfigured)
    }
}

impl<T: Transport> Session<T> {
    /// MSE SET AT and GET CHALLENGE, with nothing between.
    pub(crate) fn challenge(
        &mut self,
        custodian: &Reference,
    ) -> Result<PendingChallenge<'_, T>, QuorumError> {
        self.select_custodian(custodian)?;
        let challenge = self.draw_challenge()?;
        Ok(PendingChallenge {
            session: self,
            custodian: custodian.clone(),
            challenge,
        })
    }

    pub(crate) fn draw_challenge(&mut self) -> Result<Challenge, Error> {
        let doing = Doing::new("GET CHALLENGE", "for a custodian");
        let command = CommandApdu::new(0x00, 0x84, 0x00, 0x00).expecting(8);
        let response = self.link.expect_ok(&doing, Ok(command), Error::refused)?;
        match response.data.as_slice().try_into() {
            Ok(challenge) => Ok(Challenge(challenge)),
            Err(_) => Err(Error::protocol(&doing, "a challenge that is not 8 bytes")),
        }
    }

    pub(crate) fn select_custodian(&mut self, custodian: &Reference) -> Result<(), QuorumError> {
        let doing = Doing::new(
            "MANAGE SECURITY ENVIRONMENT",
            format!("custodian key {custodian}"),
        );
        let command = CommandApdu::new(0x00, 0x22, 0x81, 0xA4).with_data(&key_reference(custodian));
        let response = self.link.exchange(&doing, command)?;
        match response.status {
            StatusWord::OK => Ok(()),
            StatusWord(0x6A88) => Err(QuorumError::NotRegistered {
                custodian: custodian.clone(),
            }),
            StatusWord(0x6985) => Err(QuorumError::AlreadyAnswered {
                custodian: custodian.clone(),
            }),
            status => Err(Error::refused(&doing, status).into()),
        }
    }

    pub(crate) fn external_authenticate(
        &mut self,
        custodian: &Reference,
        plain_signature: &[u8],
    ) -> Result<(), QuorumError> {
        check_length(plain_signature)?;
        let doing = Doing::new("EXTERNAL AUTHENTICATE", format!("answer of {custodian}"));
        let command = CommandApdu::new(0x00, 0x82, 0x00, 0x00).with_data(plain_signature);
        let response = self.link.exchange(&doing, command)?;
        match response.status {
            StatusWord::OK => Ok(()),
            StatusWord(0x6300 | 0x6985 | 0x6A80 | 0x6A88 | 0x6982) => Err(QuorumError::WrongAnswer {
                custodian: custodian.clone(),
                source: Error::Refused {
                    doing,
                    status: response.status,
                },
            }),
            status => Err(Error::refused(&doing, status).into()),
        }
    }
}

// Whether the token is open, from its own counts.
impl<T: Transport> Session<T> {
    pub(crate) fn require_quorum(&mut self) -> Result<(), QuorumError> {
        let status = self.pka_status()?.ok_or(QuorumError::NotConfigured)?;
        if status.missing > 0 {
            return Err(QuorumError::Incomplete(status));
        }
        if status.authenticated < status.required {
            return Err(QuorumError::Open(status));
        }
        let both = self
            .info
            .options
            .is_some_and(|options| options.contains(InitializeOptions::PIN_AND_PUBLIC_KEYS));
        if both && self.pin_status()? != PinStatus::Verified {
            return Err(QuorumError::PinMissing);
        }
        Ok(())
    }

    /// After the PIN was accepted on a token that wants its quorum as well.
    pub(crate) fn require_answers(&mut self) -> Result<(), Error> {
        match self.pka_status()? {
            Some(status) if status.is_satisfied() => Ok(()),
            _ => {
                let doing = Doing::new("VERIFY", "user PIN (accepted; the quorum is needed as well)");
                Err(Error::NotAuthenticated {
                    doing,
                    status: StatusWord::AUTHENTICATION_FAILED,
                })
            }
        }
    }
}

pub(crate) fn check_length(plain_signature: &[u8]) -> Result<(), QuorumError> {
    match plain_signature.len() {
        ANSWER_LENGTH => Ok(()),
        found => Err(QuorumError::AnswerLength { found }),
    }
}
