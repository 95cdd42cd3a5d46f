//! What can go wrong with an HSM, split by who must act.

use std::time::Duration;

use chancery_schsm::Kcv;

use crate::{ConnectError, State};

/// Something an HSM did not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HsmError {
    // Custodians must act.
    /// The HSM is not open.
    #[error("HSM {hsm} is {state}{}", cause(.because.as_deref()))]
    Locked {
        /// The HSM.
        hsm: String,
        /// Its state.
        state: State,
        /// What locked it, when that was not asked for.
        because: Option<String>,
    },
    /// The HSM was locked since, and custodians opened it for something else.
    #[error("HSM {hsm} was locked meanwhile, and opened again for something else")]
    OpenedAnew {
        /// The HSM.
        hsm: String,
    },
    /// The HSM cannot be opened yet: no quorum, or custodian keys still to be registered.
    #[error("HSM {hsm} is {state}")]
    NoQuorum {
        /// The HSM.
        hsm: String,
        /// Its state.
        state: State,
    },
    /// The HSM does not know this custodian key.
    #[error("{custodian} is no custodian key of HSM {hsm}")]
    NoSuchCustodian {
        /// The HSM.
        hsm: String,
        /// Holder reference that was asked for.
        custodian: String,
    },
    /// The custodian's answer counts already.
    #[error("{custodian} has answered HSM {hsm} already")]
    AlreadyAnswered {
        /// The HSM.
        hsm: String,
        /// Holder reference of the custodian key.
        custodian: String,
    },
    /// No such challenge is open: never drawn, answered, replaced, or ended by a lock.
    #[error("HSM {hsm} has no such challenge open")]
    NoSuchChallenge {
        /// The HSM.
        hsm: String,
    },
    /// The answer came too late.
    #[error("the challenge of HSM {hsm} has expired")]
    ChallengeExpired {
        /// The HSM.
        hsm: String,
    },
    /// The HSM did not accept the answer.
    #[error("HSM {hsm} did not accept the answer")]
    AnswerRefused {
        /// The HSM.
        hsm: String,
        /// Why.
        #[source]
        source: Box<chancery_driver::QuorumError>,
    },

    // The operator must act.
    /// The token is out of reach; whatever was open is not any more.
    #[error("HSM {hsm} is lost: {because}")]
    Lost {
        /// The HSM.
        hsm: String,
        /// What was seen.
        because: String,
    },
    /// The token could not be opened.
    #[error("HSM {hsm} cannot be connected")]
    Connect {
        /// The HSM.
        hsm: String,
        /// Why.
        #[source]
        source: ConnectError,
    },
    /// A token out of this machine takes no secure channel, and nothing goes to it without.
    #[error("HSM {hsm} is reached over a network, and there is no secure channel to it")]
    NoChannel {
        /// The HSM.
        hsm: String,
        /// Why.
        #[source]
        source: Box<chancery_driver::secure::ChannelError>,
    },
    /// The secure channel was lost, and another one is open. What was open on the token still is, unless its state says
    /// otherwise; whether the command was carried out is unknown, and the call can be repeated.
    #[error("the secure channel to HSM {hsm} was lost when it was to {doing}; it is open again")]
    ChannelLost {
        /// The HSM.
        hsm: String,
        /// What was asked for.
        doing: &'static str,
    },
    /// Whoever holds a remote token at the other end does not let the command reach it.
    #[error("the agent at HSM {hsm} does not let it {doing}")]
    NotLetThrough {
        /// The HSM.
        hsm: String,
        /// What was asked for.
        doing: &'static str,
    },
    /// Another token answers in place of the HSM.
    #[error("the token reached as HSM {hsm} is {found}, not {expected}")]
    OtherDevice {
        /// The HSM.
        hsm: String,
        /// Holder reference of the device certificate found.
        found: String,
        /// The one expected.
        expected: String,
    },
    /// The HSM takes no requests now.
    #[error("HSM {hsm} is busy: {why}")]
    Busy {
        /// The HSM.
        hsm: String,
        /// With what.
        why: &'static str,
    },
    /// No answer in time; whether the command was carried out is unknown.
    #[error("HSM {hsm} did not {doing} within {} s", after.as_secs())]
    Timeout {
        /// The HSM.
        hsm: String,
        /// What was asked for.
        doing: &'static str,
        /// The limit.
        after: Duration,
    },
    /// A token with keys is never initialised.
    #[error("HSM {hsm} holds {count} {}", if *count == 1 { "key" } else { "keys" })]
    HoldsKeys {
        /// The HSM.
        hsm: String,
        /// Keys on it.
        count: usize,
    },
    /// The token's firmware works in a way that is not handled.
    #[error("HSM {hsm}: {what}")]
    Unsupported {
        /// The HSM.
        hsm: String,
        /// What it does.
        what: &'static str,
    },
    /// A command failed.
    #[error("HSM {hsm} failed to {doing}")]
    Token {
        /// The HSM.
        hsm: String,
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<chancery_driver::Error>,
    },

    // Something is not what it should be.
    /// The HSM's chain does not lead to a trusted root.
    #[error("the device certificates of HSM {hsm} are not accepted")]
    Chain {
        /// The HSM.
        hsm: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key's origin is not proven.
    #[error("HSM {hsm}: the origin of {key} is not proven")]
    Unattested {
        /// The HSM.
        hsm: String,
        /// Which key.
        key: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A custodian key was not registered.
    #[error("HSM {hsm} did not register {custodian}")]
    Registration {
        /// The HSM.
        hsm: String,
        /// Holder reference of the key.
        custodian: String,
        /// Why.
        #[source]
        source: Box<chancery_driver::RegistrationError>,
    },
    /// Another key than expected.
    #[error("HSM {hsm}: {what}")]
    WrongKey {
        /// The HSM.
        hsm: String,
        /// What disagrees.
        what: String,
    },
    /// No key with this id.
    #[error("HSM {hsm} has no key {key_id}")]
    NoSuchKey {
        /// The HSM.
        hsm: String,
        /// The id.
        key_id: u8,
    },
    /// The key belongs to another key domain than the HSM.
    #[error("HSM {hsm} has the key domain {kcv}, and {expected} is needed")]
    OtherKeyDomain {
        /// The HSM.
        hsm: String,
        /// Key check value of the HSM; zeros when it has no complete key domain.
        kcv: Kcv,
        /// The one needed.
        expected: Kcv,
    },

    /// The key belongs to a key domain that lacks shares, and cannot leave.
    #[error("HSM {hsm}: key domain {domain} has no complete key encryption key")]
    NoKeyDomain {
        /// The HSM.
        hsm: String,
        /// Number of the domain.
        domain: u8,
    },

    // The calling program must act.
    /// The request cannot be carried out by any HSM.
    #[error("HSM {hsm}: {what}")]
    Input {
        /// The HSM.
        hsm: String,
        /// What is wrong with it.
        what: String,
    },
    /// No thread could be started.
    #[error("no thread for HSM {hsm}")]
    Thread {
        /// The HSM.
        hsm: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl HsmError {
    /// Whether another replica of the same key may well do what this HSM did not.
    pub(crate) const fn is_of_this_hsm_alone(&self) -> bool {
        !matches!(self, Self::Input { .. })
    }
}

fn cause(because: Option<&str>) -> String {
    because.map_or_else(String::new, |because| format!(": {because}"))
}
