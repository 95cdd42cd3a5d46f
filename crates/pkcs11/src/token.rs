//! Slots of local tokens: a SmartCard-HSM in a reader, or a virtual token that a process of the same user has plugged in.
//!
//! Commands are built here, not taken from the driver: that links OpenSSL, and a module lives in processes that have their own
//! (`docs/decisions/0007-module-without-openssl.md`).

mod cache;
mod card;
mod check;
mod describe;
mod failure;
mod files;
mod hand;
mod local;
mod manage;
mod objects;
mod place;
mod source;
mod turn;
mod using;

pub(crate) use check::{Verdict, check};
pub(crate) use describe::certificate as describe_certificate;

pub use cache::CacheFolder;
pub use local::LocalSlot;
pub use place::{Device, Identity, Place, SocketPlace};
pub use source::LocalTokens;
