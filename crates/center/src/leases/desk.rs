//! What looks after leases: it notices HSMs that were locked or lost, ends leases whose time is over (`noticing`), and locks HSMs that
//! no lease needs (`locking`). All methods look first; a task looks when nobody calls.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chancery_api::{Failure, HsmId, LeaseId, LogPlace, PersonId, StatementKind};
use chancery_keys::Pool;
use chancery_store::{Change, Store};
use tokio::sync::{Notify, broadcast::error::RecvError, watch};
use tracing::warn;

use super::{GivenTo, OpenLease, admission::Coming, turns::Turns};
use crate::{committer::Committer, env::Clock};

/// How often the task looks while there are leases.
const LOOK: Duration = Duration::from_millis(500);

/// What a custodian was asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) lease: LeaseId,
    pub(crate) hsm: HsmId,
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) chr: String,
    /// SubjectPublicKeyInfo (DER) of the custodian key, taken from a registration that managers approved.
    pub(crate) spki: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) key_request: Vec<u8>,
    pub(crate) kind: StatementKind,
    pub(crate) challenge: [u8; 8],
    pub(crate) log: LogPlace,
    /// Reading of the node's monotonic clock after which it is not taken, milliseconds.
    pub(crate) until: u64,
}

/// Everything about leases that is in memory.
pub(crate) struct Leases {
    /// Leases that are not over.
    pub(crate) open: Mutex<HashMap<LeaseId, OpenLease>>,
    /// Questions to custodians, by session.
    pub(crate) asked: Mutex<HashMap<String, Asked>>,
    /// Leases to be; taken while `open` is held, or by itself.
    pub(super) coming: Mutex<Coming>,
    turns: Mutex<Turns>,
    /// HSMs that custodians opened by `hsm unlock`, for CAs and for work on the HSM itself.
    /// With the era of each ([`chancery_keys::Status::era`]): opened again, they were opened for something else.
    pub(crate) for_all: Mutex<HashMap<HsmId, u64>>,
    /// When each open HSM locks itself, as it was told in this era: a reading of the node's monotonic clock.
    pub(crate) limits: Mutex<HashMap<HsmId, (u64, Option<u64>)>>,
    /// See [`Desk::leave_behind`].
    pub(super) left: Mutex<HashMap<HsmId, GivenTo>>,
    /// Counts changes that somebody may wait for.
    pub(crate) changed: watch::Sender<u64>,
    /// See [`Desk::answering`].
    answering: Mutex<HashMap<HsmId, Arc<tokio::sync::Mutex<()>>>>,
    /// Held by who counts an answer or replaces a text, until that is recorded: an answer is about the text that the lease has. Nobody
    /// waits for an HSM meanwhile, and who holds an HSM's turn took that first.
    pub(crate) counting: tokio::sync::Mutex<()>,
    pub(super) closed: AtomicBool,
    /// Whose turn it is among HSMs that are equally busy.
    pub(crate) served: AtomicUsize,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(super) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) leases: Leases,
    pub(super) store: Arc<dyn Store>,
    pub(super) committer: Committer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pool: Arc<Pool>,
    pub(super) epoch: i64,
    wake: Arc<Notify>,
}

impl std::ops::Deref for Desk {
    type Target = Leases;

    fn deref(&self) -> &Leases {
        &self.inner.leases
    }
}

impl Desk {
    /// Starts the task; it ends after the last clone is gone.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        committer: Committer,
        clock: Arc<dyn Clock>,
        pool: Arc<Pool>,
        epoch: i64,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            leases: Leases {
                open: Mutex::default(),
                asked: Mutex::default(),
                coming: Mutex::default(),
                turns: Mutex::default(),
                for_all: Mutex::default(),
                limits: Mutex::default(),
                left: Mutex::default(),
                changed: watch::Sender::new(0),
                answering: Mutex::default(),
                counting: tokio::sync::Mutex::new(()),
                closed: AtomicBool::new(false),
                served: AtomicUsize::new(0),
            },
            store,
            committer,
            clock,
            pool,
            epoch,
            wake: Arc::clone(&wake),
        });
        let weak = Arc::downgrade(&inner);
        let mut states = inner.pool.changes();
        tokio::spawn(async move {
            loop {
                let idle = match weak.upgrade() {
                    Some(inner) => Self { inner }.is_idle(),
                    None => return,
                };
                let mut moved = false;
                if idle {
                    // Woken by the first lease, or ended by the last clone.
                    wake.notified().await;
                } else {
                    tokio::select! {
                        () = wake.notified() => {}
                        // One that was missed is looked at with the next.
                        state = states.recv() => moved = !matches!(state, Err(RecvError::Closed)),
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                let Some(inner) = weak.upgrade() else { return };
                let desk = Self { inner };
                desk.look().await;
                if moved {
                    // An HSM that came back may be asked for.
                    desk.tell();
                }
            }
        });
        Self { inner }
    }

    /// Whether there is nothing to look after: no lease, and no HSM that has still to be locked.
    fn is_idle(&self) -> bool {
        let none = self.book().is_empty() && held(&self.left).is_empty();
        let all = self.inner.pool.all();
        none && !all.iter().any(|(id, _)| self.is_unneeded(*id))
    }

    /// Reading of the node's monotonic clock, milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.inner.clock.monotonic_ms()
    }

    /// One answer to an HSM, or one locking of it for want of leases, at a time: it is not locked between its own answer and the
    /// lease's, and not opened by answers that are being forgotten. Each HSM by itself, as it may take long.
    pub(crate) async fn answering(&self, hsm: HsmId) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = Arc::clone(held(&self.answering).entry(hsm).or_default());
        turn.lock_owned().await
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, HashMap<LeaseId, OpenLease>> {
        held(&self.open)
    }

    /// Whose turn it is to answer a locked HSM.
    pub(crate) fn turns(&self) -> MutexGuard<'_, Turns> {
        held(&self.turns)
    }

    /// Notes that the requester of a lease is there, until this is dropped.
    pub(crate) fn attend(&self, lease: LeaseId) -> Attending {
        if let Some(attended) = self
            .book()
            .get_mut(&lease)
            .and_then(|lease| lease.attended.as_mut())
        {
            attended.looking += 1;
        }
        Attending {
            desk: self.clone(),
            lease,
        }
    }

    /// Has the task look at once.
    pub(crate) fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Tells whoever waits that something changed.
    pub(crate) fn tell(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Notices, ends, locks.
    pub(crate) async fn look(&self) {
        self.notice().await;
        self.lock_unneeded().await;
        self.limit().await;
    }

    /// Records what ended and how much is left of each lease; nothing is noticed any more.
    pub(crate) async fn close(&self) {
        self.notice().await;
        self.closed.store(true, Ordering::Release);
        let now = self.now();
        let writes: Vec<_> = {
            let open = self.book();
            let left = open.values().filter(|lease| lease.ended_ms.is_none());
            left.map(|lease| lease.update(self.inner.epoch, now)).collect()
        };
        for write in writes {
            let change = Change {
                writes: vec![write],
                events: Vec::new(),
            };
            if let Err(error) = self.inner.committer.commit(change).await {
                warn!(
                    because = Failure::from(error).message,
                    "what is left of a lease is not recorded"
                );
            }
        }
        self.wake();
    }
}

/// The requester of a lease looks after it.
pub(crate) struct Attending {
    desk: Desk,
    lease: LeaseId,
}

impl Drop for Attending {
    fn drop(&mut self) {
        let now = self.desk.now();
        if let Some(attended) = self
            .desk
            .book()
            .get_mut(&self.lease)
            .and_then(|lease| lease.attended.as_mut())
        {
            attended.looking = attended.looking.saturating_sub(1);
            attended.seen = now;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// Nothing panics while it holds one of these locks; were it otherwise, the values are still whole.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
