//! Card verifiable certificates (BSI TR-03110): parse, build, verify; no I/O, no clock, no randomness.
//!
//! The three things a SmartCard-HSM shows to prove itself are certificates in this format:
//!
//! * [`DeviceChain`]: EF 2F02, the certificate of the device's own key and the certificate of who issued it.
//!   [`DeviceChain::verify`] against [`TrustAnchors`] gives a [`DeviceIdentity`];
//! * [`AuthenticatedRequest`]: what a device answers to a key generation, two signatures deep.
//!   [`AuthenticatedRequest::verify`] with a [`DeviceIdentity`] gives an [`AttestedKey`];
//! * [`KeyParameters`]: what a host asks for when it has a key generated.
//!
//! [`CertificateBody`] builds roots, issuers, device certificates and key requests. Who signs is a closure of the
//! caller: it gets the bytes to be signed and answers with the *plain* signature (`r|s` for ECDSA, the block for
//! RSA), so this crate never holds a private key.
//!
//! [`DeviceIdentity`], [`TrustedCertificate`] and [`AttestedKey`] can only be made by the checks they stand for.
//!
//! Clauses: BSI TR-03110-3 C.1 (certificate profile), C.2 (requests), C.4 (dates), D.2 (data objects), D.3 (public
//! keys); BSI TR-03111 (plain signatures, curves).

mod algorithm;
mod attest;
mod body;
mod certificate;
mod curve;
mod date;
mod domain;
mod error;
mod key;
mod names;
mod parameters;
mod reference;
mod request;
mod role;
mod signature;
mod tags;
mod trust;

pub use algorithm::SignatureAlgorithm;
pub use attest::{AttestError, AttestedKey};
pub use body::{BuildError, CertificateBody, Validity};
pub use certificate::Certificate;
pub use curve::Curve;
pub use domain::{DomainParameters, EcDomain, ExplicitDomain};
pub use error::{KeyError, ParseError, SignatureError};
pub use key::{CvKey, EcPublicKey, PublicKey, RsaPublicKey};
pub use names::VirtualCode;
pub use parameters::KeyParameters;
pub use reference::{Reference, ReferenceError};
pub use request::AuthenticatedRequest;
pub use role::{Role, RoleKind, RoleScheme};
pub use signature::{der_to_plain, plain_to_der};
pub use time::Date;
pub use trust::{
    AnchorError, ChainError, DateProblem, DateRemark, DeviceChain, DeviceIdentity, Genuineness, TrustAnchors,
    TrustedCertificate,
};

/// Largest certificate or request read, in bytes, header included. RSA-4096 needs about 1 100.
pub const MAX_OBJECT_LEN: usize = 8 * 1024;
