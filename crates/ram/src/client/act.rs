//! What a session wants done, and what a card did.

use std::fmt;

use zeroize::Zeroizing;

use super::{End, Event, Post};

/// Something to do. Nothing is waited for: POSTs and the card work at the same time.
#[derive(Debug)]
pub enum Action {
    /// Post this and report with [`Session::replied`](super::Session::replied).
    Post(Post),
    /// Have the card do this and report with [`Session::card_did`](super::Session::card_did). Only one is under way at a time.
    Card(CardWork),
    /// Tell people.
    Tell(Event),
    /// The session is over: POSTs that are still open are of no interest.
    End(End),
}

/// Something for the card.
#[derive(Clone, PartialEq, Eq)]
pub enum CardWork {
    /// Send this command.
    Transmit(Zeroizing<Vec<u8>>),
    /// Power it off and on.
    Reset,
}

/// What a card did.
#[derive(Clone, PartialEq, Eq)]
pub enum CardDid {
    /// It answered the command.
    Answered(Zeroizing<Vec<u8>>),
    /// It was reset; its ATR.
    Reset(Vec<u8>),
    /// The command is longer than the way to the card; it was not sent.
    TooLong,
    /// It is gone, or what it did is not known.
    Failed {
        /// What was seen, without anything of a command.
        reason: String,
    },
}

impl fmt::Debug for CardWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit(command) => write!(f, "Transmit({} bytes)", command.len()),
            Self::Reset => f.write_str("Reset"),
        }
    }
}

impl fmt::Debug for CardDid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => write!(f, "Answered({} bytes)", answer.len()),
            Self::Reset(atr) => write!(f, "Reset({} bytes)", atr.len()),
            Self::TooLong => f.write_str("TooLong"),
            Self::Failed { reason } => write!(f, "Failed({reason:?})"),
        }
    }
}
