//! Finding tokens, and work on them that takes several steps.
//!
//! * [`reach`]: the token a person means, wherever it is plugged in, held by this process alone;
//! * [`info`]: what can be said of a token without opening it;
//! * [`acceptance`]: the test of a new token;
//! * [`initialise`]: setting a token up;
//! * [`catalogue`] and [`key`]: the keys of a token, by as few commands as it takes;
//! * [`keys`]: making, certifying and deleting them; [`operate`]: using them;
//! * [`recorded`]: making them through a secure channel, with a transcript;
//! * [`domain`]: key domains, and groups of tokens that agree on a key encryption key;
//! * [`transfer`]: keys out of a token and into one, wrapped or from a file;
//! * [`explore`] and [`dump`]: everything that is on a token;
//! * [`archive`]: what proves the origin of keys, kept before it is overwritten on a token;
//! * [`journal`]: what work of several steps has done, on disk, so that it can be finished or undone later.
//!
//! Nothing here keeps a PIN after it was used, and nothing knows of the trust center.

pub mod acceptance;
pub mod archive;
pub mod catalogue;
pub mod domain;
pub mod dump;
pub mod explore;
pub mod info;
pub mod initialise;
pub mod journal;
pub mod key;
pub mod keys;
pub mod operate;
pub mod reach;
pub mod recorded;
mod text;
pub mod transfer;
