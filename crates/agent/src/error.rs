//! What can go wrong on a person's side.

use std::path::PathBuf;

use chancery_api::LeaseId;
use chancery_driver::{AttestError, CustodianError, Error as CardError, PinFormatError};
use chancery_vtoken::{ManageError, OpenError};
use thiserror::Error;

/// A failure on the person's side. Nothing was signed.
#[derive(Debug, Error)]
pub enum AgentError {
    /// No token of that name, or none that belongs to the person.
    #[error("there is no token {what} here")]
    NoToken {
        /// Name or device.
        what: String,
    },
    /// A token stands under a name or label that is another one's.
    #[error("token {name} calls itself {label}, but its certificates say {device}: it is not used")]
    OtherToken {
        /// Name of the token.
        name: String,
        /// What its description says.
        label: String,
        /// What its device certificate says.
        device: String,
    },
    /// The token's directory cannot be used.
    #[error("token {name} cannot be opened")]
    Open {
        /// Name of the token.
        name: String,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The tokens here cannot be listed or made.
    #[error("the tokens in this data directory cannot be managed")]
    Manage(#[from] ManageError),
    /// The token did not do its part.
    #[error("token {name}")]
    Card {
        /// Name of the token.
        name: String,
        /// What it answered to what.
        #[source]
        source: CardError,
    },
    /// The key's origin is not proven, or it cannot be a custodian's.
    #[error("token {name}")]
    Custodian {
        /// Name of the token.
        name: String,
        /// Why.
        #[source]
        source: CustodianError,
    },
    /// The key that signs acts cannot be made.
    #[error("the key that signs acts in token {name}")]
    ActKey {
        /// Name of the token.
        name: String,
        /// Why.
        #[source]
        source: AttestError,
    },
    /// A certificate chain cannot be read or does not hold.
    #[error("the certificates of {what} do not hold: {why}")]
    Chain {
        /// Whose.
        what: String,
        /// Why.
        why: String,
    },
    /// The PIN has an impossible form.
    #[error("the PIN for token {name}")]
    Pin {
        /// Name of the token.
        name: String,
        /// Why.
        #[source]
        source: PinFormatError,
    },
    /// There is no PIN to be had.
    #[error("no PIN for token {name}: {why}")]
    NoPin {
        /// Name of the token.
        name: String,
        /// Why.
        why: String,
    },
    /// What the node drafted is not what was asked for.
    #[error("the node wants something else signed than was asked for: {0}. Nothing was signed")]
    OtherAct(String),
    /// The HSM is not one this custodian accepted.
    #[error("HSM {hsm} is not answered: {why}")]
    NotAccepted {
        /// Name of the HSM.
        hsm: String,
        /// Why.
        why: String,
    },
    /// The lease is not one a custodian can agree to.
    #[error("the node shows a lease that cannot be agreed to: {0}. Nothing was signed")]
    OtherLease(String),
    /// The node's clock and this machine's say different things, or the node does not tell the truth about it.
    #[error(
        "{what} {apart} than this machine's clock allows: one of the two clocks is wrong, or the node lengthens what was agreed to. \
         Nothing was signed"
    )]
    Clock {
        /// What the node says.
        what: String,
        /// How much earlier or later.
        apart: String,
        /// The lease.
        lease: LeaseId,
    },
    /// Between what was shown and what would be signed the HSMs no longer count the custodians.
    #[error(
        "an HSM of the lease was opened after you had decided: the node would count the custodians now, and the lease was shown as \
         enforced by the HSMs. Nothing was signed"
    )]
    NodeEnforcedNow {
        /// The lease.
        lease: LeaseId,
    },
    /// The audit log is another one than it was.
    #[error(
        "THE AUDIT LOG DOES NOT CONTINUE WHAT YOU SAW BEFORE: {0}. Somebody may have taken back what was logged: do not go on, tell the \
         auditor. Nothing was signed"
    )]
    Log(String),
    /// Another process of this custodian took a later place of the audit log; what was asked has to be asked again.
    #[error(
        "another `approve` of this custodian is at work: the audit log was seen at a later place meanwhile"
    )]
    LogMoved,
    /// A file between administrator and custodian does not say what it must.
    #[error("{what}: {why}")]
    Letter {
        /// Which kind of file.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A reason that cannot be given.
    #[error("the reason of a refusal is one line of at most 200 characters: {0}")]
    Reason(&'static str),
    /// A file of this side.
    #[error("file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of this side does not say what it must, or others may read it.
    #[error("file {path}: {why}")]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl AgentError {
    pub(crate) fn card(name: &str) -> impl FnOnce(CardError) -> Self {
        let name = name.to_owned();
        move |source| Self::Card { name, source }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
