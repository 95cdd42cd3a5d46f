//! What can go wrong with readers and cards.

use std::time::Duration;

use chancery_iso7816::TransportError;
use thiserror::Error;

use crate::code::{
    COMM_ERROR, Code, INVALID_HANDLE, NO_SERVICE, NO_SMARTCARD, READER_UNAVAILABLE, REMOVED_CARD, RESET_CARD,
    SECURITY_VIOLATION, SERVICE_STOPPED, SHARING_VIOLATION, UNKNOWN_READER, UNPOWERED_CARD,
    UNRESPONSIVE_CARD,
};

/// Why PC/SC did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PcscError {
    // The administrator must act.
    /// The library is not on this machine, or is not one.
    #[error(
        "smart card readers need PC/SC, which is not installed here: {library} cannot be loaded \
         (Debian: apt install libpcsclite1 pcscd): {reason}"
    )]
    NotInstalled {
        /// Name of the library.
        library: String,
        /// The loader's words.
        reason: String,
    },
    /// pcscd cannot be reached, or has ended.
    #[error("cannot {doing}: pcscd does not run (Debian: apt install pcscd; systemctl start pcscd.socket)")]
    NoService {
        /// What was being done.
        doing: String,
    },
    /// The system's policy keeps this user from readers.
    #[error("cannot {doing}: the system's policy (polkit) does not let this user use smart card readers")]
    Denied {
        /// What was being done.
        doing: String,
    },

    // The operator must act.
    /// There is no such reader, or none any more.
    #[error("there is no reader {reader:?} (any more)")]
    NoReader {
        /// Its name.
        reader: String,
    },
    /// The reader is empty.
    #[error("there is no card in reader {reader:?}")]
    NoCard {
        /// Its name.
        reader: String,
    },
    /// Another program holds the card.
    #[error("another program holds the card in reader {reader:?}")]
    InUse {
        /// The reader's name.
        reader: String,
    },
    /// Another program's transaction did not end in time.
    #[error("another program has kept the card in reader {reader:?} to itself for {} s", waited.as_secs())]
    StillInUse {
        /// The reader's name.
        reader: String,
        /// How long it was waited for.
        waited: Duration,
    },

    // The caller must act.
    /// Another program has reset the card: what it was told since its last reset is forgotten. After
    /// [`PcscToken::reconnect`](crate::PcscToken::reconnect) the connection is usable again.
    #[error("another program has reset the card in reader {reader:?}")]
    Reset {
        /// The reader's name.
        reader: String,
    },
    /// The card was removed, and perhaps put back: a new connection is needed.
    #[error("the card was removed from reader {reader:?}")]
    Removed {
        /// The reader's name.
        reader: String,
    },

    /// Anything else.
    #[error("cannot {doing}: {code}")]
    Other {
        /// What was being done.
        doing: String,
        /// The answer.
        code: Code,
    },
}

impl PcscError {
    /// What a code means for work on a reader.
    pub(crate) fn on(reader: &str, doing: &str, code: Code) -> Self {
        let reader = || reader.to_owned();
        match code {
            UNKNOWN_READER | READER_UNAVAILABLE => Self::NoReader { reader: reader() },
            NO_SMARTCARD | UNPOWERED_CARD => Self::NoCard { reader: reader() },
            SHARING_VIOLATION => Self::InUse { reader: reader() },
            RESET_CARD => Self::Reset { reader: reader() },
            REMOVED_CARD => Self::Removed { reader: reader() },
            code => Self::of(&format!("{doing} in reader {:?}", reader()), code),
        }
    }

    /// What a code means for work that concerns no reader, or for the rest on one.
    pub(crate) fn of(doing: &str, code: Code) -> Self {
        let doing = doing.to_owned();
        match code {
            NO_SERVICE | SERVICE_STOPPED => Self::NoService { doing },
            SECURITY_VIOLATION => Self::Denied { doing },
            code => Self::Other { doing, code },
        }
    }

    /// Whether pcscd has ended under a context, so that a new one is needed.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(
            self,
            Self::NoService { .. }
                | Self::Other {
                    code: INVALID_HANDLE | COMM_ERROR,
                    ..
                }
        )
    }
}

impl From<PcscError> for TransportError {
    fn from(error: PcscError) -> Self {
        let reason = error.to_string();
        match error {
            PcscError::Reset { .. } => Self::Reset { reason },
            PcscError::NotInstalled { .. }
            | PcscError::NoService { .. }
            | PcscError::NoReader { .. }
            | PcscError::NoCard { .. }
            | PcscError::Removed { .. }
            | PcscError::Other {
                code: INVALID_HANDLE | COMM_ERROR | UNRESPONSIVE_CARD,
                ..
            } => Self::Lost { reason },
            PcscError::Denied { .. }
            | PcscError::InUse { .. }
            | PcscError::StillInUse { .. }
            | PcscError::Other { .. } => Self::Failed { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_a_loss_and_a_failure_are_told_apart() {
        let seen = |code| TransportError::from(PcscError::on("r", "send a command to the card", code));
        assert!(seen(RESET_CARD).is_reset());
        for gone in [
            REMOVED_CARD,
            NO_SMARTCARD,
            READER_UNAVAILABLE,
            UNKNOWN_READER,
            NO_SERVICE,
            SERVICE_STOPPED,
            INVALID_HANDLE,
            UNRESPONSIVE_CARD,
        ] {
            assert!(seen(gone).is_lost(), "{gone}");
        }
        for failed in [SHARING_VIOLATION, Code(0x8010_0004), SECURITY_VIOLATION] {
            assert!(matches!(seen(failed), TransportError::Failed { .. }), "{failed}");
        }
    }
}
