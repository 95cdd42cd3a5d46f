//! The endpoint of remote tokens: RAMOverHTTP sessions, the tickets that open them, and the tokens behind them.
//!
//! * [`Connectors`] knows which tickets are good for what and which connector is connected. The node tells it of tickets by
//!   their hash; [`Connectors::changes`] says when a token came or went.
//! * [`router`] answers agents under `/rt`.
//! * [`RemoteToken`] is the way to the token of a session, [`Connectors::way_to`] how the node's HSM threads come by it.
//!
//! # Invariants
//! * A ticket is kept and compared as its SHA-256, and is in no log and no error.
//! * The body of a POST is not read before its ticket or its session was found good.
//! * A single-use ticket opens one session that is used: one whose client never had the first answer gives it back.
//! * A token of a connector that is connected is replaced only by a session whose token has proven in chip authentication that
//!   it is the same device: a ticket that was stolen cuts nobody off.
//! * The bodies of commands and responses are never logged.

mod connectors;
mod live;
mod routes;
mod sessions;
mod status;
mod tickets;
mod token;
mod way;

pub use connectors::{Connectors, Options, Prover, Provisional};
pub use routes::router;
pub use status::{Connected, ConnectorChange, ConnectorStatus, Lost};
pub use token::RemoteToken;
pub use way::ConnectorWay;
