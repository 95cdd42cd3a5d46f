//! Signing the head of the audit log.

use chancery_audit::{Checkpoint, Frontier, NoteSigner};
use chancery_store::{AuditHead, Write};
use tracing::error;

/// Signs heads with the installation's audit key.
pub(crate) struct CheckpointSigner {
    signer: NoteSigner,
}

impl CheckpointSigner {
    pub(crate) const fn new(signer: NoteSigner) -> Self {
        Self { signer }
    }

    /// The write that stores a signed checkpoint for `head`; `None` for an empty log or a head that cannot be read.
    pub(crate) fn sign(&self, head: &AuditHead) -> Option<Write> {
        if head.size == 0 {
            return None;
        }
        let frontier = match Frontier::from_bytes(&head.frontier) {
            Ok(frontier) if i64::try_from(frontier.size()) == Ok(head.size) => frontier,
            Ok(_) => {
                error!("the audit log's head names another size than its hashes: not signed");
                return None;
            }
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the audit log's head is damaged: not signed"
                );
                return None;
            }
        };
        match Checkpoint::of(self.signer.verifier().name(), &frontier).sign(&self.signer) {
            Ok(note) => Some(Write::InsertCheckpoint {
                size: head.size,
                note: note.encode(),
            }),
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the audit log's head is not signed"
                );
                None
            }
        }
    }
}
