//! What looks after leases: it notices HSMs that were locked or lost, ends leases whose time is over, and locks HSMs that no lease
//! needs. All methods look first; a task looks when nobody calls.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chancery_api::{Failure, HsmId, LeaseId, LeaseState, LogPlace, PersonId, StatementKind};
use chancery_keys::{HsmError, Pool, State};
use chancery_store::Change;
use serde_json::json;
use tokio::sync::{Notify, broadcast::error::RecvError, watch};
use tracing::warn;

use super::OpenLease;
use crate::{
    committer::Committer,
    env::Clock,
    event::{Actor, event},
};

/// How often the task looks while there are leases.
const LOOK: Duration = Duration::from_millis(500);

/// How much later an HSM locks itself than the node would: who comes first says why.
const SLACK: Duration = Duration::from_secs(2);

/// What a custodian was asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) lease: LeaseId,
    pub(crate) hsm: HsmId,
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) chr: String,
    /// SubjectPublicKeyInfo (DER) of the custodian key, taken from a registration that managers approved.
    pub(crate) spki: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) key_request: Vec<u8>,
    pub(crate) kind: StatementKind,
    pub(crate) challenge: [u8; 8],
    pub(crate) log: LogPlace,
    /// Reading of the node's monotonic clock after which it is not taken, milliseconds.
    pub(crate) until: u64,
}

/// Everything about leases that is in memory.
pub(crate) struct Leases {
    /// Leases that are not over.
    pub(crate) open: Mutex<HashMap<LeaseId, OpenLease>>,
    /// Questions to custodians, by session.
    pub(crate) asked: Mutex<HashMap<String, Asked>>,
    /// HSMs that custodians opened by `hsm unlock`, for CAs and for work on the HSM itself.
    pub(crate) for_all: Mutex<HashSet<HsmId>>,
    /// When each open HSM locks itself, as it was told: a reading of the node's monotonic clock.
    pub(crate) limits: Mutex<HashMap<HsmId, Option<u64>>>,
    /// Counts changes that somebody may wait for.
    pub(crate) changed: watch::Sender<u64>,
    /// One answer of a custodian, or one locking for want of leases, at a time.
    pub(crate) answering: tokio::sync::Mutex<()>,
    closed: AtomicBool,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Desk {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) leases: Leases,
    committer: Committer,
    clock: Arc<dyn Clock>,
    pool: Arc<Pool>,
    epoch: i64,
    wake: Arc<Notify>,
}

impl std::ops::Deref for Desk {
    type Target = Leases;

    fn deref(&self) -> &Leases {
        &self.inner.leases
    }
}

impl Desk {
    /// Starts the task; it ends after the last clone is gone.
    pub(crate) fn start(committer: Committer, clock: Arc<dyn Clock>, pool: Arc<Pool>, epoch: i64) -> Self {
        let wake = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            leases: Leases {
                open: Mutex::default(),
                asked: Mutex::default(),
                for_all: Mutex::default(),
                limits: Mutex::default(),
                changed: watch::Sender::new(0),
                answering: tokio::sync::Mutex::new(()),
                closed: AtomicBool::new(false),
            },
            committer,
            clock,
            pool,
            epoch,
            wake: Arc::clone(&wake),
        });
        let weak = Arc::downgrade(&inner);
        let mut states = inner.pool.changes();
        tokio::spawn(async move {
            loop {
                let idle = match weak.upgrade() {
                    Some(inner) => held(&inner.leases.open).is_empty(),
                    None => return,
                };
                let mut moved = false;
                if idle {
                    // Woken by the first lease, or ended by the last clone.
                    wake.notified().await;
                } else {
                    tokio::select! {
                        () = wake.notified() => {}
                        // One that was missed is looked at with the next.
                        state = states.recv() => moved = !matches!(state, Err(RecvError::Closed)),
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                let Some(inner) = weak.upgrade() else { return };
                let desk = Self { inner };
                desk.look().await;
                if moved {
                    // An HSM that came back may be asked for.
                    desk.tell();
                }
            }
        });
        Self { inner }
    }

    /// Reading of the node's monotonic clock, milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.inner.clock.monotonic_ms()
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, HashMap<LeaseId, OpenLease>> {
        held(&self.open)
    }

    /// Notes that an HSM was locked, or is open for leases alone.
    pub(crate) fn not_open_for_all(&self, hsm: HsmId) {
        held(&self.for_all).remove(&hsm);
    }

    /// Notes that the requester of a lease is there, until this is dropped.
    pub(crate) fn attend(&self, lease: LeaseId) -> Attending {
        if let Some(attended) = self
            .book()
            .get_mut(&lease)
            .and_then(|lease| lease.attended.as_mut())
        {
            attended.looking += 1;
        }
        Attending {
            desk: self.clone(),
            lease,
        }
    }

    /// Has the task look at once.
    pub(crate) fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Tells whoever waits that something changed.
    pub(crate) fn tell(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Whether custodians opened an HSM by `hsm unlock`, and it is open.
    pub(crate) fn is_open_for_all(&self, hsm: HsmId) -> bool {
        let open = self
            .inner
            .pool
            .get(hsm)
            .is_some_and(|hsm| hsm.state().is_unlocked());
        let mut for_all = held(&self.for_all);
        if !open {
            for_all.remove(&hsm);
        }
        open && for_all.contains(&hsm)
    }

    /// Whether an HSM counts answers that custodians gave to open it for a lease.
    pub(crate) fn counts_for_a_lease(&self, hsm: HsmId) -> bool {
        self.book().values().any(|lease| {
            lease.attempts.get(&hsm).is_some_and(|attempt| {
                attempt
                    .given
                    .iter()
                    .any(|given| given.kind == StatementKind::Unlock)
            })
        })
    }

    /// Notes that custodians opened an HSM by `hsm unlock`.
    pub(crate) fn opened_for_all(&self, hsm: HsmId) {
        held(&self.for_all).insert(hsm);
    }

    /// Notices, ends, locks.
    pub(crate) async fn look(&self) {
        self.notice().await;
        self.lock_unneeded().await;
        self.limit().await;
    }

    /// Has each HSM that is open for leases lock itself when the last of them is over, whatever becomes of this node; an HSM that
    /// `hsm unlock` opened has no such limit.
    async fn limit(&self) {
        for (id, hsm) in self.inner.pool.all() {
            if !hsm.state().is_unlocked() {
                held(&self.limits).remove(&id);
                continue;
            }
            let until = match self.is_open_for_all(id) {
                true => None,
                false => {
                    let open = self.book();
                    let needing = open.values().filter(|lease| lease.needs(id));
                    needing.map(|lease| lease.ends_at).max()
                }
            };
            if held(&self.limits).get(&id) == Some(&until) {
                continue;
            }
            let after = until.map(|until| Duration::from_millis(until.saturating_sub(self.now())) + SLACK);
            match hsm.lock_in(after).await {
                Ok(()) => drop(held(&self.limits).insert(id, until)),
                // It is not open any more: nothing is to be limited.
                Err(error) => tracing::debug!(hsm = hsm.name(), %error, "no limit is set"),
            }
        }
    }

    /// Notices what happened to HSMs and whose time is over, and records it. Memory changes first: what is over is not used any more,
    /// whatever becomes of the record.
    pub(crate) async fn notice(&self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let now = self.now();
        let now_ms = self.inner.clock.now_ms();
        let open = |id: &HsmId| {
            self.inner
                .pool
                .get(*id)
                .is_some_and(|hsm| hsm.state().is_unlocked())
        };
        held(&self.for_all).retain(open);
        let mut changes = Vec::new();
        {
            let mut open = self.book();
            for lease in open.values_mut() {
                if lease.recording {
                    continue;
                }
                let unrecorded = lease.ended_ms.is_some();
                let lost = self.notice_hsms(lease);
                let mut events = Vec::new();
                if let Some(because) = lost {
                    let data = json!({ "lease": lease.id, "because": because });
                    events.push(event(now_ms, "lease-quorum-lost", &Actor::Node, &data));
                }
                if let Some((state, because)) = over(lease, now) {
                    lease.settle(state, Some(because));
                    lease.ended_ms = Some(now_ms);
                }
                if lease.ended_ms.is_some() {
                    lease.recording = true;
                    let data = json!({ "lease": lease.id, "state": lease.state, "because": lease.because });
                    events.push(event(now_ms, "lease-ended", &Actor::Node, &data));
                }
                if unrecorded || !events.is_empty() {
                    changes.push((lease.id, lease.update(self.inner.epoch, now), events));
                }
            }
        }
        for (lease, write, events) in changes {
            self.record(lease, write, events).await;
        }
    }

    async fn record(
        &self,
        lease: LeaseId,
        write: chancery_store::Write,
        events: Vec<Result<Vec<u8>, Failure>>,
    ) {
        let events: Result<Vec<_>, _> = events.into_iter().collect();
        let written = match events {
            Ok(events) => {
                let change = Change {
                    writes: vec![write],
                    events,
                };
                self.inner.committer.commit(change).await.map_err(Failure::from)
            }
            Err(failure) => Err(failure),
        };
        match written {
            Ok(()) => {
                let mut open = self.book();
                if open.get(&lease).is_some_and(|lease| lease.ended_ms.is_some()) {
                    open.remove(&lease);
                }
            }
            Err(failure) => {
                warn!(%lease, because = failure.message, "the state of a lease is not recorded");
                if let Some(lease) = self.book().get_mut(&lease) {
                    lease.recording = false;
                }
            }
        }
        self.tell();
    }

    /// What a lease loses with HSMs that were locked or lost; the reason, when it has to ask custodians again.
    fn notice_hsms(&self, lease: &mut OpenLease) -> Option<String> {
        let ids: Vec<HsmId> = lease.attempts.keys().copied().collect();
        let mut because = None;
        let mut changed = false;
        for id in ids {
            let hsm = self.inner.pool.get(id);
            let state = hsm.as_ref().map(chancery_keys::Hsm::state);
            if lease.notice(id, state.as_ref()) {
                changed = true;
                let name = lease.text.hsms.iter().find(|hsm| hsm.id == id);
                let name = name.map_or("?", |hsm| hsm.name.as_str());
                because = Some(match (state, hsm.and_then(|hsm| hsm.locked_because())) {
                    (Some(State::Lost { because, .. }), _) => {
                        format!("HSM {name} was lost because {because}")
                    }
                    (_, Some(why)) => format!("HSM {name} was locked because {why}"),
                    (None, None) => format!("HSM {name} is not attached any more"),
                    _ => format!("HSM {name} was locked"),
                });
            }
        }
        if lease.state == LeaseState::Live && lease.granted().is_empty() {
            let because = because.unwrap_or_else(|| "its HSMs were locked".to_owned());
            lease.settle(
                LeaseState::Waiting,
                Some(format!("{because}; its custodians must answer again")),
            );
            return Some(because);
        }
        if changed {
            lease.version += 1;
        }
        None
    }

    /// Locks HSMs that are open and that no lease and no `hsm unlock` needs.
    pub(crate) async fn lock_unneeded(&self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let _one_at_a_time = self.answering.lock().await;
        for (id, hsm) in self.inner.pool.all() {
            let needed = || self.book().values().any(|lease| lease.needs(id));
            if !hsm.state().is_unlocked() || self.is_open_for_all(id) || needed() {
                continue;
            }
            match hsm.lock().await {
                Ok(()) => {}
                // Its loss locked it.
                Err(HsmError::Lost { .. }) => continue,
                Err(error) => {
                    warn!(hsm = hsm.name(), %error, "an HSM that no lease needs is not locked");
                    continue;
                }
            }
            let data = json!({ "hsm": hsm.name(), "because": "no lease needs it" });
            let change =
                event(self.inner.clock.now_ms(), "hsm-locked", &Actor::Node, &data).map(|event| Change {
                    writes: Vec::new(),
                    events: vec![event],
                });
            let recorded = match change {
                Ok(change) => self.inner.committer.commit(change).await.map_err(Failure::from),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = recorded {
                warn!(
                    hsm = hsm.name(),
                    because = failure.message,
                    "that an HSM was locked is not recorded"
                );
            }
            self.tell();
        }
    }

    /// Records how much is left of each lease; nothing is noticed any more.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let now = self.now();
        let writes: Vec<_> = {
            let open = self.book();
            open.values()
                .map(|lease| lease.update(self.inner.epoch, now))
                .collect()
        };
        for write in writes {
            let change = Change {
                writes: vec![write],
                events: Vec::new(),
            };
            if let Err(error) = self.inner.committer.commit(change).await {
                warn!(
                    because = Failure::from(error).message,
                    "what is left of a lease is not recorded"
                );
            }
        }
        self.wake();
    }
}

/// The requester of a lease looks after it.
pub(crate) struct Attending {
    desk: Desk,
    lease: LeaseId,
}

impl Drop for Attending {
    fn drop(&mut self) {
        let now = self.desk.now();
        if let Some(attended) = self
            .desk
            .book()
            .get_mut(&self.lease)
            .and_then(|lease| lease.attended.as_mut())
        {
            attended.looking = attended.looking.saturating_sub(1);
            attended.seen = now;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// Whether a lease is over by time, and why.
fn over(lease: &OpenLease, now: u64) -> Option<(LeaseState, String)> {
    if lease.ended_ms.is_some() {
        return None;
    }
    if now >= lease.ends_at {
        return Some(match lease.state {
            LeaseState::Exhausted => (
                LeaseState::Exhausted,
                "everything it permits was signed, and its time is over".to_owned(),
            ),
            _ => (LeaseState::Expired, "its time is over".to_owned()),
        });
    }
    if lease.is_abandoned(now) {
        return Some((LeaseState::Withdrawn, "its requester is gone".to_owned()));
    }
    let waits_until = lease.waits_until?;
    if lease.state != LeaseState::Waiting || now < waits_until {
        return None;
    }
    let mut who: Vec<&str> = lease
        .attempts
        .values()
        .flat_map(|attempt| &attempt.given)
        .map(|given| given.name.as_str())
        .collect();
    who.sort_unstable();
    who.dedup();
    let because = match who.as_slice() {
        [] => "no custodian answered in time".to_owned(),
        who => format!("not enough custodians answered in time, only {}", who.join(", ")),
    };
    Some((LeaseState::TimedOut, because))
}

/// Nothing panics while it holds one of these locks; were it otherwise, the values are still whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
