//! What an HSM's handles and its thread share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::{Cause, HsmError, Loss, NO_ERA, State, Status};

/// The era to come.
static NEXT_ERA: AtomicU64 = AtomicU64::new(NO_ERA + 1);

fn next_era() -> u64 {
    NEXT_ERA.fetch_add(1, Ordering::Relaxed)
}

/// State both sides see. Every lock is held for a few instructions.
pub(crate) struct Shared {
    pub(crate) name: String,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    status: watch::Sender<Status>,
    listeners: Mutex<Vec<Listener>>,
    closing: AtomicBool,
    outstanding: AtomicUsize,
    /// When the thread began what it is at, in microseconds since `began`, at least 1; 0 while it rests.
    at_work_since: AtomicU64,
    began: Instant,
    ended: Mutex<bool>,
    end: Condvar,
}

/// Called after each change of state, on the thread that made it.
pub(crate) type Listener = Box<dyn Fn() + Send + Sync>;

impl Shared {
    pub(crate) fn new(name: &str, clock: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            status: watch::Sender::new(Status {
                state: State::Locked,
                locked_because: None,
                last_loss: None,
                lock_at_ms: None,
                era: next_era(),
            }),
            listeners: Mutex::default(),
            closing: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
            at_work_since: AtomicU64::new(0),
            began: Instant::now(),
            ended: Mutex::new(false),
            end: Condvar::new(),
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    pub(crate) fn state(&self) -> State {
        self.status.borrow().state.clone()
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Has this called after each change of state.
    pub(crate) fn listen(&self, listener: Listener) {
        held(&self.listeners).push(listener);
    }

    /// Whether it is open, and in this era if one is given.
    pub(crate) fn is_open_in(&self, era: Option<u64>) -> bool {
        let status = self.status.borrow();
        status.state.is_unlocked() && era.is_none_or(|era| era == status.era)
    }

    pub(crate) fn locked_because(&self) -> Option<String> {
        let status = self.status.borrow();
        status.locked_because.as_ref().map(|cause| cause.text.clone())
    }

    /// See [`Status::era`].
    pub(crate) fn era(&self) -> u64 {
        self.status.borrow().era
    }

    /// The answers of custodians count no more: a state that they brought about is over with its era, in one step.
    pub(crate) fn begin_era(&self) {
        self.change(|status| {
            status.era = next_era();
            if matches!(status.state, State::Quorum { .. } | State::Unlocked { .. }) {
                status.state = State::Locked;
                status.lock_at_ms = None;
            }
        });
    }

    /// Takes over a state. An HSM that was closed stays lost, whatever its thread still finds out.
    pub(crate) fn set(&self, state: State, because: Option<String>) {
        let at_ms = self.now_ms();
        self.change(|status| {
            let locked_because = because.map(|text| match status.locked_because.take() {
                // It is dated by when it was noticed first.
                Some(known) if known.text == text => known,
                _ => Cause { at_ms, text },
            });
            if !state.is_unlocked() {
                status.lock_at_ms = None;
            }
            status.state = state;
            status.locked_because = locked_because;
        });
    }

    /// Says when an open HSM locks itself.
    pub(crate) fn set_lock_at(&self, lock_at_ms: Option<i64>) {
        self.change(|status| status.lock_at_ms = lock_at_ms);
    }

    /// The answers of custodians were taken away by something else.
    pub(crate) fn locked_by(&self, because: &str) {
        let at_ms = self.now_ms();
        self.change(|status| {
            status.note_loss(at_ms, because);
            status.era = next_era();
            status.state = State::Locked;
            status.lock_at_ms = None;
            status.locked_because = Some(Cause {
                at_ms,
                text: because.to_owned(),
            });
        });
    }

    pub(crate) fn lose(&self, because: String) {
        let at_ms = self.now_ms();
        tracing::warn!(hsm = self.name, because, "HSM lost");
        self.change(|status| {
            status.note_loss(at_ms, &because);
            status.era = next_era();
            status.state = State::Lost { at_ms, because };
            status.lock_at_ms = None;
            status.locked_because = None;
        });
    }

    /// The state becomes lost, and the thread is told to end.
    pub(crate) fn close(&self, because: &str) {
        let lost = State::Lost {
            at_ms: self.now_ms(),
            because: because.to_owned(),
        };
        let changed = self.status.send_if_modified(|status| {
            // Under the same lock as every change: nothing changes after it.
            let first = !self.closing.swap(true, Ordering::AcqRel);
            if first {
                status.state = lost;
                status.era = next_era();
                status.lock_at_ms = None;
                status.locked_because = None;
            }
            first
        });
        if changed {
            self.tell();
        }
    }

    fn change(&self, act: impl FnOnce(&mut Status)) {
        let changed = self.status.send_if_modified(|status| {
            if self.is_closing() {
                return false;
            }
            let before = status.clone();
            act(status);
            *status != before
        });
        if changed {
            self.tell();
        }
    }

    fn tell(&self) {
        for listener in held(&self.listeners).iter() {
            listener();
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The error for a request that an HSM that is not open, or gone, does not carry out.
    pub(crate) fn not_open(&self) -> HsmError {
        let hsm = self.name.clone();
        let status = self.status.borrow();
        match &status.state {
            State::Lost { because, .. } => HsmError::Lost {
                hsm,
                because: because.clone(),
            },
            state => HsmError::Locked {
                hsm,
                state: state.clone(),
                because: status.locked_because.as_ref().map(|cause| cause.text.clone()),
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

    /// The thread begins something, or gets on with it.
    pub(crate) fn at_work(&self, since: Instant) {
        let since = since.saturating_duration_since(self.began).as_micros();
        let since = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        self.at_work_since.store(since, Ordering::Relaxed);
    }

    /// The thread waits for something to do.
    pub(crate) fn at_rest(&self) {
        self.at_work_since.store(0, Ordering::Relaxed);
    }

    /// Whether the thread has not got on with what it is at for so long.
    pub(crate) fn is_stalled(&self, patience: Duration) -> bool {
        match self.at_work_since.load(Ordering::Relaxed) {
            0 => false,
            since => self.began.elapsed() >= Duration::from_micros(since).saturating_add(patience),
        }
    }

    /// Waits until the thread has let go of the token, at most this long.
    pub(crate) fn wait_for_end(&self, limit: Duration) {
        let ended = held(&self.ended);
        // Whether it ended or the time is over: the caller goes on.
        drop(self.end.wait_timeout_while(ended, limit, |ended| !*ended));
    }
}

impl Status {
    fn note_loss(&mut self, at_ms: i64, because: &str) {
        self.last_loss = Some(Loss {
            number: self.last_loss.as_ref().map_or(1, |loss| loss.number + 1),
            at_ms,
            because: because.to_owned(),
            was_open: self.state.is_unlocked(),
        });
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
            if std::thread::panicking() {
                self.0.lose("its thread failed".to_owned());
            } else {
                let at_ms = self.0.now_ms();
                let because = "it was let go".to_owned();
                self.0.set(State::Lost { at_ms, because }, None);
            }
        }
        *held(&self.0.ended) = true;
        self.0.end.notify_all();
    }
}

/// Nothing panics while it holds one of these locks; were it otherwise, the values are still whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
