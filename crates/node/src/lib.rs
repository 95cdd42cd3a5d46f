//! The node: the one process of a data directory that holds the HSMs and writes the database, and the client that talks to it.
//!
//! - [`DataDir`] is the layout of a data directory; it needs no node.
//! - [`serve`] is the node. It takes the directory's lock, opens the database and the center, and answers calls on a Unix
//!   socket: one JSON object a line, one reply for each call, the calls of one connection in order, connections in parallel.
//! - With [`NetworkSettings`] it also answers the network, through `chancery-gateway`: agents that attach tokens, and enrolled
//!   clients, for whom a table in `clients` says what they may call.
//! - [`Client`] calls a node, [`ensure_running`] starts one in the background when none answers.
//!
//! Invariants: no rule is here, every call goes to `chancery-center` (`dispatch`); what unlocks an HSM is in this process's
//! memory and nowhere else, so that its end, however it comes, locks; a connection counts by the user id of its other end;
//! nothing that was sent or answered is logged.
//!
//! To add a method: its type in `chancery-api`, a function on `Center`, one line in `dispatch.rs`.

mod activity;
mod audit_key;
mod buffer;
mod client;
mod clients;
mod connection;
mod dispatch;
mod door;
mod layout;
mod machine_secret;
mod marks;
mod network;
mod node;
mod server;
mod signals;
mod socket;
mod start;
mod system;
mod tokens;
mod wire;

pub use audit_key::{AuditKey, AuditKeyError};
pub use client::{Client, ClientError, stop};
pub use layout::{DataDir, LayoutError};
pub use machine_secret::SecretError;
pub use network::{NetworkError, NetworkSettings};
pub use server::{DEFAULT_IDLE_STOP, Options, ServeError, Stopped, serve};
pub use start::{EXIT_IN_USE, StartError, ensure_running};
pub use system::{SystemClock, SystemEntropy};
pub use tokens::{AnchorsError, VirtualTokens, trust_anchors};
