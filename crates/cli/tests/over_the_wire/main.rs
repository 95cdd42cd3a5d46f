//! A node, an agent and clients as processes of their own, and a line between node and agent on which everything is written down
//! inside TLS, at both ends, with a proxy of another maker in the middle.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stderr, reason = "what is missing on the line")]

#[path = "../common/background.rs"]
mod background;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/cupboard.rs"]
mod cupboard;
mod faults;
mod line;
#[path = "../../../gateway/tests/ram/recorder.rs"]
mod recorder;
mod session;
mod world;
