//! Processes of the real program that are killed, meet each other, or run out of disk.
//!
//! `kill -9` leaves the page cache alone: what a power cut does is tested below the token's and the database's file seams.

#![expect(clippy::unwrap_used, reason = "tests")]

mod campaign;
mod client;
mod dice;
mod disk;
mod ledger;
mod node;
mod operations;
mod pair;
mod pins;
mod running;
mod world;
