//! What a node can hold, and how it comes by it.

use std::time::Duration;

use chancery_driver::{Selection, secure::Suspended};
use chancery_iso7816::Transport;
use chancery_vtoken::VirtualToken;

/// A way to one token, open and exclusive. Dropping it gives the token back.
pub trait Token: Transport {
    /// How far the token's stored state has come; `None` where a token cannot tell.
    fn mark(&self) -> Option<Mark>;

    /// Whether the way to the token leads over a network, where nothing may be read or changed on the way: every command
    /// then goes through a secure channel into the token itself.
    fn is_remote(&self) -> bool {
        false
    }

    /// Called each time chip authentication has proven which device answers, and before the first command under the new
    /// channel.
    fn authenticated(&mut self) {}

    /// Keeps what is known of a token that has proven which device it is, as long as whoever holds it at the other end is connected.
    fn remember(&mut self, known: Known) {
        drop(known);
    }

    /// What was kept. An open channel is handed out once.
    fn remembered(&mut self) -> Option<Known> {
        None
    }

    /// Told when the token is to be locked at the latest, from now on; `None` when nothing says so any more. Whoever holds
    /// the token at the other end then locks it even when the node cannot.
    fn lock_in(&mut self, after: Option<Duration>) {
        let _ = after;
    }
}

/// What is known of a remote token that has proven which device it is: the next to use it goes on from there.
#[derive(Debug)]
pub struct Known {
    /// EF 2F02: certificates of the device and its issuer.
    pub chain: Vec<u8>,
    /// The secure channel, while nobody uses it.
    pub open: Option<OpenChannel>,
}

/// A secure channel put aside, with the application selected in it and nothing authenticated.
#[derive(Debug)]
pub struct OpenChannel {
    pub(crate) channel: Suspended,
    pub(crate) selection: Selection,
}

impl Known {
    /// What there is to hand out; the channel goes with it, the certificates stay.
    #[must_use]
    pub fn hand_out(&mut self) -> Self {
        Self {
            chain: self.chain.clone(),
            open: self.open.take(),
        }
    }
}

/// A place in a token's history, which only ever grows. A token that shows less than it did has been put back to an
/// older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number of changes since the token was made.
    pub sequence: u64,
    /// Hash over all of them.
    pub hash: [u8; 32],
}

/// How to reach a token. Called at the start and again after a loss.
pub trait Connect: Send + Sync {
    /// Opens the token. May block.
    ///
    /// # Errors
    /// [`ConnectError`] says why the token is not to be had.
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError>;
}

/// Why a token is not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is no such token.
    #[error("{what} is not there")]
    NotFound {
        /// The token as it was asked for.
        what: String,
    },
    /// Somebody else holds it.
    #[error("{what} is in use by process {pid}")]
    InUse {
        /// The token as it was asked for.
        what: String,
        /// The process, 0 when unknown.
        pid: u32,
    },
    /// Anything else.
    #[error("{what} cannot be opened")]
    Failed {
        /// The token as it was asked for.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Token for VirtualToken {
    fn mark(&self) -> Option<Mark> {
        let mark = Self::mark(self);
        Some(Mark {
            sequence: mark.sequence,
            hash: mark.hash,
        })
    }
}
