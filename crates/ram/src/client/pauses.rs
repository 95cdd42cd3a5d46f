//! How long to wait before the next session.

use std::time::Duration;

use super::End;

/// Growing pauses between sessions that fail: 1 s, doubled up to 60 s, from the start again after one that lasted. Who is
/// refused waits ten minutes, for the answer will hardly be another one and may be counted against it.
#[derive(Debug, Clone, Default)]
pub struct Pauses {
    last: Option<Duration>,
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
const AFTER_REFUSAL: Duration = Duration::from_secs(600);
/// A session of this length shows that all is well in principle.
const LASTED: Duration = Duration::from_secs(60);

impl Pauses {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The pause after a session that lasted so long and ended so.
    pub fn after(&mut self, end: &End, lasted: Duration) -> Duration {
        if lasted >= LASTED {
            self.last = None;
        }
        if end.is_refusal() {
            return AFTER_REFUSAL;
        }
        let pause = match self.last {
            None => SHORTEST,
            Some(last) => (last * 2).min(LONGEST),
        };
        self.last = Some(pause);
        pause
    }
}
