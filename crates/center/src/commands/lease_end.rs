//! `lease.withdraw`, `lease.revoke`, and the end of a lease.

use chancery_api::{
    Failure, FailureKind, Hash32, LeaseId, LeaseRevoke, LeaseState, LeaseView, LeaseWithdraw, Requester,
};
use chancery_store::{Change, Write};
use serde_json::json;

use super::lease_request::is_one_line;
use crate::{
    Center,
    event::{Actor, event},
};

/// Longest reason, characters.
pub(crate) const LONGEST_REASON: usize = 500;

impl Center {
    /// The requester takes back what it asked for, or gives up what is left of it. A lease that is over stays what it is.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for leases of others.
    pub async fn lease_withdraw(
        &self,
        call: &LeaseWithdraw,
        requester: &Requester,
    ) -> Result<LeaseView, Failure> {
        self.require_own(call.lease, Some(requester)).await?;
        self.desk.notice().await;
        self.end(
            call.lease,
            LeaseState::Withdrawn,
            "its requester withdrew it".to_owned(),
            &Actor::Requester(requester),
            None,
        )
        .await?;
        self.desk.lock_unneeded().await;
        self.lease_view(call.lease).await
    }

    /// Ends a lease at once.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown one, [`FailureKind::Conflict`] for one that is over.
    pub async fn lease_revoke(&self, call: &LeaseRevoke, by: &Requester) -> Result<LeaseView, Failure> {
        let reason = call.reason.trim();
        if reason.is_empty() || !is_one_line(reason, LONGEST_REASON) {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("say why, in one line of at most {LONGEST_REASON} characters"),
            ));
        }
        self.desk.notice().await;
        let record = self.lease_record(call.lease).await?;
        let who = match by {
            Requester::Local { uid } => format!("user {uid} of the node's machine"),
            Requester::Client { name, .. } => format!("client {name}"),
        };
        let ended = self
            .end(
                call.lease,
                LeaseState::Revoked,
                format!("{who} revoked it: {reason}"),
                &Actor::Requester(by),
                None,
            )
            .await?;
        if !ended {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("lease {} is {}: it is over", call.lease, record.state.name()),
            ));
        }
        self.desk.lock_unneeded().await;
        self.lease_view(call.lease).await
    }

    /// Ends all leases of a client that is not one any more; how many.
    ///
    /// # Errors
    /// When their end is not recorded; they are not used any more all the same.
    pub async fn end_leases_of(&self, client: Hash32, because: &str) -> Result<usize, Failure> {
        let of_client =
            |requester: &Requester| matches!(requester, Requester::Client { key, .. } if *key == client);
        let ids: Vec<LeaseId> = {
            let open = self.desk.book();
            let of = open.values().filter(|lease| of_client(&lease.text.requester));
            of.map(|lease| lease.id).collect()
        };
        // One whose end is not recorded keeps no other one alive, and no HSM open.
        let mut failed = None;
        for id in &ids {
            let ended = self.end(*id, LeaseState::Withdrawn, because.to_owned(), &Actor::Node, None);
            if let Err(failure) = ended.await {
                failed.get_or_insert(failure);
            }
        }
        self.desk.lock_unneeded().await;
        match failed {
            Some(failure) => Err(failure),
            None => Ok(ids.len()),
        }
    }

    /// Ends a lease in memory, then records it, with another row if one belongs to it. Whether it was open.
    pub(crate) async fn end(
        &self,
        id: LeaseId,
        state: LeaseState,
        because: String,
        actor: &Actor<'_>,
        with: Option<(Write, Vec<u8>)>,
    ) -> Result<bool, Failure> {
        let now_ms = self.clock.now_ms();
        let data = json!({ "lease": id, "state": state, "because": because });
        let ended = event(now_ms, "lease-ended", actor, &data)?;
        let Some(update) = self.settle(id, state, &because, now_ms) else {
            return self.lease_record(id).await.map(|_| false);
        };
        self.desk.tell();
        let mut change = Change {
            writes: vec![update],
            events: vec![ended],
        };
        if let Some((write, event)) = with {
            change.writes.insert(0, write);
            change.events.insert(0, event);
        }
        // It stays in memory, ended, until this is recorded: the desk tries again.
        let outcome = self.committer.commit(change).await;
        self.desk.was_recorded(id, outcome.clone()).await;
        self.desk.tell();
        match outcome {
            Ok(()) => Ok(true),
            // It is over by somebody else's doing.
            Err(_) if !self.desk.book().contains_key(&id) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a lease in memory; the write that records it, if it was open.
    fn settle(&self, id: LeaseId, state: LeaseState, because: &str, now_ms: i64) -> Option<Write> {
        let now = self.desk.now();
        let mut open = self.desk.book();
        let lease = open.get_mut(&id).filter(|lease| lease.ended_ms.is_none())?;
        lease.settle(state, Some(because.to_owned()));
        lease.ended_ms = Some(now_ms);
        lease.recording = true;
        Some(lease.update(self.epoch, now))
    }
}
