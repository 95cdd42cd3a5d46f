//! Leases that an earlier start of the node left: checked against what custodians signed, and waiting for a quorum again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chancery_api::{
    DigestValue, Extent, Failure, Hash32, LeaseState, LeaseText, LogPlace, StatementKind, canonical_json,
    extent, lease_statement, manifest_hash,
};
use chancery_store::{Change, LeaseRecord, Write};
use serde_json::json;
use tracing::warn;

use super::{lease_challenge::hsm_of, lease_request::named};
use crate::{
    Center,
    attest::attested,
    committer::store_failure,
    event::{Actor, event},
    leases::{Attempt, OpenLease, Scheme, Standing, requester_key, signed_by},
};

/// How long a lease that never was live waits after a restart, milliseconds.
const WAIT_MS: u64 = 15 * 60 * 1000;

impl Center {
    /// Takes over leases that are not over. One whose rows do not hold is ended.
    pub(crate) async fn load_leases(&self) -> Result<(), Failure> {
        let records = self.store.open_leases().await;
        for record in records.map_err(|error| store_failure(&error))? {
            let id = record.id;
            let loaded = self.load_lease(&record).await;
            let now_ms = self.clock.now_ms();
            let claim = Write::ClaimLease {
                lease: id,
                epoch: self.epoch,
            };
            match loaded {
                Ok(lease) => {
                    let mut events = Vec::new();
                    if record.state == LeaseState::Live {
                        let data = json!({ "lease": id, "because": lease.because });
                        events.push(event(now_ms, "lease-quorum-lost", &Actor::Node, &data)?);
                    }
                    let update = lease.update(self.epoch, self.desk.now());
                    self.commit(Change {
                        writes: vec![claim, update],
                        events,
                    })
                    .await?;
                    self.desk.book().insert(id, lease);
                }
                Err(why) => {
                    warn!(lease = %id, why, "a lease does not hold and is ended");
                    let because = format!("its rows were altered: {why}");
                    let data = json!({ "lease": id, "state": LeaseState::Revoked, "because": because });
                    let update = Write::UpdateLease {
                        lease: id,
                        epoch: self.epoch,
                        state: LeaseState::Revoked,
                        because: Some(because),
                        used: record.used,
                        remaining_ms: 0,
                        ended_ms: Some(now_ms),
                    };
                    self.commit(Change {
                        writes: vec![claim, update],
                        events: vec![event(now_ms, "lease-ended", &Actor::Node, &data)?],
                    })
                    .await?;
                }
            }
        }
        self.desk.wake();
        Ok(())
    }

    /// A lease as its rows say, if they say what was signed.
    async fn load_lease(&self, record: &LeaseRecord) -> Result<OpenLease, String> {
        let failed = |failure: Failure| failure.message;
        let text: LeaseText =
            serde_json::from_slice(&record.text).map_err(|_| "its text cannot be read".to_owned())?;
        if canonical_json(&text).ok().as_deref() != Some(&record.text)
            || text.lease != record.id
            || text.installation != self.installation.id
            || requester_key(&text.requester) != record.requester
        {
            return Err("its text is not that of the row".to_owned());
        }
        let (_, key) = self.signing_key(&text.signer).await.map_err(failed)?;
        if key.signer != record.signer || Hash32::of(&key.spki) != text.key {
            return Err("its text names another key".to_owned());
        }
        let scheme = Scheme::new(&key.spki, text.mechanism)?;
        let digests = self.manifest_of(record.id).await.map_err(failed)?;
        let further = match &text.extent {
            Extent::Manifest { .. } => 0,
            Extent::Named { further, .. } => *further,
            Extent::Count { count } => *count,
        };
        if extent(&digests, further) != text.extent || (!digests.is_empty() && !names(&text.extent, &digests))
        {
            return Err("the digests it names are not those of its text".to_owned());
        }
        let (attempts, answers) = self.check_answers(record, &text).await?;
        let (_, proof) = self.proof(&key, &text.hsms, &digests).await.map_err(failed)?;
        let now = self.desk.now();
        let left = u64::try_from(record.remaining_ms.min(self.until_deadline(&text)?)).unwrap_or(0);
        let (state, because) = match record.state {
            LeaseState::Live => (
                LeaseState::Waiting,
                Some("the node was restarted; its custodians must answer again".to_owned()),
            ),
            state => (state, record.because.clone()),
        };
        let never_live = record.state == LeaseState::Waiting && record.because.is_none();
        let mut lease = OpenLease {
            id: record.id,
            text: Arc::new(text),
            bytes: record.text.clone().into(),
            key: Arc::new(key),
            scheme: Arc::new(scheme),
            proof: Arc::new(proof),
            state,
            because,
            version: 1,
            ends_at: now.saturating_add(left),
            waits_until: never_live.then(|| now.saturating_add(WAIT_MS)),
            named: named(&digests),
            counted: HashMap::new(),
            further: 0,
            signed: 0,
            busy: HashSet::new(),
            attempts,
            answers,
            ended_ms: None,
            recording: false,
            attended: None,
        };
        self.load_digests(record, &mut lease).await?;
        Ok(lease)
    }

    /// What was counted and signed, as the rows and the audit log agree.
    async fn load_digests(&self, record: &LeaseRecord, lease: &mut OpenLease) -> Result<(), String> {
        let failed = |error| store_failure(&error).message;
        let unreadable = |_| "a digest it counted cannot be read".to_owned();
        let counted = self.store.lease_digests(record.id).await.map_err(failed)?;
        for digest in &counted {
            let digest: DigestValue = digest.parse().map_err(unreadable)?;
            lease
                .permits(std::slice::from_ref(&digest))
                .map_err(|_| "it counted a digest that it does not permit".to_owned())?;
            lease.count(&digest);
            lease.counted.insert(digest, Standing::Reserved);
        }
        if i64::try_from(counted.len()).unwrap_or(i64::MAX) < record.used {
            return Err("digests that it counted are gone".to_owned());
        }
        for signature in self.store.lease_signatures(record.id).await.map_err(failed)? {
            let digest: DigestValue = signature.digest.parse().map_err(unreadable)?;
            if !lease.scheme.holds(&digest, &signature.signature) {
                return Err(format!("the signature recorded for {digest} is not the key's"));
            }
            if !lease.counted.contains_key(&digest) {
                return Err(format!("{digest} was signed and not counted"));
            }
            lease.note_signed(&digest);
        }
        Ok(())
    }

    /// Checks every statement, and gives back the attempts as they stand: all of them over.
    pub(crate) async fn check_answers(
        &self,
        record: &LeaseRecord,
        text: &LeaseText,
    ) -> Result<(HashMap<chancery_api::HsmId, Attempt>, i64), String> {
        let answers = self.store.lease_answers(record.id).await;
        let answers = answers.map_err(|error| store_failure(&error).message)?;
        let mut attempts: HashMap<_, Attempt> = HashMap::new();
        let mut last = 0;
        for answer in answers {
            let what = format!("the statement of {}", answer.name);
            let key = attested(&self.anchors, &answer.chain, &answer.key_request, &what)
                .map_err(|failure| failure.message)?;
            let hsm = hsm_of(text, answer.hsm).ok_or_else(|| format!("{what} is about another HSM"))?;
            let damaged = || format!("{what} does not hold");
            let challenge: [u8; 8] = answer.challenge.as_slice().try_into().map_err(|_| damaged())?;
            let log = LogPlace {
                size: u64::try_from(answer.log_size).map_err(|_| damaged())?,
                root: Hash32(answer.log_root.as_slice().try_into().map_err(|_| damaged())?),
            };
            let reason = match answer.kind {
                StatementKind::Refuse => answer.reason.as_deref(),
                _ => None,
            };
            let statement = lease_statement(answer.kind, &record.text, log, reason, &hsm.device, challenge);
            if key.chr != answer.chr || !signed_by(&key.spki, &statement, &answer.statement) {
                return Err(damaged());
            }
            last = last.max(answer.place);
            let number = answer.attempt + 1;
            let attempt = attempts.entry(answer.hsm).or_insert_with(|| Attempt::new(number));
            attempt.number = attempt.number.max(number);
        }
        Ok((attempts, last))
    }

    /// Milliseconds until the deadline, by the clock.
    fn until_deadline(&self, text: &LeaseText) -> Result<i64, String> {
        let format = &time::format_description::well_known::Rfc3339;
        let deadline = time::OffsetDateTime::parse(&text.deadline, format);
        let deadline = deadline.map_err(|_| "its deadline cannot be read".to_owned())?;
        let deadline_ms = deadline.unix_timestamp().saturating_mul(1000);
        Ok(deadline_ms.saturating_sub(self.clock.now_ms()))
    }
}

/// Whether an extent names exactly these digests.
fn names(extent: &Extent, digests: &[DigestValue]) -> bool {
    match extent {
        Extent::Manifest { manifest, .. } | Extent::Named { manifest, .. } => {
            *manifest == manifest_hash(digests)
        }
        Extent::Count { .. } => digests.is_empty(),
    }
}
