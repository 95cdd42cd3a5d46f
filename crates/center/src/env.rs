//! What the center is given from outside: time, randomness, tokens.

use std::sync::Arc;

use chancery_keys::Connect;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A clock.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch, UTC.
    fn now_ms(&self) -> i64;
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
