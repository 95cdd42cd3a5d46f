//! A node's two listeners, one connector, one enrolled client.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chancery_api::{Failure, FailureKind, Hash32};
use chancery_gateway::{
    Addresses, Caller, Edge, Service,
    identity::{Made, NodeIdentity, Usage, make},
    ram::{Connectors, Options, router},
};
use rustls::{
    ClientConfig, RootCertStore,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::value::RawValue;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The connector, and the ticket of its agent.
pub(crate) const NAME: &str = "shed";
pub(crate) const TICKET: &str = "5b0e3d0f6cf5b2a1d5f0a2c4e6987012";

/// Knows one key. `slow` is answered when it is told to.
pub(crate) struct Node {
    known: Hash32,
    pub(crate) called: Notify,
    pub(crate) go_on: Notify,
}

#[async_trait]
impl Service for Node {
    async fn client(&self, key: Hash32, address: IpAddr) -> Result<Caller, Failure> {
        if key == self.known {
            return Ok(Caller {
                name: "build".to_owned(),
                key,
                address,
                custodian: None,
            });
        }
        Err(Failure::new(FailureKind::Refused, "nobody"))
    }

    async fn call(&self, caller: &Caller, method: &str, _: &RawValue) -> Result<Box<RawValue>, Failure> {
        assert_eq!(caller.name, "build");
        if method == "slow" {
            self.called.notify_one();
            self.go_on.notified().await;
        }
        Ok(serde_json::value::to_raw_value(method).unwrap())
    }
}

pub(crate) struct World {
    pub(crate) edge: Edge,
    pub(crate) node: Arc<Node>,
    pub(crate) client: Made,
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let client = make(Usage::Client, &["build".to_owned()]).unwrap();
        let node = Arc::new(Node {
            known: client.hash().unwrap(),
            called: Notify::new(),
            go_on: Notify::new(),
        });
        let addresses = Addresses {
            tokens: Some("127.0.0.1:0".to_owned()),
            api: Some("127.0.0.1:0".to_owned()),
        };
        let connectors = Connectors::new(Arc::new(|| 1_795_000_000_000), Options::default());
        connectors.allow_connector(NAME, Hash32::of(TICKET.as_bytes()), None);
        let edge = Edge::open(
            &addresses,
            identity(directory.path()),
            router(Arc::clone(&connectors)),
            Arc::clone(&node) as Arc<dyn Service>,
        )
        .await
        .unwrap();
        Self {
            edge,
            node,
            client,
            connectors,
            directory,
        }
    }

    pub(crate) fn tokens(&self) -> SocketAddr {
        self.edge.tokens().unwrap()
    }

    pub(crate) fn api(&self) -> SocketAddr {
        self.edge.api().unwrap()
    }

    /// A TLS connection with this client certificate, or none.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        pair: Option<CertifiedKey>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_with(address, pair, &[]).await
    }

    /// The same, with these protocols to choose from.
    pub(crate) async fn connect_with(
        &self,
        address: SocketAddr,
        pair: Option<CertifiedKey>,
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let node = CertificateDer::from_pem_file(self.directory.path().join("node.pem")).unwrap();
        roots.add(node).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            Some(pair) => {
                let resolver: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(pair));
                builder.with_client_cert_resolver(resolver)
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    pub(crate) async fn enrolled(&self) -> TlsStream<TcpStream> {
        let pair = pair(&self.client.certificate, &self.client.key);
        self.connect(self.api(), Some(pair)).await.unwrap()
    }
}

pub(crate) fn identity(directory: &Path) -> NodeIdentity {
    NodeIdentity::open_or_create(directory, &["localhost".to_owned()], &[]).unwrap()
}

/// These two, whether they belong together or not.
pub(crate) fn pair(certificate: &[u8], key: &[u8]) -> CertifiedKey {
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    CertifiedKey::new(vec![CertificateDer::from_pem_slice(certificate).unwrap()], key)
}

pub(crate) async fn read(stream: &mut TlsStream<TcpStream>) -> String {
    let mut text = Vec::new();
    // Until there is a whole answer, or the end.
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&text).contains("\r\n\r\n{") {
        match stream.read(&mut buffer).await {
            Ok(1..) if text.len() > 100_000 => break,
            Ok(read @ 1..) => text.extend_from_slice(&buffer[..read]),
            Ok(0) | Err(_) => break,
        }
    }
    String::from_utf8(text).unwrap()
}

pub(crate) fn call(method: &str) -> String {
    let body = format!(r#"{{"v":1,"method":"{method}","params":{{}}}}"#);
    format!(
        "POST /v1/call HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// How long it takes until the other end closes, on a clock that runs only while everybody waits.
pub(crate) async fn until_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> Duration {
    tokio::time::pause();
    let begun = Instant::now();
    let mut rest = Vec::new();
    // Closed with or without a word.
    let _ = timeout(Duration::from_secs(3600), stream.read_to_end(&mut rest)).await;
    let took = begun.elapsed();
    tokio::time::resume();
    took
}
