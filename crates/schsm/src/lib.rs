//! Shared SmartCard-HSM vocabulary: file ids, algorithm ids, key blob, DKEK, PKCS#15; no I/O.
//!
//! Both sides of a card dialogue use it: the host that drives a token and the token itself. It holds constants and
//! data formats only, and no command of the dialogue, so that an error in building a command cannot agree with the
//! same error in parsing it. Secure messaging is the one exception; a recorded session of other software is its judge.
//!
//! * [`fid`], [`KeyId`]: where things lie on a token;
//! * [`Algorithm`], [`AlgorithmList`]: what a key may be used for;
//! * [`Kek`], [`KekShare`], [`Kcv`], [`share_file`]: the key under which keys leave a token, and its backup;
//! * [`KeyMaterial`], [`blob`], [`container`]: a key outside a token, in clear, wrapped, and in a file;
//! * [`secure_messaging`]: the encrypted channel between a host and a token;
//! * [`pkcs15`]: the descriptions that let other software find keys and certificates;
//! * [`KeyDomainStatus`], [`PkaStatus`], [`InitializeOptions`]: what a token says about itself and is told to be.
//!
//! This crate has no clock and no randomness of its own; random bytes are parameters. Keys and shares are wiped when
//! dropped and never appear in `Debug`.

mod algorithm;
pub mod blob;
pub mod container;
mod domain;
pub mod fid;
mod initialize;
mod kek;
mod key_id;
mod material;
mod pka;
pub mod pkcs15;
pub mod secure_messaging;
pub mod share_file;

pub use algorithm::{
    Algorithm, AlgorithmList, AlgorithmListError, Hash, Input, KeyType, MAX_ALGORITHMS, Operation,
};
pub use container::KeyContainer;
pub use domain::{KeyDomainStatus, KeyDomainStatusError};
pub use fid::Fid;
pub use initialize::InitializeOptions;
pub use kek::{Kcv, Kek, KekError, KekShare};
pub use key_id::KeyId;
pub use material::{KeyMaterial, RsaCrt, RsaSecret};
pub use pka::{PkaStatus, PkaStatusError};
pub use pkcs15::{CertificateDescription, DataDescription, PrivateKeyDescription, TokenInfo};
pub use share_file::{ShareFile, ShareFileKey};
