//! Key domains, and groups of tokens that agree: what a token has, what is refused, and the token pulled at every command.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "the bench is shared with other tests")]

mod agreeing;
#[path = "../keys/bench.rs"]
mod bench;
mod changing;
mod interrupted;
mod members;
