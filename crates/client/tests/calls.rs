//! Calls against a small HTTPS server of the test's own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use chancery_api::{Call, Failure, FailureKind, HsmLock, HsmStatus};
use chancery_client::{ClientError, Identity, NodeClient, Settings, SettingsError, Timeouts, Trust};
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509Name,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs,
    server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

struct Pair {
    key: PKey<Private>,
    certificate: X509,
}

/// A self-signed certificate for `127.0.0.1` alone.
fn pair(name: &str, authority: bool) -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(2).unwrap())
        .unwrap();
    if authority {
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
    }
    let names = SubjectAlternativeName::new()
        .ip("127.0.0.1")
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    Pair {
        key,
        certificate: builder.build(),
    }
}

impl Pair {
    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.certificate.to_der().unwrap())
    }

    fn identity(&self) -> Identity {
        let key = Zeroizing::new(self.key.private_key_to_pem_pkcs8().unwrap());
        Identity::new(key, &self.certificate.to_pem().unwrap()).unwrap()
    }
}

/// An answer: status line and body.
type Answer = (&'static str, &'static str);

struct Server {
    address: SocketAddr,
    certificate: Vec<u8>,
    connections: Arc<AtomicUsize>,
}

/// A server that answers each request with `answer(body)`; `None` answers nothing and keeps the connection.
fn server(client: Option<&Pair>, answer: impl Fn(&[u8]) -> Option<Answer> + Send + Sync + 'static) -> Server {
    let pair = pair("node", false);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client {
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.der()).unwrap();
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .unwrap(),
            )
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(pair.key.private_key_to_pkcs8().unwrap()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![pair.der()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counter.fetch_add(1, Ordering::SeqCst);
            let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
            thread::spawn(move || serve(stream, config, &*answer));
        }
    });
    Server {
        address,
        certificate: pair.certificate.to_pem().unwrap(),
        connections,
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, answer: &dyn Fn(&[u8]) -> Option<Answer>) {
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if !matches!(stream.read_line(&mut line), Ok(1..)) {
                // A client that is refused shall read why: what it still sends is taken.
                let _ = stream
                    .get_mut()
                    .sock
                    .set_read_timeout(Some(Duration::from_secs(2)));
                let _ = stream.get_mut().sock.shutdown(std::net::Shutdown::Write);
                let _ = stream.get_mut().sock.read_to_end(&mut Vec::new());
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        if let Some((status, body)) = answer(&body) {
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.get_mut().write_all(head.as_bytes()).unwrap();
            stream.get_mut().write_all(body.as_bytes()).unwrap();
            stream.get_mut().flush().unwrap();
        }
    }
}

impl Server {
    fn settings(&self) -> Settings {
        Settings {
            url: format!("https://{}", self.address),
            trust: Trust::PinnedCertificate(self.certificate.clone()),
            identity: None,
            timeouts: Timeouts::default(),
        }
    }

    fn client(&self) -> NodeClient {
        NodeClient::new(&self.settings()).unwrap()
    }
}

fn lock() -> HsmLock {
    HsmLock { hsms: Vec::new() }
}

#[test]
fn calls_are_what_the_socket_takes_and_share_a_connection() {
    let server = server(None, |body| {
        let call: Call = serde_json::from_slice(body).unwrap();
        assert_eq!((call.v, call.method.as_str()), (1, "hsm.lock"));
        assert_eq!(call.params, serde_json::json!({ "hsms": [] }));
        Some(("200 OK", "{\"ok\":[]}"))
    });
    let client = server.client();
    for _ in 0..3 {
        assert_eq!(client.call(&lock()).unwrap(), []);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn many_threads_call_at_once() {
    let server = server(None, |_| Some(("200 OK", "{\"ok\":[]}")));
    let client = server.client();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(client.call(&lock()).unwrap(), []);
                }
            });
        }
    });
}

#[test]
fn another_certificate_is_not_the_node() {
    let server = server(None, |_| panic!("nothing is sent to a stranger"));
    let mut settings = server.settings();
    settings.trust = Trust::PinnedCertificate(pair("node", false).certificate.to_der().unwrap());
    let error = NodeClient::new(&settings).unwrap().call(&lock()).unwrap_err();
    assert!(matches!(error, ClientError::NotPinned { .. }), "{error:?}");
    assert_eq!(Failure::from(error).kind, FailureKind::Refused);
}

#[test]
fn an_authority_vouches_for_the_host_that_is_called_and_no_other() {
    let server = server(None, |_| Some(("200 OK", "{\"ok\":[]}")));
    let mut settings = server.settings();
    settings.trust = Trust::CaFile(server.certificate.clone());
    assert_eq!(NodeClient::new(&settings).unwrap().call(&lock()).unwrap(), []);

    settings.url = format!("https://localhost:{}", server.address.port());
    let error = NodeClient::new(&settings).unwrap().call(&lock()).unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error:?}");

    settings.trust = Trust::CaFile(pair("other", true).certificate.to_pem().unwrap());
    settings.url = format!("https://{}", server.address);
    let error = NodeClient::new(&settings).unwrap().call(&lock()).unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error:?}");
}

#[test]
fn a_node_that_demands_a_certificate_says_so_and_takes_the_right_one() {
    let pair = pair("client", false);
    let server = server(Some(&pair), |_| Some(("200 OK", "{\"ok\":[]}")));
    let error = server.client().call(&lock()).unwrap_err();
    assert!(matches!(error, ClientError::TlsRefused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("demands a client certificate"),
        "{error}"
    );

    let mut settings = server.settings();
    settings.identity = Some(pair.identity());
    assert_eq!(NodeClient::new(&settings).unwrap().call(&lock()).unwrap(), []);
}

#[test]
fn failures_arrive_whole_and_strangers_are_told() {
    let failed = r#"{"failed":{"kind":"not-found","message":"no","remedy":"do"}}"#;
    let server = server(None, move |body| {
        let call: Call = serde_json::from_slice(body).unwrap();
        Some(match call.params["hsm"].as_str().unwrap() {
            "stranger" => ("401 Unauthorized", failed),
            "page" => ("502 Bad Gateway", "<html>"),
            "old" => ("200 OK", r#"{"ok":{"new":1}}"#),
            _ => ("404 Not Found", failed),
        })
    });
    let client = server.client();
    let call = |hsm: &str| client.call(&HsmStatus { hsm: hsm.into() }).unwrap_err();
    let failure = Failure::new(FailureKind::NotFound, "no").with_remedy("do");
    assert!(matches!(call("a"), ClientError::Failed(found) if found == failure));
    assert!(matches!(call("stranger"), ClientError::NotEnrolled(found) if found == failure));
    for (hsm, why) in [("page", "502"), ("old", "missing field")] {
        let error = call(hsm);
        assert!(matches!(&error, ClientError::Answer { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn who_does_not_answer_is_given_up() {
    let server = server(None, |_| None);
    let mut settings = server.settings();
    settings.timeouts.answer = Duration::from_millis(300);
    let error = NodeClient::new(&settings).unwrap().call(&lock()).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
    assert!(error.is_passing());
}

#[test]
fn nobody_there_is_unreachable() {
    let server = server(None, |_| None);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = server.settings();
    settings.url = format!("https://{}", free.local_addr().unwrap());
    drop(free);
    let error = NodeClient::new(&settings).unwrap().call(&lock()).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(error.is_passing());
}

#[test]
fn a_server_without_tls_is_no_node() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = server(None, |_| None).settings();
    settings.url = format!("https://{}", listener.local_addr().unwrap());
    let plain = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let error = NodeClient::new(&settings).unwrap().call(&lock()).unwrap_err();
    assert!(matches!(error, ClientError::TlsRefused { .. }), "{error:?}");
    plain.join().unwrap();
}

#[test]
fn settings_of_no_use_are_refused_at_once() {
    let server = server(None, |_| None);
    for url in [
        "http://127.0.0.1:1",
        "127.0.0.1:1",
        "https://",
        "https://h:1/path",
        "https://me@h:1",
        "https://h:1?x",
    ] {
        let mut settings = server.settings();
        url.clone_into(&mut settings.url);
        assert!(
            matches!(NodeClient::new(&settings), Err(SettingsError::Url { .. })),
            "{url}"
        );
    }
    let mut settings = server.settings();
    settings.trust = Trust::PinnedCertificate(b"nothing".to_vec());
    assert!(matches!(
        NodeClient::new(&settings),
        Err(SettingsError::Certificate { .. })
    ));
    let one = pair("one", false);
    let other = pair("other", false);
    let key = Zeroizing::new(one.key.private_key_to_pem_pkcs8().unwrap());
    assert!(matches!(
        Identity::new(
            Zeroizing::new(b"no key".to_vec()),
            &one.certificate.to_pem().unwrap()
        ),
        Err(SettingsError::Key)
    ));
    let mut settings = server.settings();
    settings.identity = Some(Identity::new(key, &other.certificate.to_pem().unwrap()).unwrap());
    assert!(matches!(
        NodeClient::new(&settings),
        Err(SettingsError::Identity(_))
    ));
}
