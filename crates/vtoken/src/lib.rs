//! Virtual SmartCard-HSM, card side.
//!
//! A token is a directory: a lock, a sealed data key, a small public description and one log of encrypted
//! records. Every change of its state is durable before the card answers.

mod access;
mod apdu;
pub mod atomic;
mod card;
mod cipher;
mod codec;
mod commands;
mod crypto;
mod error;
mod exchange;
mod factory;
mod files;
mod firmware;
mod inventory;
mod lock;
mod log;
mod name;
mod persistent;
mod pin;
#[cfg(any(test, feature = "test-support"))]
pub mod replay;
mod seal;
mod secret;
mod session;
mod state;
mod token;
mod token_dir;
mod trust;

pub use card::Witness;
pub use cipher::CipherFailure;
pub use error::{ManageError, OpenError, StoreFailure};
pub use factory::Factory;
pub use files::{Files, OpenFile, RealFiles};
pub use firmware::{Firmware, UnknownFirmware};
pub use inventory::{Inventory, TokenSummary, UnreadableToken, destroy, inventory, list};
pub use lock::{Held, LockError, LockFile};
pub use log::StateMark;
pub use name::{TokenName, TokenNameError};
pub use seal::{AtRest, SealError};
pub use token::VirtualToken;
