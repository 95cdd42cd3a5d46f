//! The server at the other end.

use std::fmt;
use std::io;
use std::time::Duration;

use chancery_api::SecretText;
use chancery_ram::client::{Post, PostKind, Reply, Unreached};
use chancery_ram::message::MAX_BODY;
use reqwest::{RequestBuilder, redirect};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::{ServerError, Trust};

/// Path of the endpoint of a node of ours for tokens with a ticket of their own.
pub const CONNECTOR: &str = "/rt/connector";

const CONNECT: Duration = Duration::from_secs(10);
/// How often a request is made whose connection was closed before it was sent.
const ATTEMPTS: u32 = 4;
/// Shorter than what servers and proxies in between keep an idle connection.
const IDLE: Duration = Duration::from_secs(20);

/// A server that may have tokens attached. Clones share connections.
#[derive(Clone)]
pub struct Server {
    url: Url,
    http: reqwest::Client,
}

impl Server {
    /// The server at this address, recognised so. An address without path is that of a node of ours.
    ///
    /// # Errors
    /// [`ServerError`]: the address or the certificate cannot be used; an address of another machine without encryption is
    /// refused, and so is any without where a certificate is to be shown.
    pub fn new(address: &str, trust: &Trust) -> Result<Self, ServerError> {
        let mut url = Url::parse(address).map_err(|_| ServerError::Address {
            text: address.split('/').take(3).collect::<Vec<_>>().join("/"),
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ServerError::Credentials);
        }
        let here = is_this_machine(&url);
        match url.scheme() {
            "https" => {}
            "http" if here && !matches!(trust, Trust::System) => return Err(ServerError::Unproven),
            "http" if here => {}
            "http" => {
                return Err(ServerError::Plain {
                    host: url.host_str().unwrap_or_default().to_owned(),
                });
            }
            scheme => {
                return Err(ServerError::Scheme {
                    scheme: scheme.to_owned(),
                });
            }
        }
        if matches!(url.path(), "" | "/") {
            url.set_path(CONNECTOR);
        }
        url.set_fragment(None);
        let mut http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("chancery-connect/", env!("CARGO_PKG_VERSION")));
        if here {
            http = http.no_proxy();
        }
        if let Some(settings) = trust.settings()? {
            http = http.tls_backend_preconfigured(settings);
        }
        let http = http.build().map_err(|error| ServerError::Client {
            why: chain(&error.without_url()),
        })?;
        Ok(Self { url, http })
    }

    /// Scheme, host and port: what of the address may be shown.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    fn request(&self, post: &Post, ticket: Option<&SecretText>) -> RequestBuilder {
        let mut request = self.http.post(self.url.clone()).timeout(post.limit);
        for (name, value) in &post.headers {
            request = request.header(*name, value.as_str());
        }
        if post.kind == PostKind::Initiation
            && let Some(ticket) = ticket
        {
            request = request.bearer_auth(ticket.secret_text());
        }
        request.body(post.body.to_vec())
    }

    /// Makes a POST. Only the first carries the ticket.
    pub(crate) async fn post(&self, post: &Post, ticket: Option<&SecretText>) -> Result<Reply, Unreached> {
        let mut attempts = 1;
        let mut response = loop {
            match self.request(post, ticket).send().await {
                // The server closed the connection just before: it has seen nothing of it, and says why at another attempt.
                Err(error) if attempts < ATTEMPTS && was_not_sent(&error) => attempts += 1,
                result => break result.map_err(unreached)?,
            }
        };
        let mut body = Zeroizing::new(Vec::new());
        // What is longer than any message is cut, and then it is no message.
        while body.len() <= MAX_BODY
            && let Some(chunk) = response.chunk().await.map_err(unreached)?
        {
            body.extend_from_slice(&chunk);
        }
        let headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        Ok(Reply::new(response.status().as_u16(), headers, body))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path may hold a ticket.
        write!(f, "Server({})", self.origin())
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// An error with its causes, without the address: its path may hold a ticket.
fn unreached(error: reqwest::Error) -> Unreached {
    let late = error.is_timeout();
    let error = error.without_url();
    let why = chain(&error);
    let meaning = match tls_error(&error) {
        Some(rustls::Error::InvalidCertificate(_)) => Some("its certificate is not one it is to be known by"),
        // It comes after the handshake, and HTTP/2 keeps the words alone.
        _ if why.contains("CertificateRequired") => {
            Some("it wants a certificate of ours: clients are answered there, agents at another port")
        }
        _ if late => Some("no answer in time"),
        _ => None,
    };
    Unreached {
        why: meaning.map_or_else(|| why.clone(), |meaning| format!("{meaning} ({why})")),
    }
}

/// Whether nothing of a request left this machine.
fn was_not_sent(error: &reqwest::Error) -> bool {
    // The HTTP library's words for it, before a connection is ready and after; a request that was sent and lost its connection has
    // others.
    let why = chain(error);
    ["channel closed", "operation was canceled"]
        .iter()
        .any(|words| why.contains(words))
}

/// What TLS says, if it was TLS that failed.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an I/O error holds is not its source.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_path_is_that_of_a_node() {
        let path = |address: &str| Server::new(address, &Trust::System).unwrap().url.to_string();
        assert_eq!(
            path("https://node.example:8443"),
            "https://node.example:8443/rt/connector"
        );
        assert_eq!(
            path("https://node.example/rt/hsm?x=1#y"),
            "https://node.example/rt/hsm?x=1"
        );
        assert_eq!(path("http://127.0.0.1:1/rt/t/abc"), "http://127.0.0.1:1/rt/t/abc");
    }

    #[test]
    fn unencrypted_connections_and_other_mistakes_are_refused() {
        let error = |address: &str| Server::new(address, &Trust::System).unwrap_err();
        assert!(matches!(
            error("http://node.example/rt/t/secret"),
            ServerError::Plain { .. }
        ));
        assert!(matches!(error("http://10.0.0.1/"), ServerError::Plain { .. }));
        assert!(matches!(
            error("http://127.0.0.1.example/"),
            ServerError::Plain { .. }
        ));
        assert!(matches!(error("ftp://node.example/"), ServerError::Scheme { .. }));
        assert!(matches!(
            error("https://me:pw@node.example/"),
            ServerError::Credentials
        ));
        let error = error("node.example:x/rt/t/secret").to_string();
        assert!(!error.contains("rt/t/secret/") && !format!("{error:?}").is_empty());
        let pinned = Trust::Certificate(vec![0x30, 0]);
        assert!(matches!(
            Server::new("http://127.0.0.1:1/", &pinned).unwrap_err(),
            ServerError::Unproven
        ));
        assert!(Trust::certificate(b"nothing").is_err());
        assert!(Trust::authorities(b"").is_err());
    }

    #[test]
    fn a_ticket_in_the_path_is_not_shown() {
        let server = Server::new("https://node.example/rt/t/sEcReT", &Trust::System).unwrap();
        assert!(!format!("{server:?}{}", server.origin()).contains("sEcReT"));
    }
}
