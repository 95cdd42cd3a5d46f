//! What an HSM's handles and its thread share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{HsmError, State};

/// State both sides see. Every lock is held for a few instructions.
pub(crate) struct Shared {
    pub(crate) name: String,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    status: Mutex<Status>,
    closing: AtomicBool,
    outstanding: AtomicUsize,
    ended: Mutex<bool>,
    end: Condvar,
}

struct Status {
    state: State,
    /// What locked the HSM without being asked to.
    because: Option<String>,
}

impl Shared {
    pub(crate) fn new(name: &str, clock: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            status: Mutex::new(Status {
                state: State::Locked,
                because: None,
            }),
            closing: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
            ended: Mutex::new(false),
            end: Condvar::new(),
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    pub(crate) fn state(&self) -> State {
        held(&self.status).state.clone()
    }

    pub(crate) fn is_unlocked(&self) -> bool {
        held(&self.status).state.is_unlocked()
    }

    pub(crate) fn locked_because(&self) -> Option<String> {
        held(&self.status).because.clone()
    }

    /// Takes over a state. An HSM that was closed stays lost, whatever its thread still finds out.
    pub(crate) fn set(&self, state: State, because: Option<String>) {
        let mut status = held(&self.status);
        if !self.is_closing() {
            *status = Status { state, because };
        }
    }

    pub(crate) fn lose(&self, because: String) {
        let at_ms = self.now_ms();
        tracing::warn!(hsm = self.name, because, "HSM lost");
        self.set(State::Lost { at_ms, because }, None);
    }

    /// The state becomes lost, and the thread is told to end.
    pub(crate) fn close(&self, because: &str) {
        let lost = State::Lost {
            at_ms: self.now_ms(),
            because: because.to_owned(),
        };
        let mut status = held(&self.status);
        if !self.closing.swap(true, Ordering::AcqRel) {
            *status = Status {
                state: lost,
                because: None,
            };
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The error for a request that an HSM that is not open, or gone, does not carry out.
    pub(crate) fn not_open(&self) -> HsmError {
        let hsm = self.name.clone();
        let status = held(&self.status);
        match &status.state {
            State::Lost { because, .. } => HsmError::Lost {
                hsm,
                because: because.clone(),
            },
            state => HsmError::Locked {
                hsm,
                state: state.clone(),
                because: status.because.clone(),
            },
        }
    }

    /// The error for a request whose thread is gone.
    pub(crate) fn gone(&self) -> HsmError {
        match self.state() {
            State::Lost { because, .. } => HsmError::Lost {
                hsm: self.name.clone(),
                because,
            },
            _ => HsmError::Lost {
                hsm: self.name.clone(),
                because: "its thread ended".to_owned(),
            },
        }
    }

    pub(crate) fn busy(&self, why: &'static str) -> HsmError {
        HsmError::Busy {
            hsm: self.name.clone(),
            why,
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn count(&self) -> Outstanding<'_> {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Outstanding(self)
    }

    /// Waits until the thread has let go of the token, at most this long.
    pub(crate) fn wait_for_end(&self, limit: Duration) {
        let ended = held(&self.ended);
        // Whether it ended or the time is over: the caller goes on.
        drop(self.end.wait_timeout_while(ended, limit, |ended| !*ended));
    }
}

/// A request under way.
pub(crate) struct Outstanding<'a>(&'a Shared);

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says that the thread has ended, however it ends.
pub(crate) struct End(pub(crate) Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        if !matches!(self.0.state(), State::Lost { .. }) {
            let because = if std::thread::panicking() {
                "its thread failed"
            } else {
                "it was let go"
            };
            let at_ms = self.0.now_ms();
            self.0.set(
                State::Lost {
                    at_ms,
                    because: because.to_owned(),
                },
                None,
            );
        }
        *held(&self.0.ended) = true;
        self.0.end.notify_all();
    }
}

/// Nothing panics while it holds one of these locks; were it otherwise, the values are still whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
