//! HSM threads, pool and signing keys over real virtual tokens.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "tests")]

mod bench;
mod forgetful;
mod interrupted;
mod keys;
mod life;
mod remote;
mod remote_faults;
mod remote_stream;
mod signing;
mod unlock;
mod wire;
