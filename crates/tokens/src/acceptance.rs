//! Acceptance test of a new token: thousands of operations, checked one by one, and a log that can be sent to somebody else.
//!
//! [`run()`] makes keys under free ids, signs with every algorithm they have and verifies each signature with another library,
//! draws random bytes and looks whether they could be random, and reads the device certificates again and again. Its journal
//! lets it go on after an interruption ([`run()`] again) or clean up ([`clean_up`]). [`ApduLog`] writes down the exchange without
//! PINs and shares; [`replay()`] plays such a log to another token and tells where it behaves differently.
//!
//! Passing is no proof of quality: it finds broken devices, not weak ones.

mod keys;
mod log;
mod outcome;
mod random;
mod replay;
mod run;
mod verify;

pub use keys::{Kind, TestKey};
pub use log::{ApduLog, Exchange, LogError, LogHead, Sink, parse_log};
pub use outcome::{AcceptanceError, Finding, Outcome};
pub use random::{RandomCheck, RandomVerdict};
pub use replay::{Comparison, Deviation, replay};
pub use run::{Plan, clean_up, plan, run};

/// Kind of work in the journal.
pub const KIND: &str = "test";
