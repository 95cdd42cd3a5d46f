//! What can go wrong with key domains.

use chancery_cvc::Reference;
use chancery_driver::Error;
use chancery_driver::exchange::{Derivation, ExchangeError, ExchangeFormatError, ExchangeProofError};
use chancery_schsm::{Kcv, KeyId};

use crate::journal::JournalError;
use crate::keys::KeyError;

/// Work with a key domain that was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// The token was set up without key domains.
    #[error("the token was set up without key domains; only a new initialisation makes places for them")]
    NoPlaces,
    /// The token has fewer places.
    #[error("the token has no key domain {domain}: its {places} places are numbered from 0")]
    NoPlace {
        /// The number.
        domain: u8,
        /// Number of places.
        places: usize,
    },
    /// Every place is taken.
    #[error("{}", all_taken(*places))]
    NoFreePlace {
        /// Number of places.
        places: usize,
    },
    /// The place is taken.
    #[error("there is a key domain {domain} already")]
    Taken {
        /// The number.
        domain: u8,
    },
    /// The place is free.
    #[error("there is no key domain {domain}: its place is free")]
    NotThere {
        /// The number.
        domain: u8,
    },
    /// Keys belong to the domain.
    #[error("{} to key domain {domain}: {}", if .keys.len() == 1 { "a key belongs" } else { "keys belong" }, ids(.keys))]
    HasKeys {
        /// The number.
        domain: u8,
        /// The keys.
        keys: Vec<KeyId>,
    },
    /// There is no key encryption key to delete.
    #[error("key domain {domain} has no key encryption key")]
    NoKek {
        /// The number.
        domain: u8,
    },
    /// There is a key encryption key that would be replaced.
    #[error("key domain {domain} has a key encryption key (KCV {kcv}), which a new agreement replaces")]
    HasKek {
        /// The number.
        domain: u8,
        /// Its key check value.
        kcv: Kcv,
    },
    /// The domain is one of shares.
    #[error("the key encryption key of key domain {domain} comes of shares, not of an agreement")]
    NotExchange {
        /// The number.
        domain: u8,
    },
    /// There is no such key.
    #[error("the token has no key {0}")]
    NoSuchKey(KeyId),
    /// The key cannot sign for a group.
    #[error("key {key} cannot sign for a group: {why}")]
    NoSigner {
        /// The key.
        key: KeyId,
        /// Why.
        why: &'static str,
    },
    /// The key's request was overwritten or deleted.
    #[error(
        "the request of key {0} is not on the token (any more), and without it nobody can verify where the key was made"
    )]
    NoRequest(KeyId),
    /// The key is no exchange key of the domain.
    #[error("key {key} is no exchange key of key domain {domain}")]
    NoExchangeKey {
        /// The number.
        domain: u8,
        /// The key.
        key: KeyId,
    },
    /// It is not clear which exchange key is meant.
    #[error("key domain {domain} has several exchange keys: {}", ids(.keys))]
    SeveralExchangeKeys {
        /// The number.
        domain: u8,
        /// The keys.
        keys: Vec<KeyId>,
    },
    /// A token does not agree with itself.
    #[error("the offer is of {0} itself")]
    SameDevice(Reference),
    /// The peer is in another group.
    #[error("the offer is of group {theirs}, the key domain of group {ours}")]
    OtherGroup {
        /// Group of the domain, hexadecimal.
        ours: String,
        /// Group of the offer, hexadecimal.
        theirs: String,
    },
    /// The exchange keys are on different curves.
    #[error("the exchange key here is on {ours}, the other on {theirs}")]
    OtherCurve {
        /// Curve of the key here.
        ours: String,
        /// The other curve.
        theirs: String,
    },
    /// The two tokens derive key encryption keys in different ways.
    #[error(
        "{ours} derives key encryption keys {own}, {theirs} {other}: they would not get the same key, and can never exchange keys"
    )]
    OtherDerivation {
        /// The token here.
        ours: Reference,
        /// Its way.
        own: Derivation,
        /// The peer.
        theirs: Reference,
        /// The peer's way.
        other: Derivation,
    },
    /// The agreement replaced a key encryption key that nothing brings back.
    #[error(
        "the agreement took the place of an earlier key encryption key of key domain {domain}, which cannot be brought back"
    )]
    Replaced {
        /// The number.
        domain: u8,
    },
    /// The work was interrupted; the journal says how far it got.
    #[error("the work was interrupted at this step: {step}")]
    Interrupted {
        /// Id of the work, by which it is finished or undone.
        work: String,
        /// The step that may be half done.
        step: &'static str,
        /// What interrupted it.
        #[source]
        source: Box<Self>,
    },
    /// The token in hand is not the one the work was begun on.
    #[error("the work was begun on token {expected}, this is {found}")]
    OtherToken {
        /// Device id in the journal.
        expected: String,
        /// Device id of the token.
        found: String,
    },
    /// The journal is of another kind of work.
    #[error("work {0} is of another kind")]
    OtherWork(String),
    /// A membership or offer that cannot be read.
    #[error("the file cannot be used")]
    Format(#[from] ExchangeFormatError),
    /// A membership or offer that proves nothing.
    #[error(transparent)]
    Proof(#[from] ExchangeProofError),
    /// The token refused.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// A key was not made or deleted.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The journal.
    #[error("the journal")]
    Journal(#[from] JournalError),
    /// A command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

impl DomainError {
    /// The card's own error, where there is one.
    #[must_use]
    pub fn card(&self) -> Option<&Error> {
        match self {
            Self::Card(error) | Self::Key(KeyError::Card(error) | KeyError::Half { source: error, .. }) => {
                Some(error)
            }
            Self::Exchange(error) => error.card(),
            Self::Interrupted { source, .. } => source.card(),
            _ => None,
        }
    }
}

fn all_taken(places: usize) -> String {
    match places {
        1 => "the only place for a key domain is taken".to_owned(),
        _ => format!("all {places} places for key domains are taken"),
    }
}

fn ids(keys: &[KeyId]) -> String {
    keys.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ")
}
