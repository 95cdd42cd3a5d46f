//! The node on the network: what it was told, the connectors that the HSM threads and the endpoint share, and the two listeners.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chancery_api::{Failure, Hash32};
use chancery_center::{Connection, Network};
use chancery_cvc::TrustAnchors;
use chancery_gateway::{
    Addresses, Edge, EdgeError,
    identity::{IdentityError, NodeIdentity},
    ram::{self, ConnectorChange, Connectors, Provisional},
};
use chancery_keys::Token;
use chancery_vtoken::atomic;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    task::{JoinHandle, JoinSet},
};
use tracing::{info, warn};

use crate::{
    clients::Clients,
    layout::{DataDir, LayoutError, doing},
    node::Node,
    system::SystemClock,
};

/// Where a node listens, and what it shows there: `network.toml` of the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Address for agents that attach tokens, `HOST:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Address for enrolled clients, `HOST:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_listen: Option<String>,
    /// Names of the node's host, for the certificate it makes itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Certificate with its chain, PEM, in place of the node's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
}

/// Why the node is not on the network.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// `network.toml`.
    #[error("{} is not what it should be", .path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The data directory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Settings that do not fit together.
    #[error("a certificate and its key are given together (--tls-cert, --tls-key)")]
    HalfAPair,
    /// Key and certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The center.
    #[error("connectors are not known: {0}")]
    Center(Failure),
    /// The listeners.
    #[error(transparent)]
    Edge(#[from] EdgeError),
}

impl NetworkSettings {
    /// Whether nothing is listened on.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.listen.is_none() && self.api_listen.is_none()
    }

    /// What a data directory remembers; nothing when it remembers nothing.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load(directory: &DataDir) -> Result<Self, NetworkError> {
        let path = directory.network_settings();
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|source| NetworkError::Settings {
                path,
                source: Box::new(source),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(doing("read", &path)(error).into()),
        }
    }

    fn save(&self, directory: &DataDir) -> Result<(), NetworkError> {
        let path = directory.network_settings();
        // Strings, lists and nothing else: this is always TOML.
        let text = toml::to_string(self).unwrap_or_default();
        atomic::replace(&path, text.as_bytes())
            .map_err(doing("write", &path))
            .map_err(NetworkError::from)
    }

    fn identity(&self, directory: &DataDir) -> Result<NodeIdentity, NetworkError> {
        Ok(match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => NodeIdentity::from_files(certificate, key)?,
            (None, None) => {
                let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
                names.extend(host_name());
                NodeIdentity::open_or_create(&directory.network(), &names, &self.names)?
            }
            _ => return Err(NetworkError::HalfAPair),
        })
    }
}

/// The machine's own name, if it has one a certificate can hold.
fn host_name() -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok()?;
    let name = text.trim();
    let fits = !name.is_empty()
        && name.len() <= 253
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    (fits && name != "localhost").then(|| name.to_owned())
}

/// No connectors yet, and how a second session of one proves its token.
pub(crate) fn connectors(anchors: Arc<TrustAnchors>) -> Arc<Connectors> {
    let connectors = Connectors::new(
        Arc::new(|| chancery_center::Clock::now_ms(&SystemClock)),
        ram::Options::default(),
    );
    connectors.set_prover(Arc::new(move |provisional, token| {
        prove(provisional, token, &anchors)
    }));
    connectors
}

fn prove(provisional: &Provisional, token: Box<dyn Token>, anchors: &TrustAnchors) -> Result<(), String> {
    let Some(bound) = &provisional.device else {
        return Err("the connector has a session, and is bound to no device yet".to_owned());
    };
    let (identity, _) = chancery_keys::identify(&provisional.connector, token, anchors)
        .map_err(|error| format!("its token did not prove which device it is: {error}"))?;
    if identity.device == *bound {
        Ok(())
    } else {
        Err(format!("it is device {}, not {bound}", identity.device))
    }
}

/// What the center sees of the network.
pub(crate) struct Connected(pub(crate) Arc<Connectors>);

impl Network for Connected {
    fn allow_connector(&self, name: &str, ticket: Hash32, device: Option<String>) {
        self.0.allow_connector(name, ticket, device);
    }

    fn forget_connector(&self, name: &str) {
        self.0.forget(name);
    }

    fn disconnect_connector(&self, name: &str, because: &str) {
        self.0.disconnect(name, because);
    }

    fn add_ticket(&self, connector: &str, ticket: Hash32) {
        self.0.add_ticket(ticket, connector);
    }

    fn ticket_seconds(&self) -> u64 {
        ram::Options::default().ticket.as_secs()
    }

    fn connector(&self, name: &str) -> Option<Connection> {
        let status = self.0.status(name)?;
        Some(Connection {
            connected: status.connected.map(|connected| {
                let address = connected
                    .address
                    .map_or_else(|| "an unknown address".to_owned(), |address| address.to_string());
                (connected.since_ms, address)
            }),
            lost: status.lost.map(|lost| (lost.at_ms, lost.because)),
        })
    }
}

/// A node's listeners while it runs.
pub(crate) struct Online {
    edge: Edge,
    connectors: Arc<Connectors>,
    watcher: JoinHandle<()>,
}

/// How long requests in progress may take once the node ends.
const DRAIN: Duration = Duration::from_secs(10);

impl Online {
    /// Listens as it was told, `None` when nothing is to be listened on; what was told anew is remembered once it works.
    pub(crate) async fn open(
        node: &Arc<Node>,
        directory: &DataDir,
        told: Option<NetworkSettings>,
        remembered: &NetworkSettings,
        connectors: Arc<Connectors>,
    ) -> Result<Option<Self>, NetworkError> {
        let settings = told.as_ref().unwrap_or(remembered);
        let mut online = None;
        if !settings.is_empty() {
            let addresses = Addresses {
                tokens: settings.listen.clone(),
                api: settings.api_listen.clone(),
            };
            let identity = settings.identity(directory)?;
            let changes = connectors.changes();
            if settings.listen.is_some() {
                let network = Arc::new(Connected(Arc::clone(&connectors)));
                node.center
                    .open_network(network)
                    .await
                    .map_err(NetworkError::Center)?;
            }
            let edge = Edge::open(
                &addresses,
                identity,
                ram::router(Arc::clone(&connectors)),
                Arc::new(Clients(Arc::clone(node))),
            )
            .await?;
            let shown = |address: Option<SocketAddr>| address.map(tracing::field::display);
            info!(
                tokens = shown(edge.tokens()),
                api = shown(edge.api()),
                "the node is on the network"
            );
            node.listens(edge.tokens(), edge.api());
            let watcher = tokio::spawn(watch(Arc::clone(node), Arc::clone(&connectors), changes));
            online = Some(Self {
                edge,
                connectors,
                watcher,
            });
        }
        if let Some(told) = told {
            told.save(directory)?;
        }
        Ok(online)
    }

    /// Clients are let in no more, and calls in progress are waited for.
    pub(crate) async fn close_api(&mut self) {
        self.edge.close_api(DRAIN).await;
        self.watcher.abort();
        // It is gone when this returns, and the node with it.
        let _ = (&mut self.watcher).await;
    }

    /// Remote tokens were locked and given back: their agents are told that the node ends.
    pub(crate) async fn close(self) {
        self.connectors.close();
        self.edge.close(DRAIN).await;
    }
}

/// Tells the center when tokens come and go.
async fn watch(
    node: Arc<Node>,
    connectors: Arc<Connectors>,
    mut changes: broadcast::Receiver<ConnectorChange>,
) {
    let mut work = JoinSet::new();
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            Some(_) = work.join_next() => continue,
        };
        match change {
            Ok(ConnectorChange::Came { name }) => {
                work.spawn(came(Arc::clone(&node), name));
            }
            Ok(ConnectorChange::Went { name, because }) => {
                info!(connector = name, because, "a connector is gone");
                work.spawn(went(Arc::clone(&node), name));
            }
            Err(RecvError::Lagged(_)) => {
                for status in connectors.all() {
                    if status.connected.is_some() {
                        work.spawn(came(Arc::clone(&node), status.name));
                    } else {
                        work.spawn(went(Arc::clone(&node), status.name));
                    }
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn came(node: Arc<Node>, connector: String) {
    if let Err(failure) = node.center.connector_came(&connector).await {
        warn!(connector, %failure, "the return of an HSM was not recorded");
    }
}

async fn went(node: Arc<Node>, connector: String) {
    if let Err(failure) = node.center.connector_went(&connector).await {
        warn!(connector, %failure, "the loss of an HSM was not recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_remembered_and_read_strictly() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::create(&dir.path().join("data")).unwrap();
        assert_eq!(NetworkSettings::load(&data).unwrap(), NetworkSettings::default());
        let settings = NetworkSettings {
            listen: Some("0.0.0.0:8443".to_owned()),
            api_listen: Some("[::1]:8444".to_owned()),
            names: vec!["ca.example".to_owned()],
            tls_cert: Some("/etc/cert.pem".into()),
            tls_key: Some("/etc/key.pem".into()),
        };
        settings.save(&data).unwrap();
        assert_eq!(NetworkSettings::load(&data).unwrap(), settings);
        NetworkSettings::default().save(&data).unwrap();
        assert!(NetworkSettings::load(&data).unwrap().is_empty());
        fs::write(data.network_settings(), "lisen = \"x\"\n").unwrap();
        assert!(matches!(
            NetworkSettings::load(&data),
            Err(NetworkError::Settings { .. })
        ));
    }

    #[test]
    fn half_a_pair_of_key_and_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::create(&dir.path().join("data")).unwrap();
        let settings = NetworkSettings {
            tls_key: Some("/etc/key.pem".into()),
            ..NetworkSettings::default()
        };
        assert!(matches!(settings.identity(&data), Err(NetworkError::HalfAPair)));
    }
}
