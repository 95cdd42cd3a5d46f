//! X.509 profiles, requests, certificates and CRLs: deterministic to-be-signed bytes, lint.
//!
//! The way of a certificate through this crate:
//!
//! 1. [`Profile`] says what a certificate may be (data, checked at load);
//! 2. [`CertificationRequest::parse`] reads what somebody asks for and refuses weak keys and requests that
//!    do not prove possession of their key;
//! 3. [`Inputs::prepare`] (or [`prepare_leaf`], [`prepare_root`], [`prepare_for_key`]) builds the
//!    [`ToBeSigned`] bytes: the same inputs give the same bytes, and [`ToBeSigned::reproduces`] proves it
//!    later for bytes that were stored in between;
//! 4. [`lint`] reads those bytes again, knowing nothing of the builder;
//! 5. the caller signs them elsewhere; [`assemble`] joins bytes and signature, [`verify_signature`] checks
//!    the result.
//!
//! [`prepare_crl`] does the same for revocation lists.
//!
//! Invariants: this crate does no I/O, reads no clock and draws no randomness; it never holds a private key.
//! Bytes from outside never make it panic, and every limit is an error that names the limit.
//!
//! Standards: RFC 5280 (certificates and CRLs), RFC 2986 (PKCS #10), RFC 4514 (names as text),
//! RFC 5480 and RFC 8410 (keys), RFC 7468 (PEM).

mod algorithm;
mod altname;
mod crl;
mod describe;
mod element;
mod instant;
mod issuer;
mod key;
mod lint;
mod name;
mod oid;
pub mod pem;
mod prepare;
mod profile;
mod request;
mod revocation;
mod serial;
mod signed;
mod tbs;
mod weak;

pub use algorithm::{Digest, SignatureAlgorithm};
pub use altname::{AltName, AltNameError, AltNameKind};
pub use crl::{CrlError, CrlToBeSigned, RevocationList, prepare_crl};
pub use describe::{CertificateDescription, DescribeError, describe};
pub use issuer::{Issuer, IssuerError};
pub use key::{Curve, KeyError, KeyKind, PublicKey};
pub use lint::{Finding, Severity, lint, lint_certificate};
pub use name::{DistinguishedName, NameError};
pub use prepare::{Inputs, PrepareError, prepare_for_key, prepare_leaf, prepare_root};
pub use profile::{KeyUsageBit, Kind, Profile, ProfileError};
pub use request::{CertificationRequest, Ignored, MAX_NAMES, MAX_REQUEST_BYTES, RequestError};
pub use revocation::{RevocationReason, Revoked};
pub use serial::{SerialError, SerialNumber};
pub use signed::{AssembleError, VerifyError, assemble, verify_signature};
pub use tbs::{Field, Mismatch, TbsError, ToBeSigned};
