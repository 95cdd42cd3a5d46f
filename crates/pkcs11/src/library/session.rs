//! Sessions and login.

use std::sync::Arc;

use cryptoki_sys as ck;

use super::{Library, SessionHandle, SlotId, table::Active};
use crate::{
    error::{Code, Result},
    slot::{ObjectId, Pin, Slot, User},
};

/// `CK_SESSION_INFO`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The slot.
    pub slot: SlotId,
    /// `CKS_...`
    pub state: ck::CK_STATE,
    /// Whether it may write.
    pub write: bool,
}

/// A session as the functions of a slot need it.
pub(super) struct Desk {
    pub(super) slot: SlotId,
    pub(super) write: bool,
    pub(super) login: Option<User>,
    pub(super) device: Arc<dyn Slot>,
}

impl Desk {
    pub(super) fn is_user(&self) -> bool {
        self.login == Some(User::User)
    }
}

impl Library {
    /// `C_OpenSession`
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`, `CKR_TOKEN_NOT_PRESENT`, `CKR_SESSION_READ_WRITE_SO_EXISTS`.
    pub fn open_session(&self, slot: SlotId, write: bool) -> Result<SessionHandle> {
        if !self.slot(slot)?.is_present() {
            return Err(Code::TOKEN_NOT_PRESENT.into());
        }
        let mut table = self.table();
        if !write && table.login(slot) == Some(User::SecurityOfficer) {
            return Err(Code::SESSION_READ_WRITE_SO_EXISTS.into());
        }
        Ok(table.open(slot, write))
    }

    /// `C_CloseSession`
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn close_session(&self, session: SessionHandle) -> Result<()> {
        let last = self.table().remove_session(session)?;
        if let Some(slot) = last {
            slot.logout();
        }
        Ok(())
    }

    /// `C_CloseAllSessions`. May be called from an exit handler.
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`.
    pub fn close_all_sessions(&self, slot: SlotId) -> Result<()> {
        let user = self.table().remove_sessions(slot)?;
        if let Some(slot) = user {
            slot.logout();
        }
        Ok(())
    }

    /// `C_GetSessionInfo`
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn session_info(&self, session: SessionHandle) -> Result<SessionInfo> {
        let desk = self.desk(session)?;
        Ok(SessionInfo {
            slot: desk.slot,
            state: match (desk.login, desk.write) {
                (Some(User::SecurityOfficer), _) => ck::CKS_RW_SO_FUNCTIONS,
                (Some(_), true) => ck::CKS_RW_USER_FUNCTIONS,
                (Some(_), false) => ck::CKS_RO_USER_FUNCTIONS,
                (None, true) => ck::CKS_RW_PUBLIC_SESSION,
                (None, false) => ck::CKS_RO_PUBLIC_SESSION,
            },
            write: desk.write,
        })
    }

    /// `C_Login`
    ///
    /// # Errors
    /// `CKR_USER_ALREADY_LOGGED_IN`, `CKR_USER_ANOTHER_ALREADY_LOGGED_IN`, `CKR_SESSION_READ_ONLY_EXISTS`,
    /// `CKR_OPERATION_NOT_INITIALIZED` of a login for an operation that was not begun; and as of [`Slot::login`].
    pub fn login(&self, session: SessionHandle, user: User, pin: Option<&Pin>) -> Result<()> {
        let desk = self.desk(session)?;
        if user == User::Context {
            let key = self.context_key(session)?;
            self.noted(desk.slot, desk.device.login(user, pin, Some(key)))?;
            let mut table = self.table();
            let session = table.session(session)?;
            if let Active::Begun(signing) = &mut session.signing {
                signing.is_authenticated = true;
            }
            if let Active::Begun(decryption) = &mut session.decryption {
                decryption.is_authenticated = true;
            }
            return Ok(());
        }
        match desk.login {
            Some(present) if present == user => return Err(Code::USER_ALREADY_LOGGED_IN.into()),
            Some(_) => return Err(Code::USER_ANOTHER_ALREADY_LOGGED_IN.into()),
            None => {}
        }
        if user == User::SecurityOfficer {
            let (all, writing) = self.table().count_sessions(desk.slot);
            if all > writing {
                return Err(Code::SESSION_READ_ONLY_EXISTS.into());
            }
        }
        self.noted(desk.slot, desk.device.login(user, pin, None))?;
        self.table().set_login(desk.slot, Some(user));
        self.notices().forget();
        Ok(())
    }

    /// `C_Logout`
    ///
    /// # Errors
    /// `CKR_USER_NOT_LOGGED_IN`.
    pub fn logout(&self, session: SessionHandle) -> Result<()> {
        let desk = self.desk(session)?;
        if desk.login.is_none() {
            return Err(Code::USER_NOT_LOGGED_IN.into());
        }
        self.table().set_login(desk.slot, None);
        desk.device.logout();
        Ok(())
    }

    /// `C_SessionCancel`: ends what was begun.
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn cancel(&self, session: SessionHandle, flags: ck::CK_FLAGS) -> Result<()> {
        let mut table = self.table();
        let session = table.session(session)?;
        if flags & ck::CKF_FIND_OBJECTS != 0 {
            session.found = None;
        }
        if flags & ck::CKF_SIGN != 0 {
            session.signing = Active::Nothing;
        }
        if flags & ck::CKF_DECRYPT != 0 {
            session.decryption = Active::Nothing;
        }
        Ok(())
    }

    /// `C_GenerateRandom`
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`, and as of [`Slot::random`].
    pub fn random(&self, session: SessionHandle, out: &mut [u8]) -> Result<()> {
        let desk = self.desk(session)?;
        self.noted(desk.slot, desk.device.random(out))
    }

    /// `C_SetPIN`
    ///
    /// # Errors
    /// `CKR_SESSION_READ_ONLY`, `CKR_FUNCTION_NOT_SUPPORTED`, and as of [`Manage::set_pin`](crate::Manage::set_pin).
    pub fn set_pin(&self, session: SessionHandle, old: &Pin, new: &Pin) -> Result<()> {
        let desk = self.desk(session)?;
        if !desk.write {
            return Err(Code::SESSION_READ_ONLY.into());
        }
        let manage = desk.device.manage().ok_or(Code::FUNCTION_NOT_SUPPORTED)?;
        let user = desk.login.unwrap_or(User::User);
        self.noted(desk.slot, manage.set_pin(user, old, new))
    }

    /// `C_InitPIN`
    ///
    /// # Errors
    /// `CKR_USER_NOT_LOGGED_IN` when the security officer is not, `CKR_FUNCTION_NOT_SUPPORTED`, and as of
    /// [`Manage::init_pin`](crate::Manage::init_pin).
    pub fn init_pin(&self, session: SessionHandle, new: &Pin) -> Result<()> {
        let desk = self.desk(session)?;
        if desk.login != Some(User::SecurityOfficer) {
            return Err(Code::USER_NOT_LOGGED_IN.into());
        }
        let manage = desk.device.manage().ok_or(Code::FUNCTION_NOT_SUPPORTED)?;
        self.noted(desk.slot, manage.init_pin(new))
    }

    pub(super) fn desk(&self, session: SessionHandle) -> Result<Desk> {
        let mut table = self.table();
        let (slot, write) = {
            let session = table.session(session)?;
            (session.slot, session.write)
        };
        Ok(Desk {
            slot,
            write,
            login: table.login(slot),
            device: table.slot(slot)?,
        })
    }

    /// The key of the operation that was begun in a session.
    fn context_key(&self, session: SessionHandle) -> Result<ObjectId> {
        let mut table = self.table();
        let session = table.session(session)?;
        session
            .signing
            .get()
            .map(|signing| signing.key)
            .or_else(|| session.decryption.get().map(|decryption| decryption.key))
            .ok_or_else(|| Code::OPERATION_NOT_INITIALIZED.into())
    }
}
