//! What `Selected` and `Authenticated` share: the link, what SELECT told, and every operation's implementation.

use chancery_iso7816::Transport;

use crate::applet::AppletInfo;
use crate::link::Link;

/// The applet is selected. Whether a command is permitted is for the typestates around it to say.
pub struct Session<T> {
    pub(crate) link: Link<T>,
    pub(crate) info: AppletInfo,
    /// SubjectPublicKeyInfo of custodian keys registered through this session: the card tells only their names.
    pub(crate) registered: Vec<Vec<u8>>,
}

impl<T: Transport> Session<T> {
    pub(crate) const fn new(link: Link<T>, info: AppletInfo) -> Self {
        Self {
            link,
            info,
            registered: Vec::new(),
        }
    }
}

/// Gives a procedure that works in either state its session; cannot be implemented or called elsewhere.
pub(crate) mod sealed {
    use chancery_iso7816::Transport;

    pub trait HasSession {
        type Transport: Transport;

        fn session(&mut self) -> &mut super::Session<Self::Transport>;
    }
}

/// A token whose applet is selected: [`Selected`](crate::Selected) or [`Authenticated`](crate::Authenticated).
///
/// Procedures that only read take either. Sealed.
pub trait AppletAccess: sealed::HasSession {}

impl<S: sealed::HasSession> AppletAccess for S {}
