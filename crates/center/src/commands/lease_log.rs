//! What the audit log says of leases that are not over.
//!
//! It is read once for all of them when the node starts, from the place where the oldest was asked for: `lease.log_frontier` is the head of
//! the log as it was when the row was inserted. That is no secret and need not be trusted: from the right frontier the leaves give the
//! newest signed head, which is remembered outside the database, and from no other. So what is read before that head is what was
//! recorded, and it costs as much as the log has grown since the oldest open lease, however long it is.
//!
//! The whole log is read when that does not hold: rows of older programs, an altered frontier, and a request in the part that no signed
//! head covers yet (the last second before the node died), for whoever edits rows could have appended one there to hide what was
//! recorded before.

use std::collections::HashMap;

use chancery_api::{Failure, LeaseId};
use chancery_audit::{Frontier, leaf_hash};
use chancery_store::LeaseRecord;

use crate::{
    Center,
    committer::store_failure,
    leases::{Recorded, take},
};

/// Leaves read at once.
const PAGE: u32 = 1000;

/// What was read.
struct Read {
    leases: HashMap<LeaseId, Recorded>,
    /// Whether the leaves are those of the signed head.
    holds: bool,
}

impl Center {
    /// What the log says of these leases; `signed` is the newest head that was signed before this start. Nothing, where its leaves are
    /// not those of that head.
    pub(crate) async fn log_of(
        &self,
        records: &[LeaseRecord],
        signed: &Frontier,
    ) -> Result<Option<HashMap<LeaseId, Recorded>>, Failure> {
        let begin = begin(records, signed);
        let read = self.read_log(records, begin.clone(), signed).await?;
        let is_signed = |recorded: &Recorded| recorded.requested.is_some_and(|index| index < signed.size());
        if begin.size() == 0 || (read.holds && read.leases.values().all(is_signed)) {
            return Ok(read.holds.then_some(read.leases));
        }
        let read = self.read_log(records, Frontier::new(), signed).await?;
        Ok(read.holds.then_some(read.leases))
    }

    async fn read_log(
        &self,
        records: &[LeaseRecord],
        mut frontier: Frontier,
        signed: &Frontier,
    ) -> Result<Read, Failure> {
        let mut leases: HashMap<_, _> = records
            .iter()
            .map(|record| (record.id, Recorded::default()))
            .collect();
        let mut holds = frontier == *signed;
        loop {
            let from = i64::try_from(frontier.size()).unwrap_or(i64::MAX);
            let leaves = self.store.audit_leaves(from, PAGE).await;
            let leaves = leaves.map_err(|error| store_failure(&error))?;
            if leaves.is_empty() {
                return Ok(Read { leases, holds });
            }
            for leaf in leaves {
                let index = frontier.size();
                if i64::try_from(index).ok() != Some(leaf.index) {
                    return Ok(Read { leases, holds: false });
                }
                frontier.push(leaf_hash(&leaf.body));
                if frontier.size() == signed.size() {
                    holds = frontier == *signed;
                }
                take(&mut leases, index, &leaf.body);
            }
        }
    }
}

/// Where the log begins to tell of any of these leases.
fn begin(records: &[LeaseRecord], signed: &Frontier) -> Frontier {
    let mut begin: Option<Frontier> = None;
    for record in records {
        let frontier = record.log_frontier.as_deref();
        let frontier = frontier.and_then(|bytes| Frontier::from_bytes(bytes).ok());
        let Some(frontier) = frontier.filter(|frontier| frontier.size() <= signed.size()) else {
            return Frontier::new();
        };
        if begin.as_ref().is_none_or(|begin| frontier.size() < begin.size()) {
            begin = Some(frontier);
        }
    }
    begin.unwrap_or_default()
}
