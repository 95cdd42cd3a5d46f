//! The life of a node: lock, database, center, socket, end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chancery_api::{Failure, FailureKind};
use chancery_center::{Center, Setup};
use chancery_store::{Store, StoreError};
use chancery_store_sqlite::SqliteStore;
use chancery_vtoken::{AtRest, LockError, LockFile};
use thiserror::Error;
use tokio::{net::UnixListener, time::timeout};
use tracing::{info, warn};

use crate::{
    audit_key::{AuditKey, AuditKeyError},
    door::Door,
    layout::{DataDir, LayoutError},
    marks::MarkFiles,
    network::{self, NetworkError, NetworkSettings, Online},
    node::{About, Node},
    signals::Signals,
    socket,
    system::{self, SystemClock, SystemEntropy},
    tokens::{AnchorsError, Tokens, VirtualTokens, trust_anchors},
};

/// How a node is run.
pub struct Options {
    /// Its data directory.
    pub data_dir: DataDir,
    /// How keys at rest are sealed.
    pub at_rest: AtRest,
    /// Time without a call after which the node ends itself while no HSM is unlocked; `None` for never.
    pub idle_stop: Option<Duration>,
    /// Where to listen on the network from now on; what the data directory remembers when absent.
    pub network: Option<NetworkSettings>,
    /// Leave the terminal's session: nobody waits for this process.
    pub background: bool,
    /// Version of the program, for `node.status`.
    pub version: String,
    /// Called once the node can be reached.
    pub ready: Option<Box<dyn FnOnce() + Send>>,
}

impl Options {
    /// A node in the foreground that ends itself after [`DEFAULT_IDLE_STOP`], keys at rest under the machine secret.
    #[must_use]
    pub fn new(data_dir: DataDir) -> Self {
        Self {
            at_rest: data_dir.at_rest(),
            data_dir,
            idle_stop: Some(DEFAULT_IDLE_STOP),
            network: None,
            background: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: None,
        }
    }
}

/// Time without a call after which a node ends itself unless told otherwise: 900 seconds.
pub const DEFAULT_IDLE_STOP: Duration = Duration::from_secs(900);

/// Why a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was not called for long enough, and no HSM was unlocked.
    Idle,
    /// `node.stop` was called.
    Asked,
    /// The operating system asked for it, with this signal.
    Signal(&'static str),
}

/// Why a node cannot run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The data directory has a node.
    #[error("data directory {} is in use by process {pid}", .path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The process; 0 when it did not say.
        pid: u32,
    },
    /// The data directory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The lock file.
    #[error("cannot use the lock of data directory {}", .path.display())]
    Lock {
        /// The data directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The key that signs the audit log.
    #[error(transparent)]
    AuditKey(#[from] AuditKeyError),
    /// Whom to trust.
    #[error(transparent)]
    Anchors(#[from] AnchorsError),
    /// The database.
    #[error("cannot open the database {}", .path.display())]
    Store {
        /// The database.
        path: PathBuf,
        /// The reason.
        #[source]
        source: StoreError,
    },
    /// The center.
    #[error("the trust center does not open: {0}")]
    Center(Failure),
    /// The socket.
    #[error("cannot listen on {}", .path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The network.
    #[error("the node cannot listen on the network")]
    Network(#[from] NetworkError),
    /// Threads or signals of the process.
    #[error("cannot set up the process")]
    Process(#[source] std::io::Error),
}

impl ServeError {
    /// Exit code of a process that ends with this: [`crate::EXIT_IN_USE`] tells a starter that it lost a race, 1 is anything else.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::InUse { .. } => crate::EXIT_IN_USE,
            _ => 1,
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let kind = match error {
            ServeError::Center(failure) => return failure,
            ServeError::InUse { .. }
            | ServeError::Network(NetworkError::Edge(chancery_gateway::EdgeError::InUse { .. })) => {
                FailureKind::Conflict
            }
            ServeError::Network(
                NetworkError::HalfAPair
                | NetworkError::Settings { .. }
                | NetworkError::Identity(_)
                | NetworkError::Edge(chancery_gateway::EdgeError::Address { .. }),
            ) => FailureKind::Invalid,
            _ => FailureKind::Unavailable,
        };
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(kind, message)
    }
}

/// How long locking the HSMs and closing the database may take each.
const CLOSE: Duration = Duration::from_secs(10);
/// Fewest threads that run calls: one that computes for long leaves some to the others.
const FEWEST_THREADS: usize = 4;

/// Runs the node of a data directory until it ends. Blocks; makes its own threads.
///
/// # Errors
/// [`ServeError::InUse`] when there is a node; [`ServeError`] otherwise when it cannot start.
pub fn serve(options: Options) -> Result<Stopped, ServeError> {
    if options.background {
        system::leave_session();
    }
    options.data_dir.require_owner()?;
    let path = options.data_dir.path().to_owned();
    // Dropped last: nobody else starts before everything is closed.
    let _lock = LockFile::take(&options.data_dir.lock()).map_err(|error| match error {
        LockError::InUse { pid } => ServeError::InUse { path, pid },
        LockError::Io(source) => ServeError::Lock { path, source },
    })?;
    let threads = std::thread::available_parallelism().map_or(FEWEST_THREADS, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(FEWEST_THREADS))
        .thread_name("node")
        .enable_all()
        .build()
        .map_err(ServeError::Process)?;
    let outcome = runtime.block_on(run(options));
    runtime.shutdown_timeout(CLOSE);
    outcome
}

async fn run(options: Options) -> Result<Stopped, ServeError> {
    let mut signals = Signals::new().map_err(ServeError::Process)?;
    let started = SystemClock.now();
    let data_dir = &options.data_dir;
    let installation = data_dir.installation()?;
    let remembered = NetworkSettings::load(data_dir)?;
    let is_online = !options.network.as_ref().unwrap_or(&remembered).is_empty();
    let idle_stop = if is_online { None } else { options.idle_stop };
    let anchors = Arc::new(trust_anchors(data_dir, &options.at_rest, started.date())?);
    let connectors = network::connectors(Arc::clone(&anchors));
    let audit = AuditKey::open_or_create(data_dir, &options.at_rest, installation.id)?;
    let database = data_dir.database();
    let store = SqliteStore::open(&database)
        .await
        .map_err(|source| ServeError::Store {
            path: database,
            source,
        })?;
    let shared = Arc::new(store.clone());
    let setup = Setup {
        installation,
        store: Arc::clone(&shared) as Arc<dyn Store>,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        tokens: Arc::new(Tokens {
            here: VirtualTokens::of(data_dir, options.at_rest.clone()),
            connectors: Arc::clone(&connectors),
        }),
        marks: Arc::new(MarkFiles::of(data_dir)),
        anchors,
        audit_signer: audit.signer,
        audit_key: audit.public_key,
    };
    let center = tokio::select! {
        center = Center::open(setup) => center.map_err(ServeError::Center)?,
        // As far as it got is as good as a crash, which harms nothing.
        name = signals.next() => return Ok(Stopped::Signal(name)),
    };
    let about = About {
        version: options.version,
        data_dir: data_dir.path().display().to_string(),
        started,
        idle_stop,
    };
    let node = Arc::new(Node::new(center, about));

    // Before the socket: who finds that finds a node that is whole.
    let opened = Online::open(&node, data_dir, options.network, &remembered, connectors).await;
    let online = match opened {
        Ok(online) => online,
        Err(error) => {
            // Nobody was told that the node is there; what it held is given back in order.
            end(node, shared, None).await;
            return Err(error.into());
        }
    };
    let bound = socket::bind(data_dir.path()).and_then(|listener| {
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    });
    let listener = bound.map_err(|source| ServeError::Socket {
        path: data_dir.socket(),
        source,
    })?;
    info!(
        pid = std::process::id(),
        epoch = node.center.epoch(),
        data_dir = %data_dir.path().display(),
        "the node is ready"
    );
    if let Some(ready) = options.ready {
        ready();
    }

    let mut door = Door::new(&node, listener);
    let why = door.answer(&mut signals, idle_stop).await;
    info!(?why, "the node ends");
    if let Err(error) = socket::unbind(data_dir.path()) {
        warn!(
            error = &error as &dyn std::error::Error,
            "the socket stays behind"
        );
    }
    door.close(&mut signals).await;
    end(node, shared, online).await;
    if timeout(CLOSE, store.close()).await.is_err() {
        warn!("the database was not closed in time; what was acknowledged is in its log");
    }
    Ok(why)
}

/// Locks the HSMs, gives them back and lets go of the center; what it still writes is written when this returns.
async fn end(node: Arc<Node>, store: Arc<SqliteStore>, mut online: Option<Online>) {
    if let Some(online) = &mut online {
        online.close_api().await;
    }
    match timeout(CLOSE, node.lock_all()).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => {
            warn!(%failure, "an HSM was not locked in order; the end of the process locks it")
        }
        Err(_) => warn!("an HSM did not answer; the end of the process locks it"),
    }
    if timeout(CLOSE, node.center.close()).await.is_err() {
        warn!("an HSM was not given back in order; a token put back to an older copy may go unnoticed");
    }
    drop(node);
    if let Some(online) = online {
        online.close().await;
    }
    // The committing task signs the audit log's head once the center is gone, then lets go of the database.
    let released = async {
        while Arc::strong_count(&store) > 1 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if timeout(CLOSE, released).await.is_err() {
        warn!("the database is still in use; the audit log's last head may not be signed");
    }
}
