//! Verification of attestations and key passports, offline.
//!
//! Pure: bytes, trust anchors and a date in, verdicts out. Nothing here reads a file, a token or a clock.
//!
//! * [`Attestation`]: the proof of one key's origin as it is kept in a file. The writing side is
//!   `chancery_tokens::archive`;
//! * [`KeyFingerprint`]: what names a public key here.

mod attestation;
mod fingerprint;

pub use attestation::{Attestation, AttestationError, Seen};
pub use fingerprint::KeyFingerprint;
