//! The edge to the machine: time, randomness, who we are.

use chancery_center::{Clock, Entropy};
use time::{Date, OffsetDateTime};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl SystemClock {
    /// The time now, UTC.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the node reads the clock"
    )]
    pub fn now(self) -> OffsetDateTime {
        std::time::SystemTime::now().into()
    }

    /// The day now, UTC.
    #[must_use]
    pub fn today(self) -> Date {
        self.now().date()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let now = self.now();
        now.unix_timestamp() * 1000 + i64::from(now.millisecond())
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        // The kernel's generator cannot fail once it is seeded, and a machine on which it does must make no keys.
        getrandom::fill(out).expect("the operating system has random bytes");
    }
}

/// Effective user id of this process.
pub(crate) fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes this process the leader of a session of its own: no terminal's hang-up or interrupt reaches it.
pub(crate) fn leave_session() {
    // The only failure is that it leads one already.
    let _ = rustix::process::setsid();
}
