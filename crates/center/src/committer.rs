//! Group commit: many commands, one disk flush.
//!
//! Commands hand in [`Change`]s and wait. One task takes whatever has gathered while the last group was written and commits it
//! together, so that the number of flushes a second is that of the disk while the number of changes is not. A head signature of the
//! audit log rides along at most once a second; when work stops, the last head is signed a second later.

use std::{sync::Arc, time::Duration};

use chancery_api::{Failure, FailureKind};
use chancery_store::{Change, Conflict, Store, StoreError};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::{error, warn};

use crate::{checkpoint::CheckpointSigner, text::chain};

/// Most changes in one group.
const GROUP: usize = 256;

/// Shortest time between two signed heads of the audit log.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

type Answer = Result<(), CommitError>;

/// Why a change is not durable.
#[derive(Clone, Debug)]
pub(crate) enum CommitError {
    Conflict(Conflict),
    Store(Arc<StoreError>),
    Stopped,
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(conflict) => Self::new(
                FailureKind::Conflict,
                format!("somebody else was faster: {conflict}"),
            )
            .with_remedy("look at the request again and repeat the command"),
            CommitError::Store(error) => store_failure(&error),
            CommitError::Stopped => Self::new(FailureKind::Unavailable, "the node is stopping"),
        }
    }
}

/// A failure of the database in the words of the interface.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    error!(error = error as &dyn std::error::Error, "database failure");
    match error {
        StoreError::Full { .. } => Failure::new(FailureKind::Unavailable, error.to_string())
            .with_remedy("free space on the disk of the data directory; nothing was half-written"),
        StoreError::Corrupt { .. } => Failure::new(FailureKind::Refused, error.to_string())
            .with_remedy("somebody changed the database: compare with a backup, run `chancery audit verify`"),
        StoreError::UnknownSchema { .. } => Failure::new(FailureKind::Version, error.to_string()),
        StoreError::Database { .. } => Failure::new(FailureKind::Unavailable, chain(error)),
    }
}

struct Pending {
    change: Change,
    answer: oneshot::Sender<Answer>,
}

/// Hands changes to the committing task. Cheap to clone; the task ends after the last clone is gone.
#[derive(Clone)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Pending>,
}

impl Committer {
    /// Starts the task.
    pub(crate) fn start(store: Arc<dyn Store>, signer: CheckpointSigner) -> Self {
        let (queue, pending) = mpsc::channel(4 * GROUP);
        // What an earlier start left unsigned is signed soon.
        let unsigned_since = signer.is_behind().then(Instant::now);
        tokio::spawn(
            Task {
                store,
                signer,
                pending,
                unsigned_since,
                last_signed: None,
            }
            .run(),
        );
        Self { queue }
    }

    /// Makes `change` durable before it returns.
    pub(crate) async fn commit(&self, change: Change) -> Result<(), CommitError> {
        let (answer, wait) = oneshot::channel();
        self.queue
            .send(Pending { change, answer })
            .await
            .map_err(|_| CommitError::Stopped)?;
        wait.await.map_err(|_| CommitError::Stopped)?
    }
}

struct Task {
    store: Arc<dyn Store>,
    signer: CheckpointSigner,
    pending: mpsc::Receiver<Pending>,
    /// When the first change was committed that no signed head covers.
    unsigned_since: Option<Instant>,
    last_signed: Option<Instant>,
}

impl Task {
    async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let received = match self.unsigned_since {
                Some(since) => {
                    let deadline = since + CHECKPOINT_INTERVAL;
                    tokio::select! {
                        biased;
                        received = self.pending.recv_many(&mut group, GROUP) => received,
                        () = tokio::time::sleep_until(deadline) => {
                            self.sign_head().await;
                            continue;
                        }
                    }
                }
                None => self.pending.recv_many(&mut group, GROUP).await,
            };
            if received == 0 {
                break;
            }
            self.commit(&mut group).await;
        }
        if self.unsigned_since.is_some() {
            self.sign_head().await;
        }
    }

    async fn commit(&mut self, group: &mut Vec<Pending>) {
        let (mut changes, answers): (Vec<_>, Vec<_>) = group
            .drain(..)
            .map(|pending| (pending.change, pending.answer))
            .unzip();
        let has_events = changes.iter().any(|change| !change.events.is_empty());
        if self.checkpoint_due() {
            // The head as it stands before this group: it covers all earlier groups.
            if let Some(write) = self.signer.sign(&*self.store).await {
                changes.push(Change {
                    writes: vec![write],
                    events: Vec::new(),
                });
                self.last_signed = Some(Instant::now());
                self.unsigned_since = None;
            }
        }
        match self.store.commit(changes).await {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    // A caller that has gone away does not undo what is durable.
                    let _ = answer.send(result.map_err(CommitError::Conflict));
                }
                if has_events {
                    self.unsigned_since.get_or_insert_with(Instant::now);
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for answer in answers {
                    let _ = answer.send(Err(CommitError::Store(Arc::clone(&error))));
                }
            }
        }
    }

    fn checkpoint_due(&self) -> bool {
        self.unsigned_since.is_some()
            && self
                .last_signed
                .is_none_or(|signed| signed.elapsed() >= CHECKPOINT_INTERVAL)
    }

    /// Signs the head when no work rides along.
    async fn sign_head(&mut self) {
        self.unsigned_since = None;
        self.last_signed = Some(Instant::now());
        if let Some(write) = self.signer.sign(&*self.store).await
            && let Err(error) = self
                .store
                .commit(vec![Change {
                    writes: vec![write],
                    events: Vec::new(),
                }])
                .await
        {
            warn!(
                error = &error as &dyn std::error::Error,
                "the head of the audit log is not signed"
            );
        }
    }
}
