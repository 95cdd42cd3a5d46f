//! Who is let in, and how everybody is seen out.

use std::{sync::Arc, time::Duration};

use chancery_api::{Failure, FailureKind};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time::timeout,
};
use tracing::{error, warn};

use crate::{
    connection::{self, Caller, Ending},
    node::Node,
    server::Stopped,
    signals::Signals,
    socket, system, wire,
};

/// Most connections at once.
const MOST_CONNECTIONS: usize = 512;
/// How long calls in progress may take once the node ends.
const DRAIN: Duration = Duration::from_secs(30);
/// How long a connection is looked for that was made before the socket was taken away.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// Pause after the system had no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// The socket and the connections that came through it.
pub(crate) struct Door {
    node: Arc<Node>,
    listener: UnixListener,
    connections: JoinSet<()>,
    user: u32,
    ends: watch::Sender<bool>,
    ask: watch::Sender<bool>,
}

impl Door {
    pub(crate) fn new(node: &Arc<Node>, listener: UnixListener) -> Self {
        Self {
            node: Arc::clone(node),
            listener,
            connections: JoinSet::new(),
            user: system::user_id(),
            ends: watch::Sender::new(false),
            ask: watch::Sender::new(false),
        }
    }

    /// Lets callers in until the node should end.
    pub(crate) async fn answer(&mut self, signals: &mut Signals, idle_stop: Option<Duration>) -> Stopped {
        let mut asked = self.ask.subscribe();
        let node = Arc::clone(&self.node);
        let idle = async {
            match idle_stop {
                Some(idle) => {
                    node.activity
                        .until_idle(idle, || node.center.any_unlocked())
                        .await
                }
                None => std::future::pending().await,
            }
        };
        tokio::pin!(idle);
        loop {
            tokio::select! {
                biased;
                name = signals.next() => return Stopped::Signal(name),
                _ = asked.wait_for(|asked| *asked) => return Stopped::Asked,
                Some(ended) = self.connections.join_next() => report(ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream),
                    Err(error) => {
                        warn!(error = &error as &dyn std::error::Error, "cannot take a connection");
                        tokio::time::sleep(NO_ROOM).await;
                    }
                },
                () = &mut idle => return Stopped::Idle,
            }
        }
    }

    /// Answers who came before the socket was taken away, then waits for the calls in progress.
    pub(crate) async fn close(mut self, signals: &mut Signals) {
        while let Ok(Ok((stream, _))) = timeout(LAST_LOOK, self.listener.accept()).await {
            self.admit(stream);
        }
        self.ends.send_replace(true);
        let drained = async {
            while let Some(ended) = self.connections.join_next().await {
                report(ended);
            }
        };
        tokio::select! {
            drained = timeout(DRAIN, drained) => if drained.is_err() {
                warn!("calls in progress were cut off");
            },
            name = signals.next() => warn!(signal = name, "calls in progress were cut off"),
        }
        self.connections.shutdown().await;
    }

    fn admit(&mut self, stream: UnixStream) {
        let uid = match stream.peer_cred() {
            Ok(peer) if socket::allowed(peer.uid(), self.user) => peer.uid(),
            Ok(peer) => {
                warn!(uid = peer.uid(), "turned away a process of another user");
                return;
            }
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "turned away a process that has no user"
                );
                return;
            }
        };
        if self.connections.len() >= MOST_CONNECTIONS {
            warn!(
                limit = MOST_CONNECTIONS,
                "turned away a connection: there are {MOST_CONNECTIONS}"
            );
            let failure = Failure::new(
                FailureKind::Unavailable,
                format!("the node has {MOST_CONNECTIONS} connections, the most it takes"),
            )
            .with_remedy("close some, or wait");
            // There is room for one line in a new socket; who does not get it sees the end.
            let _ = stream.try_write(wire::failed(&failure).as_slice());
            return;
        }
        let node = Arc::clone(&self.node);
        let ending = Ending {
            ends: self.ends.subscribe(),
            ask: self.ask.clone(),
        };
        self.connections.spawn(async move {
            let (reader, writer) = stream.into_split();
            connection::run(&*node, Caller { uid }, reader, writer, ending).await;
        });
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("a connection ended by a defect of the node");
    }
}
