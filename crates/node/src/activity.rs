//! When the node last did something.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Counts calls in progress and remembers the last one's end.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    busy: usize,
    last: Instant,
}

/// A call in progress, until dropped.
#[derive(Debug)]
pub(crate) struct Busy<'a>(&'a Activity);

/// How often to look again for what does not announce itself: an HSM that is locked or lost.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            busy: 0,
            last: Instant::now(),
        }))
    }

    /// Notes that a call has begun.
    pub(crate) fn begin(&self) -> Busy<'_> {
        self.state().busy += 1;
        Busy(self)
    }

    /// Returns once nothing was called for `idle` and `held` is false: nothing would be lost with the process.
    pub(crate) async fn until_idle(&self, idle: Duration, held: impl Fn() -> bool) {
        loop {
            let now = Instant::now();
            let (busy, last) = {
                let state = self.state();
                (state.busy > 0, state.last)
            };
            let again = now + LOOK_AGAIN.min(idle.max(Duration::from_millis(1)));
            if busy {
                sleep_until(again).await;
            } else if now < last + idle {
                sleep_until(last + idle).await;
            } else if held() {
                sleep_until(again).await;
            } else {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock, and two numbers are whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy = state.busy.saturating_sub(1);
        state.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use tokio::time::sleep;

    use super::*;

    const IDLE: Duration = Duration::from_secs(900);

    #[tokio::test(start_paused = true)]
    async fn nothing_called_means_idle_after_exactly_the_time_set() {
        let begun = Instant::now();
        Activity::new().until_idle(IDLE, || false).await;
        assert_eq!(begun.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_counts_from_the_end_of_the_last_call() {
        let activity = Arc::new(Activity::new());
        let begun = Instant::now();
        let other = Arc::clone(&activity);
        let call = tokio::spawn(async move {
            sleep(Duration::from_secs(800)).await;
            let _busy = other.begin();
            sleep(Duration::from_secs(3000)).await;
        });
        activity.until_idle(IDLE, || false).await;
        assert!(call.is_finished());
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_secs(3800) + IDLE, "{waited:?}");
        assert!(
            waited <= Duration::from_secs(3800) + IDLE + LOOK_AGAIN,
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_unlocked_hsm_keeps_the_node_however_idle_it_is() {
        let unlocked = Arc::new(AtomicBool::new(true));
        let begun = Instant::now();
        let other = Arc::clone(&unlocked);
        tokio::spawn(async move {
            sleep(Duration::from_secs(100_000)).await;
            other.store(false, Ordering::Relaxed);
        });
        Activity::new()
            .until_idle(IDLE, || unlocked.load(Ordering::Relaxed))
            .await;
        assert!(begun.elapsed() >= Duration::from_secs(100_000));
    }
}
