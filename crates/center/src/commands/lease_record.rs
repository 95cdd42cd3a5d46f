//! What is recorded of signatures under a lease: that digests are counted, before an HSM is asked, and the signatures, before they are
//! given out. A lease that is over counts nothing and records nothing any more.

use chancery_api::{Base64, DigestValue, Failure, FailureKind, LeaseId, LeaseState, Requester};
use chancery_audit::leaf_hash;
use chancery_store::{Change, LeaseCallRecord, LeaseSignatureRecord, Write};
use serde_json::json;

use super::{lease_challenge::hsm_of, lease_make::Made, lease_refusal::no_quorum, receipt::Signed};
use crate::{
    Center,
    committer::CommitError,
    event::{Actor, event},
    leases::{Standing, requester_key},
};

impl Center {
    /// Counts digests durably.
    pub(crate) async fn reserve(
        &self,
        id: LeaseId,
        digests: &[DigestValue],
        call: Option<(String, Vec<u8>)>,
        requester: &Requester,
    ) -> Result<(), Failure> {
        let now_ms = self.clock.now_ms();
        let mut writes = Vec::new();
        let mut new = Vec::new();
        if !digests.is_empty() {
            let open = self.desk.book();
            let lease = open.get(&id).ok_or_else(|| gone(id))?;
            if lease.state != LeaseState::Live || lease.ended_ms.is_some() {
                return Err(no_quorum(lease));
            }
            let unsure = |digest: &&DigestValue| lease.counted.get(digest) == Some(&Standing::Unsure);
            new.extend(digests.iter().filter(unsure).cloned());
            if !new.is_empty() {
                // Refused by the database when the lease is over by then.
                writes.push(lease.update(self.epoch, self.desk.now()));
            }
        }
        writes.extend(new.iter().map(|digest| Write::ReserveDigest {
            lease: id,
            digest: digest.to_string(),
            reserved_ms: now_ms,
        }));
        if let Some((key, call)) = call {
            writes.push(Write::InsertLeaseCall(LeaseCallRecord {
                requester: requester_key(requester),
                key,
                lease: id,
                call,
                created_ms: now_ms,
            }));
        }
        if writes.is_empty() {
            return Ok(());
        }
        let mut events = Vec::new();
        if !new.is_empty() {
            let data = json!({ "lease": id, "digests": new });
            events.push(event(
                now_ms,
                "digests-reserved",
                &Actor::Requester(requester),
                &data,
            )?);
        }
        let outcome = self.committer.commit(Change { writes, events }).await;
        self.unless_over(id, outcome).await?;
        if let Some(lease) = self.desk.book().get_mut(&id) {
            for digest in new {
                lease.counted.insert(digest, Standing::Reserved);
            }
        }
        Ok(())
    }

    /// What a write about a lease that is not over came to. A conflict is told in words about the lease.
    async fn unless_over(&self, id: LeaseId, outcome: Result<(), CommitError>) -> Result<(), Failure> {
        let Err(CommitError::Conflict(conflict)) = &outcome else {
            return Ok(outcome?);
        };
        let of_lease = conflict.table == "lease";
        self.desk.was_recorded(id, outcome.clone()).await;
        match of_lease {
            true => Err(self.lease_is_over(id).await),
            false => Ok(outcome?),
        }
    }

    /// Records signatures with everything their receipts need.
    pub(crate) async fn record(&self, id: LeaseId, made: &[Made]) -> Result<(), Failure> {
        if made.is_empty() {
            return Ok(());
        }
        let Some(change) = self.signed(id, made)? else {
            let because = format!("lease {id} ended before they could be recorded");
            self.discard(id, made, &because).await?;
            return Err(Failure::new(FailureKind::Conflict, because));
        };
        let outcome = self.committer.commit(change).await;
        if let Err(CommitError::Conflict(conflict)) = &outcome {
            // The lease ended, or another node serves it.
            self.discard(id, made, &conflict.to_string()).await?;
        }
        self.unless_over(id, outcome).await?;
        self.recorded(id, made).await
    }

    /// Rows and events for signatures; nothing for a lease that is over.
    fn signed(&self, id: LeaseId, made: &[Made]) -> Result<Option<Change>, Failure> {
        let now_ms = self.clock.now_ms();
        let mut writes = Vec::with_capacity(made.len() + 1);
        let mut events = Vec::with_capacity(made.len() + 1);
        let mut open = self.desk.book();
        let Some(lease) = open.get_mut(&id).filter(|lease| lease.ended_ms.is_none()) else {
            return Ok(None);
        };
        for Made {
            digest,
            signature,
            hsm,
            name,
            in_force,
        } in made
        {
            let document = hsm_of(&lease.text, *hsm).ok_or_else(|| gone(id))?;
            let receipt = Self::receipt(
                &lease.bytes,
                &lease.proof,
                document,
                Signed {
                    digest,
                    signature,
                    time_ms: now_ms,
                    needed: in_force.needed,
                    statements: in_force.statements.clone(),
                },
            );
            let receipt = receipt
                .core_hash()
                .map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
            let data = json!({
                "lease": id, "digest": digest, "signature": Base64(signature.clone()), "hsm": name,
                "signer": lease.text.signer, "key": lease.text.key, "attempt": in_force.attempt,
                "needed": in_force.needed, "receipt": receipt,
            });
            let body = event(
                now_ms,
                "digest-signed",
                &Actor::Requester(&lease.text.requester),
                &data,
            )?;
            writes.push(Write::InsertLeaseSignature(LeaseSignatureRecord {
                lease: id,
                digest: digest.to_string(),
                signature: signature.clone(),
                hsm: *hsm,
                attempt: in_force.attempt,
                signed_ms: now_ms,
                leaf_hash: leaf_hash(&body).as_bytes().to_vec(),
                log_size: 0,
            }));
            events.push(body);
            lease.counted.insert(digest.clone(), Standing::Doubt);
        }
        writes.insert(0, lease.update(self.epoch, self.desk.now()));
        Ok(Some(Change { writes, events }))
    }

    /// Signatures that are given to nobody; that they were made stays known.
    async fn discard(&self, id: LeaseId, made: &[Made], because: &str) -> Result<(), Failure> {
        let digests: Vec<_> = made.iter().map(|made| &made.digest).collect();
        let data = json!({ "lease": id, "digests": digests, "because": because });
        let discarded = event(self.clock.now_ms(), "signatures-discarded", &Actor::Node, &data)?;
        self.commit(Change {
            writes: Vec::new(),
            events: vec![discarded],
        })
        .await
    }

    /// Notes in memory what is recorded; a lease that permits nothing else any more is exhausted.
    async fn recorded(&self, id: LeaseId, made: &[Made]) -> Result<(), Failure> {
        let update = {
            let now = self.desk.now();
            let mut open = self.desk.book();
            let Some(lease) = open.get_mut(&id) else {
                return Ok(());
            };
            for made in made {
                lease.note_signed(&made.digest);
            }
            if lease.state != LeaseState::Live || !lease.is_exhausted() {
                return Ok(());
            }
            lease.settle(
                LeaseState::Exhausted,
                Some("everything it permits was signed".to_owned()),
            );
            lease.update(self.epoch, now)
        };
        // The answer does not wait for this: after a crash it is found out again.
        let data = json!({ "lease": id, "state": LeaseState::Exhausted });
        let event = event(self.clock.now_ms(), "lease-exhausted", &Actor::Node, &data)?;
        let (committer, desk) = (self.committer.clone(), self.desk.clone());
        tokio::spawn(async move {
            let change = Change {
                writes: vec![update],
                events: vec![event],
            };
            if let Err(error) = committer.commit(change).await {
                tracing::warn!(
                    because = Failure::from(error).message,
                    "the end of a lease is not recorded"
                );
            }
            desk.look().await;
        });
        self.desk.tell();
        Ok(())
    }
}

fn gone(id: LeaseId) -> Failure {
    Failure::new(FailureKind::Conflict, format!("lease {id} is over"))
}
