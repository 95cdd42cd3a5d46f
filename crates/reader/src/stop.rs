//! The end of work that waits for others.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Ends what was started with it, from any thread, once and for all. Copies are the same.
#[derive(Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    wakers: Mutex<Wakers>,
    changed: Condvar,
}

#[derive(Default)]
struct Wakers {
    next: u64,
    all: BTreeMap<u64, Box<dyn Fn() + Send>>,
}

/// Something that is done at the stop, for as long as this value lives.
#[must_use = "what it stands for is forgotten when it is dropped"]
pub struct OnStop {
    stop: Stop,
    number: u64,
}

impl Stop {
    /// Not stopped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops.
    pub fn stop(&self) {
        let wakers = {
            let mut wakers = self.wakers();
            self.0.stopped.store(true, Ordering::SeqCst);
            std::mem::take(&mut wakers.all)
        };
        self.0.changed.notify_all();
        // Without the lock: what is woken may ask whether it was stopped.
        for waker in wakers.values() {
            waker();
        }
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Waits until it is stopped or the time is over; whether it is stopped.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let guard = self.wakers();
        let waited = self
            .0
            .changed
            .wait_timeout_while(guard, timeout, |_| !self.is_stopped());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.is_stopped()
    }

    /// Does something at the stop; at once when that was before.
    pub fn on_stop(&self, waker: impl Fn() + Send + 'static) -> OnStop {
        let mut wakers = self.wakers();
        let number = wakers.next;
        wakers.next += 1;
        if self.is_stopped() {
            drop(wakers);
            waker();
        } else {
            wakers.all.insert(number, Box::new(waker));
        }
        OnStop {
            stop: self.clone(),
            number,
        }
    }

    fn wakers(&self) -> MutexGuard<'_, Wakers> {
        // A panic leaves the table as it is.
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OnStop {
    fn drop(&mut self) {
        self.stop.wakers().all.remove(&self.number);
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stop({})", self.is_stopped())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn what_is_registered_is_done_once_and_what_was_dropped_never() {
        let stop = Stop::new();
        let count = Arc::new(AtomicU32::new(0));
        let counted = || {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        drop(stop.on_stop(counted()));
        let kept = stop.on_stop(counted());
        assert!(!stop.wait(Duration::ZERO));
        stop.clone().stop();
        stop.stop();
        assert!(stop.wait(Duration::from_secs(60)), "returns at once");
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let late = stop.on_stop(counted());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        drop((kept, late));
    }
}
