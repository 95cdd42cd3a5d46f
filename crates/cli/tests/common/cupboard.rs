//! HSM `hsm-a` at an agent elsewhere: connector `cupboard`, its ticket, what the agent is started with, and the attaching.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use crate::common::{Ended, Home};

/// File of the ticket, beside the data directory.
pub(crate) const TICKET: &str = "cupboard.ticket";

/// Adds the connector.
#[track_caller]
pub(crate) fn add(home: &Home) -> Ended {
    home.run(&["connector", "add", "cupboard", "--ticket-file", TICKET])
        .ok()
}

/// Words that start the agent. It goes to `url`, where it expects `certificate`, and lets the node use key `number`.
pub(crate) fn connect<'a>(url: &'a str, certificate: &'a str, number: &'a str) -> [&'a str; 11] {
    [
        "connect",
        url,
        "--token",
        "hsm-a",
        "--ticket-file",
        TICKET,
        "--node-cert",
        certificate,
        "--allow-key",
        number,
        "--permanent",
    ]
}

/// Attaches the HSM there.
pub(crate) fn attach(home: &Home) -> Ended {
    home.run(&[
        "hsm",
        "attach",
        "hsm-a",
        "--connector",
        "cupboard",
        "--as",
        "alice",
    ])
}
