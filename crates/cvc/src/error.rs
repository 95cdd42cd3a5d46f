//! What can be wrong with bytes, keys and signatures.

use chancery_iso7816::tlv::TlvError;
use openssl::error::ErrorStack;

use crate::curve::Curve;
use crate::reference::ReferenceError;

/// What is wrong with a certificate, request or device chain as bytes. Nothing has been verified when it appears.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ParseError {
    /// The data objects are not those of this structure.
    #[error("{object} is malformed")]
    Structure {
        /// What was being read.
        object: &'static str,
        /// Where and how.
        #[source]
        source: TlvError,
    },
    /// Larger than anything of this kind.
    #[error("{object} is {len} bytes long, the limit is {limit}")]
    TooLong {
        /// What was being read.
        object: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A profile identifier other than 00.
    #[error("certificate profile identifier is not 00")]
    Profile,
    /// A name that is no reference.
    #[error("{object} is no valid reference")]
    Reference {
        /// Which of the names.
        object: &'static str,
        /// Why.
        #[source]
        source: ReferenceError,
    },
    /// A date that is none.
    #[error("{object} is not a date in 2000 to 2099")]
    Date {
        /// Which of the dates.
        object: &'static str,
    },
    /// The public key cannot be used.
    #[error("public key")]
    Key(#[from] KeyError),
    /// More objects than a chain has.
    #[error("device chain has more than {limit} objects")]
    TooManyObjects {
        /// The limit.
        limit: usize,
    },
}

impl ParseError {
    /// Adds to an error of the TLV reader what was being read.
    pub(crate) fn structure(object: &'static str) -> impl Fn(TlvError) -> Self {
        move |source| Self::Structure { object, source }
    }
}

/// What is wrong with a public key or its domain parameters.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeyError {
    /// The data objects are not those of a public key.
    #[error("data objects of the key are malformed")]
    Structure(#[source] TlvError),
    /// An object identifier that is no known signature algorithm.
    #[error("unknown signature algorithm, object identifier {}", hex(oid))]
    UnknownAlgorithm {
        /// The first 16 content octets found.
        oid: Vec<u8>,
    },
    /// A part whose form is wrong.
    #[error("{what} is malformed")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// A private key where a public one belongs.
    #[error("the template holds a private key")]
    PrivateKey,
    /// The public point is not a point of the curve.
    #[error("the public point is not on {domain}")]
    NotOnCurve {
        /// The curve.
        domain: String,
    },
    /// Explicit domain parameters that prove nothing.
    #[error("EC domain parameters are no safe group: {what}")]
    WeakDomain {
        /// What is wrong with them.
        what: &'static str,
    },
    /// The key carries no domain parameters and it is not known whose apply.
    #[error("the EC domain parameters are missing; the issuer's key has to supply them")]
    NoDomain,
    /// An EC point cannot take its domain from an RSA key.
    #[error("the EC domain parameters are missing and the issuer's key is an RSA key")]
    IssuerHasNoDomain,
    /// The algorithm named is one for other keys.
    #[error("algorithm and key type do not fit")]
    AlgorithmMismatch,
    /// A key of a kind this format does not know.
    #[error("unsupported key type or curve: {what}")]
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// The crypto library was built without this curve.
    #[error("the crypto library does not know curve {curve}")]
    CurveUnavailable {
        /// The curve.
        curve: Curve,
    },
    /// The crypto library failed.
    #[error("the crypto library failed on a public key")]
    Crypto(#[source] ErrorStack),
}

/// Why a signature does not prove what it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignatureError {
    /// Not as long as a plain signature of this key.
    #[error("the signature is {found} bytes long, not {expected}")]
    Length {
        /// Length found in bytes.
        found: usize,
        /// Length of a signature of this key in bytes.
        expected: usize,
    },
    /// The signature is wrong for these bytes and this key.
    #[error("the signature does not verify")]
    Wrong,
    /// An ECDSA signature whose DER form is not the only one.
    #[error("the ECDSA signature is no canonical DER")]
    Der,
    /// The key cannot verify anything.
    #[error("key to verify with")]
    Key(#[from] KeyError),
    /// The crypto library failed.
    #[error("the crypto library failed on a signature")]
    Crypto(#[source] ErrorStack),
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
