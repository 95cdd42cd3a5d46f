//! The module as programs see it: slots, sessions, handles, login state.
//!
//! Each method is one function of PKCS#11 with pointers turned into values; the shell around it does nothing but that. One
//! short lock guards the tables, and no slot is called while it is held: a program that ends while a thread waits for a token
//! must not hang in its exit handlers.

mod decrypt;
mod derive;
mod find;
mod keys;
mod object;
mod session;
mod sign;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    error::{Code, Error, Result},
    mechanism::Offer,
    notice::Notices,
    slot::{Slot, SlotDescription, TokenDescription, User},
};

pub use session::SessionInfo;
pub use table::{ObjectHandle, SessionHandle, SlotId};

use table::Table;

/// Where slots come from.
pub trait Source: Send + Sync {
    /// The slots there are now, in their order. A slot that was there before is the same [`Arc`] again.
    fn slots(&self) -> Vec<Arc<dyn Slot>>;
}

/// The module between `C_Initialize` and `C_Finalize`.
pub struct Library {
    sources: Vec<Box<dyn Source>>,
    notices: Notices,
    table: Mutex<Table>,
}

/// Where output goes, by the convention of PKCS#11 3.1, 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The caller asks how much there will be.
    Query,
    /// The caller has so many bytes.
    Bytes(usize),
}

/// Output by that convention.
#[derive(Clone, PartialEq, Eq)]
pub enum Output {
    /// The answer to [`Room::Query`]: at most so many bytes. Nothing was done.
    Length(usize),
    /// The room is too small: so many bytes are needed. Nothing was lost.
    TooSmall(usize),
    /// Done.
    Done(zeroize::Zeroizing<Vec<u8>>),
}

/// What `C_GetTokenInfo` says, with what the library knows itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// What the slot says.
    pub token: TokenDescription,
    /// Open sessions.
    pub sessions: usize,
    /// Open sessions that may write.
    pub writing_sessions: usize,
}

impl Library {
    /// A library with slots from these sources.
    #[must_use]
    pub fn new(sources: Vec<Box<dyn Source>>, notices: Notices) -> Self {
        Self {
            sources,
            notices,
            table: Mutex::default(),
        }
    }

    /// What people are told.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// `C_GetSlotList`: looks for slots anew when `anew`.
    #[must_use]
    pub fn slots(&self, anew: bool, with_token: bool) -> Vec<SlotId> {
        if anew || self.table().is_empty() {
            let found: Vec<_> = self.sources.iter().flat_map(|source| source.slots()).collect();
            self.table().set_slots(found);
        }
        let listed = self.table().listed();
        listed
            .into_iter()
            .filter(|(_, slot)| !with_token || slot.is_present())
            .map(|(id, _)| id)
            .collect()
    }

    /// `C_GetSlotInfo`; and whether a token is there.
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`.
    pub fn slot_info(&self, id: SlotId) -> Result<(SlotDescription, bool)> {
        let slot = self.slot(id)?;
        Ok((slot.description(), slot.is_present()))
    }

    /// `C_GetTokenInfo`
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`, and as of [`Slot::token`].
    pub fn token_info(&self, id: SlotId) -> Result<TokenInfo> {
        let token = self.slot(id)?.token()?;
        let (sessions, writing_sessions) = self.table().count_sessions(id);
        Ok(TokenInfo {
            token,
            sessions,
            writing_sessions,
        })
    }

    /// `C_GetMechanismList` and `C_GetMechanismInfo`
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`, `CKR_TOKEN_NOT_PRESENT`.
    pub fn mechanisms(&self, id: SlotId) -> Result<Vec<Offer>> {
        let slot = self.slot(id)?;
        if slot.is_present() {
            Ok(slot.mechanisms())
        } else {
            Err(Code::TOKEN_NOT_PRESENT.into())
        }
    }

    /// `C_WaitForSlotEvent` with `CKF_DONT_BLOCK`: a slot whose token came or went since this was asked last.
    #[must_use]
    pub fn slot_event(&self) -> Option<SlotId> {
        let _ = self.slots(true, false);
        let listed = self.table().listed();
        let seen: Vec<_> = listed
            .into_iter()
            .map(|(id, slot)| (id, slot.is_present()))
            .collect();
        self.table().changed(&seen)
    }

    /// `C_Finalize`: closes everything. May be called from an exit handler, while other threads are in other calls.
    pub fn close(&self) {
        for slot in self.table().take_all() {
            slot.close();
        }
    }

    fn slot(&self, id: SlotId) -> Result<Arc<dyn Slot>> {
        self.table().slot(id)
    }

    /// What a slot answers, noted: a slot that says the user is logged out is right.
    fn noted<T>(&self, id: SlotId, answer: Result<T>) -> Result<T> {
        if let Err(error) = &answer
            && matches!(
                error.code(),
                Code::USER_NOT_LOGGED_IN | Code::DEVICE_REMOVED | Code::TOKEN_NOT_PRESENT
            )
        {
            self.table().set_login(id, None);
        }
        answer
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Entries are changed in single steps: what a panic left is whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    /// Fits finished output into the room.
    fn fit(data: zeroize::Zeroizing<Vec<u8>>, room: usize) -> Self {
        if data.len() > room {
            Self::TooSmall(data.len())
        } else {
            Self::Done(data)
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length(length) => write!(f, "Length({length})"),
            Self::TooSmall(length) => write!(f, "TooSmall({length})"),
            Self::Done(data) => write!(f, "Done({} bytes)", data.len()),
        }
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Library")
    }
}

/// Who may do what in a slot.
fn require_login(login: Option<User>) -> Result<()> {
    match login {
        Some(User::User) => Ok(()),
        _ => Err(Error::from(Code::USER_NOT_LOGGED_IN)),
    }
}
