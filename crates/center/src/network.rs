//! What the center asks of the node's network edge.

use chancery_api::Hash32;

/// The network edge as far as the center directs it: which connectors may come, and which are there.
pub trait Network: Send + Sync {
    /// Lets in whoever has the ticket with this SHA-256 (over its characters) as the agent of a connector, bound to the device
    /// with this CHR. Said again with the same ticket it changes the device.
    fn allow_connector(&self, name: &str, ticket: Hash32, device: Option<String>);

    /// Ends a connector: its tickets are worth nothing any more, its session is closed.
    fn forget_connector(&self, name: &str);

    /// Ends the session of a connector and tells its agent why; the agent may come back.
    fn disconnect_connector(&self, name: &str, because: &str);

    /// Lets whoever has the ticket with this SHA-256 open one session of a connector.
    fn add_ticket(&self, connector: &str, ticket: Hash32);

    /// How long such a ticket lasts, in seconds.
    fn ticket_seconds(&self) -> u64;

    /// What a connector is like now.
    fn connector(&self, name: &str) -> Option<Connection>;
}

/// A connector as the network edge sees it. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Since when it is connected, and from where.
    pub connected: Option<(i64, String)>,
    /// When and why it was lost last.
    pub lost: Option<(i64, String)>,
}
