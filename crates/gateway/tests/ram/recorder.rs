//! A line between an agent and a node on which everything is written down inside TLS, and what such a record shows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::{self, Next};
use chancery_api::{Failure, FailureKind, Hash32};
use chancery_gateway::identity::NodeIdentity;
use chancery_gateway::{Addresses, Caller, Edge, Service, Standing};
use chancery_iso7816::CommandApdu;
use chancery_ram::message::{CommandObject, CommandTemplate, ResponseObject, ResponseTemplate};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::value::RawValue;

/// The bodies that came by, in templates and their answers, by number.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Bodies>>);

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Bodies {
    pub(crate) given: BTreeMap<u64, Vec<u8>>,
    pub(crate) answered: BTreeMap<u64, Vec<u8>>,
    /// How the requests came: HTTP/1.1, HTTP/2.0.
    pub(crate) versions: BTreeSet<String>,
}

impl Record {
    /// What came by until now.
    pub(crate) fn bodies(&self) -> Bodies {
        self.0.lock().unwrap().clone()
    }
}

/// Writes down what passes.
async fn record(State(record): State<Record>, request: Request, next: Next) -> Response<Body> {
    let number = |headers: &HeaderMap| -> Option<u64> {
        headers.get("x-chancery-sequence")?.to_str().ok()?.parse().ok()
    };
    let (parts, body) = request.into_parts();
    // Nobody asks for tickets here.
    parts.extensions.get::<Standing>().unwrap().known();
    let version = format!("{:?}", parts.version);
    record.0.lock().unwrap().versions.insert(version);
    let Ok(body) = to_bytes(body, 1 << 20).await else {
        // Its sender is gone.
        return Response::new(Body::empty());
    };
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
pub(crate) struct Shown {
    /// Commands under secure messaging, by instruction.
    pub(crate) protected: BTreeMap<u8, usize>,
    /// How often the channel was opened again.
    pub(crate) opened_again: usize,
}

/// VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER.
const PINS: [u8; 3] = [0x20, 0x24, 0x2C];
/// SELECT.
const SELECT: u8 = 0xA4;
/// GENERAL AUTHENTICATE.
const AUTHENTICATE: u8 = 0x86;
/// What opens a channel, in clear: MANAGE SECURITY ENVIRONMENT, which names a key, and GENERAL AUTHENTICATE, which carries a fresh
/// public key.
const OPENING: [[u8; 4]; 2] = [[0x00, 0x22, 0x41, 0xA4], [0x00, AUTHENTICATE, 0x00, 0x00]];

/// Checks a record with nothing but the standard's shapes of commands: none of these secrets is in it, no PIN travels, plain or
/// protected, and nothing is plain once the channel is open, but what opens another one in its place: a SELECT, which locks the
/// token, ends the channel as well.
pub(crate) fn check(bodies: &Bodies, secrets: &[Vec<u8>]) -> Result<Shown, String> {
    for secret in secrets {
        let mut all = bodies.given.values().chain(bodies.answered.values());
        if all.any(|body| body.windows(secret.len()).any(|part| part == secret)) {
            return Err("a PIN is in a body".to_owned());
        }
    }
    let mut shown = Shown::default();
    let mut channel = false;
    // A SELECT in the channel locks the token, and ends the channel with it.
    let mut ended = false;
    let mut before = [0; 4];
    for (number, body) in &bodies.given {
        let CommandTemplate(objects) =
            CommandTemplate::parse(body).map_err(|error| format!("template {number}: {error}"))?;
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
            if PINS.contains(&instruction) {
                return Err(format!("template {number}: {instruction:02X}"));
            }
            let header = [command.class, instruction, command.p1, command.p2];
            let opens = if instruction == AUTHENTICATE {
                // Only right behind the choice of the key.
                header == OPENING[1] && before == OPENING[0]
            } else {
                header == OPENING[0]
            };
            before = header;
            if channel && opens && instruction == AUTHENTICATE {
                shown.opened_again += 1;
            }
            ended |= protected && instruction == SELECT;
            if channel && !protected && !(opens && ended) {
                return Err(format!(
                    "template {number}: a plain {instruction:02X} after the channel was opened"
                ));
            }
            if protected {
                *shown.protected.entry(instruction).or_default() += 1;
            }
            let done = matches!(answers.get(index), Some(ResponseObject::Response(answer)) if answer.ends_with(&[0x90, 0x00]));
            if instruction == AUTHENTICATE && done {
                (channel, ended) = (true, false);
            }
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
pub(crate) async fn listener(directory: &Path, router: Router, bodies: &Record) -> Edge {
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
pub(crate) fn forward(node: &Path, to: &str) -> Router {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(node).unwrap()).unwrap();
    let mut tls =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap();
    let to = to.to_owned();
    let pass_on = move |headers: HeaderMap, body: Bytes| async move {
        let mut request = client.post(to).body(body);
        for (name, value) in &headers {
            if name != "host" && name != "content-length" && name != "connection" {
                request = request.header(name, value);
            }
        }
        // Who is not reached is out of reach for the agent as well.
        let Ok(answer) = request.send().await else {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            return response;
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        response.headers_mut().extend(answer.headers().clone());
        *response.body_mut() = Body::from(answer.bytes().await.unwrap_or_default());
        response
    };
    Router::new().route("/rt/connector", axum::routing::post(pass_on))
}
