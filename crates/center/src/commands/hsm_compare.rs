//! What a token says, held against what was seen of it before.

use chancery_api::{Failure, HsmId};
use chancery_keys::Inspection;
use chancery_store::{Change, HsmRecord, ReplicaRecord, ReplicaState, Write};
use serde_json::json;

use super::signer::Owner;
use crate::{
    Center,
    committer::store_failure,
    event::{Actor, event},
};

impl Center {
    /// Compares a token that was just connected with what is recorded of it: its stored state must not be older, and keys it held
    /// must be there. What differs becomes a warning of the HSM, and comes back as rows and events to commit.
    pub(crate) async fn compare(
        &self,
        record: &HsmRecord,
        inspection: &Inspection,
    ) -> Result<Change, Failure> {
        let mut change = Change::default();
        let mut found = Vec::new();
        let now = self.clock.now_ms();
        if let Some((known, is)) = older_state(record, inspection) {
            found.push(format!(
                "its stored state (change {is}) is older than one seen before (change {known}): somebody restored a copy; retry and use counters came back with it"
            ));
            let data = json!({ "hsm": record.name, "seen": known, "is": is });
            change
                .events
                .push(event(now, "hsm-state-older", &Actor::Node, &data)?);
        }
        for (owner, write) in self.missing_replicas(record.id, inspection).await? {
            found.push(format!("it does not hold the key of {} any more", owner.title()));
            let data = json!({ "hsm": record.name, (owner.member()): owner.name() });
            change
                .events
                .push(event(now, "replica-gone", &Actor::Node, &data)?);
            change.writes.push(write);
        }
        self.lock(&self.warnings).insert(record.id, found);
        Ok(change)
    }

    /// Replicas that are recorded of an HSM and are not in it, with the write that says so.
    pub(crate) async fn missing_replicas(
        &self,
        hsm: HsmId,
        inspection: &Inspection,
    ) -> Result<Vec<(Owner, Write)>, Failure> {
        let failed = |error| store_failure(&error);
        let mut missing = Vec::new();
        for owner in self.owners().await? {
            let Some(signer) = owner.signer() else { continue };
            if inspection.keys.iter().any(|id| i64::from(*id) == owner.key_id()) {
                continue;
            }
            let replicas = self.store.replicas(signer).await.map_err(failed)?;
            let recorded = |replica: &&ReplicaRecord| {
                replica.hsm == hsm && matches!(replica.state, ReplicaState::Present | ReplicaState::Verified)
            };
            if replicas.iter().find(recorded).is_some() {
                let absent = ReplicaRecord {
                    signer,
                    hsm,
                    state: ReplicaState::Absent,
                    checked_ms: self.clock.now_ms(),
                };
                self.forget(&owner);
                missing.push((owner, Write::PutReplica(absent)));
            }
        }
        Ok(missing)
    }
}

/// The change number seen before and the one now, when the state is not a continuation of what was seen.
fn older_state(record: &HsmRecord, inspection: &Inspection) -> Option<(i64, i64)> {
    let known = record.mark.as_ref()?;
    let now = inspection.mark.as_ref()?;
    let is = i64::try_from(now.sequence).unwrap_or(i64::MAX);
    let older = is < known.sequence || (is == known.sequence && now.hash[..] != known.hash[..]);
    older.then_some((known.sequence, is))
}
