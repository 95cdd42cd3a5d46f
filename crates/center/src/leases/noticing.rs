//! Noticing what became of leases: HSMs that were locked or lost, time that is over. Memory changes first: what is over is not used any
//! more, whatever becomes of the record, which is tried again until it is written or somebody else has written it.

use std::sync::atomic::Ordering;

use chancery_api::{Failure, HsmId, LeaseId, LeaseState};
use chancery_keys::State;
use chancery_store::{Change, Write};
use serde_json::json;
use tracing::warn;

use super::{OpenLease, desk::Desk};
use crate::{
    committer::CommitError,
    event::{Actor, event},
};

impl Desk {
    /// Notices what happened to HSMs and whose time is over, and records it.
    pub(crate) async fn notice(&self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        for Noticed { lease, write, events } in self.noticed() {
            let change = events.map(|events| Change {
                writes: vec![write],
                events,
            });
            match change {
                Ok(change) => {
                    let outcome = self.inner.committer.commit(change).await;
                    self.was_recorded(lease, outcome).await;
                }
                Err(failure) => self.was_not_recorded(lease, &failure),
            }
            self.tell();
        }
    }

    /// What changed, and how it is recorded.
    fn noticed(&self) -> Vec<Noticed> {
        let now = self.now();
        let now_ms = self.inner.clock.now_ms();
        let mut changes = Vec::new();
        for lease in self.book().values_mut() {
            if lease.recording {
                continue;
            }
            let unrecorded = lease.ended_ms.is_some();
            let lost = match unrecorded {
                true => None,
                false => self.notice_hsms(lease),
            };
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
                changes.push(Noticed {
                    lease: lease.id,
                    write: lease.update(self.inner.epoch, now),
                    events: events.into_iter().collect(),
                });
            }
        }
        changes
    }

    /// What became of a write about a lease. One whose end is recorded is forgotten, and so is one whose row is over without this node's
    /// doing, or another start's: nothing can be recorded about it any more. Otherwise the end is recorded again later.
    pub(crate) async fn was_recorded(&self, lease: LeaseId, outcome: Result<(), CommitError>) {
        let gone = match outcome {
            Ok(()) => self
                .book()
                .get(&lease)
                .is_some_and(|lease| lease.ended_ms.is_some()),
            Err(CommitError::Conflict(conflict)) if self.is_not_ours(lease).await => {
                warn!(%lease, %conflict, "a lease is over, or another start of the node serves it");
                true
            }
            Err(error) => return self.was_not_recorded(lease, &Failure::from(error)),
        };
        if gone {
            let over = self.book().remove(&lease);
            if let Some(over) = over {
                self.leave_behind(over.answered());
            }
        }
    }

    fn was_not_recorded(&self, lease: LeaseId, failure: &Failure) {
        warn!(%lease, because = failure.message, "the state of a lease is not recorded");
        if let Some(lease) = self.book().get_mut(&lease) {
            lease.recording = false;
        }
    }

    /// Whether a row says that a lease is over, or that another start of the node serves it.
    async fn is_not_ours(&self, lease: LeaseId) -> bool {
        match self.inner.store.lease(lease).await {
            Ok(Some(row)) => row.ended_ms.is_some() || row.epoch != self.inner.epoch,
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// What a lease loses with HSMs that were locked or lost; the reason, when it has to ask custodians again.
    fn notice_hsms(&self, lease: &mut OpenLease) -> Option<String> {
        let ids: Vec<HsmId> = lease.attempts.keys().copied().collect();
        let mut because = None;
        for id in ids {
            let hsm = self.inner.pool.get(id);
            let status = hsm.as_ref().map(chancery_keys::Hsm::status);
            if lease.notice(id, status.as_ref()) {
                let name = lease.text.hsms.iter().find(|hsm| hsm.id == id);
                let name = name.map_or("?", |hsm| hsm.name.as_str());
                because = Some(match status {
                    None => format!("HSM {name} is not attached any more"),
                    Some(status) => match (status.state, status.locked_because) {
                        (State::Lost { because, .. }, _) => {
                            format!("HSM {name} was lost because {because}")
                        }
                        (_, Some(why)) => format!("HSM {name} was locked because {}", why.text),
                        (State::Unlocked { .. } | State::Quorum { .. }, None) => {
                            format!("HSM {name} was locked, and answered for something else since")
                        }
                        _ => format!("HSM {name} was locked"),
                    },
                });
            }
        }
        let lost = lease.state == LeaseState::Live && lease.granted().is_empty();
        match (lease.state, because) {
            (LeaseState::Live, because) if lost => {
                let because = because.unwrap_or_else(|| "its HSMs were locked".to_owned());
                let told = format!("{because}; its custodians must answer again");
                lease.settle(LeaseState::Waiting, Some(told));
                Some(because)
            }
            (LeaseState::Waiting, Some(because)) => {
                // Answers are gone before there were enough.
                let told = format!("{because}; custodians who had answered must answer again");
                lease.settle(LeaseState::Waiting, Some(told));
                None
            }
            (_, Some(_)) => {
                lease.version += 1;
                None
            }
            (_, None) => None,
        }
    }
}

/// What changed of a lease, and what is recorded of it.
struct Noticed {
    lease: LeaseId,
    write: Write,
    events: Result<Vec<Vec<u8>>, Failure>,
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
