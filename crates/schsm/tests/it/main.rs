//! The shared vocabulary, byte by byte.
#![expect(clippy::unwrap_used, reason = "tests")]

mod container;
mod pkcs15;
mod secure_messaging;
mod vectors;
mod vocabulary;
