//! The PKCS#11 module without its C symbols: slots, sessions, objects, local tokens, signers of a node.
//!
//! [`Library`] is the module between `C_Initialize` and `C_Finalize`: one method for each function, with values in place of
//! pointers. The shell around it (`chancery-pkcs11-module`) turns pointers into values and errors into numbers.
//!
//! What holds keys is a [`Slot`]: a local token ([`token::LocalSlot`]) or a signer of a node ([`node::NodeSlot`]). Sessions, handles, login state,
//! templates, hashing and buffer sizes are the library's; a slot
//!
//! * says what it is ([`Slot::description`], [`Slot::token`], [`Slot::mechanisms`]);
//! * shows objects as attributes ([`Slot::objects`]), private ones while a user is logged in;
//! * lets a user in, or waits until one is let in ([`Slot::login`]);
//! * signs digests ([`Slot::sign`]), and may decrypt ([`Decipher`]) and change things ([`Manage`]).
//!
//! Slots come from a [`Source`]: [`token::LocalTokens`] for tokens, [`node::NodeSlots`] for signers of a node. A new kind of slot is a type with these two traits, added
//! to the sources in [`start`], with a section of its own in [`config::Config`]. Why a slot refuses is an [`Error::Told`]: the
//! shell has it written to standard error ([`notice`]), because most programs show nothing of it.
//!
//! Programs load this into their own process: no OpenSSL, no runtime, no thread-local data with destructors, no lock held while
//! a token or a node is waited for, nothing shared with a forked child. `C_CloseAllSessions` and `C_Finalize` may come from
//! an exit handler while other threads wait: [`Slot::logout`] and [`Slot::close`] never wait for them.

pub mod attribute;
pub mod config;
pub mod curve;
mod error;
mod files;
pub mod hash;
pub mod library;
pub mod mechanism;
pub mod node;
pub mod notice;
pub mod padding;
pub mod public_key;
pub mod slot;
mod start;
pub mod token;

pub use attribute::{Attributes, Template, Value};
pub use chancery_pcsc::allow_threads;
pub use error::{Code, Error, Result};
pub use library::{Library, ObjectHandle, Output, Room, SessionHandle, SlotId, Source};
pub use mechanism::{Mechanism, Offer, Parameters};
pub use slot::{
    Decipher, KeyKind, Manage, Object, ObjectId, Pin, SignInput, Slot, SlotDescription, TokenDescription,
    User, Wanted,
};
pub use start::start;
