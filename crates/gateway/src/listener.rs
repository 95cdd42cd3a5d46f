//! One listening socket: TLS handshakes, HTTP, and limits on what strangers can hold.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use chancery_api::Hash32;
use hyper::{Request, Response, body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::ServiceExt;
use tracing::{debug, error, warn};

use crate::{
    standing::{self, Standing},
    tls,
};

/// Who is at the other end of a connection. Every request has it among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// SHA-256 of the SubjectPublicKeyInfo (DER) it proved to have; absent without a client certificate.
    pub key: Option<Hash32>,
}

/// What the other ends of a listener can hold at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections.
    pub(crate) connections: usize,
    /// Connections from one address.
    pub(crate) per_address: usize,
    /// Connections that have shown nothing yet. More wait, with nothing of theirs read.
    pub(crate) strangers: usize,
    /// The same from one address.
    pub(crate) strangers_per_address: usize,
    /// Requests at once on one connection of HTTP/2.
    pub(crate) streams: u32,
    /// How long a connection may stay without a request, and the head of one may take.
    pub(crate) idle: Duration,
}

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a stranger waits for a place among the others.
const WAIT: Duration = Duration::from_secs(10);
/// How long a connection is kept on which nobody has shown that he belongs here.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// Most lines in the head of a request.
const MOST_HEADERS: usize = 64;
/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long an HTTP/2 connection may be silent before the other end is asked whether it is there, and may then take to answer.
const PING: Duration = Duration::from_secs(20);
/// How long a connection that was asked to end may still take.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long, and for how many bytes, somebody turned away in the handshake is listened to, so that the reason arrives.
const LINGER: (Duration, u64) = (Duration::from_secs(2), 64 * 1024);
/// Pause after the system had no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// A socket that answers.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    ends: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Answers on this socket.
    pub(crate) fn start(
        socket: TcpListener,
        tls: Arc<ServerConfig>,
        router: Router,
        limits: Limits,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let (ends, ending) = watch::channel(false);
        let shared = Arc::new(Shared {
            tls: TlsAcceptor::from(tls),
            router,
            limits,
            held: Mutex::default(),
            strangers: Arc::new(Semaphore::new(limits.strangers)),
        });
        let task = tokio::spawn(accept(socket, shared, ending));
        Ok(Self { address, ends, task })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nobody in any more, waits for the requests that are being answered, at most so long, and cuts off the rest.
    pub(crate) async fn close(mut self, patience: Duration) {
        self.ends.send_replace(true);
        if timeout(patience, &mut self.task).await.is_err() {
            warn!("requests in progress were cut off");
            self.task.abort();
            // Its connections end with it.
            let _ = self.task.await;
        }
    }
}

struct Shared {
    tls: TlsAcceptor,
    router: Router,
    limits: Limits,
    held: Mutex<HashMap<IpAddr, FromNetwork>>,
    /// Places for strangers.
    strangers: Arc<Semaphore>,
}

/// What comes from one address.
struct FromNetwork {
    connections: usize,
    /// Places for its strangers.
    strangers: Arc<Semaphore>,
}

async fn accept(socket: TcpListener, shared: Arc<Shared>, ending: watch::Receiver<bool>) {
    let mut ends = ending.clone();
    let mut connections = JoinSet::new();
    let mut turned_away = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = told(&mut ends) => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = socket.accept() => match accepted {
                Ok((stream, address)) => {
                    let Some(place) = Place::take(&shared, address.ip(), connections.len()) else {
                        // At most one line a second: who floods us does not flood the log.
                        if turned_away <= Instant::now() {
                            turned_away = Instant::now() + Duration::from_secs(1);
                            warn!(%address, connections = connections.len(), "turned away a connection: there are too many");
                        }
                        continue;
                    };
                    let ending = ending.clone();
                    connections.spawn(async move {
                        connection(&place, stream, address, ending).await;
                    });
                }
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "cannot take a connection");
                    tokio::time::sleep(NO_ROOM).await;
                }
            },
        }
    }
    drop(socket);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// Returns once the listener is to end, or is gone.
async fn told(ending: &mut watch::Receiver<bool>) {
    let _ = ending.wait_for(|ends| *ends).await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("a network connection ended by a defect of the node");
    }
}

/// One connection's share of the limits.
struct Place {
    shared: Arc<Shared>,
    network: IpAddr,
    /// Places for strangers of its address.
    strangers: Arc<Semaphore>,
}

impl Place {
    fn take(shared: &Arc<Shared>, address: IpAddr, connections: usize) -> Option<Self> {
        if connections >= shared.limits.connections {
            return None;
        }
        let network = standing::network(address);
        let mut held = shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        let from = held.entry(network).or_insert_with(|| FromNetwork {
            connections: 0,
            strangers: Arc::new(Semaphore::new(shared.limits.strangers_per_address)),
        });
        if from.connections >= shared.limits.per_address {
            return None;
        }
        from.connections += 1;
        Some(Self {
            shared: Arc::clone(shared),
            network,
            strangers: Arc::clone(&from.strangers),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(from) = held.get_mut(&self.network) {
            from.connections -= 1;
            if from.connections == 0 {
                held.remove(&self.network);
            }
        }
    }
}

async fn connection(place: &Place, stream: TcpStream, address: SocketAddr, ending: watch::Receiver<bool>) {
    let shared = &*place.shared;
    let stranger = Standing::stranger(Arc::clone(&place.strangers), Arc::clone(&shared.strangers));
    let Ok(Some(standing)) = timeout(WAIT, stranger).await else {
        debug!(%address, "turned away a connection: too many have shown nothing yet");
        return;
    };
    // Small messages back and forth: waiting to fill packets only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%address, error = &error as &dyn std::error::Error, "a connection was gone at once");
        return;
    }
    let stream = match timeout(HANDSHAKE, shared.tls.accept(stream).into_fallible()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, stream))) => {
            debug!(%address, error = &error as &dyn std::error::Error, "no TLS connection");
            linger(stream).await;
            return;
        }
        Err(_) => {
            debug!(%address, "no TLS connection in time");
            return;
        }
    };
    let (_, session) = stream.get_ref();
    let key = session
        .peer_certificates()
        .and_then(<[_]>::first)
        .and_then(tls::key_hash);
    let h2 = session.alpn_protocol() == Some(tls::H2);
    let peer = Peer { address, key };
    requests(stream, h2, peer, standing, shared, ending).await;
}

/// The reason is on its way; were the socket closed with bytes unread, the system would tell the other end to forget it.
async fn linger(mut stream: TcpStream) {
    let (time, bytes) = LINGER;
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(bytes), &mut tokio::io::sink()).await
    };
    // Whatever comes of it, the connection is over.
    let _ = timeout(time, read).await;
}

/// What a connection is doing.
struct Activity {
    requests: AtomicUsize,
    since: Mutex<Instant>,
}

impl Activity {
    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request of a connection, from its head to the head of its answer.
struct Busy(Arc<Activity>);

impl Busy {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.requests.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Both kinds of HTTP connection, as far as they are handled alike.
macro_rules! drive {
    ($connection:expr, $activity:expr, $standing:expr, $shared:expr, $ending:expr, $address:expr) => {{
        let mut connection = pin!($connection);
        let mut goodbye: Option<Instant> = None;
        let introduction = Instant::now() + INTRODUCTION;
        loop {
            let idle = $activity.since() + $shared.limits.idle;
            let is_known = $standing.is_known();
            let deadline = goodbye.unwrap_or(if is_known { idle } else { introduction });
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(address = %$address, error = &error as &dyn std::error::Error, "a connection broke");
                    }
                    return;
                }
                () = told(&mut $ending), if goodbye.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    goodbye = Some(Instant::now() + FOREVER);
                }
                () = sleep_until(deadline) => {
                    if goodbye.is_some() {
                        return;
                    }
                    let now = Instant::now();
                    let over = if $standing.is_known() {
                        $activity.since() + $shared.limits.idle <= now
                    } else {
                        introduction <= now
                    };
                    let idle = $activity.requests.load(Ordering::SeqCst) == 0;
                    if over && (idle || !$standing.is_known()) {
                        connection.as_mut().graceful_shutdown();
                        goodbye = Some(now + GOODBYE);
                    } else if over {
                        // Something is being answered: look again after a while.
                        *$activity.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    }
                }
            }
        }
    }};
}

/// Whoever closes the listener decides how long to wait.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

async fn requests(
    stream: TlsStream<TcpStream>,
    h2: bool,
    peer: Peer,
    standing: Standing,
    shared: &Shared,
    mut ending: watch::Receiver<bool>,
) {
    let address = peer.address;
    let activity = Arc::new(Activity {
        requests: AtomicUsize::new(0),
        since: Mutex::new(Instant::now()),
    });
    let router = shared.router.clone();
    let counted = Arc::clone(&activity);
    let shown = standing.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = Busy::begin(&counted);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(shown.clone());
        let answer = router.clone().oneshot(request);
        async move {
            let answer: Result<Response<Body>, Infallible> = answer.await;
            drop(busy);
            answer
        }
    });
    let stream = TokioIo::new(stream);
    if h2 {
        let connection = conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(shared.limits.streams)
            // Bytes that nobody asked for yet are held up to 64 kB a connection; the window grows with what is read.
            .adaptive_window(true)
            .max_header_list_size(u32::try_from(LONGEST_HEAD).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .serve_connection(stream, service);
        drive!(connection, activity, standing, shared, ending, address);
    } else {
        let connection = conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(shared.limits.idle)
            .max_headers(MOST_HEADERS)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(stream, service);
        drive!(connection, activity, standing, shared, ending, address);
    }
}
