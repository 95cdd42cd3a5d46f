//! `audit log`.

use chancery_api::{AuditLeafView, AuditLog, AuditPage, Failure};
use serde_json::Value;

use crate::{Center, committer::store_failure};

impl Center {
    /// Audit events in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_log(&self, call: &AuditLog) -> Result<AuditPage, Failure> {
        let failed = |error| store_failure(&error);
        let head = self.store.audit_head().await.map_err(failed)?;
        let from = i64::try_from(call.from).unwrap_or(i64::MAX);
        let leaves = self
            .store
            .audit_leaves(from, call.limit.clamp(1, 1000))
            .await
            .map_err(failed)?;
        Ok(AuditPage {
            leaves: leaves
                .into_iter()
                .map(|leaf| AuditLeafView {
                    index: u64::try_from(leaf.index).unwrap_or(0),
                    event: serde_json::from_slice(&leaf.body)
                        .unwrap_or_else(|_| Value::String("this leaf cannot be read".to_owned())),
                })
                .collect(),
            size: u64::try_from(head.size).unwrap_or(0),
            checkpoint: self
                .store
                .checkpoint()
                .await
                .map_err(failed)?
                .map(|(_, note)| note),
        })
    }
}
