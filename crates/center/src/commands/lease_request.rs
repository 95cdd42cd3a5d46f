//! `lease.request`: what is asked for becomes the text that custodians read and sign.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chancery_api::{
    Claims, DigestValue, Failure, FailureKind, Hash32, LeaseId, LeaseRequest, LeaseState, LeaseText,
    LeaseView, Requester, canonical_json, extent,
};
use chancery_store::{Change, LeaseRecord, ManifestRecord, Write};
use serde_json::json;

use super::hsm_attach::document;
use crate::{
    Center,
    authority::CaKey,
    env::rfc3339,
    event::{Actor, event},
    leases::{Attended, Named, OpenLease, Scheme, requester_key},
};

/// Most digests a lease names.
const MOST_DIGESTS: usize = 40_000;
/// Longest life of a lease, seconds.
pub(crate) const LONGEST: u64 = 31 * 24 * 3600;
/// How long a lease waits for custodians when nothing is said, seconds.
const WAIT: u64 = 15 * 60;
/// How long it waits at most, seconds.
const LONGEST_WAIT: u64 = 24 * 3600;
/// Longest purpose, characters.
const LONGEST_PURPOSE: usize = 200;
/// Longest claim of a program about itself, characters.
const LONGEST_CLAIM: usize = 1000;

impl Center {
    /// Asks for a lease. It waits for custodians from now on.
    ///
    /// # Errors
    /// [`FailureKind::Invalid`] for what cannot be; [`FailureKind::Refused`] for a CA's key.
    pub async fn lease_request(
        &self,
        call: LeaseRequest,
        requester: &Requester,
    ) -> Result<LeaseView, Failure> {
        check(&call)?;
        let (record, key) = self.signing_key(&call.signer).await?;
        let scheme = Scheme::new(&key.spki, call.mechanism).map_err(|why| {
            Failure::new(
                FailureKind::Invalid,
                format!("signing key {}: {why}", call.signer),
            )
        })?;
        self.desk.notice().await;
        // Of two that come together and want the same the second finds what the first has asked for.
        let _turn = if call.reuse {
            Some(self.sharing.lock().await)
        } else {
            None
        };
        if call.reuse
            && let Some(view) = self.fitting(&call, &key, requester).await?
        {
            return Ok(view);
        }
        let named = named(&call.digests);
        let admitted = self
            .desk
            .admit(requester, named.as_ref().map_or(0, |named| named.digests.len()))?;
        let records = self.hsm_records().await?;
        let hsms: Vec<_> = records
            .iter()
            .filter(|hsm| key.on.contains(&hsm.id))
            .map(document)
            .collect();
        if hsms.is_empty() {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("no HSM holds signing key {}", call.signer),
            )
            .with_remedy("chancery signer list"));
        }
        let (algorithm, proof) = self.proof(&key, &hsms, &call.digests).await?;
        let now_ms = self.clock.now_ms();
        let lasts_ms = call.seconds.saturating_mul(1000);
        let deadline_ms = now_ms.saturating_add(i64::try_from(lasts_ms).unwrap_or(i64::MAX));
        let text = LeaseText {
            v: 1,
            installation: self.installation.id,
            lease: LeaseId::new(self.growing_uuid()),
            signer: record.name.clone(),
            key: Hash32::of(&key.spki),
            algorithm,
            mechanism: call.mechanism,
            extent: extent(&call.digests, call.further),
            purpose: call.purpose,
            requester: requester.clone(),
            claimed: call.claimed,
            asked: rfc3339(now_ms),
            deadline: rfc3339(deadline_ms),
            hsms,
            strict: call.strict,
            widened: Vec::new(),
        };
        let bytes = canonical_json(&text).map_err(|error| {
            Failure::new(
                FailureKind::Internal,
                format!("the lease cannot be written: {error}"),
            )
        })?;
        let wait = call.wait_seconds.unwrap_or(WAIT).saturating_mul(1000);
        let wait_ms = i64::try_from(wait).unwrap_or(i64::MAX);
        let row = LeaseRecord {
            id: text.lease,
            signer: key.signer,
            requester: requester_key(requester),
            text: bytes.clone(),
            created_ms: now_ms,
            state: LeaseState::Waiting,
            because: None,
            used: 0,
            remaining_ms: i64::try_from(lasts_ms).unwrap_or(i64::MAX),
            wait_remaining_ms: Some(wait_ms),
            log_frontier: None,
            epoch: self.epoch,
            ended_ms: None,
        };
        let data = json!({
            "lease": text.lease, "text": text, "waits_until": rfc3339(now_ms.saturating_add(wait_ms)),
            "attended_seconds": call.attended_seconds,
        });
        let events = vec![event(
            now_ms,
            "lease-requested",
            &Actor::Requester(requester),
            &data,
        )?];
        let manifest = named.as_deref().map(manifest);
        self.commit(Change {
            writes: vec![Write::InsertLease(row, manifest)],
            events,
        })
        .await?;
        let now = self.desk.now();
        let id = text.lease;
        let lease = OpenLease {
            id,
            text: Arc::new(text),
            bytes: bytes.into(),
            earlier: Vec::new(),
            key: Arc::new(key),
            scheme: Arc::new(scheme),
            proof: Arc::new(proof),
            state: LeaseState::Waiting,
            because: None,
            version: 1,
            ends_at: now.saturating_add(lasts_ms),
            waits_until: Some(now.saturating_add(wait)),
            named,
            counted: HashMap::new(),
            further: 0,
            signed: 0,
            busy: HashSet::new(),
            attempts: HashMap::new(),
            answers: 0,
            ended_ms: None,
            recording: false,
            attended: call.attended_seconds.map(|seconds| Attended {
                grace_ms: u64::from(seconds).saturating_mul(1000),
                looking: 0,
                seen: now,
            }),
        };
        admitted.put_in(lease);
        if let Err(failure) = self.require_client(requester).await {
            // Whoever is revoked meanwhile has its leases ended before this one is there, or is found out here.
            let because = failure.message.clone();
            self.end(id, LeaseState::Withdrawn, because, &Actor::Node, None)
                .await?;
            self.desk.lock_unneeded().await;
            return Err(failure);
        }
        self.desk.wake();
        self.desk.tell();
        self.lease_view(id).await
    }

    /// A client of the network is one that is enrolled now.
    pub(crate) async fn require_client(&self, requester: &Requester) -> Result<(), Failure> {
        match requester {
            Requester::Client { key, .. } => self.enrolled_client(*key).await.map(drop),
            Requester::Local { .. } => Ok(()),
        }
    }

    /// A lease of the requester's that covers what is asked for: one that is live, one that was and waits again, or a request for
    /// the very same.
    async fn fitting(
        &self,
        call: &LeaseRequest,
        key: &CaKey,
        requester: &Requester,
    ) -> Result<Option<LeaseView>, Failure> {
        let asked = extent(&call.digests, call.further);
        let fits = |lease: &&OpenLease| {
            let text = &lease.text;
            let same = text.requester.is_same(requester)
                && lease.key.signer == key.signer
                && text.mechanism == call.mechanism
                && (text.strict || !call.strict);
            let left = lease.left_after(&call.digests);
            // Who knows no digests begins something, and may find it begun.
            let some = !call.digests.is_empty() || left > 0;
            let covers = lease.permits(&call.digests).is_ok() && some;
            same && match (lease.state, lease.waits_until) {
                (LeaseState::Live, _) => covers && (call.digests.is_empty() || left >= call.further),
                (LeaseState::Waiting, None) => covers,
                (LeaseState::Waiting, Some(_)) => {
                    let widened = !text.widened.is_empty() && covers && left >= call.further;
                    (text.extent == asked || widened) && text.purpose == call.purpose
                }
                _ => false,
            }
        };
        let best = |lease: &&OpenLease| (lease.state == LeaseState::Live, lease.ends_at);
        let id = self
            .desk
            .book()
            .values()
            .filter(fits)
            .max_by_key(best)
            .map(|lease| lease.id);
        match id {
            Some(id) => self.lease_view(id).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The digests as a set.
pub(crate) fn named(digests: &[DigestValue]) -> Option<Arc<Named>> {
    let hash = digests.first()?.hash();
    Some(Arc::new(Named {
        hash,
        digests: digests.iter().cloned().collect(),
    }))
}

/// The digests as they are stored.
fn manifest(named: &Named) -> ManifestRecord {
    let mut digests: Vec<&[u8]> = named.digests.iter().map(DigestValue::bytes).collect();
    digests.sort_unstable();
    ManifestRecord {
        hash: named.hash,
        digests: digests.concat(),
    }
}

fn check(call: &LeaseRequest) -> Result<(), Failure> {
    let invalid = |what: String| Err(Failure::new(FailureKind::Invalid, what));
    if !is_one_line(&call.purpose, LONGEST_PURPOSE) || call.purpose.trim().is_empty() {
        return invalid(format!(
            "say what the lease is for, in one line of at most {LONGEST_PURPOSE} characters"
        ));
    }
    let Claims { user, host, command } = &call.claimed;
    if [user, host, command]
        .iter()
        .any(|claim| claim.chars().count() > LONGEST_CLAIM)
    {
        return invalid(format!("a claim has at most {LONGEST_CLAIM} characters"));
    }
    if call.digests.len() > MOST_DIGESTS {
        return invalid(format!("a lease names at most {MOST_DIGESTS} digests"));
    }
    one_hash(&call.digests)?;
    if call.digests.is_empty() && call.further == 0 {
        return invalid("a lease permits at least one digest".to_owned());
    }
    if call.further > u64::from(u32::MAX) {
        return invalid(format!(
            "a lease permits at most {} digests that are not known",
            u32::MAX
        ));
    }
    if !(1..=LONGEST).contains(&call.seconds) {
        return invalid("a lease lasts from one second to 31 days".to_owned());
    }
    if call
        .wait_seconds
        .is_some_and(|wait| !(1..=LONGEST_WAIT).contains(&wait))
    {
        return invalid("a lease waits for custodians from one second to a day".to_owned());
    }
    Ok(())
}

/// Digests that are named together come from one hash function.
pub(crate) fn one_hash(digests: &[DigestValue]) -> Result<(), Failure> {
    let first = digests.first().map(DigestValue::hash);
    if digests.iter().any(|digest| Some(digest.hash()) != first) {
        return Err(Failure::new(
            FailureKind::Invalid,
            "the digests come from different hash functions",
        ));
    }
    Ok(())
}

pub(crate) fn is_one_line(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.chars().any(char::is_control)
}
