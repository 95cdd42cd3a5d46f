//! Signatures under a lease: which HSM makes each, and which one instead when that does not.

use std::sync::{Arc, atomic::Ordering};

use chancery_api::{DigestValue, Failure, FailureKind, HsmId, LeaseId, LeaseState};
use chancery_keys::{Hsm, HsmError};
use futures::{StreamExt as _, stream};

use super::lease_refusal::no_quorum;
use crate::{
    Center,
    committer::store_failure,
    leases::{InForce, Scheme, Standing},
    tokens::hsm_failure,
};

/// Requests an HSM has waiting, so that the next one is there when an answer comes.
const WAITING: usize = 16;

/// A signature on its way.
pub(crate) struct Made {
    pub(crate) digest: DigestValue,
    pub(crate) signature: Vec<u8>,
    pub(crate) hsm: HsmId,
    pub(crate) name: String,
    pub(crate) in_force: Arc<InForce>,
}

impl Center {
    /// Has HSMs sign, as many at a time as keep all of them at work. What could not be signed is told by the first failure.
    pub(crate) async fn make(
        &self,
        id: LeaseId,
        digests: &[DigestValue],
    ) -> Result<(Vec<Made>, Option<Failure>), Failure> {
        let (key_id, scheme, hsms, doubts) = {
            let open = self.desk.book();
            let Some(lease) = open.get(&id) else {
                return Ok((Vec::new(), None));
            };
            let doubt = |digest: &&DigestValue| lease.counted.get(digest) == Some(&Standing::Doubt);
            let doubts: Vec<DigestValue> = digests.iter().filter(doubt).cloned().collect();
            (
                lease.key.key_id,
                Arc::clone(&lease.scheme),
                lease.granted().len(),
                doubts,
            )
        };
        let mut recorded = Vec::new();
        for digest in doubts {
            let row = self.store.lease_signature(id, &digest.to_string()).await;
            if row.map_err(|error| store_failure(&error))?.is_some() {
                if let Some(lease) = self.desk.book().get_mut(&id) {
                    lease.note_signed(&digest);
                }
                recorded.push(digest);
            }
        }
        let jobs: Vec<_> = digests
            .iter()
            .filter(|digest| !recorded.contains(digest))
            .map(|digest| self.make_one(id, key_id, &scheme, digest))
            .collect();
        let results: Vec<_> = stream::iter(jobs)
            .buffer_unordered(WAITING * hsms.max(1))
            .collect()
            .await;
        let mut made = Vec::new();
        let mut failure = None;
        for result in results {
            match result {
                Ok(signature) => made.push(signature),
                Err(why) => {
                    failure.get_or_insert(why);
                }
            }
        }
        Ok((made, failure))
    }

    /// One signature, by the open HSM with the least to do, or by the next one.
    async fn make_one(
        &self,
        id: LeaseId,
        key_id: u8,
        scheme: &Scheme,
        digest: &DigestValue,
    ) -> Result<Made, Failure> {
        let mut salt = vec![0; digest.bytes().len()];
        self.entropy.fill(&mut salt);
        let (algorithm, input) = scheme
            .prepare(digest, &salt)
            .map_err(|why| Failure::new(FailureKind::Invalid, why))?;
        let mut tried = Vec::new();
        let mut failure = None;
        while let Some(Next {
            hsm_id,
            hsm,
            era,
            in_force,
        }) = self.next_hsm(id, &tried)?
        {
            let elsewhere = || {
                let tried: Vec<_> = tried.iter().copied().chain([hsm_id]).collect();
                matches!(self.next_hsm(id, &tried), Ok(Some(other)) if !other.hsm.is_stalled())
            };
            let signed = hsm.sign_here_or(key_id, algorithm, input.clone(), Some(era), elsewhere);
            match signed.await {
                Ok(signature) => {
                    let name = hsm.name().to_owned();
                    return match scheme.finish(digest, &input, signature) {
                        Some(signature) => Ok(Made {
                            digest: digest.clone(),
                            signature,
                            hsm: hsm_id,
                            name,
                            in_force,
                        }),
                        None => Err(Failure::new(
                            FailureKind::Refused,
                            format!(
                                "HSM {name} gave a signature that does not verify with the key's public key"
                            ),
                        )
                        .with_remedy("nothing was given out; find out what stands behind that HSM's name")),
                    };
                }
                Err(error @ HsmError::Input { .. }) => return Err(hsm_failure(&error)),
                Err(error) => {
                    tracing::warn!(hsm = hsm.name(), key = key_id, %error, "HSM did not sign, trying another");
                    tried.push(hsm_id);
                    failure = Some(error);
                }
            }
        }
        Err(match failure {
            Some(error) => hsm_failure(&error),
            None => Failure::new(FailureKind::Unavailable, "no HSM is open for the lease"),
        })
    }

    /// The HSM to ask, with the attempt of its custodians; looked up before each command, so that a lease that ends stops at once.
    /// One that was locked since is not asked, whoever opened it again, and its thread looks once more before the command.
    fn next_hsm(&self, id: LeaseId, tried: &[HsmId]) -> Result<Option<Next>, Failure> {
        let now = self.desk.now();
        let open = self.desk.book();
        let Some(lease) = open.get(&id) else {
            return Err(Failure::new(FailureKind::Conflict, format!("lease {id} is over")));
        };
        if lease.state != LeaseState::Live || now >= lease.ends_at {
            return Err(no_quorum(lease));
        }
        let untried = lease.attempts.iter().filter(|(hsm, _)| !tried.contains(hsm));
        let held = untried.filter_map(|(hsm, attempt)| {
            Some(Next {
                hsm_id: *hsm,
                hsm: self.pool.get(*hsm)?,
                era: attempt.granted?,
                in_force: Arc::clone(attempt.in_force.as_ref()?),
            })
        });
        let is_open = |next: &Next| {
            let status = next.hsm.status();
            status.state.is_unlocked() && status.era == next.era
        };
        let mut free: Vec<Next> = held.filter(is_open).collect();
        free.sort_unstable_by_key(|next| next.hsm_id);
        // Those that are equally busy take turns.
        let turn = self.desk.served.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(free.len()).unwrap_or(0);
        free.rotate_left(first);
        Ok(free
            .into_iter()
            .min_by_key(|next| (next.hsm.is_stalled(), next.hsm.outstanding())))
    }
}

/// An HSM that custodians opened for a lease.
struct Next {
    hsm_id: HsmId,
    hsm: Hsm,
    /// What they opened it for ends with this era of it.
    era: u64,
    in_force: Arc<InForce>,
}
