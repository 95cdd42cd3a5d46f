//! What is told while a token is attached.

use std::time::Duration;

use chancery_ram::client::{End, Event};
use chancery_ram::policy::Refusal;

use crate::TakeError;

/// Something that happened. Texts of the server are as it sent them: escape them before they are shown.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happened {
    /// The token is held; no other program has it until the end.
    Holding {
        /// What to call it in a sentence.
        called: String,
        /// Its device id, where it said it.
        device: Option<String>,
    },
    /// The token is not here or not free.
    NotTaken {
        /// Why.
        why: TakeError,
    },
    /// Within a session; never [`Event::Refused`].
    Session(Event),
    /// Commands were kept from the token. Told for the first of a kind, the tenth, the hundredth and so on.
    Refused {
        /// The last of them.
        refusal: Refusal,
        /// How many with this header were refused for this reason in this session.
        count: u64,
    },
    /// A session has ended.
    Ended {
        /// How.
        end: End,
        /// Commands kept from the token in all.
        refused: u64,
    },
    /// The next attempt comes after a pause.
    Waiting {
        /// The pause.
        pause: Duration,
    },
}
