//! How a server is recognised.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use chancery_api::SecretText;
use chancery_connect::{AttachError, Attachment, End, Trust};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::agent::Agent;
use crate::http::{Reply, Request};
use crate::tokens::FakeCard;

/// A certificate of openssl's for this name.
fn certificate(directory: &Path, name: &str, host: &str) -> (Vec<u8>, Vec<u8>) {
    let (key, pem) = (
        directory.join(format!("{name}.key")),
        directory.join(format!("{name}.pem")),
    );
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", &format!("subjectAltName={host}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&pem)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (std::fs::read(pem).unwrap(), std::fs::read(key).unwrap())
}

/// A server with TLS that ends every session; how many POSTs it read, and the ticket it was shown.
fn server(pem: &[u8], key: &[u8]) -> (String, Arc<AtomicUsize>, Arc<Mutex<Option<String>>>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let settings = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pem).unwrap()],
            PrivateKeyDer::from_pem_slice(key).unwrap(),
        )
        .unwrap();
    let settings = Arc::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://127.0.0.1:{}/rt/hsm",
        listener.local_addr().unwrap().port()
    );
    let (posts, ticket) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    let (count, shown) = (Arc::clone(&posts), Arc::clone(&ticket));
    // It ends with the process of the tests.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&settings)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            while let Some(request) = Request::read(&mut stream) {
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(ticket) = request.header("authorization") {
                    *shown.lock().unwrap() = Some(ticket.to_owned());
                }
                let reply = if request.body.first() == Some(&0xE8) {
                    Reply::ok(&[0xAA, 0])
                } else {
                    Reply::status(204)
                };
                let (bytes, _) = reply.bytes().unwrap();
                stream.write_all(&bytes).unwrap();
            }
        }
    });
    (url, posts, ticket)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_server_that_is_meant_is_spoken_to() {
    let dir = tempfile::tempdir().unwrap();
    // As a node makes it for itself: for another name than it is called by.
    let (node, node_key) = certificate(dir.path(), "node", "DNS:node.invalid");
    let (other, _) = certificate(dir.path(), "other", "IP:127.0.0.1");
    let (named, named_key) = certificate(dir.path(), "named", "IP:127.0.0.1");
    let (node_url, node_posts, node_ticket) = server(&node, &node_key);
    let (named_url, named_posts, _) = server(&named, &named_key);
    let attach = async |url: &str, trust: &Trust| {
        let attachment = Attachment::new(FakeCard::default().source())
            .with_ticket(SecretText::new("a-ticket-of-this-test".to_owned()));
        Agent::trusting(url, trust, attachment).ended().await.0
    };
    // Its own certificate, whatever its names.
    attach(&node_url, &Trust::certificate(&node).unwrap())
        .await
        .unwrap();
    assert_eq!(node_posts.swap(0, Ordering::SeqCst), 2);
    let shown = node_ticket.lock().unwrap().take();
    assert_eq!(shown.as_deref(), Some("Bearer a-ticket-of-this-test"));
    // An authority, and the name that is called.
    attach(&named_url, &Trust::authorities(&named).unwrap())
        .await
        .unwrap();
    assert_eq!(named_posts.swap(0, Ordering::SeqCst), 2);
    // Another certificate; a name it does not bear; an authority that is not the system's.
    for (url, trust) in [
        (&node_url, Trust::certificate(&other).unwrap()),
        (&node_url, Trust::authorities(&node).unwrap()),
        (&named_url, Trust::authorities(&other).unwrap()),
        (&named_url, Trust::System),
    ] {
        let ended = attach(url, &trust).await;
        let Err(AttachError::Session(End::Unreachable { why })) = ended else {
            panic!("{ended:?}");
        };
        assert!(
            why.starts_with("its certificate is not one it is to be known by"),
            "{why}"
        );
    }
    assert_eq!(
        node_posts.load(Ordering::SeqCst) + named_posts.load(Ordering::SeqCst),
        0
    );
    assert_eq!(*node_ticket.lock().unwrap(), None, "no ticket for strangers");
}
