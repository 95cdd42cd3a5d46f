//! The thread that owns an HSM's token. One file for each group of procedures.

mod copy;
mod held;
mod inspect;
mod keys;
mod quorum;
mod replies;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::Instant;

use chancery_cvc::{DeviceIdentity, TrustAnchors};
use chancery_driver::QuorumMemory;
use chancery_schsm::{Algorithm, KeyId, PkaStatus};
use tokio::sync::oneshot;

use self::held::{Attached, Held, SharedToken};
use self::replies::Replies;
use crate::shared::{End, Shared};
use crate::{Challenge, Connect, HsmError, Identity, Inspection, StartOptions, State};

/// Where a result goes. Closed when nobody waits any more.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, HsmError>>;

/// A procedure; it gets an error instead of the thread's state when the HSM cannot be used now.
pub(crate) type Task = Box<dyn FnOnce(Result<&mut Worker, HsmError>) + Send>;

/// A request to the thread.
pub(crate) enum Job {
    Sign(SignJob),
    Inspect(Reply<Inspection>),
    Challenge {
        custodian: String,
        reply: Reply<Challenge>,
    },
    Answer {
        session: String,
        signature: Vec<u8>,
        reply: Reply<State>,
    },
    Lock(Reply<()>),
    Reconnect(Reply<Inspection>),
    Run(Task),
    /// Nothing but a reason to look around.
    Wake,
}

/// The request whose speed matters: no box, one reply.
pub(crate) struct SignJob {
    pub(crate) key: KeyId,
    pub(crate) algorithm: Algorithm,
    pub(crate) input: Vec<u8>,
    pub(crate) reply: Reply<Vec<u8>>,
}

/// What the thread knows.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    connect: Arc<dyn Connect>,
    anchors: Arc<TrustAnchors>,
    options: StartOptions,
    jobs: Receiver<Job>,
    card: Held,
    /// The same token, for what is no APDU; `None` while it is lost.
    token: Option<SharedToken>,
    device: DeviceIdentity,
    chain: Vec<u8>,
    /// The count of custodians last read.
    status: Option<PkaStatus>,
    /// What an unlock has shown of the HSM, between two custodians.
    memory: QuorumMemory,
    initialised: bool,
    /// Public keys (SubjectPublicKeyInfo) of custodians registered through this thread, by name.
    registered: BTreeMap<String, Vec<u8>>,
    /// The challenge that expired last.
    expired: Option<String>,
}

/// The whole life of the thread.
pub(crate) fn run(
    shared: Arc<Shared>,
    connect: Arc<dyn Connect>,
    anchors: Arc<TrustAnchors>,
    options: StartOptions,
    jobs: Receiver<Job>,
    ready: &SyncSender<Result<Identity, HsmError>>,
) {
    // Dropped last: who waits for the end finds the token given back.
    let _end = End(Arc::clone(&shared));
    let started = held::attach(&shared.name, &*connect, &anchors).and_then(|attached| {
        let identity = attached.identity(&shared.name)?;
        let Attached {
            card,
            token,
            device,
            chain,
        } = attached;
        let mut worker = Worker {
            shared,
            connect,
            anchors,
            options,
            jobs,
            card: Held::Selected(card),
            token: Some(token),
            device,
            chain,
            status: None,
            memory: QuorumMemory::default(),
            initialised: false,
            registered: BTreeMap::new(),
            expired: None,
        };
        worker.look(None)?;
        Ok((worker, identity))
    });
    let (worker, result) = match started {
        Ok((worker, identity)) => (Some(worker), Ok(identity)),
        Err(error) => (None, Err(error)),
    };
    let caller_waits = ready.send(result).is_ok();
    if let (Some(worker), true) = (worker, caller_waits) {
        worker.serve();
    }
}

impl Worker {
    fn serve(mut self) {
        let mut replies = Replies::default();
        let mut next = None;
        while !self.shared.is_closing() {
            let job = match next.take().map_or_else(|| self.jobs.try_recv(), Ok) {
                Ok(job) => job,
                Err(TryRecvError::Empty) => {
                    replies.send(&self.shared);
                    match self.jobs.recv() {
                        Ok(job) => job,
                        Err(_) => break,
                    }
                }
                Err(TryRecvError::Disconnected) => break,
            };
            next = match job {
                Job::Sign(job) => {
                    self.sign(job, &mut replies);
                    None
                }
                other => {
                    replies.send(&self.shared);
                    self.handle(other)
                }
            };
        }
        replies.send(&self.shared);
        self.let_go();
    }

    fn sign(&mut self, job: SignJob, replies: &mut Replies) {
        if job.reply.is_closed() {
            return;
        }
        let began = Instant::now();
        let result = match &mut self.card {
            Held::Open(card) => card.sign(job.key, job.algorithm, &job.input),
            _ => {
                let locked = Err(self.shared.not_open());
                return replies.push(job.key, job.reply, locked, began, &self.shared);
            }
        };
        let result = result.map_err(|error| self.failed("sign", error));
        replies.push(job.key, job.reply, result, began, &self.shared);
    }

    /// Carries out a request. Gives back the one that ended an open challenge, to be carried out next.
    fn handle(&mut self, job: Job) -> Option<Job> {
        match job {
            Job::Inspect(reply) => answer(reply, || self.inspect()),
            Job::Lock(reply) => answer(reply, || self.lock()),
            Job::Reconnect(reply) => answer(reply, || self.reconnect()),
            Job::Run(task) => task(Ok(self)),
            Job::Challenge { custodian, reply } => return self.challenge(&custodian, reply),
            Job::Answer { session, reply, .. } => answer(reply, || {
                let hsm = self.shared.name.clone();
                if self.expired.as_ref() == Some(&session) {
                    Err(HsmError::ChallengeExpired { hsm })
                } else {
                    Err(HsmError::NoSuchChallenge { hsm })
                }
            }),
            // Signatures come another way; one that ended up here after a challenge has nobody waiting in batches.
            Job::Sign(job) => {
                let mut replies = Replies::default();
                self.sign(job, &mut replies);
                replies.send(&self.shared);
            }
            Job::Wake => {}
        }
        None
    }

    fn lock(&mut self) -> Result<(), HsmError> {
        match &self.card {
            Held::Gone => Err(self.shared.not_open()),
            _ => {
                self.select_again()?;
                self.look(None)
            }
        }
    }
}

/// Carries out what somebody waits for; nobody waiting, nothing done.
fn answer<T>(reply: Reply<T>, work: impl FnOnce() -> Result<T, HsmError>) {
    if !reply.is_closed() {
        drop(reply.send(work()));
    }
}
