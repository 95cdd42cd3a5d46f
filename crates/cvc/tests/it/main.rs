//! Card verifiable certificates, from devices and built here.
#![expect(clippy::unwrap_used, reason = "tests")]

mod arbitrary;
mod built_chains;
mod built_keys;
mod built_requests;
mod common;
mod real_devices;
mod spki;
