//! RAMOverHTTP: messages, both ends of a session, and what an agent lets through; no I/O.
//!
//! A token's side posts messages to a server over HTTP; the answers carry the commands the token is to run.
//!
//! * [`message`]: the templates both ends exchange;
//! * [`client`]: the token's end of a session;
//! * [`server`]: the end that gives commands;
//! * [`policy`]: what an agent lets through to its token.

pub mod client;
pub mod message;
pub mod policy;
pub mod server;
