//! `lease.list`, `lease.show`, `lease.manifest`, `lease.pending`.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chancery_api::{
    Base64, DigestValue, Failure, FailureKind, HsmId, LeaseId, LeaseList, LeaseManifest, LeasePending,
    LeaseShow, LeaseState, LeaseText, LeaseView, ReplicaStateView, Requester, StatementKind,
};
use chancery_keys::State;
use chancery_store::{LeaseAnswerRecord, LeaseRecord};
use tokio::time::Instant;

use crate::{
    Center,
    committer::store_failure,
    leases::{OpenLease, requester_key},
};

/// Longest wait for a change, seconds.
const LONGEST_WAIT: u32 = 30;

impl Center {
    /// Leases, newest first; only the requester's own when one is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_list(
        &self,
        call: &LeaseList,
        own: Option<&Requester>,
    ) -> Result<Vec<LeaseView>, Failure> {
        self.desk.notice().await;
        let limit = call.limit.clamp(1, 200);
        let failed = |error| store_failure(&error);
        let mut records = match call.open_only {
            true => self.store.open_leases().await.map_err(failed)?,
            false => self.store.leases(limit).await.map_err(failed)?,
        };
        if call.open_only {
            records.retain(|record| record.state.is_open());
            records.reverse();
        }
        let mine = own.map(requester_key);
        let mut views = Vec::new();
        for record in records {
            if mine.as_ref().is_some_and(|mine| *mine != record.requester) {
                continue;
            }
            if views.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                break;
            }
            views.push(self.lease_view_of(record).await?);
        }
        Ok(views)
    }

    /// One lease; waits for a change when asked to. Leases of others are unknown where `own` is given. Whoever asked for it looks
    /// after it by this call, also one that sees the leases of others.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown one.
    pub async fn lease_show(
        &self,
        call: &LeaseShow,
        own: Option<&Requester>,
        by: &Requester,
    ) -> Result<LeaseView, Failure> {
        self.require_own(call.lease, own).await?;
        let _attending = self
            .asked_by(call.lease, by)
            .then(|| self.desk.attend(call.lease));
        let mut changed = self.desk.changed.subscribe();
        let deadline = wait_until(call.wait_seconds);
        loop {
            self.desk.notice().await;
            // Nothing is read while nothing changed: many may wait while others sign.
            let known = self
                .desk
                .book()
                .get(&call.lease)
                .is_some_and(|lease| lease.state.is_open() && call.known == Some(lease.version));
            if !known
                || tokio::time::timeout_at(deadline, changed.changed())
                    .await
                    .is_err()
            {
                return self.lease_view(call.lease).await;
            }
        }
    }

    fn asked_by(&self, lease: LeaseId, by: &Requester) -> bool {
        let open = self.desk.book();
        open.get(&lease)
            .is_some_and(|lease| lease.text.requester.is_same(by))
    }

    /// Digests named in a lease, in ascending order.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown lease.
    pub async fn lease_manifest(
        &self,
        call: &LeaseManifest,
        own: Option<&Requester>,
    ) -> Result<Vec<DigestValue>, Failure> {
        self.require_own(call.lease, own).await?;
        let limit = usize::try_from(call.limit.clamp(1, 10_000)).unwrap_or(1);
        let all = self.manifest_of(call.lease).await?;
        let begin = match &call.after {
            Some(after) => all.partition_point(|digest| digest <= after),
            None => 0,
        };
        Ok(all.into_iter().skip(begin).take(limit).collect())
    }

    /// Leases that wait for an answer of a custodian; waits until there is one the caller does not know.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown person.
    pub async fn lease_pending(&self, call: &LeasePending) -> Result<Vec<LeaseView>, Failure> {
        self.people().await?.by_name(&call.person)?;
        let mut of_person = BTreeSet::new();
        for hsm in self.hsm_records().await? {
            if self
                .custodian_names(hsm.id)
                .await?
                .values()
                .any(|name| *name == call.person)
            {
                of_person.insert(hsm.id);
            }
        }
        let mut changed = self.desk.changed.subscribe();
        let deadline = wait_until(call.wait_seconds);
        let texts = || -> HashMap<LeaseId, usize> {
            let open = self.desk.book();
            open.values()
                .map(|lease| (lease.id, lease.earlier.len()))
                .collect()
        };
        let begun = texts();
        loop {
            self.desk.notice().await;
            let asking = self.asking(&call.person, &of_person);
            let now = texts();
            // One that was widened meanwhile is another one to who knows it.
            let news = asking
                .iter()
                .any(|lease| !call.known.contains(lease) || now.get(lease) != begun.get(lease));
            if news
                || tokio::time::timeout_at(deadline, changed.changed())
                    .await
                    .is_err()
            {
                let mut pending = Vec::new();
                for id in asking {
                    pending.push(self.lease_view(id).await?);
                }
                return Ok(pending);
            }
        }
    }

    /// Leases that could use an answer of this person for an HSM that is within reach, oldest first.
    fn asking(&self, person: &str, of_person: &BTreeSet<HsmId>) -> Vec<LeaseId> {
        let reachable = |hsm: HsmId| {
            let state = self.pool.get(hsm).map(|hsm| hsm.state());
            matches!(
                state,
                Some(State::Locked | State::Quorum { .. } | State::Unlocked { .. })
            )
        };
        let open = self.desk.book();
        let mut asking: Vec<_> = open
            .values()
            .filter(|lease| {
                let wants = |hsm: HsmId| {
                    let attempt = lease.attempts.get(&hsm);
                    let done = attempt.is_some_and(|attempt| {
                        attempt.granted.is_some() || attempt.given.iter().any(|given| given.name == person)
                    });
                    of_person.contains(&hsm) && !done
                };
                let wanted = lease.text.hsms.iter().map(|hsm| hsm.id).filter(|hsm| wants(*hsm));
                match lease.state {
                    // It is shown while no HSM is within reach too: a refusal needs none.
                    LeaseState::Waiting => wanted.count() > 0,
                    LeaseState::Live => wanted.into_iter().any(reachable),
                    _ => false,
                }
            })
            .map(|lease| (lease.text.asked.clone(), lease.id))
            .collect();
        asking.sort();
        asking.into_iter().map(|(_, id)| id).collect()
    }

    /// Refuses leases of others in the words for those that do not exist.
    pub(crate) async fn require_own(&self, id: LeaseId, own: Option<&Requester>) -> Result<(), Failure> {
        let Some(own) = own else { return Ok(()) };
        let record = self.lease_record(id).await?;
        if record.requester == requester_key(own) {
            Ok(())
        } else {
            Err(unknown(id))
        }
    }

    pub(crate) async fn lease_record(&self, id: LeaseId) -> Result<LeaseRecord, Failure> {
        let record = self
            .store
            .lease(id)
            .await
            .map_err(|error| store_failure(&error))?;
        record.ok_or_else(|| unknown(id))
    }

    /// Digests a lease names, ascending.
    pub(crate) async fn manifest_of(&self, id: LeaseId) -> Result<Vec<DigestValue>, Failure> {
        let manifest = self.store.lease_manifest(id).await;
        let Some(manifest) = manifest.map_err(|error| store_failure(&error))? else {
            self.lease_record(id).await?;
            return Ok(Vec::new());
        };
        let digests = manifest.digests.chunks(manifest.hash.length());
        let digests: Result<Vec<_>, _> = digests
            .map(|bytes| DigestValue::new(manifest.hash, bytes.to_vec()))
            .collect();
        digests.map_err(|_| altered(id, "the digests it names cannot be read"))
    }

    /// A lease as it stands.
    pub(crate) async fn lease_view(&self, id: LeaseId) -> Result<LeaseView, Failure> {
        let record = self.lease_record(id).await?;
        self.lease_view_of(record).await
    }

    async fn lease_view_of(&self, record: LeaseRecord) -> Result<LeaseView, Failure> {
        let text: LeaseText = serde_json::from_slice(&record.text)
            .map_err(|_| altered(record.id, "its text cannot be read"))?;
        let answers = self.store.lease_answers(record.id).await;
        let mut answers = answers.map_err(|error| store_failure(&error))?;
        if !text.widened.is_empty() {
            // Earlier ones were about another text.
            let widenings = self.store.lease_widenings(record.id).await;
            let widenings = widenings.map_err(|error| store_failure(&error))?;
            let last = widenings.last().map_or(0, |widening| widening.last_answer);
            answers.retain(|answer| answer.place > last);
        }
        let mut custodians = BTreeSet::new();
        let mut needed = None;
        for hsm in self.hsm_records().await? {
            if text.hsms.iter().any(|of_lease| of_lease.id == hsm.id) {
                custodians.extend(self.custodian_names(hsm.id).await?.into_values());
                let required = u8::try_from(hsm.quorum_required).unwrap_or(u8::MAX);
                needed = Some(needed.map_or(required, |needed: u8| needed.min(required)));
            }
        }
        let hsms = text.hsms.iter().map(|hsm| ReplicaStateView {
            hsm: hsm.name.clone(),
            state: self.brief_state(hsm.id),
        });
        let mut view = LeaseView {
            lease: record.id,
            text: Base64(record.text),
            state: record.state,
            version: 0,
            agreed: agreed(&answers),
            could: Vec::new(),
            needed: needed.unwrap_or(0),
            because: record.because,
            node_enforced: answers.iter().any(|answer| answer.kind == StatementKind::Open),
            used: u64::try_from(record.used).unwrap_or(0),
            remaining_seconds: 0,
            hsms: hsms.collect(),
        };
        let now = self.desk.now();
        let held = self.desk.book().get(&record.id).is_some_and(|lease| {
            view.state = lease.state;
            view.version = lease.version;
            view.because = lease.because.clone();
            view.used = lease.used();
            view.node_enforced = lease.node_enforced() || self.will_be_node_enforced(lease);
            if lease.ended_ms.is_none() {
                view.remaining_seconds = lease.remaining_ms(now).div_ceil(1000);
            }
            if lease.state.is_open() {
                let given = lease.attempts.values().flat_map(|attempt| &attempt.given);
                let names: BTreeSet<String> = given.map(|given| given.name.clone()).collect();
                view.agreed = names.into_iter().collect();
            }
            true
        });
        if !held && view.state.is_open() {
            // It ended, and left the book, after its row was read.
            let record = self.lease_record(record.id).await?;
            view.state = record.state;
            view.because = record.because;
            view.used = u64::try_from(record.used).unwrap_or(0);
        }
        if view.state.is_open() {
            custodians.retain(|name| !view.agreed.contains(name));
            view.could = custodians.into_iter().collect();
        }
        Ok(view)
    }
}

impl Center {
    /// Whether a custodian who answers now may be asked by the node in place of an HSM: one that is open, or counts answers, and not
    /// by what was given for this lease. Custodians are told before they answer, also for an HSM that a live lease gets in addition.
    fn will_be_node_enforced(&self, lease: &OpenLease) -> bool {
        let asks_in_place_of = |hsm: HsmId| {
            let attempt = lease.attempts.get(&hsm);
            match self.pool.get(hsm).map(|hsm| hsm.state()) {
                Some(State::Unlocked { .. }) => attempt.is_none_or(|attempt| attempt.granted.is_none()),
                Some(State::Quorum { have, .. }) => {
                    let given = attempt.into_iter().flat_map(|attempt| &attempt.given);
                    let own = given.filter(|given| given.kind == StatementKind::Unlock);
                    own.count() < usize::from(have)
                }
                _ => false,
            }
        };
        lease.state.is_open()
            && !lease.text.strict
            && lease.text.hsms.iter().any(|hsm| asks_in_place_of(hsm.id))
    }
}

/// Names of those whose last answers were no refusal.
fn agreed(answers: &[LeaseAnswerRecord]) -> Vec<String> {
    let agreed: BTreeSet<&str> = answers
        .iter()
        .filter(|answer| answer.kind != StatementKind::Refuse)
        .map(|answer| answer.name.as_str())
        .collect();
    agreed.into_iter().map(str::to_owned).collect()
}

fn wait_until(seconds: u32) -> Instant {
    Instant::now() + Duration::from_secs(u64::from(seconds.min(LONGEST_WAIT)))
}

pub(crate) fn unknown(id: LeaseId) -> Failure {
    Failure::new(FailureKind::NotFound, format!("there is no lease {id}")).with_remedy("chancery lease list")
}

/// A lease whose rows do not say what was signed.
pub(crate) fn altered(id: LeaseId, why: &str) -> Failure {
    Failure::new(
        FailureKind::Refused,
        format!("lease {id} was altered in the database: {why}"),
    )
    .with_remedy("nothing is signed under it; find out who changed the database (`chancery audit verify`)")
}
