//! The node's listeners.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Response, StatusCode},
    middleware,
    routing::post,
};
use chancery_api::{Failure, FailureKind, MAX_MESSAGE};
use thiserror::Error;
use tokio::net::{TcpListener, lookup_host};

use crate::{
    Service, answer, call, door,
    identity::NodeIdentity,
    listener::{Limits, Listener},
    rest, tls,
};

/// Where a node listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// For agents that attach tokens, `HOST:PORT`.
    pub tokens: Option<String>,
    /// For enrolled clients, `HOST:PORT`.
    pub api: Option<String>,
}

/// Why a node cannot listen.
#[derive(Debug, Error)]
pub enum EdgeError {
    /// Not an address.
    #[error("{address:?} is no address to listen on: HOST:PORT, for instance 0.0.0.0:8443 or [::]:8443")]
    Address {
        /// What was given.
        address: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Another program listens there.
    #[error("another program listens on {address}")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Key or certificate cannot be used for TLS.
    #[error("the node's key and certificate cannot be used for TLS")]
    Tls(#[from] rustls::Error),
}

/// A node's network edge while it runs.
#[derive(Debug)]
pub struct Edge {
    tokens: Option<Listener>,
    api: Option<Listener>,
}

/// Agents: connections of 200 HSMs with two requests each, several times over.
const TOKENS: Limits = Limits {
    connections: 4096,
    per_address: 2048,
    strangers: 512,
    strangers_per_address: 128,
    // One agent may have hundreds of tokens, each with a few requests that wait.
    streams: 1024,
    idle: Duration::from_secs(120),
};
/// Enrolled clients.
const API: Limits = Limits {
    connections: 2048,
    per_address: 1024,
    strangers: 512,
    strangers_per_address: 128,
    streams: 64,
    idle: Duration::from_secs(60),
};

impl Edge {
    /// Listens, and answers agents with `tokens` and clients with `service`. `tokens` says by [`crate::Standing`] who is known.
    ///
    /// # Errors
    /// [`EdgeError`] when an address cannot be used; nothing listens then.
    pub async fn open(
        addresses: &Addresses,
        identity: NodeIdentity,
        tokens: Router,
        service: Arc<dyn Service>,
    ) -> Result<Self, EdgeError> {
        let tokens_socket = bind(addresses.tokens.as_deref()).await?;
        let api_socket = bind(addresses.api.as_deref()).await?;
        let mut edge = Self {
            tokens: None,
            api: None,
        };
        if let Some((socket, address)) = tokens_socket {
            let config = tls::open(identity.duplicate())?;
            let router = tokens.fallback(nothing_here);
            edge.tokens = Some(listen(socket, address, config, router, TOKENS)?);
        }
        if let Some((socket, address)) = api_socket {
            let config = tls::mutual(identity)?;
            edge.api = Some(listen(socket, address, config, api(service), API)?);
        }
        Ok(edge)
    }

    /// Where agents are answered.
    #[must_use]
    pub fn tokens(&self) -> Option<SocketAddr> {
        self.tokens.as_ref().map(Listener::address)
    }

    /// Where clients are answered.
    #[must_use]
    pub fn api(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(Listener::address)
    }

    /// Lets no clients in any more, waits for their requests that are being answered, at most so long, and cuts off the rest.
    /// Agents with tokens go on: to lock their tokens needs them.
    pub async fn close_api(&mut self, patience: Duration) {
        if let Some(listener) = self.api.take() {
            listener.close(patience).await;
        }
    }

    /// Lets nobody in any more, waits for the requests that are being answered, at most so long, and cuts off the rest.
    pub async fn close(self, patience: Duration) {
        let close = |listener: Option<Listener>| async move {
            if let Some(listener) = listener {
                listener.close(patience).await;
            }
        };
        tokio::join!(close(self.tokens), close(self.api));
    }
}

/// Everything enrolled clients are answered with.
pub(crate) fn api(service: Arc<dyn Service>) -> Router {
    Router::new()
        .route(call::CALL_PATH, post(call::call))
        .merge(rest::router())
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        // Who is not enrolled is turned away before his request is read.
        .layer(middleware::from_fn_with_state(MAX_MESSAGE, door::whole_body))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&service),
            door::enrolled,
        ))
        .with_state(service)
}

async fn nothing_here() -> Response<Body> {
    answer::failed(&Failure::new(
        FailureKind::NotFound,
        "there is nothing at this address",
    ))
}

async fn other_method() -> Response<Body> {
    answer::json(
        StatusCode::METHOD_NOT_ALLOWED,
        &Failure::new(
            FailureKind::Invalid,
            "this address is asked with another HTTP method",
        ),
    )
}

async fn bind(address: Option<&str>) -> Result<Option<(TcpListener, SocketAddr)>, EdgeError> {
    let Some(text) = address else {
        return Ok(None);
    };
    let wrong = |source| EdgeError::Address {
        address: text.to_owned(),
        source,
    };
    let address = lookup_host(text)
        .await
        .map_err(wrong)?
        .next()
        .ok_or_else(|| wrong(io::ErrorKind::NotFound.into()))?;
    match TcpListener::bind(address).await {
        Ok(socket) => Ok(Some((socket, address))),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(EdgeError::InUse { address }),
        Err(source) => Err(EdgeError::Listen { address, source }),
    }
}

fn listen(
    socket: TcpListener,
    address: SocketAddr,
    config: Arc<rustls::ServerConfig>,
    router: Router,
    limits: Limits,
) -> Result<Listener, EdgeError> {
    Listener::start(socket, config, router, limits).map_err(|source| EdgeError::Listen { address, source })
}
