//! Where a token comes from.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use chancery_iso7816::Transport;
use chancery_tokens::reach::{Intent, Places};

use crate::TakeError;

/// A token in our hands; dropping it gives it back.
pub struct Taken {
    /// The way to it. It may not be shared with anybody.
    pub transport: Box<dyn Transport>,
    /// Answer to reset.
    pub atr: Vec<u8>,
    /// What to call it in a sentence.
    pub called: String,
    /// Device id, where it said it.
    pub device: Option<String>,
}

/// Gives a token, again after it was lost. Called on a thread that may block.
pub trait TokenSource: Send + Sync {
    /// Takes the token.
    ///
    /// # Errors
    /// [`TakeError`]: it is not here, or somebody else has it.
    fn take(&self) -> Result<Taken, TakeError>;
}

impl<F: Fn() -> Result<Taken, TakeError> + Send + Sync> TokenSource for F {
    fn take(&self) -> Result<Taken, TakeError> {
        self()
    }
}

/// A token that a person named.
#[derive(Debug, Clone)]
pub struct LocalToken {
    places: Places,
    wanted: String,
}

impl LocalToken {
    /// The token called so, looked for in these places, and taken from readers so that nobody else can use it.
    #[must_use]
    pub fn new(places: Places, wanted: impl Into<String>) -> Self {
        Self {
            places: places.exclusively(),
            wanted: wanted.into(),
        }
    }
}

static LOOKING: Mutex<()> = Mutex::new(());

impl TokenSource for LocalToken {
    fn take(&self) -> Result<Taken, TakeError> {
        // A look around opens every virtual token for a moment: two at a time would find each other's in use.
        let _one_at_a_time = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = self.places.reach(Some(&self.wanted), Intent::Change)?;
        Ok(Taken {
            atr: reached.atr().to_vec(),
            called: reached.called(),
            device: reached.found().device.clone(),
            transport: Box::new(reached.into_transport()),
        })
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Taken({})", self.called)
    }
}
