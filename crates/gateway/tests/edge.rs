//! What strangers, slow clients and large requests meet at a node's listeners.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use axum::Router;
use chancery_api::{Failure, FailureKind, Hash32};
use chancery_gateway::{
    Addresses, Caller, Edge, EdgeError, Service,
    identity::{Made, NodeIdentity, Usage, make},
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
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Knows one key. `slow` is answered when it is told to.
struct Node {
    known: Hash32,
    called: Notify,
    go_on: Notify,
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

struct World {
    edge: Edge,
    node: Arc<Node>,
    client: Made,
    directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
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
        let edge = Edge::open(
            &addresses,
            identity(directory.path()),
            Router::new(),
            Arc::clone(&node) as Arc<dyn Service>,
        )
        .await
        .unwrap();
        Self {
            edge,
            node,
            client,
            directory,
        }
    }

    fn api(&self) -> SocketAddr {
        self.edge.api().unwrap()
    }

    /// A TLS connection with this client certificate, or none.
    async fn connect(
        &self,
        address: SocketAddr,
        pair: Option<CertifiedKey>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let node = CertificateDer::from_pem_file(self.directory.path().join("node.pem")).unwrap();
        roots.add(node).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match pair {
            Some(pair) => {
                let resolver: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(pair));
                builder.with_client_cert_resolver(resolver)
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn enrolled(&self) -> TlsStream<TcpStream> {
        let pair = pair(&self.client.certificate, &self.client.key);
        self.connect(self.api(), Some(pair)).await.unwrap()
    }
}

fn identity(directory: &Path) -> NodeIdentity {
    NodeIdentity::open_or_create(directory, &["localhost".to_owned()], &[]).unwrap()
}

/// These two, whether they belong together or not.
fn pair(certificate: &[u8], key: &[u8]) -> CertifiedKey {
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    CertifiedKey::new(vec![CertificateDer::from_pem_slice(certificate).unwrap()], key)
}

async fn read(stream: &mut TlsStream<TcpStream>) -> String {
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

fn call(method: &str) -> String {
    let body = format!(r#"{{"v":1,"method":"{method}","params":{{}}}}"#);
    format!(
        "POST /v1/call HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_certificate_without_its_key_is_no_proof() {
    let world = World::new().await;
    let other = make(Usage::Client, &["other".to_owned()]).unwrap();
    let borrowed = pair(&world.client.certificate, &other.key);
    // The client learns of it when it reads, the handshake's end being its own.
    let answer = match world.connect(world.api(), Some(borrowed)).await {
        Ok(mut stream) => {
            let _ = stream.write_all(call("hsm.list").as_bytes()).await;
            read(&mut stream).await
        }
        Err(_) => String::new(),
    };
    assert_eq!(answer, "");
    let mut stream = world.enrolled().await;
    stream.write_all(call("hsm.list").as_bytes()).await.unwrap();
    let answer = read(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"ok":"hsm.list"}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn who_is_not_enrolled_is_turned_away_before_the_request_is_read() {
    let world = World::new().await;
    let other = make(Usage::Client, &["other".to_owned()]).unwrap();
    let stranger = pair(&other.certificate, &other.key);
    let mut stream = world.connect(world.api(), Some(stranger)).await.unwrap();
    let head = "POST /v1/call HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("nobody"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_ends_at_the_limit() {
    let world = World::new().await;
    let mut stream = world.enrolled().await;
    let head = "POST /v1/call HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sent = tokio::spawn(async move { while writer.write_all(chunk.as_bytes()).await.is_ok() {} });
    let mut answer = vec![0; 12];
    reader.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    drop(reader);
    sent.abort();
}

#[tokio::test]
async fn heads_have_a_limit() {
    let world = World::new().await;
    let mut stream = world.enrolled().await;
    let long = format!(
        "GET /v1/hsms HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let _ = stream.write_all(long.as_bytes()).await;
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut stream = world.enrolled().await;
    let many = format!(
        "GET /v1/hsms HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "x: y\r\n".repeat(100)
    );
    let _ = stream.write_all(many.as_bytes()).await;
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

/// How long it takes until the other end closes, on a clock that runs only while everybody waits.
async fn until_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> Duration {
    tokio::time::pause();
    let begun = Instant::now();
    let mut rest = Vec::new();
    // Closed with or without a word.
    let _ = timeout(Duration::from_secs(3600), stream.read_to_end(&mut rest)).await;
    let took = begun.elapsed();
    tokio::time::resume();
    took
}

#[tokio::test]
async fn who_says_nothing_or_too_slowly_is_let_go() {
    let world = World::new().await;
    for address in [world.api(), world.edge.tokens().unwrap()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let took = until_closed(&mut stream).await;
        assert!((9..=20).contains(&took.as_secs()), "no handshake: {took:?}");
    }
    for sent in ["", "POST /v1/call HTTP/1.1\r\nhost"] {
        let mut stream = world.enrolled().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let took = until_closed(&mut stream).await;
        assert!((50..=130).contains(&took.as_secs()), "{sent:?}: {took:?}");
    }
    let mut stream = world.enrolled().await;
    let half = "POST /v1/call HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(half.as_bytes()).await.unwrap();
    let took = until_closed(&mut stream).await;
    assert!((29..=200).contains(&took.as_secs()), "half a body: {took:?}");
}

#[tokio::test]
async fn a_call_in_progress_is_answered_before_the_end() {
    let world = World::new().await;
    let address = world.api();
    let mut busy = world.enrolled().await;
    let mut idle = world.enrolled().await;
    busy.write_all(call("slow").as_bytes()).await.unwrap();
    world.node.called.notified().await;
    let World { edge, node, .. } = world;
    let closing = tokio::spawn(edge.close(Duration::from_secs(10)));
    // The idle one is closed at once, and nobody comes in any more.
    assert_eq!(read(&mut idle).await, "");
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    node.go_on.notify_one();
    let answer = read(&mut busy).await;
    assert!(answer.ends_with(r#"{"ok":"slow"}"#), "{answer}");
    closing.await.unwrap();
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cut_off_at_the_end() {
    let world = World::new().await;
    let mut busy = world.enrolled().await;
    busy.write_all(call("slow").as_bytes()).await.unwrap();
    world.node.called.notified().await;
    world.edge.close(Duration::from_millis(50)).await;
    assert_eq!(read(&mut busy).await, "");
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_told_and_nothing_listens() {
    let world = World::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tokens = free.local_addr().unwrap();
    drop(free);
    let open = |tokens: String, api: String| {
        let addresses = Addresses {
            tokens: Some(tokens),
            api: Some(api),
        };
        let identity = identity(world.directory.path());
        let node = Arc::clone(&world.node) as Arc<dyn Service>;
        async move { Edge::open(&addresses, identity, Router::new(), node).await }
    };
    let error = open(tokens.to_string(), world.api().to_string())
        .await
        .unwrap_err();
    assert!(
        matches!(error, EdgeError::InUse { address } if address == world.api()),
        "{error}"
    );
    assert!(TcpStream::connect(tokens).await.is_err());
    for text in ["8443", "localhost", "no host:1", ""] {
        let error = open(text.to_owned(), "127.0.0.1:0".to_owned()).await.unwrap_err();
        assert!(matches!(error, EdgeError::Address { .. }), "{text:?}: {error}");
    }
}
