//! A session with its callers: token threads block on it, requests await its answers, a timer ticks it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chancery_iso7816::TransportError;
use chancery_keys::Known;
use chancery_ram::message::Initiation;
use chancery_ram::server::{Answer, JobId, JobResult, Kind, Limits, Output, PostId, Session};
use tokio::sync::{Notify, oneshot};
use tracing::warn;

/// Told once when a session takes no more commands: its number and why.
pub(super) type OnEnd = dyn Fn(u64, &str) + Send + Sync;

/// A session.
pub(super) struct Live {
    /// Number of the session.
    pub(super) id: u64,
    /// Since when, in milliseconds since the Unix epoch.
    pub(super) since_ms: i64,
    /// Where the agent is.
    pub(super) address: Option<SocketAddr>,
    pub(super) kind: Kind,
    inner: Mutex<Inner>,
    /// A job is done.
    done: Condvar,
    /// The time of the next tick may have changed.
    changed: Notify,
    on_end: Box<OnEnd>,
    /// Whether its secret was used: the client has it.
    confirmed: AtomicBool,
}

struct Inner {
    session: Session,
    posts: HashMap<PostId, oneshot::Sender<Answer>>,
    next_post: u64,
    /// Jobs whose results are to come, or wait to be taken.
    jobs: HashMap<JobId, Slot>,
    /// Told of results.
    ready: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Why the session takes no more commands.
    ended: Option<String>,
    /// Whether somebody has the token.
    taken: bool,
    proven: bool,
    /// What is known of the token, once it has proven which device it is.
    known: Option<Known>,
    /// When the token is to be locked, once that was said: an inner `None` takes it back.
    lock_at: Option<Option<Instant>>,
}

/// What becomes of a job's result.
enum Slot {
    /// Somebody wants it.
    Wanted,
    /// It is here.
    Here(JobResult),
    /// Whoever wanted it has given it up after the command, with this INS, had gone out.
    GivenUp(u8),
}

/// A POST that waits for its answer. Given up, it tells the session that its connection is gone.
pub(super) struct Held {
    live: Arc<Live>,
    post: PostId,
    answer: oneshot::Receiver<Answer>,
    answered: bool,
}

/// What an answer carries beside its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockIn {
    /// Nothing was said.
    Unsaid,
    /// The token need not be locked.
    Never,
    /// Seconds until it is to be locked, at least 1.
    Seconds(u64),
}

impl Live {
    /// Begins a session with its first POST, and ticks it until it is gone.
    pub(super) fn open(
        id: u64,
        since_ms: i64,
        address: Option<SocketAddr>,
        kind: Kind,
        initiation: Initiation,
        limits: Limits,
        on_end: Box<OnEnd>,
    ) -> (Arc<Self>, Held) {
        let post = FIRST;
        let (answers, answer) = oneshot::channel();
        let live = Arc::new(Self {
            id,
            since_ms,
            address,
            kind,
            inner: Mutex::new(Inner {
                session: Session::open(kind, initiation, limits, post, Instant::now()),
                posts: HashMap::from([(post, answers)]),
                next_post: 1,
                jobs: HashMap::new(),
                ready: None,
                ended: None,
                taken: false,
                proven: false,
                known: None,
                lock_at: None,
            }),
            done: Condvar::new(),
            changed: Notify::new(),
            on_end,
            confirmed: AtomicBool::new(false),
        });
        let held = Held {
            live: Arc::clone(&live),
            post,
            answer,
            answered: false,
        };
        (live, held)
    }

    /// The client has the session's secret; whether that is new.
    pub(super) fn confirm(&self) -> bool {
        !self.confirmed.swap(true, Ordering::SeqCst)
    }

    /// Ticks the session until nothing is left of it.
    pub(super) async fn keep_time(&self) {
        loop {
            let Some(deadline) = self.lock().session.deadline() else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep_until(deadline.into()) => self.with(Session::tick),
                () = self.changed.notified() => {}
            }
        }
    }

    /// A POST: `take` tells the session of it.
    pub(super) fn post(self: &Arc<Self>, take: impl FnOnce(&mut Session, PostId, Instant)) -> Held {
        let (answers, answer) = oneshot::channel();
        let post = {
            let mut inner = self.lock();
            let post = PostId(inner.next_post);
            inner.next_post += 1;
            inner.posts.insert(post, answers);
            post
        };
        self.with(|session, now| take(session, post, now));
        Held {
            live: Arc::clone(self),
            post,
            answer,
            answered: false,
        }
    }

    /// Does something with the session and passes on what comes of it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Session, Instant) -> R) -> R {
        let (result, ready, ended) = {
            let mut inner = self.lock();
            let result = act(&mut inner.session, Instant::now());
            let (results, ended) = inner.pass_on(self.id);
            let ready = results.then(|| inner.ready.clone()).flatten();
            if results {
                self.done.notify_all();
            }
            (result, ready, ended)
        };
        self.changed.notify_one();
        if let Some(because) = ended {
            (self.on_end)(self.id, &because);
        }
        if let Some(ready) = ready {
            ready();
        }
        result
    }

    /// Queues a job whose result [`Self::wait_for`] or [`Self::try_take`] gives.
    pub(super) fn submit(
        &self,
        act: impl FnOnce(&mut Session, Instant) -> JobId,
    ) -> Result<JobId, TransportError> {
        if let Some(because) = &self.lock().ended {
            return Err(TransportError::lost(because));
        }
        // The result may be there before anybody could say that it is wanted: want it under the same lock.
        let mut inner = self.lock();
        let job = act(&mut inner.session, Instant::now());
        inner.jobs.insert(job, Slot::Wanted);
        drop(inner);
        self.with(|_, _| ());
        Ok(job)
    }

    /// Waits until a job is done.
    pub(super) fn wait_for(&self, job: JobId) -> JobResult {
        loop {
            let mut inner = self.lock();
            if let Some(result) = inner.take(job) {
                return result;
            }
            // The session ends every job in time; should its timer be gone with the runtime, it is ticked here.
            let (mut inner, wait) = self
                .done
                .wait_timeout(inner, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(result) = inner.take(job) {
                return result;
            }
            drop(inner);
            if wait.timed_out() {
                self.with(Session::tick);
            }
        }
    }

    /// The result of a job, if it is done.
    pub(super) fn try_take(&self, job: JobId) -> Option<JobResult> {
        self.lock().take(job)
    }

    /// Gives up jobs, each with its INS: what is not with the client yet never goes there, other results are dropped.
    pub(super) fn give_up(&self, jobs: impl Iterator<Item = (JobId, u8)>) {
        let mut inner = self.lock();
        for (job, instruction) in jobs {
            match inner.jobs.remove(&job) {
                Some(Slot::Wanted) if !inner.session.cancel(job) => {
                    inner.jobs.insert(job, Slot::GivenUp(instruction));
                }
                Some(Slot::Here(Ok(_))) => dropped(self.id, instruction),
                _ => {}
            }
        }
    }

    /// Takes the token for somebody; `false` when somebody has it.
    pub(super) fn take(&self) -> bool {
        !std::mem::replace(&mut self.lock().taken, true)
    }

    /// Gives the token back.
    pub(super) fn give_back(&self) {
        let mut inner = self.lock();
        inner.taken = false;
        inner.ready = None;
    }

    pub(super) fn set_ready(&self, ready: Arc<dyn Fn() + Send + Sync>) {
        self.lock().ready = Some(ready);
    }

    pub(super) fn set_lock(&self, after: Option<Duration>) {
        self.lock().lock_at = Some(after.and_then(|after| Instant::now().checked_add(after)));
    }

    pub(super) fn set_authenticated(&self) {
        let mut inner = self.lock();
        inner.proven = true;
        inner.session.authenticated();
    }

    pub(super) fn remember(&self, known: Known) {
        self.lock().known = Some(known);
    }

    pub(super) fn remembered(&self) -> Option<Known> {
        self.lock().known.as_mut().map(Known::hand_out)
    }

    /// Whether chip authentication has proven the token.
    pub(super) fn is_authenticated(&self) -> bool {
        self.lock().proven
    }

    pub(super) fn max_command(&self) -> usize {
        self.lock().session.max_command()
    }

    /// What to say of the lock.
    pub(super) fn lock_in(&self) -> LockIn {
        match self.lock().lock_at {
            None => LockIn::Unsaid,
            Some(None) => LockIn::Never,
            Some(Some(at)) => LockIn::Seconds(at.saturating_duration_since(Instant::now()).as_secs().max(1)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Passes on what the session gives out; whether a wanted result is among it, and whether the session ended.
    fn pass_on(&mut self, id: u64) -> (bool, Option<String>) {
        let mut results = false;
        let mut ended = None;
        while let Some(output) = self.session.poll() {
            match output {
                Output::Answer { post, answer } => {
                    if let Some(answers) = self.posts.remove(&post) {
                        // Whoever waited may be gone; the session goes by what comes next.
                        let _ = answers.send(answer);
                    }
                }
                Output::Done { job, result } => match self.jobs.remove(&job) {
                    Some(Slot::GivenUp(instruction)) if result.is_ok() => dropped(id, instruction),
                    Some(Slot::Wanted) => {
                        self.jobs.insert(job, Slot::Here(result));
                        results = true;
                    }
                    _ => {}
                },
                Output::TooLate { instructions } => {
                    for instruction in instructions {
                        dropped(id, instruction);
                    }
                }
                Output::Ended { because } => {
                    self.ended = Some(because.clone());
                    ended = Some(because);
                }
            }
        }
        (results, ended)
    }

    fn take(&mut self, job: JobId) -> Option<JobResult> {
        match self.jobs.remove(&job) {
            Some(Slot::Here(result)) => Some(result),
            Some(slot) => {
                self.jobs.insert(job, slot);
                None
            }
            None => Some(Err(TransportError::Failed {
                reason: "no such command is under way".to_owned(),
            })),
        }
    }
}

/// A card has carried out a command that nobody waits for any more.
fn dropped(session: u64, instruction: u8) {
    warn!(
        session,
        instruction = format_args!("{instruction:02X}"),
        "a token carried out a command whose answer came too late and was dropped"
    );
}

impl Held {
    /// The session it belongs to.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// Waits for the answer.
    pub(super) async fn answer(mut self) -> Answer {
        let answer = (&mut self.answer).await;
        self.answered = true;
        answer.unwrap_or(Answer::Unknown)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.answered {
            let post = self.post;
            self.live.lock().posts.remove(&post);
            self.live.with(|session, now| {
                if post == FIRST {
                    // Nobody has the session's secret, and nobody can go on with it.
                    session.close(NEVER_ANSWERED, now);
                } else {
                    session.post_gone(post, now);
                }
            });
        }
    }
}

/// The POST that begins a session.
const FIRST: PostId = PostId(0);
const NEVER_ANSWERED: &str = "the connection broke before the client had its first answer";
/// How long a token's thread sleeps at most before it looks at the time itself.
const PATIENCE: Duration = Duration::from_secs(1);
