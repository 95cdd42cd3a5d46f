//! The head of the audit log: signed, remembered outside the database, and only ever extended.

use std::sync::Arc;

use chancery_api::{Failure, FailureKind};
use chancery_audit::{Checkpoint, Frontier, NoteSigner, leaf_hash};
use chancery_store::{Store, Write};
use tracing::error;

use crate::{committer::store_failure, env::Marks};

/// Name of the mark that holds the newest signed head.
const HEAD: &str = "audit-head";

/// Leaves read at once when the log is caught up with.
const PAGE: u32 = 1000;

/// Signs heads with the installation's audit key. Each signed head extends the one signed before, leaf by leaf.
pub(crate) struct CheckpointSigner {
    signer: NoteSigner,
    marks: Arc<dyn Marks>,
    /// The newest head that was signed.
    signed: Frontier,
    /// Whether the log went on after it.
    behind: bool,
}

impl CheckpointSigner {
    /// Checks that the log in the database extends the head that was signed last.
    pub(crate) async fn open(
        store: &dyn Store,
        signer: NoteSigner,
        marks: Arc<dyn Marks>,
    ) -> Result<Self, Failure> {
        let signed = match marks.load(HEAD).map_err(|why| refuse(&why))? {
            Some(bytes) => Frontier::from_bytes(&bytes).map_err(|error| refuse(&error.to_string()))?,
            None => Frontier::new(),
        };
        let head = extend(store, &signed).await?;
        let behind = head != signed;
        Ok(Self {
            signer,
            marks,
            signed,
            behind,
        })
    }

    /// The newest head that was signed.
    pub(crate) const fn signed(&self) -> &Frontier {
        &self.signed
    }

    /// Whether an earlier start of the node left leaves that no signed head covers.
    pub(crate) const fn is_behind(&self) -> bool {
        self.behind
    }

    /// The write that stores a signed checkpoint of what the database holds now.
    pub(crate) async fn sign(&mut self, store: &dyn Store) -> Option<Write> {
        let head = match extend(store, &self.signed).await {
            Ok(head) => head,
            Err(failure) => {
                error!(
                    failure = failure.message,
                    "the head of the audit log is not signed"
                );
                return None;
            }
        };
        let size = i64::try_from(head.size()).ok()?;
        let note = match Checkpoint::of(self.signer.verifier().name(), &head).sign(&self.signer) {
            Ok(note) => note,
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the head of the audit log is not signed"
                );
                return None;
            }
        };
        let (marks, bytes) = (Arc::clone(&self.marks), head.to_bytes());
        let saved = tokio::task::spawn_blocking(move || marks.save(HEAD, &bytes)).await;
        if let Err(why) = saved.unwrap_or_else(|error| Err(error.to_string())) {
            error!(
                why,
                "the head of the audit log is not remembered outside the database"
            );
        }
        self.signed = head;
        self.behind = false;
        Some(Write::InsertCheckpoint {
            size,
            note: note.encode(),
        })
    }
}

/// The head that the database's leaves give when they are appended to `signed`; it must be the database's own.
async fn extend(store: &dyn Store, signed: &Frontier) -> Result<Frontier, Failure> {
    let failed = |error| store_failure(&error);
    let mut frontier = signed.clone();
    let head = store.audit_head().await.map_err(failed)?;
    let head = Frontier::from_bytes(&head.frontier).map_err(|error| refuse(&error.to_string()))?;
    if head.size() < frontier.size() {
        return Err(refuse(&format!(
            "it has {} leaves, {} were signed",
            head.size(),
            frontier.size()
        )));
    }
    while frontier.size() < head.size() {
        let from = i64::try_from(frontier.size()).unwrap_or(i64::MAX);
        let left = u32::try_from(head.size() - frontier.size())
            .unwrap_or(PAGE)
            .min(PAGE);
        let leaves = store.audit_leaves(from, left).await.map_err(failed)?;
        if leaves.is_empty() {
            return Err(refuse(&format!("leaf {from} is missing")));
        }
        for leaf in leaves {
            frontier.push(leaf_hash(&leaf.body));
        }
    }
    if frontier == head {
        Ok(head)
    } else {
        Err(refuse("its leaves do not give its head"))
    }
}

fn refuse(why: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("the audit log does not continue what was signed: {why}")).with_remedy(
        "somebody changed the database or restored an older one: run `chancery audit verify`, and see SECURITY.md on restoring",
    )
}
