//! What can be said of a connector.

use std::net::SocketAddr;

/// A connector as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorStatus {
    /// Its name.
    pub name: String,
    /// CHR of the device it is bound to.
    pub device: Option<String>,
    /// Its session.
    pub connected: Option<Connected>,
    /// Sessions that still have to prove their token.
    pub waiting: usize,
    /// How its last session ended.
    pub lost: Option<Lost>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Where the agent is.
    pub address: Option<SocketAddr>,
    /// Whether it is our own agent.
    pub own: bool,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Why.
    pub because: String,
}

/// Something happened to a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectorChange {
    /// Its token can be reached: anew, or in another session than before.
    Came {
        /// Name of the connector.
        name: String,
    },
    /// Its token cannot be reached any more.
    Went {
        /// Name of the connector.
        name: String,
        /// Why.
        because: String,
    },
}
