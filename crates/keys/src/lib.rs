//! Signing keys and their replicas: HSM threads, pool, quorum state.
//!
//! * [`Hsm`]: a token that holds a trust center's keys, on a thread of its own. Only that thread sends it commands;
//!   it owns the driver's typestate, and whether the token is open is known in its memory and nowhere else.
//! * [`Pool`]: the HSMs a node holds. [`Pool::signer`] makes a [`PooledKey`] of a key with replicas on several.
//! * [`SigningKey`]: what a CA needs of a key. [`PooledKey`] and [`SoftwareKey`] implement it.
//! * [`Connect`] and [`Token`]: how a node comes by a token; [`VirtualConnect`] opens a virtual one.
//!
//! # Invariants
//! * The HSM enforces the quorum. Nothing here replaces a custodian's answer, and no PIN passes through.
//! * What is believed of a token is checked against the token: a quorum that something else took away is noticed by
//!   [`Hsm::inspect`] and by the next use of a key, and its cause stays with the state.
//! * A remote token is reached through a secure channel alone. A lost channel is no lost quorum: another one is opened, and
//!   custodians are asked only when the token says that their answers are gone.
//! * A signature is one command to the token, and a [`PooledKey`] gives none out that its public key does not verify.
//! * Every wait has a limit, and a caller that goes away leaves the token usable: what it asked for is either not
//!   begun any more or finished without it.

mod algorithm;
mod error;
mod hsm;
mod options;
mod pool;
mod shared;
mod signing;
mod state;
mod token;
mod values;
mod virtual_connect;
mod worker;

pub use algorithm::{KeyAlgorithm, SignatureAlgorithm, UnknownKeyAlgorithm};
pub use error::HsmError;
pub use hsm::Hsm;
pub use options::StartOptions;
pub use pool::Pool;
pub use signing::{KeyError, PooledKey, SigningKey, SoftwareKey};
pub use state::{Cause, Loss, NO_ERA, State, Status};
pub use token::{Connect, ConnectError, Known, Mark, OpenChannel, Token};
pub use values::{
    Challenge, GenerateSpec, GeneratedKey, Identity, ImportState, Initialise, Inspection, KeyCopy, Quorum,
    RegisteredCustodian,
};
pub use virtual_connect::VirtualConnect;
pub use worker::identify;
