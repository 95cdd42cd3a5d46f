//! What other programs did to a token meanwhile.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;

/// Another program reset the card: whatever it had been told was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignReset {
    /// When it was noticed; `None` where nobody has a clock.
    pub noticed: Option<OffsetDateTime>,
    /// What was seen.
    pub reason: String,
}

impl fmt::Display for ForeignReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.noticed {
            Some(at) => write!(
                f,
                "another program reset the card at {:02}:{:02}:{:02} UTC",
                at.hour(),
                at.minute(),
                at.second()
            ),
            None => f.write_str("another program reset the card"),
        }
    }
}

/// Notes resets by other programs; clones share their notes.
#[derive(Clone, Default)]
pub struct Watch {
    clock: Option<Clock>,
    seen: Arc<Mutex<Vec<ForeignReset>>>,
}

/// Gives the time.
pub(super) type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

impl Watch {
    pub(super) fn new(clock: Option<Clock>) -> Self {
        Self {
            clock,
            seen: Arc::default(),
        }
    }

    /// Every reset noticed so far, oldest first.
    #[must_use]
    pub fn resets(&self) -> Vec<ForeignReset> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes one.
    pub(super) fn note(&self, reason: &str) -> ForeignReset {
        let reset = ForeignReset {
            noticed: self.clock.as_ref().map(|clock| clock()),
            reason: reason.to_owned(),
        };
        tracing::info!(reason, "another program reset the card");
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(reset.clone());
        reset
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({} resets)", self.resets().len())
    }
}
