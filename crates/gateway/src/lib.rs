//! A node's network edge: TLS, the endpoint of remote tokens, the API for enrolled clients.
//!
//! - [`Edge`] listens. One address is for agents that attach tokens: no client certificate, since foreign agents have none; who
//!   they are is proven by tickets and by the token's own chip authentication. The other is for enrolled clients: nobody gets
//!   through the handshake without proving a key, and each request is answered only while that key is enrolled.
//! - [`Service`] is what the node answers clients with: `POST /v1/call` takes the messages of the node's socket, the signing API
//!   offers the same as resources, described by `/v1/openapi.json`.
//! - [`identity`] makes and reads keys and certificates of both ends.
//!
//! Invariants: no rule is here; what is in a request or an answer is never logged, nor its address, which may hold a ticket;
//! what strangers can hold is limited in number, size and time.

mod answer;
mod call;
mod door;
mod edge;
pub mod identity;
mod listener;
pub mod ram;
mod rest;
mod service;
mod standing;
mod tls;

pub use edge::{Addresses, Edge, EdgeError};
pub use listener::Peer;
pub use service::{Caller, Service};
pub use standing::Standing;
