//! The handle of an HSM: typed requests to its thread, each with a limit on the wait.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::Duration;

use chancery_cvc::TrustAnchors;
use chancery_schsm::KeyId;
use tokio::sync::{oneshot, watch};

use crate::shared::{Listener, Shared};
use crate::worker::{self, Job, Means, SignJob, Worker};
use crate::{
    Challenge, Connect, GenerateSpec, GeneratedKey, HsmError, Identity, ImportState, Initialise, Inspection,
    KeyCopy, SignatureAlgorithm, StartOptions, State, Status,
};

/// How long [`Hsm::close`] waits for the thread to let go of the token.
const LETTING_GO: Duration = Duration::from_secs(1);

/// An HSM on a thread of its own. Cheap to clone.
///
/// When the last clone is dropped, or [`Hsm::close`] is called, the token is locked by a SELECT and given back. The
/// methods need a tokio runtime with time enabled.
#[derive(Clone)]
pub struct Hsm {
    inner: Arc<Inner>,
}

struct Inner {
    jobs: Arc<SyncSender<Job>>,
    shared: Arc<Shared>,
    identity: Identity,
    options: StartOptions,
}

impl Hsm {
    /// Starts the thread, connects the token, selects its application and verifies its chain. Blocks.
    ///
    /// `clock` gives milliseconds since the Unix epoch; states are dated by it.
    ///
    /// # Errors
    /// [`HsmError::Connect`], [`HsmError::Chain`], or a command failed.
    pub fn start(
        name: &str,
        connect: Arc<dyn Connect>,
        anchors: Arc<TrustAnchors>,
        clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    ) -> Result<Self, HsmError> {
        Self::start_with(name, connect, anchors, clock, StartOptions::default())
    }

    /// As [`Hsm::start`], with limits of its own.
    ///
    /// # Errors
    /// As there.
    pub fn start_with(
        name: &str,
        connect: Arc<dyn Connect>,
        anchors: Arc<TrustAnchors>,
        clock: Arc<dyn Fn() -> i64 + Send + Sync>,
        options: StartOptions,
    ) -> Result<Self, HsmError> {
        let shared = Arc::new(Shared::new(name, clock));
        let (jobs, queue) = mpsc::sync_channel(options.queue.max(1));
        let jobs = Arc::new(jobs);
        // Wakes the thread for an answer. A full queue wakes it by itself, and without handles it ends.
        let waker = Arc::downgrade(&jobs);
        let ready = Arc::new(move || {
            if let Some(jobs) = waker.upgrade() {
                drop(jobs.try_send(Job::Wake));
            }
        });
        let (started, identity) = mpsc::sync_channel(1);
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("hsm-{name}"))
            .spawn(move || {
                let means = Means {
                    connect,
                    anchors,
                    options,
                    ready,
                };
                worker::run(of_thread, means, queue, &started);
            })
            .map_err(|source| HsmError::Thread {
                hsm: name.to_owned(),
                source,
            })?;
        let identity = identity.recv().map_err(|_| shared.gone())??;
        Ok(Self {
            inner: Arc::new(Inner {
                jobs,
                shared,
                identity,
                options,
            }),
        })
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.shared.name
    }

    /// Who the token is, as proven at the start. A token that is another one after a loss is refused.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// The state as the thread knows it. Never blocks and asks no token: [`Hsm::inspect`] does.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner.shared.state()
    }

    /// What locked the HSM without being asked to, such as a reset by another program; until it is opened again.
    #[must_use]
    pub fn locked_because(&self) -> Option<String> {
        self.inner.shared.locked_because()
    }

    /// The state, what led to it, and the latest loss.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.shared.status()
    }

    /// Follows [`Hsm::status`]. An HSM that nobody uses is asked now and then whether it is still as it was
    /// ([`StartOptions::probe`]), so that a loss shows by itself.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.inner.shared.watch()
    }

    pub(crate) fn on_change(&self, listener: Listener) {
        self.inner.shared.listen(listener);
    }

    /// Requests that wait or are under way.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.inner.shared.outstanding()
    }

    /// Whether it is open, and in this era if one is given.
    pub(crate) fn is_open_in(&self, era: Option<u64>) -> bool {
        self.inner.shared.is_open_in(era)
    }

    /// Asks the token what it holds, and notices when a quorum was lost or the token is gone. While a challenge is
    /// open this is what the token said when the challenge was drawn: nothing else reached it since.
    ///
    /// # Errors
    /// [`HsmError::Lost`], or a command failed.
    pub async fn inspect(&self) -> Result<Inspection, HsmError> {
        let (reply, answer) = oneshot::channel();
        self.ask(
            Job::Inspect(reply),
            answer,
            "be inspected",
            self.inner.options.command,
        )
        .await
    }

    /// Erases the token and sets it up with a quorum and a key domain: options 0000, no user PIN, all shares
    /// imported, the key check value compared with that of the shares.
    ///
    /// # Errors
    /// [`HsmError::HoldsKeys`] when there is any key but the device's own; [`HsmError::OtherKeyDomain`] when the token
    /// computed another key check value; or a command failed, and the call can be repeated.
    pub async fn initialise(&self, parameters: Initialise) -> Result<Inspection, HsmError> {
        self.run("be initialised", move |worker| worker.initialise(&parameters))
            .await
    }

    /// Registers a custodian key: `chain` is EF 2F02 of the custodian's token, `request` the key's CExx. Both are
    /// verified first. A key that is registered already is no error; the HSM tells names only, so after a restart a
    /// key of the same name passes for the same.
    ///
    /// # Errors
    /// [`HsmError::Unattested`], [`HsmError::Registration`], [`HsmError::WrongKey`] when the key is registered under
    /// another name, or another key under its name.
    pub async fn register(&self, chain: Vec<u8>, request: Vec<u8>) -> Result<Inspection, HsmError> {
        self.run("register a custodian", move |worker| {
            worker.register(&chain, &request)
        })
        .await
    }

    /// Draws a challenge for the custodian key with this holder reference. Until it is answered, replaced by another
    /// or expired, or the HSM is locked, every use of the HSM is refused as busy.
    ///
    /// # Errors
    /// [`HsmError::NoQuorum`], [`HsmError::NoSuchCustodian`], [`HsmError::AlreadyAnswered`], or a command failed.
    pub async fn challenge(&self, custodian_chr: &str) -> Result<Challenge, HsmError> {
        let (reply, answer) = oneshot::channel();
        let custodian = custodian_chr.to_owned();
        self.ask(
            Job::Challenge { custodian, reply },
            answer,
            "give a challenge",
            self.inner.options.command,
        )
        .await
    }

    /// Presents a custodian's answer, a plain signature `r | s` of 64 bytes. The state afterwards is the token's own
    /// count. A challenge is good for one answer, whatever the result; a signature of another length costs none.
    ///
    /// On an HSM that forgets earlier answers whenever a challenge is drawn, the first accepted answer after another one
    /// shows that: the state is [`State::Locked`], [`Hsm::locked_because`] says why, and every custodian is asked again over
    /// one challenge. The HSM is known for it from then on.
    ///
    /// # Errors
    /// [`HsmError::NoSuchChallenge`], [`HsmError::ChallengeExpired`], [`HsmError::AnswerRefused`], or a command
    /// failed.
    pub async fn answer(&self, session: &str, plain_signature: &[u8]) -> Result<State, HsmError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Answer {
            session: session.to_owned(),
            signature: plain_signature.to_vec(),
            reply,
        };
        self.ask(job, answer, "take the answer", self.inner.options.command)
            .await
    }

    /// Locks the HSM at once by selecting its application; an open challenge is gone.
    ///
    /// # Errors
    /// [`HsmError::Lost`]: then it cannot be used either.
    pub async fn lock(&self) -> Result<(), HsmError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Lock(reply), answer, "be locked", self.inner.options.command)
            .await
    }

    /// Has an open HSM locked after this time, by its own thread, and where it is remote by who holds it at the other end too.
    /// Each call replaces the one before, `None` takes the limit away, and a lock or a loss ends it.
    ///
    /// # Errors
    /// [`HsmError::Locked`] or [`HsmError::Lost`] when it is not open.
    pub async fn lock_in(&self, after: Option<Duration>) -> Result<(), HsmError> {
        let (reply, answer) = oneshot::channel();
        self.ask(
            Job::LockIn { after, reply },
            answer,
            "be told when to lock",
            self.inner.options.command,
        )
        .await
    }

    /// Connects the token again after a loss. It is locked then, and must be the same device as before. An HSM that
    /// is not lost is only inspected. A remote token proves by chip authentication which device it is.
    ///
    /// # Errors
    /// [`HsmError::Connect`], [`HsmError::OtherDevice`], or a command failed; the HSM stays lost.
    pub async fn reconnect(&self) -> Result<Inspection, HsmError> {
        let (reply, answer) = oneshot::channel();
        self.ask(
            Job::Reconnect(reply),
            answer,
            "be connected again",
            self.inner.options.procedure,
        )
        .await
    }

    /// Generates a key, verifies that it was generated in this HSM, and writes its description. When the id holds
    /// such a key already, that key is given back: an interrupted call can be repeated.
    ///
    /// # Errors
    /// [`HsmError::Locked`], [`HsmError::Unattested`], [`HsmError::WrongKey`] when the id holds a key of another kind
    /// or one its request is not for, or a command failed.
    pub async fn generate(&self, spec: GenerateSpec) -> Result<GeneratedKey, HsmError> {
        self.run("generate a key", move |worker| worker.generate(&spec))
            .await
    }

    /// The key under an id and the proof of its origin; works while the HSM is locked. The proof is of the request:
    /// only a signature shows that the key itself is the one it names.
    ///
    /// # Errors
    /// [`HsmError::Unattested`] when this HSM did not generate it, as with a copy; or a command failed.
    pub async fn key(&self, key_id: u8) -> Result<Option<GeneratedKey>, HsmError> {
        self.run("read a key", move |worker| worker.key(KeyId(key_id)))
            .await
    }

    /// Stores an X.509 certificate with a key, in place of the request that proves its origin.
    ///
    /// # Errors
    /// [`HsmError::Locked`], [`HsmError::WrongKey`] when the certificate is for another key, or a command failed.
    pub async fn put_certificate(&self, key_id: u8, der: Vec<u8>) -> Result<(), HsmError> {
        self.run("store a certificate", move |worker| {
            worker.put_certificate(KeyId(key_id), &der)
        })
        .await
    }

    /// A key under the key encryption key of its domain, with description and request, for [`Hsm::import`].
    ///
    /// # Errors
    /// [`HsmError::Locked`], [`HsmError::NoSuchKey`], or a command failed.
    pub async fn export(&self, key_id: u8) -> Result<KeyCopy, HsmError> {
        self.run("export a key", move |worker| worker.export(KeyId(key_id)))
            .await
    }

    /// Makes this HSM hold the key of `expected_spki` (SubjectPublicKeyInfo, DER), with description and request,
    /// whatever an interrupted import left behind. The copy proves itself by a signature.
    ///
    /// # Errors
    /// [`HsmError::OtherKeyDomain`] before anything is written; [`HsmError::WrongKey`] when the copy is not the
    /// expected key, or another key stands under the id, which is left alone; or a command failed, and the call can be
    /// repeated.
    pub async fn import(
        &self,
        key_id: u8,
        copy: KeyCopy,
        expected_spki: &[u8],
    ) -> Result<ImportState, HsmError> {
        let expected = expected_spki.to_vec();
        self.run("import a key", move |worker| {
            worker.import(KeyId(key_id), &copy, &expected)
        })
        .await
    }

    /// One signature, one command to the token.
    ///
    /// # Errors
    /// [`HsmError::Locked`], [`HsmError::Lost`], [`HsmError::Busy`], or the command failed.
    pub async fn sign(
        &self,
        key_id: u8,
        algorithm: SignatureAlgorithm,
        input: Vec<u8>,
    ) -> Result<Vec<u8>, HsmError> {
        self.sign_in(key_id, algorithm, input, None).await
    }

    async fn sign_in(
        &self,
        key_id: u8,
        algorithm: SignatureAlgorithm,
        input: Vec<u8>,
        era: Option<u64>,
    ) -> Result<Vec<u8>, HsmError> {
        let (reply, answer) = oneshot::channel();
        let job = SignJob {
            key: KeyId(key_id),
            algorithm: algorithm.on_card(),
            input,
            era,
            reply,
        };
        self.ask(Job::Sign(job), answer, "sign", self.inner.options.command)
            .await
    }

    /// As [`Hsm::sign`], for a key that other HSMs hold as well: when the token does not get on for a while
    /// ([`StartOptions::patience`]), as when the way to it is cut, and `elsewhere` says that another could sign meanwhile, this one is waited for no longer. Should it sign
    /// all the same, that signature is discarded.
    ///
    /// With an `era` ([`Status::era`]) it signs in that era only: custodians who opened it then did so for this. That is looked at
    /// on the HSM's thread before the command is sent.
    ///
    /// # Errors
    /// As [`Hsm::sign`]; [`HsmError::Timeout`] when it was given up; [`HsmError::OpenedAnew`] in another era.
    pub async fn sign_here_or(
        &self,
        key_id: u8,
        algorithm: SignatureAlgorithm,
        input: Vec<u8>,
        era: Option<u64>,
        elsewhere: impl Fn() -> bool + Send,
    ) -> Result<Vec<u8>, HsmError> {
        let patience = self.inner.options.patience;
        let mut here = std::pin::pin!(self.sign_in(key_id, algorithm, input, era));
        loop {
            match tokio::time::timeout(patience, &mut here).await {
                Ok(result) => return result,
                Err(_) if self.is_stalled() && elsewhere() => {
                    return Err(HsmError::Timeout {
                        hsm: self.name().to_owned(),
                        doing: "sign",
                        after: patience,
                    });
                }
                Err(_) => {}
            }
        }
    }

    /// Whether the token has not got on with what it was asked for within [`StartOptions::patience`]. Others are to be asked first.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.inner.shared.is_stalled(self.inner.options.patience)
    }

    /// Ends the thread and gives the token back. The state is lost with this cause from now on, and waiting requests
    /// fail with it.
    ///
    /// Blocks up to a second for a command under way to end; a command that takes longer keeps the token until it has
    /// ended. Async callers use [`Hsm::closed`].
    pub fn close(&self, because: &str) {
        self.tell_end(because);
        self.inner.shared.wait_for_end(LETTING_GO);
    }

    /// As [`Hsm::close`], and waits on a thread for blocking work. Dropping the future ends the wait and nothing else.
    pub async fn closed(&self, because: &str) {
        self.tell_end(because);
        let shared = Arc::clone(&self.inner.shared);
        // A runtime that shuts down does not wait; the thread ends either way.
        drop(tokio::task::spawn_blocking(move || shared.wait_for_end(LETTING_GO)).await);
    }

    fn tell_end(&self, because: &str) {
        self.inner.shared.close(because);
        // Wakes a thread that waits; one that works looks by itself.
        drop(self.inner.jobs.try_send(Job::Wake));
    }

    /// A procedure on the thread. It is not begun when nobody waits for it any more, and finished once it is begun.
    async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        task: impl FnOnce(&mut Worker) -> Result<T, HsmError> + Send + 'static,
    ) -> Result<T, HsmError> {
        let (reply, answer) = oneshot::channel::<Result<T, HsmError>>();
        let job = Job::Run(Box::new(move |turn| {
            if !reply.is_closed() {
                drop(reply.send(turn.and_then(task)));
            }
        }));
        self.ask(job, answer, doing, self.inner.options.procedure).await
    }

    async fn ask<T>(
        &self,
        job: Job,
        mut answer: oneshot::Receiver<Result<T, HsmError>>,
        doing: &'static str,
        limit: Duration,
    ) -> Result<T, HsmError> {
        let shared = &self.inner.shared;
        let _counted = shared.count();
        self.inner.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => shared.busy("its queue is full"),
            TrySendError::Disconnected(_) => shared.gone(),
        })?;
        match tokio::time::timeout(limit, &mut answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(shared.gone()),
            Err(_) => {
                // From here on the thread knows that nobody waits; what it had sent before is not lost.
                answer.close();
                answer.try_recv().unwrap_or_else(|_| {
                    Err(HsmError::Timeout {
                        hsm: shared.name.clone(),
                        doing,
                        after: limit,
                    })
                })
            }
        }
    }
}

impl fmt::Debug for Hsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hsm({}, {})", self.name(), self.state())
    }
}
