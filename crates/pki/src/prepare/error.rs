//! Why no certificate can be prepared.

use thiserror::Error;
use time::OffsetDateTime;

use crate::altname::AltNameKind;
use crate::key::KeyKind;
use crate::profile::Kind;

/// Why profile, request and issuer do not give a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrepareError {
    /// The profile makes another kind of certificate.
    #[error("profile {profile} makes certificates of kind {kind}, which does not fit here")]
    ProfileKind {
        /// Name of the profile.
        profile: String,
        /// Its kind.
        kind: Kind,
    },
    /// The key's kind or size.
    #[error("profile {profile} does not allow a key of kind {key}; it allows {allowed}")]
    KeyNotAllowed {
        /// Name of the profile.
        profile: String,
        /// Kind of the key.
        key: KeyKind,
        /// What is allowed, in words.
        allowed: String,
    },
    /// A subject attribute the profile does not allow.
    #[error("profile {profile} does not allow {attribute} in the subject; it allows {allowed}")]
    SubjectAttribute {
        /// Name of the profile.
        profile: String,
        /// The attribute.
        attribute: String,
        /// What is allowed, in words.
        allowed: String,
    },
    /// A subject attribute the profile demands.
    #[error("profile {profile} requires {attribute} in the subject")]
    SubjectIncomplete {
        /// Name of the profile.
        profile: String,
        /// The attribute.
        attribute: String,
    },
    /// An empty subject where the profile demands one.
    #[error("profile {profile} requires a subject")]
    SubjectEmpty {
        /// Name of the profile.
        profile: String,
    },
    /// A type of alternative name the profile does not take.
    #[error("profile {profile} takes no {kind}, but {name} is asked for")]
    NameKind {
        /// Name of the profile.
        profile: String,
        /// Type of the name.
        kind: AltNameKind,
        /// The name.
        name: String,
    },
    /// A wildcard the profile does not take.
    #[error("profile {profile} takes no wildcards, but {name} is asked for")]
    Wildcard {
        /// Name of the profile.
        profile: String,
        /// The name.
        name: String,
    },
    /// No alternative names where they are required.
    #[error("profile {profile} requires alternative names, and there are none")]
    NamesRequired {
        /// Name of the profile.
        profile: String,
    },
    /// More alternative names than the profile takes.
    #[error("{count} alternative names are asked for, profile {profile} takes at most {limit}")]
    TooManyNames {
        /// Name of the profile.
        profile: String,
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The issuer may not certify another CA.
    #[error("the issuer's path length does not allow a CA below it")]
    PathLength,
    /// The issuer is not valid at the moment of preparation.
    #[error("the issuer's certificate is valid from {not_before} to {not_after}, not now")]
    IssuerNotValid {
        /// First second.
        not_before: OffsetDateTime,
        /// Last second.
        not_after: OffsetDateTime,
    },
    /// A time before 1970 or after 9999.
    #[error("the validity lies outside of the years 1970 to 9999")]
    Time,
    /// The encoder failed.
    #[error("encoding the certificate")]
    Encode(#[source] der::Error),
}

impl PrepareError {
    /// What can be done about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ProfileKind { .. } => "choose a profile of the right kind",
            Self::KeyNotAllowed { .. } => "make a request with an allowed key, or choose another profile",
            Self::SubjectAttribute { .. } | Self::SubjectIncomplete { .. } | Self::SubjectEmpty { .. } => {
                "make a request with another subject, or choose another profile"
            }
            Self::NameKind { .. }
            | Self::Wildcard { .. }
            | Self::NamesRequired { .. }
            | Self::TooManyNames { .. } => "make a request with other names, or choose another profile",
            Self::PathLength => "choose an issuer that may certify CAs",
            Self::IssuerNotValid { .. } => "choose another issuer, and check the clock",
            Self::Time => "check the clock and the validity of the profile",
            Self::Encode(_) => "report this: it should not happen",
        }
    }
}
