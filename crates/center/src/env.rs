//! What the center is given from outside: time, randomness, tokens.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use chancery_keys::{Connect, StartOptions};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A clock.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch, UTC.
    fn now_ms(&self) -> i64;

    /// Milliseconds since some moment of this process; never set, never back. Leases end by it.
    fn monotonic_ms(&self) -> u64 {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        let passed = BEGIN.get_or_init(Instant::now).elapsed();
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Cryptographically secure random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

/// Finds tokens by the text stored with an HSM.
pub trait TokenSource: Send + Sync {
    /// A way to connect to the token at `locator`, e.g. `virtual:hsm-a`; `None` when the text names no kind of token known here.
    fn at(&self, locator: &str) -> Option<Arc<dyn Connect>>;

    /// How long HSMs and custodians may take.
    fn limits(&self) -> StartOptions {
        StartOptions::default()
    }
}

/// What the center remembers outside the database, so that an edited database cannot take it back.
///
/// Names are fixed words; values are small.
pub trait Marks: Send + Sync {
    /// The value saved last under `name`.
    ///
    /// # Errors
    /// Why it cannot be read, one sentence.
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, String>;

    /// Replaces the value under `name`, whole or not at all, durable when this returns.
    ///
    /// # Errors
    /// Why it cannot be written, one sentence.
    fn save(&self, name: &str, value: &[u8]) -> Result<(), String>;
}

/// RFC 3339 text (UTC, whole seconds) for milliseconds since the Unix epoch.
pub(crate) fn rfc3339(ms: i64) -> String {
    rfc3339_seconds(ms.div_euclid(1000))
}

/// RFC 3339 text (UTC) for seconds since the Unix epoch.
pub(crate) fn rfc3339_seconds(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("@{seconds}"))
}
