//! Answers that HSMs still count though the request they were given for is over: the next request must not be opened by them.

use std::sync::atomic::Ordering;

use chancery_api::HsmId;
use chancery_keys::{HsmError, State};
use tracing::warn;

use super::{
    GivenTo,
    desk::{Desk, held},
    locking::for_a_while,
};

impl Desk {
    /// Notes what HSMs may still count for a lease that is over.
    pub(super) fn leave_behind(&self, answered: Vec<GivenTo>) {
        let mut left = held(&self.left);
        for given in answered {
            match left.get_mut(&given.hsm) {
                Some(before) if before.era == given.era => before.custodians.extend(given.custodians),
                _ => drop(left.insert(given.hsm, given)),
            }
        }
        drop(left);
        self.wake();
    }

    /// Has HSMs forget such answers, those that count nothing else and that nobody needs.
    pub(crate) async fn forget_left(&self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let ids: Vec<HsmId> = held(&self.left).keys().copied().collect();
        let mut forgetting = Vec::new();
        for id in ids {
            match self.inner.pool.get(id) {
                Some(hsm) if hsm.is_stalled() => {}
                Some(_) => {
                    let desk = self.clone();
                    forgetting.push(async move { desk.forget_if_left(id).await });
                }
                // It counts nothing any more.
                None => drop(held(&self.left).remove(&id)),
            }
        }
        for_a_while(forgetting).await;
    }

    async fn forget_if_left(&self, id: HsmId) {
        let Some(given) = held(&self.left).get(&id).cloned() else {
            return;
        };
        let because = "the request that custodians answered it for is over";
        if self.forget(&given, because).await {
            let mut left = held(&self.left);
            // More may have been left meanwhile.
            if left.get(&id) == Some(&given) {
                left.remove(&id);
            }
        }
    }

    /// Has an HSM forget answers, where it counts no others and no lease needs it: then its own quorum decides about what comes next.
    /// Whether there is nothing left to forget; otherwise it may be tried again.
    pub(crate) async fn forget(&self, given: &GivenTo, because: &str) -> bool {
        let Some(hsm) = self.inner.pool.get(given.hsm) else {
            return true;
        };
        let _one_at_a_time = self.answering(given.hsm).await;
        let status = hsm.status();
        // An open one is locked when nothing needs it; one that was locked counts nobody.
        if !matches!(status.state, State::Quorum { .. }) || given.era != Some(status.era) {
            return true;
        }
        if self.book().values().any(|lease| lease.needs(given.hsm)) {
            return false;
        }
        match hsm.inspect().await {
            Ok(inspection) if given.is_all_of(&inspection, &status) => {}
            // Somebody answered for the HSM itself.
            Ok(_) => return true,
            Err(error) => {
                warn!(hsm = hsm.name(), %error, "an HSM does not say whose answers it counts");
                return false;
            }
        }
        match hsm.lock().await {
            Ok(()) => self.was_locked(&hsm, because).await,
            // Its loss locked it.
            Err(HsmError::Lost { .. }) => {}
            Err(error) => {
                warn!(hsm = hsm.name(), %error, "an HSM does not forget what was answered before");
                return false;
            }
        }
        true
    }
}
