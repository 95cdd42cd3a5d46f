//! Answers that HSMs still count though the request they were given for is over: the next request must not be opened by them.

use std::sync::atomic::Ordering;

use chancery_api::HsmId;
use chancery_keys::{Hsm, HsmError, State};
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
                Some(hsm) => {
                    let desk = self.clone();
                    forgetting.push(async move { desk.forget_if_left(id, &hsm).await });
                }
                // It counts nothing any more.
                None => drop(held(&self.left).remove(&id)),
            }
        }
        for_a_while(forgetting).await;
    }

    async fn forget_if_left(&self, id: HsmId, hsm: &Hsm) {
        let _one_at_a_time = self.answering(id).await;
        let Some(given) = held(&self.left).get(&id).cloned() else {
            return;
        };
        let status = hsm.status();
        // An open one is locked when nothing needs it; one that was locked counts nobody.
        let counts = matches!(status.state, State::Quorum { .. }) && given.era == Some(status.era);
        let is_needed = self.book().values().any(|lease| lease.needs(id));
        if counts && !is_needed {
            match hsm.inspect().await {
                Ok(inspection) if given.is_all_of(&inspection, &status) => match hsm.lock().await {
                    Ok(()) => {
                        let because = "the request that custodians answered it for is over";
                        self.was_locked(hsm, because).await;
                    }
                    // Its loss locked it.
                    Err(HsmError::Lost { .. }) => {}
                    Err(error) => {
                        warn!(hsm = hsm.name(), %error, "an HSM does not forget what was answered for a request that is over");
                        return;
                    }
                },
                // Somebody answered for the HSM itself.
                Ok(_) => {}
                Err(error) => {
                    warn!(hsm = hsm.name(), %error, "an HSM does not say whose answers it counts");
                    return;
                }
            }
        }
        if !(counts && is_needed) {
            held(&self.left).remove(&id);
        }
    }
}
