//! A node's endpoint on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::Hash32;
use chancery_gateway::ram::{ConnectorChange, Connectors, Options, router};
use chancery_keys::{Connect, Token};
use chancery_ram::server::Limits;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Connector of these tests, and the ticket of its agent.
pub(crate) const NAME: &str = "shed";
pub(crate) const TICKET: &str = "5b0e3d0f6cf5b2a1d5f0a2c4e6987012";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) changes: broadcast::Receiver<ConnectorChange>,
    task: JoinHandle<()>,
}

/// Waiting times short enough for tests.
pub(crate) fn quick() -> Options {
    Options {
        limits: Limits {
            keep_alive: Duration::from_millis(150),
            // Longer than the processors are ever busy elsewhere.
            silence: Duration::from_secs(3),
            resume: Duration::from_secs(4),
            ..Limits::default()
        },
        ..Options::default()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// An endpoint with one connector.
    pub(crate) async fn start_with(options: Options) -> Self {
        let connectors = Connectors::new(Arc::new(|| 1_795_000_000_000), options);
        connectors.allow_connector(NAME, Hash32::of(TICKET.as_bytes()), None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router(Arc::clone(&connectors)).into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self {
            address,
            changes: connectors.changes(),
            connectors,
            task,
        }
    }

    /// Makes a single-use ticket; the path to use it.
    pub(crate) fn ticket(&self, ticket: &str) -> String {
        self.connectors.add_ticket(Hash32::of(ticket.as_bytes()), NAME);
        format!("/rt/t/{ticket}")
    }

    /// The next thing that happens to a connector.
    pub(crate) async fn change(&mut self) -> ConnectorChange {
        tokio::time::timeout(Duration::from_secs(20), self.changes.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Waits until the connector's token can be reached.
    pub(crate) async fn came(&mut self) {
        let change = self.change().await;
        assert!(
            matches!(&change, ConnectorChange::Came { name } if name == NAME),
            "{change:?}"
        );
    }

    /// Waits until it cannot be reached; why.
    pub(crate) async fn went(&mut self) -> String {
        match self.change().await {
            ConnectorChange::Went { because, .. } => because,
            change @ ConnectorChange::Came { .. } => panic!("{change:?}"),
        }
    }

    pub(crate) fn token(&self) -> Box<dyn Token> {
        self.connectors.way_to(NAME).connect().unwrap()
    }

    /// Uses the token on a thread of its own, as an HSM's thread does.
    pub(crate) fn on_thread<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut dyn Token) -> R + Send + 'static,
    ) -> JoinHandle<R> {
        let mut token = self.token();
        tokio::task::spawn_blocking(move || act(&mut *token))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
