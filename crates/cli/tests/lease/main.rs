//! Leases from the command line: asked for, agreed to, used, refused, given up, and their receipts checked without the node; what a
//! node that lies and what is typed too early cannot bring about.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/background.rs"]
mod background;
#[path = "../common/mod.rs"]
mod common;
mod decisions;
mod liar;
mod lies;
mod scene;
#[path = "../common/terminal.rs"]
mod terminal;
mod typed;
