//! Leases that an earlier start of the node left: checked against what custodians signed and what the audit log records, and waiting for
//! a quorum again.
//!
//! Rows and log are written together or not at all, so they differ only when somebody changed rows. What the log counts is counted
//! though its row is gone; a lease that the log says is over is ended, and so is one of which a row says what the log does not.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chancery_api::{
    DigestValue, Extent, Failure, FailureKind, Hash32, LeaseState, LeaseText, LogPlace, StatementKind,
    canonical_json, extent, lease_statement, manifest_hash,
};
use chancery_audit::Frontier;
use chancery_store::{Change, LeaseRecord, Write};
use serde_json::json;
use tracing::warn;

use super::{lease_challenge::hsm_of, lease_request::named};
use crate::{
    Center,
    attest::attested,
    committer::store_failure,
    event::{Actor, event},
    leases::{Attempt, Attended, OpenLease, Recorded, Scheme, Standing, requester_key, signed_by},
};

/// How long a lease that never was live waits when nothing says how long, milliseconds.
const WAIT_MS: i64 = 15 * 60 * 1000;
/// Highest place of an answer that can be right.
pub(crate) const MOST_ANSWERS: i64 = 1 << 32;

/// Why a lease is not taken over.
struct Over {
    state: LeaseState,
    because: String,
}

/// Rows that do not hold.
impl From<String> for Over {
    fn from(why: String) -> Self {
        Self {
            state: LeaseState::Revoked,
            because: format!("its rows were altered: {why}"),
        }
    }
}

impl Center {
    /// Takes over leases that are not over. One whose rows do not hold is ended. `signed` is the newest head of the audit log that was
    /// signed before this start.
    pub(crate) async fn load_leases(&self, signed: &Frontier) -> Result<(), Failure> {
        let records = self.store.open_leases().await;
        let records = records.map_err(|error| store_failure(&error))?;
        if records.is_empty() {
            return Ok(());
        }
        let mut log = self.log_of(&records, signed).await?;
        for record in records {
            let recorded = log.as_mut().map(|log| log.remove(&record.id).unwrap_or_default());
            let loaded = match recorded {
                Some(recorded) => self.load_lease(&record, &recorded).await,
                None => Err(Over {
                    state: LeaseState::Revoked,
                    because: "the audit log is not the one that was signed, so nothing can be checked"
                        .to_owned(),
                }),
            };
            match loaded {
                Ok(lease) => self.take_over(&record, lease).await?,
                Err(over) => self.refuse_to_load(&record, over).await?,
            }
        }
        self.desk.wake();
        Ok(())
    }

    async fn take_over(&self, record: &LeaseRecord, mut lease: OpenLease) -> Result<(), Failure> {
        let now_ms = self.clock.now_ms();
        let id = record.id;
        let mut events = Vec::new();
        if lease.is_exhausted() && lease.state != LeaseState::Exhausted {
            // The node died before it was noted.
            let because = "everything it permits was signed".to_owned();
            lease.settle(LeaseState::Exhausted, Some(because));
            let data = json!({ "lease": id, "state": lease.state });
            events.push(event(now_ms, "lease-exhausted", &Actor::Node, &data)?);
        } else if record.state == LeaseState::Live {
            let data = json!({ "lease": id, "because": lease.because });
            events.push(event(now_ms, "lease-quorum-lost", &Actor::Node, &data)?);
        }
        let claim = Write::ClaimLease {
            lease: id,
            epoch: self.epoch,
        };
        let update = lease.update(self.epoch, self.desk.now());
        self.commit(Change {
            writes: vec![claim, update],
            events,
        })
        .await?;
        self.desk.book().insert(id, lease);
        Ok(())
    }

    async fn refuse_to_load(&self, record: &LeaseRecord, over: Over) -> Result<(), Failure> {
        let Over { state, because } = over;
        let (id, now_ms) = (record.id, self.clock.now_ms());
        warn!(lease = %id, because, "a lease is not taken over");
        let data = json!({ "lease": id, "state": state, "because": because });
        let claim = Write::ClaimLease {
            lease: id,
            epoch: self.epoch,
        };
        let update = Write::UpdateLease {
            lease: id,
            epoch: self.epoch,
            state,
            because: Some(because),
            used: record.used,
            remaining_ms: 0,
            wait_remaining_ms: None,
            ended_ms: Some(now_ms),
        };
        self.commit(Change {
            writes: vec![claim, update],
            events: vec![event(now_ms, "lease-ended", &Actor::Node, &data)?],
        })
        .await
    }

    /// A lease as its rows say, if they say what was signed and recorded.
    async fn load_lease(&self, record: &LeaseRecord, recorded: &Recorded) -> Result<OpenLease, Over> {
        check_state(record, recorded)?;
        let failed = |failure: Failure| failure.message;
        let text: LeaseText =
            serde_json::from_slice(&record.text).map_err(|_| "its text cannot be read".to_owned())?;
        if canonical_json(&text).ok().as_deref() != Some(&record.text)
            || text.lease != record.id
            || text.installation != self.installation.id
            || requester_key(&text.requester) != record.requester
        {
            return Err("its text is not that of the row".to_owned().into());
        }
        if let Err(failure) = self.require_client(&text.requester).await {
            return Err(match failure.kind {
                FailureKind::Refused => Over {
                    state: LeaseState::Withdrawn,
                    because: failure.message,
                },
                _ => failure.message.into(),
            });
        }
        let (_, key) = self.signing_key(&text.signer).await.map_err(failed)?;
        if key.signer != record.signer || Hash32::of(&key.spki) != text.key {
            return Err("its text names another key".to_owned().into());
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
            return Err("the digests it names are not those of its text".to_owned().into());
        }
        let texts = self.texts_of(record, &text).await?;
        check_texts(record, &texts.earlier(), recorded)?;
        let (attempts, answers) = self.check_answers(record, &text).await?;
        self.compare_answers(record, recorded).await?;
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
        let waits_until = (!recorded.was_live && record.state == LeaseState::Waiting).then(|| {
            // The earlier of what was left and of the deadline.
            let until_deadline = recorded
                .waits_until_ms
                .map(|until| until.saturating_sub(self.clock.now_ms()));
            let left = record.wait_remaining_ms.into_iter().chain(until_deadline).min();
            now.saturating_add(u64::try_from(left.unwrap_or(WAIT_MS)).unwrap_or(0))
        });
        let mut lease = OpenLease {
            id: record.id,
            text: Arc::new(text),
            bytes: record.text.clone().into(),
            earlier: texts.earlier(),
            key: Arc::new(key),
            scheme: Arc::new(scheme),
            proof: Arc::new(proof),
            state,
            because,
            version: 1,
            ends_at: now.saturating_add(left),
            waits_until,
            named: named(&digests),
            counted: HashMap::new(),
            further: 0,
            signed: 0,
            busy: HashSet::new(),
            attempts,
            answers,
            ended_ms: None,
            recording: false,
            // Its requester has that long from now on to be there again.
            attended: recorded.attended_seconds.map(|seconds| Attended {
                grace_ms: u64::from(seconds).saturating_mul(1000),
                looking: 0,
                seen: now,
            }),
        };
        self.load_digests(record, recorded, &mut lease).await?;
        Ok(lease)
    }

    /// Statements in rows are those that the log records, all of them.
    async fn compare_answers(&self, record: &LeaseRecord, recorded: &Recorded) -> Result<(), String> {
        let answers = self.store.lease_answers(record.id).await;
        let answers = answers.map_err(|error| store_failure(&error).message)?;
        let mut found = HashSet::new();
        for answer in answers {
            let statement = Hash32::of(&answer.statement);
            if !recorded.statements.contains(&statement) {
                return Err(format!(
                    "the audit log does not record the statement of {}",
                    answer.name
                ));
            }
            found.insert(statement);
        }
        if found.len() < recorded.statements.len() {
            return Err("a custodian's statement that the audit log records is gone".to_owned());
        }
        Ok(())
    }

    /// What was counted and signed. What the audit log counts is counted, whatever became of its row; no row counts for more.
    async fn load_digests(
        &self,
        record: &LeaseRecord,
        recorded: &Recorded,
        lease: &mut OpenLease,
    ) -> Result<(), String> {
        let failed = |error| store_failure(&error).message;
        let unreadable = |_| "a digest it counted cannot be read".to_owned();
        for digest in &recorded.counted {
            lease
                .permits(std::slice::from_ref(digest))
                .map_err(|_| "it counted a digest that it does not permit".to_owned())?;
            // Its row is not known yet: it is written again before the digest is signed.
            lease.count(digest);
        }
        for digest in self.store.lease_digests(record.id).await.map_err(failed)? {
            let digest: DigestValue = digest.parse().map_err(unreadable)?;
            if !recorded.counted.contains(&digest) {
                return Err(format!("the audit log does not record that {digest} was counted"));
            }
            lease.counted.insert(digest, Standing::Reserved);
        }
        for signature in self.store.lease_signatures(record.id).await.map_err(failed)? {
            let digest: DigestValue = signature.digest.parse().map_err(unreadable)?;
            if !lease.scheme.holds(&digest, &signature.signature) {
                return Err(format!("the signature recorded for {digest} is not the key's"));
            }
            if !recorded.records(&digest, &signature.signature, &signature.leaf_hash) {
                return Err(format!(
                    "the audit log does not record the signature over {digest}"
                ));
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
        let texts = self.texts_of(record, text).await?;
        let answers = self.store.lease_answers(record.id).await;
        let answers = answers.map_err(|error| store_failure(&error).message)?;
        let mut attempts: HashMap<_, Attempt> = HashMap::new();
        // An answer to come stands after those about earlier texts, also after those that could not be recorded.
        let mut last = texts.last_answer();
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
            if !(1..=MOST_ANSWERS).contains(&answer.place) {
                return Err(damaged());
            }
            let about = texts.of(answer.place);
            let statement = lease_statement(answer.kind, about, log, reason, &hsm.device, challenge);
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

/// Whether row and log say that it is not over.
fn check_state(record: &LeaseRecord, recorded: &Recorded) -> Result<(), Over> {
    if let Some((state, because)) = &recorded.ended {
        return Err(Over {
            state: *state,
            because: format!("its rows were altered: the audit log records that it ended, because {because}"),
        });
    }
    if let Some(wrong) = &recorded.wrong {
        return Err(wrong.clone().into());
    }
    if recorded.requested.is_none() {
        return Err("the audit log records no request for it".to_owned().into());
    }
    match record.state {
        LeaseState::Waiting | LeaseState::Live | LeaseState::Exhausted => Ok(()),
        state => Err(format!("it is {} and did not end", state.name()).into()),
    }
}

/// Whether the log records its text, and those it had before.
fn check_texts(record: &LeaseRecord, earlier: &[Arc<[u8]>], recorded: &Recorded) -> Result<(), String> {
    let rows = earlier.iter().map(AsRef::as_ref).chain([record.text.as_slice()]);
    if rows.eq(recorded.texts.iter().map(Vec::as_slice)) {
        return Ok(());
    }
    Err("its text is not the one that the audit log records".to_owned())
}
