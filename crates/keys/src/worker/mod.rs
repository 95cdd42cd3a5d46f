//! The thread that owns an HSM's token. One file for each group of procedures.

mod attach;
mod copy;
mod held;
mod idle;
mod inspect;
mod keys;
mod quorum;
mod recover;
mod replies;
mod setup;
mod stream;
mod way;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use chancery_cvc::{DeviceIdentity, TrustAnchors};
use chancery_driver::QuorumMemory;
use chancery_schsm::{Algorithm, KeyId, PkaStatus};
use tokio::sync::oneshot;

pub use self::attach::identify;
use self::held::Held;
use self::replies::Replies;
use self::way::Way;
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
    LockIn {
        after: Option<Duration>,
        reply: Reply<()>,
    },
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
    /// The era it is asked for; it is not made in a later one.
    pub(crate) era: Option<u64>,
    pub(crate) reply: Reply<Vec<u8>>,
}

/// What the thread is started with.
pub(crate) struct Means {
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) anchors: Arc<TrustAnchors>,
    pub(crate) options: StartOptions,
    /// Puts [`Job::Wake`] into the thread's queue.
    pub(crate) ready: Arc<dyn Fn() + Send + Sync>,
}

/// What the thread knows.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    connect: Arc<dyn Connect>,
    anchors: Arc<TrustAnchors>,
    options: StartOptions,
    ready: Arc<dyn Fn() + Send + Sync>,
    jobs: Receiver<Job>,
    card: Held,
    /// The way to the same token, for what is no APDU; `None` while it is lost.
    way: Option<Way>,
    /// Signatures that may be under way at a time.
    window: usize,
    /// Whether the way to the token puts [`Job::Wake`] into the queue when an answer is there.
    tells: bool,
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
    /// Whether a lost channel is being replaced.
    recovering: bool,
    /// Whether something was asked of the token since it was last known when to probe it.
    touched: bool,
    probe_at: Option<Instant>,
    /// When to lock the token.
    lock_at: Option<Instant>,
}

/// The whole life of the thread.
pub(crate) fn run(
    shared: Arc<Shared>,
    means: Means,
    jobs: Receiver<Job>,
    started: &SyncSender<Result<Identity, HsmError>>,
) {
    // Dropped last: who waits for the end finds the token given back.
    let _end = End(Arc::clone(&shared));
    let (worker, result) = match Worker::start(shared, means, jobs) {
        Ok((worker, identity)) => (Some(worker), Ok(identity)),
        Err(error) => (None, Err(error)),
    };
    let caller_waits = started.send(result).is_ok();
    if let (Some(worker), true) = (worker, caller_waits) {
        worker.serve();
    }
}

impl Worker {
    fn start(shared: Arc<Shared>, means: Means, jobs: Receiver<Job>) -> Result<(Self, Identity), HsmError> {
        let Means {
            connect,
            anchors,
            options,
            ready,
        } = means;
        let attached = attach::attach(&shared.name, &*connect, &anchors, Arc::clone(&ready))?;
        let identity = attached.identity(&shared.name)?;
        let mut worker = Self {
            shared,
            connect,
            anchors,
            options,
            ready,
            jobs,
            card: Held::Gone,
            way: None,
            window: 1,
            tells: false,
            device: attached.device.clone(),
            chain: Vec::new(),
            status: None,
            memory: QuorumMemory::default(),
            initialised: false,
            registered: BTreeMap::new(),
            expired: None,
            recovering: false,
            touched: true,
            probe_at: None,
            lock_at: None,
        };
        worker.take_over(attached);
        worker.twice(|worker| worker.look(None))?;
        Ok((worker, identity))
    }

    fn serve(mut self) {
        let mut replies = Replies::default();
        let mut next = None;
        while !self.shared.is_closing() {
            if self.is_to_be_locked() {
                replies.send(&self.shared);
                self.lock_now();
            }
            let job = match next.take().map_or_else(|| self.jobs.try_recv(), Ok) {
                Ok(job) => job,
                Err(TryRecvError::Empty) => {
                    replies.send(&self.shared);
                    match self.idle() {
                        Some(job) => job,
                        None => break,
                    }
                }
                Err(TryRecvError::Disconnected) => break,
            };
            next = match job {
                Job::Sign(job) if self.window > 1 => self.stream(job),
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
        self.touched = true;
        let began = Instant::now();
        self.shared.at_work(began);
        let mut result = self.sign_once(&job);
        if let Err(HsmError::ChannelLost { .. }) = result {
            // Whether it was made is unknown; made twice it is one signature as good as the other.
            result = self.sign_once(&job);
        }
        replies.push(job.key, job.reply, result, began, &self.shared);
    }

    fn sign_once(&mut self, job: &SignJob) -> Result<Vec<u8>, HsmError> {
        self.require_era(job)?;
        match &mut self.card {
            Held::Open(card) => match card.sign(job.key, job.algorithm, &job.input) {
                Ok(signature) => Ok(signature),
                Err(error) => Err(self.failed("sign", error)),
            },
            _ => Err(self.shared.not_open()),
        }
    }

    /// Refuses what was asked for before the HSM was locked. Nobody but this thread locks it or has it opened, so what holds here
    /// holds for the next command.
    fn require_era(&self, job: &SignJob) -> Result<(), HsmError> {
        match job.era {
            Some(era) if era != self.shared.era() => Err(match &self.card {
                Held::Open(_) => HsmError::OpenedAnew {
                    hsm: self.shared.name.clone(),
                },
                _ => self.shared.not_open(),
            }),
            _ => Ok(()),
        }
    }

    /// Carries out a request. Gives back the one that ended an open challenge, to be carried out next.
    fn handle(&mut self, job: Job) -> Option<Job> {
        self.shared.at_work(Instant::now());
        self.touched |= !matches!(job, Job::Wake | Job::Answer { .. });
        match job {
            Job::Inspect(reply) => answer(reply, || self.twice(Self::inspect)),
            Job::Lock(reply) => answer(reply, || self.lock()),
            Job::LockIn { after, reply } => answer(reply, || self.lock_in(after)),
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
            // Signatures come another way.
            Job::Sign(job) => {
                let mut replies = Replies::default();
                self.sign(job, &mut replies);
                replies.send(&self.shared);
            }
            Job::Wake => {}
        }
        None
    }
}

/// Carries out what somebody waits for; nobody waiting, nothing done.
fn answer<T>(reply: Reply<T>, work: impl FnOnce() -> Result<T, HsmError>) {
    if !reply.is_closed() {
        drop(reply.send(work()));
    }
}
