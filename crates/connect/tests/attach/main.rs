//! The agent against servers of the test's, over real connections.

#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "tests")]

mod agent;
mod cuts;
mod encrypted;
mod following;
mod hostile;
mod http;
mod lasting;
mod tokens;
