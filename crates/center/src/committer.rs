//! Group commit: many commands, one disk flush.
//!
//! Commands hand in [`Change`]s and wait. One task takes whatever has gathered while the last group was written and commits it
//! together, so that the number of flushes a second is that of the disk while the number of changes is not. While commands are known to
//! be at work, a group waits for them a little: a part of what the last one took. A lonely change does not wait. A head signature of the
//! audit log rides along at most once a second; when work stops, the last head is signed a second later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

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

/// A group waits for commands at work for this part of the time that the last one took to become durable.
const PATIENCE: u32 = 10;

/// Longest wait of a group, however slow the disk is.
const MOST_PATIENCE: Duration = Duration::from_millis(5);

/// Shortest time between two signed heads of the audit log.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

type Answer = Result<(), CommitError>;

/// Why a change is not durable.
#[derive(Debug)]
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
    coming: Arc<AtomicUsize>,
}

/// A command that will hand in a change soon, as long as it lives.
pub(crate) struct Coming {
    coming: Arc<AtomicUsize>,
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.coming.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Committer {
    /// Starts the task.
    pub(crate) fn start(store: Arc<dyn Store>, signer: CheckpointSigner) -> Self {
        let (queue, pending) = mpsc::channel(4 * GROUP);
        // What an earlier start left unsigned is signed soon.
        let unsigned_since = signer.is_behind().then(Instant::now);
        let coming = Arc::new(AtomicUsize::new(0));
        tokio::spawn(
            Task {
                store,
                signer,
                pending,
                coming: Arc::clone(&coming),
                patience: Duration::ZERO,
                unsigned_since,
                last_signed: None,
            }
            .run(),
        );
        Self { queue, coming }
    }

    /// Says that a command is at work that will hand in changes, one at a time.
    pub(crate) fn announce(&self) -> Coming {
        self.coming.fetch_add(1, Ordering::Relaxed);
        let coming = Arc::clone(&self.coming);
        Coming { coming }
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
    /// Commands at work.
    coming: Arc<AtomicUsize>,
    /// How long a group waits for them.
    patience: Duration,
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
            self.gather(&mut group).await;
            let began = Instant::now();
            self.commit(&mut group).await;
            self.patience = (began.elapsed() / PATIENCE).min(MOST_PATIENCE);
        }
        if self.unsigned_since.is_some() {
            self.sign_head().await;
        }
    }

    /// Waits for the commands that are on their way, so that they share this flush.
    async fn gather(&mut self, group: &mut Vec<Pending>) {
        if self.patience.is_zero() {
            return;
        }
        let deadline = Instant::now() + self.patience;
        loop {
            let missing = self
                .coming
                .load(Ordering::Relaxed)
                .min(GROUP)
                .saturating_sub(group.len());
            if missing == 0 {
                return;
            }
            let more = self.pending.recv_many(group, missing);
            match tokio::time::timeout_at(deadline, more).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
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
