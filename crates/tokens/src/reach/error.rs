//! Why a token is not reached.

use chancery_iso7816::TransportError;
use chancery_vtoken::{ManageError, OpenError};

/// Why the token that was meant is not in our hands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReachError {
    /// There is none anywhere.
    #[error("no token is here{}", also(.remarks))]
    NoTokens {
        /// Where could not be looked.
        remarks: Vec<String>,
    },
    /// None of those here is called so.
    #[error("no token called {wanted:?} is here, only {}{}", .present.join(", "), also(.remarks))]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// What is here.
        present: Vec<String>,
        /// Where could not be looked.
        remarks: Vec<String>,
    },
    /// Several are called so.
    #[error("{wanted:?} can be any of {}", .candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// What fits.
        candidates: Vec<String>,
    },
    /// It has to be said which.
    #[error("which token? There is {}", .candidates.join(", "))]
    Unnamed {
        /// What is here.
        candidates: Vec<String>,
    },
    /// Another process holds it.
    #[error("{what} is in use by {}", by(*.pid))]
    InUse {
        /// The token.
        what: String,
        /// The process, where known.
        pid: Option<u32>,
    },
    /// It is there and cannot be used.
    #[error("{what} cannot be used: {why}")]
    Unusable {
        /// The token.
        what: String,
        /// Why.
        why: String,
    },
    /// A virtual token does not open.
    #[error("{what} cannot be opened")]
    Open {
        /// The token.
        what: String,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The directory of virtual tokens cannot be read.
    #[error("the virtual tokens cannot be listed")]
    List(#[from] ManageError),
    /// The way to it fails.
    #[error("{what} cannot be reached")]
    Transport {
        /// The token.
        what: String,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// It answers, and not as it should.
    #[error("{what} does not answer as a token should")]
    Card {
        /// The token.
        what: String,
        /// Why.
        #[source]
        source: chancery_driver::Error,
    },
    /// Another device stands where the one that was meant was found.
    #[error("{found} stands where {expected} was found: the token was exchanged meanwhile")]
    OtherDevice {
        /// The device that was meant.
        expected: String,
        /// The device that is there.
        found: String,
    },
}

impl ReachError {
    /// The next step, as a sentence or command.
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoTokens { .. } => {
                Some("connect a token, or make a virtual one: chancery vtoken create NAME")
            }
            Self::NotFound { .. } => Some("chancery token list shows device ids and labels"),
            Self::Ambiguous { .. } => {
                Some("name it by its device id, written device:ID (chancery token list shows it)")
            }
            Self::Unnamed { .. } => {
                Some("name it by device id, label or virtual token name (chancery token list)")
            }
            Self::InUse { .. } => Some(
                "wait for that process or end it; the node gives a token back with chancery hsm detach or chancery stop",
            ),
            Self::Unusable { .. } | Self::Open { .. } | Self::List(_) => None,
            Self::Transport { .. } | Self::Card { .. } => {
                Some("take the token out, put it in again, and look with chancery token list")
            }
            Self::OtherDevice { .. } => Some("nothing was done; look again with chancery token list"),
        }
    }
}

fn also(remarks: &[String]) -> String {
    remarks.iter().map(|remark| format!("; {remark}")).collect()
}

fn by(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
