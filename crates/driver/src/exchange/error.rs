//! What can go wrong between members of a group.

use chancery_cvc::{AttestError, ChainError, ParseError, Reference, SignatureError};
use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::TlvError;

use super::MAX_FILE;
use crate::error::Error;
use crate::introduce::IntroductionError;

/// Bytes that are no membership or offer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeFormatError {
    /// Longer than [`MAX_FILE`].
    #[error("a file of {length} bytes is over the limit of {MAX_FILE}")]
    TooLong {
        /// Bytes given.
        length: usize,
    },
    /// The outer structure is damaged.
    #[error("the outer structure is damaged, or it is another kind of file")]
    Tlv(#[from] TlvError),
    /// A certificate or the request is damaged.
    #[error("the {what} in it cannot be read")]
    Part {
        /// Which part.
        what: &'static str,
        /// Why.
        #[source]
        source: ParseError,
    },
    /// The parts cannot be what they should.
    #[error("{0}")]
    Shape(&'static str),
}

/// A membership or offer that proves nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeProofError {
    /// The chain of the token it comes from is not accepted.
    #[error("the chain of {device} is not accepted")]
    Chain {
        /// The token's name.
        device: Reference,
        /// Why.
        #[source]
        source: ChainError,
    },
    /// The key was not generated in that token.
    #[error("the request does not prove that {device} generated the key")]
    Request {
        /// The token's name.
        device: Reference,
        /// Why.
        #[source]
        source: AttestError,
    },
    /// The signature admits another device, or nobody.
    #[error("the membership does not admit {member}")]
    Membership {
        /// The device in hand.
        member: Reference,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// The device's own key cannot be named in a membership.
    #[error("the device key of {device} is not on an elliptic curve")]
    DeviceKey {
        /// The device.
        device: Reference,
    },
}

/// A step between members of a group that a token did not take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The token was not set up for so many key domains, or for none.
    #[error("the token has no place for a key domain {domain}")]
    NoPlace {
        /// Number of the domain.
        domain: u8,
    },
    /// The place is taken.
    #[error("there is a key domain {domain} already")]
    Taken {
        /// Number of the domain.
        domain: u8,
    },
    /// The membership admits another device than the one in hand.
    #[error("the membership is for {member}, this is {found}")]
    OtherMember {
        /// Whom it admits.
        member: Reference,
        /// The device in hand.
        found: Reference,
    },
    /// The token refused the membership.
    #[error("{status}: the token refused the membership")]
    MembershipRefused {
        /// Its answer.
        status: StatusWord,
    },
    /// The token refused to agree.
    #[error("{status}: the token refused to agree with {peer}")]
    AgreementRefused {
        /// The other token.
        peer: Reference,
        /// Its answer.
        status: StatusWord,
    },
    /// The token says it agreed and has no key encryption key.
    #[error(
        "the token answered that it agreed with {peer}, and key domain {domain} has no key encryption key"
    )]
    NoKek {
        /// The other token.
        peer: Reference,
        /// Number of the domain.
        domain: u8,
    },
    /// The signature that came back is not the group signer's.
    #[error("the signature of the group signer is wrong")]
    Signature(#[source] ExchangeProofError),
    /// The signature that came back has the wrong form.
    #[error("the signature of the group signer has the wrong form")]
    Form(#[source] SignatureError),
    /// What was put together is no membership.
    #[error("no membership comes of it")]
    Format(#[from] ExchangeFormatError),
    /// The other token could not be made known to this one.
    #[error(transparent)]
    Introduction(#[from] IntroductionError),
    /// A card command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

impl ExchangeError {
    /// The card's own error, where there is one.
    #[must_use]
    pub const fn card(&self) -> Option<&Error> {
        match self {
            Self::Card(error)
            | Self::Introduction(
                IntroductionError::Card(error) | IntroductionError::CertificateRefused { source: error, .. },
            ) => Some(error),
            _ => None,
        }
    }
}
