//! Why a request is refused.

use der::asn1::ObjectIdentifier;
use thiserror::Error;

use crate::altname::AltNameError;
use crate::key::KeyError;
use crate::name::NameError;
use crate::pem::PemError;

/// Why a certification request is refused; [`RequestError::remedy`] says what the requester can do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// More bytes than a request can need.
    #[error("the request has {length} bytes, at most {limit} are read")]
    TooLong {
        /// Length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Armour that cannot be read.
    #[error("the request is not readable PEM")]
    Pem(#[from] PemError),
    /// Not a PKCS #10 request in DER.
    #[error("the request is not a PKCS #10 request")]
    Malformed(#[source] der::Error),
    /// Bytes after the end of the request.
    #[error("{count} bytes follow the end of the request")]
    TrailingBytes {
        /// How many bytes follow.
        count: usize,
    },
    /// Another version than 1 (RFC 2986 4.1).
    #[error("the request has a version other than 1")]
    Version,
    /// The subject is not acceptable.
    #[error("the subject of the request is refused")]
    Subject(#[from] NameError),
    /// The key is not acceptable.
    #[error("the key of the request is refused")]
    Key(#[from] KeyError),
    /// An alternative name is not acceptable.
    #[error("the alternative names of the request are refused")]
    AltName(#[from] AltNameError),
    /// Too many alternative names.
    #[error("the request has {count} alternative names, at most {limit} are accepted")]
    TooManyNames {
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Neither a subject nor an alternative name.
    #[error("the request names nobody: its subject is empty and it has no alternative names")]
    NoSubject,
    /// Two extensionRequest attributes: a reader could take either.
    #[error("the request has more than one extensionRequest attribute")]
    DuplicateExtensionRequest,
    /// An extensionRequest attribute without exactly one value (RFC 2985 5.4.2).
    #[error("the extensionRequest attribute must have exactly one value")]
    ExtensionRequestValues,
    /// An extension asked for twice.
    #[error("the request asks for extension {oid} more than once")]
    DuplicateExtension {
        /// The extension.
        oid: ObjectIdentifier,
    },
    /// A critical extension we cannot honour.
    #[error("the request asks for the critical extension {oid}, which is not known here")]
    UnknownCriticalExtension {
        /// The extension.
        oid: ObjectIdentifier,
    },
    /// A signature algorithm that is unknown or broken, such as SHA-1.
    #[error("the request is signed with algorithm {oid}, which is not accepted")]
    SignatureAlgorithm {
        /// The algorithm.
        oid: ObjectIdentifier,
    },
    /// The proof of possession failed.
    #[error("the request is not signed by the key it contains")]
    Signature,
}

impl RequestError {
    /// What the requester can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::TooManyNames { .. } => "split the names over several requests",
            Self::Pem(PemError::TrailingBytes { .. }) | Self::TrailingBytes { .. } => {
                "send one request and nothing else"
            }
            Self::Pem(_) => "send the request as PEM with CERTIFICATE REQUEST armour, or as DER",
            Self::Malformed(_) | Self::Version => "make the request again, for example with openssl req -new",
            Self::Subject(error) => error.remedy(),
            Self::Key(error) => error.remedy(),
            Self::AltName(error) => error.remedy(),
            Self::NoSubject => "give a subject (openssl: -subj /CN=...) or a subjectAltName (-addext)",
            Self::DuplicateExtensionRequest
            | Self::ExtensionRequestValues
            | Self::DuplicateExtension { .. } => "ask for all extensions in one extensionRequest, each once",
            Self::UnknownCriticalExtension { .. } => "leave the extension out or mark it as not critical",
            Self::SignatureAlgorithm { .. } => "sign the request with SHA-256 (openssl: -sha256) or Ed25519",
            Self::Signature => "make the request again with the private key that belongs to it",
        }
    }
}
