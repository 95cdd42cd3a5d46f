//! Asking for a lease, and waiting until custodians have decided.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use chancery_api::{DigestValue, LeaseId, LeaseRequest, LeaseShow, LeaseState, LeaseView, Mechanism};

use super::{Calls, Teller, claims, config::NodeConfig, tell::Status, words};
use crate::error::{Code, Result};

/// A request that is about to be made.
pub(super) struct Asking<'a> {
    pub(super) calls: &'a dyn Calls,
    pub(super) teller: &'a Teller,
    pub(super) config: &'a NodeConfig,
    pub(super) signer: &'a str,
    /// Of the slot: names its status file.
    pub(super) serial: &'a str,
    pub(super) mechanism: Mechanism,
    pub(super) digests: Vec<DigestValue>,
    pub(super) further: u64,
    /// The module is finalised: nobody waits any more.
    pub(super) closed: &'a AtomicBool,
}

/// How long one look at a lease waits for a change. A module that is finalised notices after this time.
const LOOK_SECONDS: u32 = 5;
/// Without a look for so long the node takes a request back: the programs that wait for it are gone. None of them withdraws it, because
/// others of this client that ask for the same wait for it, too, and only the node knows whether there are any.
const GONE_SECONDS: u32 = 15;
/// How long a node that cannot be reached is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// The node ends a request that waited too long; one that is still there after this time is not waited for any more.
const SLACK: Duration = Duration::from_secs(10);
/// Something is said at least so often.
const REMINDER: Duration = Duration::from_secs(300);

impl Asking<'_> {
    /// A lease that permits what is asked for, once there is one.
    pub(super) fn lease(self) -> Result<LeaseId> {
        let claimed = claims::of_process();
        let purpose = self.config.purpose.clone();
        let call = LeaseRequest {
            signer: self.signer.to_owned(),
            purpose: purpose.unwrap_or_else(|| claims::purpose(&claimed)),
            mechanism: self.mechanism,
            digests: self.digests.clone(),
            further: self.further,
            seconds: self.config.lease_seconds,
            strict: self.config.strict,
            wait_seconds: Some(self.config.wait_for.as_secs()),
            reuse: true,
            attended_seconds: Some(GONE_SECONDS),
            claimed,
        };
        let begun = Instant::now();
        let view = self.calls.request(&call).map_err(|error| {
            let reason = words::failed(self.signer, error);
            self.note("failed", None, &call.claimed.command, Duration::ZERO, &reason);
            self.teller.log(&reason);
            Code::DEVICE_ERROR.because(reason)
        })?;
        if view.state == LeaseState::Live {
            return Ok(view.lease);
        }
        self.wait(view, begun, &call.claimed.command)
    }

    /// Waits for a lease that was there before.
    fn wait(&self, mut view: LeaseView, begun: Instant, command: &str) -> Result<LeaseId> {
        let left = |now: Instant| {
            let gone = now.saturating_duration_since(begun);
            self.config.wait_for.saturating_sub(gone)
        };
        let what = words::wanted(&self.digests, self.further);
        let line = words::begin(self.signer, &what, &view, left(Instant::now()));
        self.teller.say(&line);
        self.teller.log(&line);
        self.note("waiting", Some(&view), command, left(Instant::now()), &line);
        let mut said = Instant::now();
        let mut silent = false;
        while view.state == LeaseState::Waiting {
            if self.closed.load(Ordering::Acquire) {
                return Err(Code::CRYPTOKI_NOT_INITIALIZED.into());
            }
            if begun.elapsed() > self.config.wait_for + SLACK {
                let reason = format!(
                    "{}: the custodians did not answer within {} s (lease {})",
                    self.signer,
                    self.config.wait_for.as_secs(),
                    view.lease
                );
                return Err(self.refused("timed-out", &view, command, reason));
            }
            let call = LeaseShow {
                lease: view.lease,
                known: Some(view.version),
                wait_seconds: LOOK_SECONDS,
            };
            let next = match self.calls.show(&call) {
                Ok(next) => next,
                Err(error) if error.is_passing() => {
                    if !std::mem::replace(&mut silent, true) {
                        self.teller
                            .say(&format!("{}: {error}; trying again", self.signer));
                    }
                    thread::sleep(PAUSE);
                    continue;
                }
                Err(error) => {
                    let reason = words::failed(self.signer, error);
                    return Err(self.refused("failed", &view, command, reason));
                }
            };
            silent = false;
            let changed = next.version != view.version;
            view = next;
            if view.state == LeaseState::Waiting && (changed || said.elapsed() > REMINDER) {
                let line = words::progress(self.signer, &view, left(Instant::now()));
                self.teller.say(&line);
                self.note("waiting", Some(&view), command, left(Instant::now()), &line);
                said = Instant::now();
            }
        }
        if view.state == LeaseState::Live {
            let line = words::permitted(self.signer, &view);
            self.teller.say(&line);
            self.teller.log(&line);
            self.note("permitted", Some(&view), command, Duration::ZERO, &line);
            return Ok(view.lease);
        }
        let reason = words::over(self.signer, &view);
        Err(self.refused(view.state.name(), &view, command, reason))
    }

    fn refused(&self, state: &str, view: &LeaseView, command: &str, reason: String) -> crate::Error {
        self.note(state, Some(view), command, Duration::ZERO, &reason);
        self.teller.log(&reason);
        Code::FUNCTION_CANCELED.because(reason)
    }

    fn note(&self, state: &str, view: Option<&LeaseView>, command: &str, left: Duration, message: &str) {
        let node = self.calls.name();
        let status = Status {
            pid: std::process::id(),
            command,
            node: &node,
            signer: self.signer,
            state,
            lease: view.map(|view| view.lease),
            digests: &self.digests,
            further: self.further,
            agreed: view.map_or(&[], |view| &view.agreed),
            could: view.map_or(&[], |view| &view.could),
            needed: view.map_or(0, |view| view.needed),
            wait_seconds: left.as_secs(),
            message,
            updated: 0,
        };
        self.teller.status(self.serial, &status);
    }
}
