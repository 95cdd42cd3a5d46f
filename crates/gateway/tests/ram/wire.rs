//! What goes over the line while a token is attached, opened and used: everything is written down inside TLS, at the agent's end
//! and at the node's, and no PIN is in it, nor a plain command after the channel was opened.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use axum::middleware::{self, Next};
use chancery_api::{Failure, FailureKind, Hash32, SecretText};
use chancery_connect::{Attachment, Policy, TakeError, Taken, Trust};
use chancery_gateway::identity::NodeIdentity;
use chancery_gateway::ram::{Connectors, Options, router};
use chancery_gateway::{Addresses, Caller, Edge, Service};
use chancery_iso7816::CommandApdu;
use chancery_keys::{Connect, Hsm};
use chancery_ram::message::{CommandObject, CommandTemplate, ResponseObject, ResponseTemplate};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::hsm::{Installation, PIN, SO_PIN, clock, open, sign};
use crate::server::{NAME, TICKET};

/// The bodies that came by, in templates and their answers, by number.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Bodies>>);

#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Bodies {
    given: BTreeMap<u64, Vec<u8>>,
    answered: BTreeMap<u64, Vec<u8>>,
}

/// Writes down what passes.
async fn record(State(record): State<Record>, request: Request, next: Next) -> Response<Body> {
    let number = |headers: &HeaderMap| -> Option<u64> {
        headers.get("x-chancery-sequence")?.to_str().ok()?.parse().ok()
    };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    if let Some(number) = number(&parts.headers) {
        record.0.lock().unwrap().answered.insert(number, body.to_vec());
    }
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    if let Some(number) = number(&parts.headers) {
        record.0.lock().unwrap().given.insert(number, body.to_vec());
    }
    Response::from_parts(parts, Body::from(body))
}

/// What a record shows.
#[derive(Debug, Default)]
struct Shown {
    protected: BTreeMap<u8, usize>,
}

/// VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER.
const PINS: [u8; 3] = [0x20, 0x24, 0x2C];
/// VERIFY of a PIN with six characters, without these.
const VERIFY: [u8; 5] = [0x00, 0x20, 0x00, 0x81, 0x06];
/// GENERAL AUTHENTICATE.
const AUTHENTICATE: u8 = 0x86;

/// Checks a record with nothing but the standard's shapes of commands.
fn check(bodies: &Bodies) -> Result<Shown, String> {
    for secret in [PIN.as_bytes().to_vec(), hex::decode(SO_PIN).unwrap()] {
        let mut all = bodies.given.values().chain(bodies.answered.values());
        if all.any(|body| body.windows(secret.len()).any(|part| part == secret)) {
            return Err("a PIN is in a body".to_owned());
        }
    }
    let mut shown = Shown::default();
    let mut channel = false;
    for (number, body) in &bodies.given {
        let objects = CommandTemplate::parse(body).unwrap().0;
        let answers = bodies
            .answered
            .get(number)
            .map_or_else(Vec::new, |body| ResponseTemplate::parse(body).unwrap().results);
        let commands = objects.iter().filter_map(|object| match object {
            CommandObject::Command(command) => Some(CommandApdu::parse(command).unwrap()),
            _ => None,
        });
        for (index, command) in commands.enumerate() {
            let instruction = command.instruction;
            let protected = command.class & 0x0C == 0x0C;
            // Under secure messaging data travel in a cryptogram, which comes first: 87, or 85 for odd instructions.
            let data = match command.data().first() {
                Some(0x85 | 0x87) if protected => true,
                Some(_) => !protected,
                None => false,
            };
            if PINS.contains(&instruction) && data {
                return Err(format!("template {number}: {instruction:02X} with data"));
            }
            if channel && !protected {
                return Err(format!(
                    "template {number}: a plain {instruction:02X} after the channel was opened"
                ));
            }
            if protected {
                *shown.protected.entry(instruction).or_default() += 1;
            }
            let done = matches!(answers.get(index), Some(ResponseObject::Response(answer)) if answer.ends_with(&[0x90, 0x00]));
            channel |= instruction == AUTHENTICATE && done;
        }
    }
    if channel {
        Ok(shown)
    } else {
        Err("no channel was opened".to_owned())
    }
}

/// Answers no clients.
struct Nobody;

#[async_trait]
impl Service for Nobody {
    async fn client(&self, _: Hash32, _: IpAddr) -> Result<Caller, Failure> {
        Err(Failure::new(FailureKind::Refused, "nobody"))
    }

    async fn call(&self, _: &Caller, _: &str, _: &RawValue) -> Result<Box<RawValue>, Failure> {
        Err(Failure::new(FailureKind::Refused, "nobody"))
    }
}

/// A TLS listener with a certificate of its own in `directory`.
async fn listener(directory: &Path, router: Router, bodies: &Record) -> Edge {
    let identity = NodeIdentity::open_or_create(directory, &["localhost".to_owned()], &[]).unwrap();
    let addresses = Addresses {
        tokens: Some("127.0.0.1:0".to_owned()),
        api: None,
    };
    let recorded = router.layer(middleware::from_fn_with_state(bodies.clone(), record));
    Edge::open(&addresses, identity, recorded, Arc::new(Nobody))
        .await
        .unwrap()
}

/// The agent's end: its TLS connections end here, and go on in others.
fn forward(node: &Path, to: &str) -> Router {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(node).unwrap()).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap();
    let to = to.to_owned();
    let pass_on = move |headers: HeaderMap, body: Bytes| async move {
        let mut request = client.post(to).body(body);
        for (name, value) in &headers {
            if name != "host" && name != "content-length" {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        response.headers_mut().extend(answer.headers().clone());
        *response.body_mut() = Body::from(answer.bytes().await.unwrap());
        response
    };
    Router::new().route("/rt/connector", axum::routing::post(pass_on))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pin_and_no_plain_command_goes_over_the_line_once_the_channel_is_open() {
    let installation = Installation::new();
    let mut custodians = ["ann", "bob"].map(|name| installation.custodian(name));
    let (token, spki) = installation.hsm_with_key(&mut custodians).await;

    let connectors = Connectors::new(clock(), Options::default());
    connectors.allow_connector(NAME, Hash32::of(TICKET.as_bytes()), None);
    let mut changes = connectors.changes();
    let directory = tempfile::tempdir().unwrap();
    let (at_node, at_agent) = (Record::default(), Record::default());
    let node_directory = directory.path().join("node");
    let node = listener(&node_directory, router(Arc::clone(&connectors)), &at_node).await;
    let to = format!("https://localhost:{}/rt/connector", node.tokens().unwrap().port());
    let agent_directory = directory.path().join("agent");
    let forwarding = forward(&node_directory.join("node.pem"), &to);
    let before_agent = listener(&agent_directory, forwarding, &at_agent).await;

    // Our agent, as its owner runs it: key 1 may be used, nothing may be managed.
    let pinned = Trust::certificate(&std::fs::read(agent_directory.join("node.pem")).unwrap()).unwrap();
    let address = format!("https://localhost:{}", before_agent.tokens().unwrap().port());
    let server = chancery_connect::Server::new(&address, &pinned).unwrap();
    let token = Mutex::new(Some(token));
    let source = move || -> Result<Taken, TakeError> {
        let token = token.lock().unwrap().take().unwrap();
        Ok(Taken {
            atr: token.atr().to_vec(),
            transport: Box::new(token),
            called: "the HSM".to_owned(),
            device: None,
        })
    };
    let attachment = Attachment::new(source)
        .with_ticket(SecretText::new(TICKET.to_owned()))
        .with_policy(Policy::new().with_key(1));
    let (stop, stopped) = watch::channel(false);
    let agent = tokio::spawn(async move { attachment.run(&server, stopped, &|_| {}).await });
    tokio::time::timeout(Duration::from_secs(20), changes.recv())
        .await
        .unwrap()
        .unwrap();

    let way = Arc::new(connectors.way_to(NAME));
    let anchors = Arc::clone(&installation.anchors);
    let hsm = tokio::task::spawn_blocking(move || Hsm::start("hsm", way, anchors, clock()).unwrap())
        .await
        .unwrap();
    open(&hsm, &mut custodians).await;
    sign(&hsm, &spki, 4, 5).await;
    hsm.closed("the test is over").await;

    let bodies = |record: &Record| record.0.lock().unwrap().clone();
    for record in [&at_node, &at_agent] {
        let shown = check(&bodies(record)).unwrap();
        // Custodians' answers and signatures are among what was looked at.
        assert!(shown.protected[&0x82] >= 2, "{shown:?}");
        assert!(shown.protected[&0x68] >= 20, "{shown:?}");
    }

    // The control run: one plain command, and the same check fails.
    let mut way = connectors.way_to(NAME).connect().unwrap();
    let plain = tokio::task::spawn_blocking(move || way.transmit(&[0x00, 0x84, 0x00, 0x00, 0x08]));
    assert!(plain.await.unwrap().is_ok());
    for record in [&at_node, &at_agent] {
        let failed = check(&bodies(record)).unwrap_err();
        assert!(
            failed.ends_with("a plain 84 after the channel was opened"),
            "{failed}"
        );
    }

    // And a PIN, which the agent keeps from its token, but which would have come over the line.
    let mut way = connectors.way_to(NAME).connect().unwrap();
    let verify = [&VERIFY[..], PIN.as_bytes()].concat();
    let refused = tokio::task::spawn_blocking(move || way.transmit(&verify));
    assert_eq!(*refused.await.unwrap().unwrap(), [0x69, 0x82]);
    for record in [&at_node, &at_agent] {
        assert_eq!(check(&bodies(record)).unwrap_err(), "a PIN is in a body");
    }
    // A PIN nobody looks for: the instruction says enough.
    let unknown = [&VERIFY[..], &[1, 2, 3, 4, 5, 6]].concat();
    let template = CommandTemplate(vec![CommandObject::Command(unknown.into())]);
    let without = Bodies {
        given: BTreeMap::from([(1, template.encode().unwrap().to_vec())]),
        answered: BTreeMap::new(),
    };
    assert_eq!(check(&without).unwrap_err(), "template 1: 20 with data");

    stop.send_replace(true);
    agent.await.unwrap().unwrap();
    connectors.close();
    before_agent.close(Duration::from_secs(5)).await;
    node.close(Duration::from_secs(5)).await;
    assert_eq!(bodies(&at_node).given, bodies(&at_agent).given);
}
