//! Calls.

use std::{io, net::ToSocketAddrs, sync::Arc, time::Duration};

use chancery_api::{Failure, MAX_MESSAGE, Method, PROTOCOL_VERSION};
use rustls::{
    AlertDescription, CertificateError, ClientConfig,
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
    sign::SingleCertAndKey,
};
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use ureq::{
    Agent,
    config::Config,
    http::{StatusCode, Uri},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{Connector, NextTimeout, TcpConnector},
    },
};

use crate::{ClientError, Identity, SettingsError, Trust, connection::TlsConnector, processes::PerProcess};

/// Path of calls at a node.
pub const CALL_PATH: &str = "/v1/call";

/// Which node is called, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://HOST:PORT`.
    pub url: String,
    /// What proves that it is the node.
    pub trust: Trust,
    /// Who calls; a node refuses calls of nobody.
    pub identity: Option<Identity>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// How long to wait for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection and the TLS handshake.
    pub connect: Duration,
    /// For the answer, once a call is sent. Calls that wait for a change wait up to 30 s.
    pub answer: Duration,
}

impl Default for Timeouts {
    /// 10 seconds to connect, 90 seconds for an answer.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(90),
        }
    }
}

/// A node, as its clients see it. Cheap to keep, made once; calls may come from many threads.
pub struct NodeClient {
    node: String,
    url: String,
    timeouts: Timeouts,
    name: ServerName<'static>,
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<Arc<SingleCertAndKey>>,
    agents: PerProcess<Agent>,
}

impl std::fmt::Debug for NodeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeClient({})", self.url)
    }
}

/// Connections that were idle for longer are not used again: a node closes them after a minute.
const IDLE: Duration = Duration::from_secs(20);
/// Idle connections kept.
const POOL: usize = 16;

impl NodeClient {
    /// A client of this node. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SettingsError`] when the settings are of no use.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let (node, name) = host(&settings.url)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = settings.trust.verifier(&provider)?;
        let identity = match &settings.identity {
            Some(identity) => Some(identity.resolver(&provider)?),
            None => None,
        };
        let agent = agent(&provider, &verifier, identity.as_ref(), &name, settings.timeouts)?;
        Ok(Self {
            url: format!("{}{CALL_PATH}", settings.url.trim_end_matches('/')),
            agents: PerProcess::new(std::process::id(), agent),
            timeouts: settings.timeouts,
            node,
            name,
            provider,
            verifier,
            identity,
        })
    }

    /// Host and port of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Calls a method and waits for its answer.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the node's own failure, [`ClientError`] otherwise. After [`ClientError::TimedOut`] and
    /// [`ClientError::Lost`] the call may have been carried out.
    pub fn call<M: Method>(&self, method: &M) -> Result<M::Reply, ClientError> {
        let agent = self.agents.of(std::process::id(), || {
            agent(
                &self.provider,
                &self.verifier,
                self.identity.as_ref(),
                &self.name,
                self.timeouts,
            )
        })?;
        let body = self.body(method)?;
        let answer = agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .send(&body[..])
            .map_err(|error| self.error(M::NAME, error))?;
        let (head, mut body) = answer.into_parts();
        let limit = u64::try_from(MAX_MESSAGE).unwrap_or(u64::MAX);
        let bytes = body
            .with_config()
            .limit(limit)
            .read_to_vec()
            .map_err(|error| self.error(M::NAME, error))?;
        match serde_json::from_slice(&bytes) {
            Ok(Answer::Ok(reply)) if head.status == StatusCode::OK => Ok(reply),
            Ok(Answer::Failed(failure)) if head.status == StatusCode::UNAUTHORIZED => {
                Err(ClientError::NotEnrolled(failure))
            }
            Ok(Answer::Failed(failure)) => Err(failure.into()),
            Ok(Answer::Ok(_)) => Err(self.answer(M::NAME, format!("HTTP status {}", head.status))),
            Err(error) if head.status == StatusCode::OK => Err(self.answer(M::NAME, error.to_string())),
            Err(_) => Err(self.answer(M::NAME, format!("HTTP status {}", head.status))),
        }
    }

    fn body<M: Method>(&self, method: &M) -> Result<Vec<u8>, ClientError> {
        let outgoing = Outgoing {
            v: PROTOCOL_VERSION,
            method: M::NAME,
            params: method,
        };
        let body = serde_json::to_vec(&outgoing).map_err(|error| self.answer(M::NAME, error.to_string()))?;
        if body.len() > MAX_MESSAGE {
            return Err(ClientError::TooLong {
                method: M::NAME,
                bytes: body.len(),
                limit: MAX_MESSAGE,
            });
        }
        Ok(body)
    }

    fn answer(&self, method: &'static str, why: String) -> ClientError {
        ClientError::Answer {
            node: self.node.clone(),
            method,
            why,
        }
    }

    fn error(&self, method: &'static str, error: ureq::Error) -> ClientError {
        let node = self.node.clone();
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                ClientError::Unreachable {
                    node,
                    source: io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("no connection within {} s", self.timeouts.connect.as_secs()),
                    ),
                }
            }
            ureq::Error::Timeout(_) => ClientError::TimedOut {
                node,
                method,
                seconds: self.timeouts.answer.as_secs(),
            },
            ureq::Error::HostNotFound => ClientError::Unreachable {
                node,
                source: io::Error::new(io::ErrorKind::NotFound, "no such host"),
            },
            ureq::Error::Io(error) => self.io_error(method, error),
            other => self.answer(method, other.to_string()),
        }
    }

    fn io_error(&self, method: &'static str, error: io::Error) -> ClientError {
        let node = self.node.clone();
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
                ClientError::NotPinned { node }
            }
            Some(rustls::Error::InvalidCertificate(why)) => ClientError::Untrusted {
                node,
                why: why.to_string(),
            },
            Some(rustls::Error::AlertReceived(alert)) => ClientError::TlsRefused {
                node,
                why: match alert {
                    AlertDescription::CertificateRequired => "it demands a client certificate".to_owned(),
                    other => format!("TLS alert {other:?}"),
                },
            },
            Some(other) => ClientError::TlsRefused {
                node,
                why: other.to_string(),
            },
            None if is_unreachable(error.kind()) => ClientError::Unreachable { node, source: error },
            None => ClientError::Lost {
                node,
                method,
                source: error,
            },
        }
    }
}

const fn is_unreachable(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NotFound
    )
}

/// [`chancery_api::Call`] with the parameters as they are.
#[derive(Serialize)]
struct Outgoing<'a, M> {
    v: u32,
    method: &'static str,
    params: &'a M,
}

/// [`chancery_api::Reply`] with the reply as it is.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer<T> {
    Ok(T),
    Failed(Failure),
}

/// Host and port for people, and the name its certificate must have.
fn host(url: &str) -> Result<(String, ServerName<'static>), SettingsError> {
    let wrong = |why| SettingsError::Url {
        url: url.to_owned(),
        why,
    };
    let uri: Uri = url.parse().map_err(|_| wrong("it is malformed"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("it does not begin with https://"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong("something follows the port"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("there is no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("there is a user name in it"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| wrong("the host is no name and no address"))?;
    Ok((authority.as_str().to_owned(), name))
}

fn agent(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<dyn ServerCertVerifier>,
    identity: Option<&Arc<SingleCertAndKey>>,
    name: &ServerName<'static>,
    timeouts: Timeouts,
) -> Result<Agent, SettingsError> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(SettingsError::Identity)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(verifier));
    let mut tls = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::clone(identity) as _),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Config::builder()
        .http_status_as_error(false)
        .https_only(true)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(timeouts.connect))
        .timeout_send_request(Some(timeouts.answer))
        .timeout_send_body(Some(timeouts.answer))
        .timeout_recv_response(Some(timeouts.answer))
        .timeout_recv_body(Some(timeouts.answer))
        .max_idle_age(IDLE)
        .max_idle_connections(POOL)
        .max_idle_connections_per_host(POOL)
        .build();
    let connector = ().chain(TcpConnector::default()).chain(TlsConnector {
        config: Arc::new(tls),
        name: name.clone(),
    });
    Ok(Agent::with_parts(config, connector, InPlace))
}

/// Looks hosts up on the calling thread: there are no others.
#[derive(Debug)]
struct InPlace;

/// Most addresses of a host that are tried.
const MOST_ADDRESSES: usize = 16;
/// Port of HTTPS.
const HTTPS: u16 = 443;

impl Resolver for InPlace {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, uri.port_u16().unwrap_or(HTTPS))
            .to_socket_addrs()
            .map_err(|_| ureq::Error::HostNotFound)?;
        let mut addresses = self.empty();
        for address in found.take(MOST_ADDRESSES) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(addresses)
    }
}
