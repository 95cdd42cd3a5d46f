//! `chancery attest`: verdicts and exit codes on real vectors, archive, passports and transcripts of virtual tokens.

#![expect(clippy::unwrap_used, reason = "tests")]

mod archive;
#[path = "../common/mod.rs"]
mod common;
mod passports;
mod token;
mod transcripts;
mod vectors;

use serde_json::Value;

/// Claim and verdict of every claim.
fn verdicts(value: &Value) -> Vec<String> {
    value["claims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|claim| {
            format!(
                "{} {}",
                claim["claim"].as_str().unwrap(),
                claim["verdict"].as_str().unwrap()
            )
        })
        .collect()
}
