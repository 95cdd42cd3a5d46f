//! How long things may take.

use std::time::Duration;

/// Limits of an [`Hsm`](crate::Hsm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartOptions {
    /// How long a custodian may take to answer a challenge; meanwhile the HSM does nothing else. 60 s.
    pub challenge_expiry: Duration,
    /// How long a caller waits for one command, waiting in the queue included. 30 s.
    pub command: Duration,
    /// How long a caller waits for a procedure of many commands; a hardware token may generate an RSA key for
    /// minutes. 300 s.
    pub procedure: Duration,
    /// Requests that may wait; further ones are refused as busy. 1024.
    pub queue: usize,
    /// How long the token may be left alone before it is asked whether it is still as it was; `None` for as long as
    /// nobody uses it. Never while a challenge is open. 5 s.
    pub probe: Option<Duration>,
    /// How long the token may take for a step before others that hold the same key are asked first. 3 s.
    pub patience: Duration,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            challenge_expiry: Duration::from_secs(60),
            command: Duration::from_secs(30),
            procedure: Duration::from_secs(300),
            queue: 1024,
            probe: Some(Duration::from_secs(5)),
            patience: Duration::from_secs(3),
        }
    }
}
