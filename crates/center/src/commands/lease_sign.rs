//! `signing.sign`: digests are counted durably, signed by the HSMs that custodians opened for the lease, and recorded with their
//! receipts before a signature is given out.

use std::collections::HashMap;

use chancery_api::{
    Base64, DigestValue, Failure, FailureKind, Hash32, HsmId, LeaseId, LeaseState, Requester, SignatureView,
    SigningSign, canonical_json,
};
use serde_json::json;

use super::{
    lease_make::Made,
    lease_refusal::{no_quorum, over},
    lease_request::one_hash,
    lease_view::altered,
};
use crate::{
    Center,
    committer::store_failure,
    leases::{Desk, Scheme, Standing, requester_key},
};

/// Most digests in one call.
const MOST_DIGESTS: usize = 1000;
/// Recorded signatures that are read one by one; more are read together.
const ONE_BY_ONE: usize = 16;
/// Longest idempotency key, bytes.
const LONGEST_KEY: usize = 128;

/// Digests that this call works on; others wait until it is done or given up.
struct Busy {
    desk: Desk,
    lease: LeaseId,
    digests: Vec<DigestValue>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(lease) = self.desk.book().get_mut(&self.lease) {
            for digest in &self.digests {
                lease.busy.remove(digest);
            }
        }
        self.desk.tell();
    }
}

impl Center {
    /// Signs digests under a live lease of the requester. The same digest under the same lease gets the same signature again.
    ///
    /// # Errors
    /// Blocked without a lease that permits it, and while no HSM is open for it; what was signed until then is recorded.
    pub async fn signing_sign(
        &self,
        call: SigningSign,
        requester: &Requester,
    ) -> Result<Vec<SignatureView>, Failure> {
        if call.digests.is_empty() || call.digests.len() > MOST_DIGESTS {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("name 1 to {MOST_DIGESTS} digests"),
            ));
        }
        one_hash(&call.digests)?;
        let named = self.repeated(&call, requester).await?;
        self.desk.notice().await;
        let id = self.lease_for(&call, named.lease, requester).await?;
        let busy = self.take(id, &call.digests).await?;
        self.reserve(id, &busy.digests, named.call, requester).await?;
        let (made, failure) = self.make(id, &busy.digests).await?;
        self.record(id, &made).await?;
        drop(busy);
        if let Some(failure) = failure {
            return Err(self.unfinished(id, made.len(), call.digests.len(), failure).await);
        }
        self.given_out(id, &call.digests, made).await
    }

    /// A call that was made before under the same key: its lease; or the row that will say so.
    async fn repeated(&self, call: &SigningSign, requester: &Requester) -> Result<Repeated, Failure> {
        let Some(key) = &call.idempotency_key else {
            return Ok(Repeated {
                lease: call.lease,
                call: None,
            });
        };
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("an idempotency key has 1 to {LONGEST_KEY} bytes"),
            ));
        }
        let asked = canonical_json(&json!({
            "signer": call.signer, "mechanism": call.mechanism, "digests": call.digests, "lease": call.lease,
        }));
        let asked = asked.map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
        let hash = Hash32::of(&asked).0.to_vec();
        let requester = requester_key(requester);
        let known = self.store.lease_call(&requester, key).await;
        match known.map_err(|error| store_failure(&error))? {
            Some(known) if known.call == hash => Ok(Repeated {
                lease: Some(known.lease),
                call: None,
            }),
            Some(_) => Err(Failure::new(
                FailureKind::Conflict,
                "another call was made under this idempotency key",
            )),
            None => Ok(Repeated {
                lease: call.lease,
                call: Some((key.clone(), hash)),
            }),
        }
    }

    /// Takes the digests of a lease that are not signed yet; waits for calls that work on some of them.
    async fn take(&self, id: LeaseId, digests: &[DigestValue]) -> Result<Busy, Failure> {
        let mut changed = self.desk.changed.subscribe();
        loop {
            if let Some(taken) = self.try_take(id, digests)? {
                return Ok(Busy {
                    desk: self.desk.clone(),
                    lease: id,
                    digests: taken,
                });
            }
            if changed.changed().await.is_err() {
                return Err(Failure::new(FailureKind::Unavailable, "the node is stopping"));
            }
        }
    }

    fn try_take(&self, id: LeaseId, digests: &[DigestValue]) -> Result<Option<Vec<DigestValue>>, Failure> {
        let mut open = self.desk.book();
        let Some(lease) = open.get_mut(&id) else {
            // It is over: what is recorded is given out again where that is still permitted.
            return Ok(Some(Vec::new()));
        };
        if let Err((digest, refusal)) = lease.permits(digests) {
            return Err(over(lease, &digest, refusal));
        }
        if digests.iter().any(|digest| lease.busy.contains(digest)) {
            return Ok(None);
        }
        let signed = |digest: &&DigestValue| lease.counted.get(digest) != Some(&Standing::Signed);
        let mut taken: Vec<DigestValue> = digests.iter().filter(signed).cloned().collect();
        taken.sort_unstable();
        taken.dedup();
        if !taken.is_empty() && lease.state != LeaseState::Live {
            return Err(no_quorum(lease));
        }
        for digest in &taken {
            lease.count(digest);
            lease.busy.insert(digest.clone());
        }
        Ok(Some(taken))
    }

    /// Signatures in the order of the call.
    async fn given_out(
        &self,
        id: LeaseId,
        digests: &[DigestValue],
        made: Vec<Made>,
    ) -> Result<Vec<SignatureView>, Failure> {
        let mut known: HashMap<DigestValue, (Vec<u8>, String)> = made
            .into_iter()
            .map(|made| (made.digest, (made.signature, made.name)))
            .collect();
        let mut missing: Vec<&DigestValue> = digests
            .iter()
            .filter(|digest| !known.contains_key(digest))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let record = self.lease_record(id).await?;
            let text: chancery_api::LeaseText =
                serde_json::from_slice(&record.text).map_err(|_| altered(id, "its text cannot be read"))?;
            let (_, key) = self.signing_key(&text.signer).await?;
            let scheme = Scheme::new(&key.spki, text.mechanism).map_err(|why| altered(id, &why))?;
            let names: HashMap<HsmId, String> =
                text.hsms.iter().map(|hsm| (hsm.id, hsm.name.clone())).collect();
            let failed = |error| store_failure(&error);
            let mut rows = HashMap::new();
            if missing.len() > ONE_BY_ONE {
                for row in self.store.lease_signatures(id).await.map_err(failed)? {
                    rows.insert(row.digest.clone(), row);
                }
            } else {
                for digest in &missing {
                    let row = self
                        .store
                        .lease_signature(id, &digest.to_string())
                        .await
                        .map_err(failed)?;
                    rows.extend(row.map(|row| (row.digest.clone(), row)));
                }
            }
            for digest in missing {
                let row = rows.remove(&digest.to_string()).ok_or_else(|| {
                    Failure::new(
                        FailureKind::Conflict,
                        format!("lease {id} is over and {digest} was not signed under it"),
                    )
                })?;
                if !scheme.holds(digest, &row.signature) {
                    return Err(altered(
                        id,
                        &format!("the signature recorded for {digest} is not the key's"),
                    ));
                }
                let name = names.get(&row.hsm).cloned().unwrap_or_default();
                known.insert(digest.clone(), (row.signature, name));
            }
        }
        let views = digests.iter().filter_map(|digest| {
            let (signature, hsm) = known.get(digest)?;
            Some(SignatureView {
                digest: digest.clone(),
                signature: Base64(signature.clone()),
                lease: id,
                hsm: hsm.clone(),
            })
        });
        Ok(views.collect())
    }

    /// Not everything was signed: why, in words about the lease where its HSMs are gone.
    async fn unfinished(&self, id: LeaseId, made: usize, asked: usize, failure: Failure) -> Failure {
        self.desk.notice().await;
        let mut told = match self.desk.book().get(&id) {
            Some(lease) if lease.state == LeaseState::Waiting => no_quorum(lease),
            _ => failure,
        };
        if made > 0 {
            told.message = format!(
                "{made} of {asked} digests were signed and are recorded, and then: {}",
                told.message
            );
        }
        told
    }
}

/// What an idempotency key stands for.
struct Repeated {
    lease: Option<LeaseId>,
    /// Key and hash of a call that is new.
    call: Option<(String, Vec<u8>)>,
}
