//! Who holds the token: one client at a time, the others in a queue.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::Stop;

/// A client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) number: u64,
    pub(super) pid: u32,
}

/// The one place from which the token is used.
#[derive(Default)]
pub(super) struct Seat {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    holder: Option<Client>,
    /// Who held it last and may go on where it ended.
    last: Option<u64>,
    queue: VecDeque<u64>,
}

/// How a client got the seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It has it already.
    Already,
    /// Nobody else had it since.
    Again,
    /// Somebody else had it, or nobody ever: the token has to be reset first.
    Anew,
}

impl Seat {
    /// Waits for the seat; otherwise who has it.
    pub(super) fn take(&self, client: Client, wait: Duration, stop: &Stop) -> Result<Taken, Option<Client>> {
        let end = Instant::now().checked_add(wait);
        let mut state = self.state();
        if state.holder == Some(client) {
            return Ok(Taken::Already);
        }
        state.queue.push_back(client.number);
        loop {
            if state.holder.is_none() && state.queue.front() == Some(&client.number) {
                state.queue.pop_front();
                state.holder = Some(client);
                let taken = if state.last == Some(client.number) {
                    Taken::Again
                } else {
                    Taken::Anew
                };
                state.last = Some(client.number);
                return Ok(taken);
            }
            let left = end.map_or(LONG, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() || stop.is_stopped() {
                state.queue.retain(|waiting| *waiting != client.number);
                let holder = state.holder;
                drop(state);
                // Who is next in the queue may have waited for this one.
                self.freed.notify_all();
                return Err(holder);
            }
            let waited = self.freed.wait_timeout(state, left.min(LONG));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the client has the seat.
    pub(super) fn is_held_by(&self, client: Client) -> bool {
        self.state().holder == Some(client)
    }

    /// Gives the seat back; the client may take it again and go on, unless somebody was there meanwhile.
    pub(super) fn give_back(&self, client: Client) -> bool {
        let mut state = self.state();
        let held = state.holder == Some(client);
        if held {
            state.holder = None;
            drop(state);
            self.freed.notify_all();
        }
        held
    }

    /// The client is gone: whatever it left in the token is cleared before anybody else is let in.
    pub(super) fn leave(&self, client: Client, clear: impl FnOnce()) {
        let mut state = self.state();
        let was_last = state.last == Some(client.number);
        if state.holder != Some(client) && !(was_last && state.holder.is_none()) {
            return;
        }
        // Nobody comes in meanwhile.
        state.holder = Some(client);
        state.last = None;
        drop(state);
        clear();
        self.give_back(client);
    }

    /// Who has it, and how many wait.
    pub(super) fn look(&self) -> (Option<Client>, usize) {
        let state = self.state();
        (state.holder, state.queue.len())
    }

    /// Wakes those that wait, to see that it is over.
    pub(super) fn wake(&self) {
        drop(self.state());
        self.freed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in between can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait without an end is made of such.
const LONG: Duration = Duration::from_secs(3600);
