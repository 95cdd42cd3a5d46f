//! Which HSMs are open for what, and locking those that nothing needs.

use std::{sync::atomic::Ordering, time::Duration};

use chancery_api::{Failure, HsmId, StatementKind};
use chancery_keys::{Hsm, HsmError};
use chancery_store::Change;
use futures::future::join_all;
use serde_json::json;
use tracing::warn;

use super::desk::{Desk, held};
use crate::event::{Actor, event};

/// How long others wait for an HSM to be locked, or to be told when to.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much later an HSM locks itself than the node would: who comes first says why.
const SLACK: Duration = Duration::from_secs(2);

impl Desk {
    /// Notes that custodians opened an HSM by `hsm unlock`, in this era of it.
    pub(crate) fn opened_for_all(&self, hsm: HsmId, era: u64) {
        held(&self.for_all).insert(hsm, era);
    }

    /// Notes that an HSM was locked, or is open for leases alone.
    pub(crate) fn not_open_for_all(&self, hsm: HsmId) {
        held(&self.for_all).remove(&hsm);
    }

    /// Whether custodians opened an HSM by `hsm unlock`, and it is open since.
    pub(crate) fn is_open_for_all(&self, hsm: HsmId) -> bool {
        self.era_for_all(hsm).is_some()
    }

    /// The era of an HSM that custodians opened by `hsm unlock` and that is open since: in it, the HSM may be used for all its keys.
    pub(crate) fn era_for_all(&self, hsm: HsmId) -> Option<u64> {
        // Held first: an HSM that is opened meanwhile is noted after this.
        let mut for_all = held(&self.for_all);
        let status = self.inner.pool.get(hsm).map(|hsm| hsm.status());
        let era = status.filter(|status| status.state.is_unlocked());
        let era = era.map(|status| status.era);
        if for_all.get(&hsm).copied() != era {
            for_all.remove(&hsm);
        }
        for_all.get(&hsm).copied()
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

    /// Whether an HSM is open, and neither a lease nor `hsm unlock` needs that: it is being locked.
    pub(crate) fn is_unneeded(&self, hsm: HsmId) -> bool {
        let open = self
            .inner
            .pool
            .get(hsm)
            .is_some_and(|hsm| hsm.state().is_unlocked());
        open && !self.is_open_for_all(hsm) && !self.book().values().any(|lease| lease.needs(hsm))
    }

    /// Locks HSMs that are open and that no lease and no `hsm unlock` needs; those that take long are locked later.
    pub(crate) async fn lock_unneeded(&self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let unneeded = |(id, hsm): &(HsmId, Hsm)| self.is_unneeded(*id) && !hsm.is_stalled();
        let all = self.inner.pool.all();
        let locking = all.into_iter().filter(unneeded).map(|(id, hsm)| {
            let desk = self.clone();
            async move { desk.lock_if_unneeded(id, &hsm).await }
        });
        for_a_while(locking.collect()).await;
        self.forget_left().await;
    }

    async fn lock_if_unneeded(&self, id: HsmId, hsm: &Hsm) {
        let _one_at_a_time = self.answering(id).await;
        // It may be needed by now, or not get on.
        if self.closed.load(Ordering::Acquire) || !self.is_unneeded(id) || hsm.is_stalled() {
            return;
        }
        match hsm.lock().await {
            Ok(()) => {}
            // Its loss locked it.
            Err(HsmError::Lost { .. }) => return,
            Err(error) => {
                warn!(hsm = hsm.name(), %error, "an HSM that no lease needs is not locked");
                return;
            }
        }
        self.was_locked(hsm, "no lease needs it").await;
    }

    /// Records that an HSM was locked, and tells who waits.
    pub(super) async fn was_locked(&self, hsm: &Hsm, because: &str) {
        let data = json!({ "hsm": hsm.name(), "because": because });
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

    /// Has each HSM that is open for leases lock itself when the last of them is over, whatever becomes of this node; an HSM that
    /// `hsm unlock` opened has no such limit.
    pub(super) async fn limit(&self) {
        let mut limiting = Vec::new();
        for (id, hsm) in self.inner.pool.all() {
            let status = hsm.status();
            if !status.state.is_unlocked() {
                held(&self.limits).remove(&id);
                continue;
            }
            let until = match self.is_open_for_all(id) {
                true => None,
                false => {
                    let open = self.book();
                    let needing = open.values().filter(|lease| lease.needs(id));
                    match needing.map(|lease| lease.ends_at).max() {
                        Some(until) => Some(until),
                        // It is to be locked: the limit it has stays.
                        None => continue,
                    }
                }
            };
            if held(&self.limits).get(&id) == Some(&(status.era, until)) || hsm.is_stalled() {
                continue;
            }
            let after = until.map(|until| Duration::from_millis(until.saturating_sub(self.now())) + SLACK);
            let desk = self.clone();
            limiting.push(async move {
                match hsm.lock_in(after).await {
                    Ok(()) => drop(held(&desk.limits).insert(id, (status.era, until))),
                    // It is not open any more: nothing is to be limited.
                    Err(error) => tracing::debug!(hsm = hsm.name(), %error, "no limit is set"),
                }
            });
        }
        for_a_while(limiting).await;
    }
}

/// Works on HSMs, all at once, and waits a while for that. What takes longer goes on by itself.
pub(super) async fn for_a_while(work: Vec<impl Future<Output = ()> + Send + 'static>) {
    let begun = work.into_iter().map(tokio::spawn);
    drop(tokio::time::timeout(PATIENCE, join_all(begun)).await);
}
