//! The endpoint of remote tokens over plain HTTP: tickets, lying and dying clients, our own agent, and whole tokens behind it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod agent;
mod attachment;
mod cuts;
mod hsm;
mod lies;
mod manage;
mod many;
mod raw;
mod recorder;
mod relay;
mod second;
mod server;
mod tickets;
mod together;
mod tokens;
mod wire;
