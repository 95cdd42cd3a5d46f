//! What the thread does when nobody asks for anything: it looks whether the token is as it was, and locks it in time.

use std::mem;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use chancery_driver::Error;

use super::held::Held;
use super::{Job, Worker};
use crate::HsmError;

impl Worker {
    /// Waits for the next request. `None` when no more will come.
    pub(super) fn idle(&mut self) -> Option<Job> {
        loop {
            if self.shared.is_closing() {
                return None;
            }
            let now = Instant::now();
            if mem::take(&mut self.touched) {
                self.probe_at = self.options.probe.and_then(|after| now.checked_add(after));
            }
            if self.is_to_be_locked() {
                self.lock_now();
                continue;
            }
            let probe_at = self.probe_at.filter(|_| !matches!(self.card, Held::Gone));
            if probe_at.is_some_and(|at| at <= now) {
                self.shared.at_work(now);
                self.probe();
                self.touched = true;
                continue;
            }
            self.shared.at_rest();
            let until = probe_at.into_iter().chain(self.lock_at).min();
            let Some(until) = until else {
                return self.jobs.recv().ok();
            };
            match self.jobs.recv_timeout(until.saturating_duration_since(now)) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Asks the token for its count of custodians. Anything but the count last read makes it be looked at.
    fn probe(&mut self) {
        let now = match &mut self.card {
            Held::Selected(card) => card.pka_status(),
            Held::Open(card) => card.pka_status(),
            Held::Gone => return,
        };
        let looked = match now {
            Ok(now) if now == self.status => Ok(()),
            Err(error @ Error::Link { .. }) => Err(self.broken("tell its state", error)),
            Ok(_) | Err(_) => self.twice(Self::check),
        };
        // Nobody waits for it: the state tells.
        if let Err(error) = looked {
            tracing::info!(hsm = self.shared.name, %error, "an HSM that was left alone was looked at");
        }
    }

    pub(super) fn lock(&mut self) -> Result<(), HsmError> {
        match &self.card {
            Held::Gone => Err(self.shared.not_open()),
            _ => {
                self.select_again()?;
                self.twice(|worker| worker.look(None))
            }
        }
    }

    pub(super) fn lock_in(&mut self, after: Option<Duration>) -> Result<(), HsmError> {
        self.require_open()?;
        self.lock_at = after.and_then(|after| Instant::now().checked_add(after));
        if let Some(way) = &self.way {
            way.lock_in(after);
        }
        let at_ms = after.map(|after| {
            let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
            self.shared.now_ms().saturating_add(after)
        });
        self.shared.set_lock_at(at_ms);
        Ok(())
    }

    /// Whether the time has come to lock the token.
    pub(super) fn is_to_be_locked(&self) -> bool {
        self.lock_at.is_some_and(|at| at <= Instant::now())
    }

    pub(super) fn lock_now(&mut self) {
        self.lock_at = None;
        self.shared.at_work(Instant::now());
        tracing::info!(hsm = self.shared.name, "an HSM is locked, for its time is over");
        if let Err(error) = self.lock() {
            tracing::warn!(hsm = self.shared.name, %error, "an HSM whose time is over could not be locked");
        }
    }
}
