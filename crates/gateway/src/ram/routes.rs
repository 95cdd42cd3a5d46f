//! What agents ask over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version, header};
use axum::routing::post;
use chancery_ram::message::{Initiation, Posted};
use chancery_ram::server::{Answer, Kind};
use tracing::debug;
use zeroize::Zeroizing;

use super::Connectors;
use super::connectors::{Admission, NotOpened};
use super::live::{Held, LockIn};
use crate::Peer;
use crate::door::{self, Unread};
use crate::standing::Standing;

/// Answers agents: `/rt/connector` to whoever has a ticket in `Authorization: Bearer`, `/rt/t/<ticket>` to programs that can
/// carry nothing but an address.
pub fn router(connectors: Arc<Connectors>) -> Router {
    Router::new()
        .route("/rt/connector", post(connector))
        .route("/rt/t/{ticket}", post(ticket))
        .with_state(connectors)
}

async fn connector(State(connectors): State<Arc<Connectors>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let admission = bearer(&head.headers).and_then(|ticket| connectors.admission(&ticket));
    answer(&connectors, head, body, admission, StatusCode::UNAUTHORIZED).await
}

async fn ticket(
    State(connectors): State<Arc<Connectors>>,
    Path(ticket): Path<String>,
    request: Request,
) -> Response<Body> {
    let ticket = Zeroizing::new(ticket);
    let (head, body) = request.into_parts();
    let admission = connectors.single(&ticket);
    answer(&connectors, head, body, admission, StatusCode::NOT_FOUND).await
}

/// Answers a POST. Its body is read when its ticket or its session is good, and as far as those need it; `refused` is for
/// tickets that are good for nothing.
async fn answer(
    connectors: &Arc<Connectors>,
    head: Parts,
    mut body: Body,
    admission: Option<Admission>,
    refused: StatusCode,
) -> Response<Body> {
    let headers = &head.headers;
    let address = address(&head);
    let secret = secret(headers);
    let live = secret.as_ref().and_then(|secret| connectors.session(secret));
    if live.is_none() && admission.is_none() {
        debug!(
            address = address.map(tracing::field::display),
            "a ticket was refused"
        );
        // Who still sends would not see an answer. Who waits to be asked for the body is not asked.
        if !headers.contains_key(header::EXPECT) {
            let most = if head.version < Version::HTTP_2 {
                BODY
            } else {
                FIRST_BODY
            };
            door::drain(&mut body, most, LEFT_TIME).await;
        }
        return plain(if secret.is_some() {
            StatusCode::NOT_FOUND
        } else {
            refused
        });
    }
    if let Some(standing) = head.extensions.get::<Standing>() {
        standing.known();
    }
    let (most, time) = match live {
        Some(_) => (BODY, BODY_TIME),
        None => (FIRST_BODY, FIRST_TIME),
    };
    let body = match door::read_body(headers, body, most, time).await {
        Ok(body) => Zeroizing::new(body),
        Err(Unread::TooLong) => return plain(StatusCode::PAYLOAD_TOO_LARGE),
        Err(Unread::Broken) => return plain(StatusCode::BAD_REQUEST),
        Err(Unread::TooSlow) => return plain(StatusCode::REQUEST_TIMEOUT),
    };
    if let Some(fetch) = headers.get(FETCH) {
        let Some(number) = number(fetch).filter(|_| body.is_empty()) else {
            return plain(StatusCode::BAD_REQUEST);
        };
        return match live {
            Some(live) => held(live.post(|session, post, now| session.fetch(post, number, now))).await,
            None => plain(StatusCode::NOT_FOUND),
        };
    }
    match Posted::parse(&body) {
        Err(_) => plain(StatusCode::BAD_REQUEST),
        Ok(Posted::Initiation(initiation)) => match admission {
            None => plain(refused),
            Some(admission) => first(connectors, admission, headers, address, initiation).await,
        },
        Ok(Posted::Response(response)) => {
            let sequence = headers.get(SEQUENCE).map(number);
            match (live, sequence) {
                (_, Some(None)) => plain(StatusCode::BAD_REQUEST),
                (None, _) => plain(StatusCode::NOT_FOUND),
                (Some(live), sequence) => {
                    let number = sequence.flatten();
                    held(live.post(|session, post, now| session.answered(post, number, response, now))).await
                }
            }
        }
    }
}

/// Where a request comes from.
fn address(head: &Parts) -> Option<SocketAddr> {
    let plain = || head.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = head.extensions.get::<Peer>().map(|peer| peer.address);
    peer.or_else(|| plain().map(|info| info.0))
}

/// The first POST of a session: its answer carries the session's secret, once.
async fn first(
    connectors: &Arc<Connectors>,
    admission: Admission,
    headers: &HeaderMap,
    address: Option<SocketAddr>,
    initiation: Initiation,
) -> Response<Body> {
    let own = headers.get(AGENT).is_some_and(|value| value == "1");
    let kind = if own { Kind::Own } else { Kind::Foreign };
    let opened = match connectors.open(admission, kind, initiation, address) {
        Ok(opened) => opened,
        Err(NotOpened::Ticket) => return plain(StatusCode::NOT_FOUND),
        Err(NotOpened::TooMany | NotOpened::Random) => return plain(StatusCode::SERVICE_UNAVAILABLE),
    };
    let secret = opened.secret;
    let mut response = held(opened.held).await;
    let cookie = Zeroizing::new(format!("{COOKIE}={}; Path=/rt; Secure; HttpOnly", *secret));
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    if own && let Ok(mut secret) = HeaderValue::from_str(&secret) {
        secret.set_sensitive(true);
        response.headers_mut().insert(SESSION, secret);
    }
    response
}

/// Waits for the answer of a session.
async fn held(held: Held) -> Response<Body> {
    let live = held.live();
    match held.answer().await {
        Answer::Template { body, sequence } => {
            let length = body.len();
            let mut response = Response::new(Body::from(body.to_vec()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(COMMANDS));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(sequence) = sequence {
                headers.insert(SEQUENCE, HeaderValue::from(sequence));
            }
            if live.kind == Kind::Own {
                match live.lock_in() {
                    LockIn::Unsaid => {}
                    LockIn::Never => drop(headers.insert(LOCK_IN, HeaderValue::from_static("none"))),
                    LockIn::Seconds(seconds) => drop(headers.insert(LOCK_IN, HeaderValue::from(seconds))),
                }
            }
            response
        }
        Answer::Over => plain(StatusCode::NO_CONTENT),
        Answer::Unknown => plain(StatusCode::NOT_FOUND),
        Answer::OutOfStep => plain(StatusCode::CONFLICT),
    }
}

/// An answer without a body.
fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The ticket of `Authorization: Bearer` (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, ticket) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("Bearer") && !ticket.trim().is_empty())
        .then(|| Zeroizing::new(ticket.trim().to_owned()))
}

/// The secret of the session: our own agent's header, else the cookie.
fn secret(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    if let Some(value) = headers.get(SESSION) {
        return value.to_str().ok().map(|value| Zeroizing::new(value.to_owned()));
    }
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| Zeroizing::new(value.to_owned()))
}

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

/// Largest body of a session, in bytes: a template of 65 535 bytes and its header.
const BODY: usize = 66 * 1024;
/// How long it may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Largest body of a POST without a session, in bytes: an answer to reset and two numbers are far shorter.
const FIRST_BODY: usize = 1024;
/// How long that may take.
const FIRST_TIME: Duration = Duration::from_secs(10);
/// How long the rest of a POST is taken that is refused.
const LEFT_TIME: Duration = Duration::from_secs(1);
/// Name of the one cookie.
const COOKIE: &str = "chancery-rt";
/// Media type of what a server sends.
const COMMANDS: &str = "application/org.openscdp-content-mgt-command;version=1.0";
/// Our own agent announces itself.
const AGENT: HeaderName = HeaderName::from_static("x-chancery-agent");
/// Secret of our own agent's session.
const SESSION: HeaderName = HeaderName::from_static("x-chancery-session");
/// Number of a template.
const SEQUENCE: HeaderName = HeaderName::from_static("x-chancery-sequence");
/// Number of the template that is asked for.
const FETCH: HeaderName = HeaderName::from_static("x-chancery-fetch");
/// Seconds until the agent has to lock the token.
const LOCK_IN: HeaderName = HeaderName::from_static("x-chancery-lock-in");
