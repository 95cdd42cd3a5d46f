//! SmartCard-HSM driver, host side: typed commands over a [`Transport`](chancery_iso7816::Transport).
//!
//! A token goes through three types. [`Card`] can be reached; [`Selected`] has its application selected and gives what
//! needs no permission; [`Authenticated`] was unlocked, by its user PIN ([`Selected::verify_pin`]) or by its custodians
//! ([`QuorumSession`]), and uses keys. Going on consumes the state before; a failure gives it back ([`Failed`]).
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let transport: Box<dyn chancery_iso7816::Transport> = unreachable!();
//! use chancery_driver::{Card, Pin};
//! use chancery_schsm::{Algorithm, KeyId};
//!
//! let token = Card::new(transport).select().map_err(|failed| failed.error)?;
//! let mut token = token.verify_pin(&Pin::from_prompt("648219".into())?).map_err(|failed| failed.error)?;
//! let signature = token.sign(KeyId(1), Algorithm::EcdsaSha256, b"message")?;
//! # Ok(())
//! # }
//! ```
//!
//! Procedures made of several commands, each of which looks before it acts and can be run again:
//!
//! * [`keystore`]: list keys, describe them for other software, store certificates;
//! * [`attest`]: prove that a key was generated in a token before it is used;
//! * [`origin`]: what a token has to show for a key's origin, to be kept;
//! * [`replicate`]: take a copy of a key to a second token and finish interrupted copies;
//! * [`secure`]: secure messaging, and keys generated under it with a record;
//! * [`exchange`]: tokens of a group agree on a key encryption key;
//! * [`quorum`] and [`custodian`]: both ends of an unlock by custodians.
//!
//! Commands are built here and nowhere shared with the card side. Answers are never trusted: lengths, files and loops
//! have limits ([`Limits`]), and nonsense is [`Error::Protocol`]. One `tracing` line at debug level per command names
//! instruction, lengths and status; bodies are never logged.

#![expect(
    clippy::result_large_err,
    reason = "a failed transition gives the card back, which is as large as the success"
)]

mod ahead;
mod applet;
pub mod attest;
mod card;
mod certificate;
mod chain;
mod challenge;
mod crypto;
pub mod custodian;
mod domain;
mod ecdsa;
mod error;
pub mod exchange;
mod file;
mod initialize;
mod introduce;
mod key;
pub mod keystore;
mod link;
mod manage;
mod object;
pub mod origin;
pub mod padding;
mod pin;
mod pka;
mod proof;
pub mod quorum;
mod random;
pub mod reading;
mod registration;
pub mod replicate;
mod secret;
pub mod secure;
mod session;
mod symmetric;
mod wrap;

pub use ahead::{Collected, Submitted};
pub use applet::{AID, Firmware};
pub use attest::AttestError;
pub use card::{Authenticated, Card, Selected, Selection};
pub use certificate::KeyCertificate;
pub use challenge::{ANSWER_LENGTH, Challenge, PendingChallenge, QuorumError};
pub use custodian::CustodianError;
pub use error::{Doing, Error, Failed};
pub use initialize::{Initialize, Quorum};
pub use introduce::IntroductionError;
pub use key::{GeneratedKey, KeyAlgorithm, KeyAttributes, KeySpec};
pub use keystore::{KeyDescription, KeyEntry};
pub use link::Limits;
pub use manage::{DeviceState, SoPinStatus, device_state, so_pin_status};
pub use object::ObjectList;
pub use pin::PinStatus;
pub use pka::{CustodianSlot, RegistrationError};
pub use quorum::{ChallengeMode, Progress, Question, QuorumMemory, QuorumSession};
pub use registration::{PkaRegistration, RegistrationFormatError};
pub use replicate::{Replica, ReplicaPart, ReplicaState, ReplicateError, Replicated};
pub use secret::{Pin, PinFormatError, SoPin};
pub use session::AppletAccess;
pub use symmetric::{AES_BLOCK, AesSize, SecretKeySpec};
