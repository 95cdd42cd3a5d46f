//! What agents ask over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::post;
use bytes::Bytes;
use chancery_ram::message::{Initiation, MAX_BODY, Posted};
use chancery_ram::server::{Answer, Kind};
use tracing::debug;
use zeroize::Zeroizing;

use super::Connectors;
use super::connectors::NotOpened;
use super::live::{Held, LockIn};
use crate::Peer;

/// Answers agents: `/rt/connector` to whoever has a ticket in `Authorization: Bearer`, `/rt/t/<ticket>` to programs that can
/// carry nothing but an address.
pub fn router(connectors: Arc<Connectors>) -> Router {
    Router::new()
        .route("/rt/connector", post(connector))
        .route("/rt/t/{ticket}", post(ticket))
        .with_state(connectors)
}

async fn connector(State(connectors): State<Arc<Connectors>>, request: Request) -> Response<Body> {
    let request = match Asked::read(request).await {
        Ok(request) => request,
        Err(status) => return plain(status),
    };
    let bearer = bearer(&request.headers);
    answer(&connectors, request, StatusCode::UNAUTHORIZED, |connectors| {
        let ticket = bearer?;
        connectors
            .connector_of(&ticket)
            .or_else(|| connectors.use_ticket(&ticket))
    })
    .await
}

async fn ticket(
    State(connectors): State<Arc<Connectors>>,
    Path(ticket): Path<String>,
    request: Request,
) -> Response<Body> {
    let ticket = Zeroizing::new(ticket);
    let request = match Asked::read(request).await {
        Ok(request) => request,
        Err(status) => return plain(status),
    };
    answer(&connectors, request, StatusCode::NOT_FOUND, |connectors| {
        connectors.use_ticket(&ticket)
    })
    .await
}

/// A POST that has arrived.
struct Asked {
    headers: HeaderMap,
    address: Option<SocketAddr>,
    body: Bytes,
}

impl Asked {
    async fn read(request: Request) -> Result<Self, StatusCode> {
        let (parts, body) = request.into_parts();
        let length = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > MAX_BODY)) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let body = tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_BODY))
            .await
            .map_err(|_| StatusCode::REQUEST_TIMEOUT)?
            .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.address);
        let plain = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0);
        Ok(Self {
            headers: parts.headers,
            address: peer.or(plain),
            body,
        })
    }
}

/// Answers a POST. `admit` names the connector its ticket is for; `refused` is for tickets that are for none.
async fn answer(
    connectors: &Arc<Connectors>,
    request: Asked,
    refused: StatusCode,
    admit: impl FnOnce(&Connectors) -> Option<String>,
) -> Response<Body> {
    let headers = &request.headers;
    let live = || secret(headers).and_then(|secret| connectors.session(&secret));
    if let Some(fetch) = headers.get(FETCH) {
        let Some(number) = number(fetch).filter(|_| request.body.is_empty()) else {
            return plain(StatusCode::BAD_REQUEST);
        };
        return match live() {
            Some(live) => held(live.post(|session, post, now| session.fetch(post, number, now))).await,
            None => plain(StatusCode::NOT_FOUND),
        };
    }
    match Posted::parse(&request.body) {
        Err(_) => plain(StatusCode::BAD_REQUEST),
        Ok(Posted::Initiation(initiation)) => match admit(connectors) {
            None => {
                debug!(
                    address = request.address.map(tracing::field::display),
                    "a ticket was refused"
                );
                plain(refused)
            }
            Some(name) => first(connectors, &name, &request, initiation).await,
        },
        Ok(Posted::Response(response)) => {
            let sequence = headers.get(SEQUENCE).map(number);
            match (live(), sequence) {
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

/// The first POST of a session: its answer carries the session's secret, once.
async fn first(
    connectors: &Arc<Connectors>,
    name: &str,
    request: &Asked,
    initiation: Initiation,
) -> Response<Body> {
    let own = request.headers.get(AGENT).is_some_and(|value| value == "1");
    let kind = if own { Kind::Own } else { Kind::Foreign };
    let opened = match connectors.open(name, kind, initiation, request.address) {
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

/// How long the body of a POST may take.
const BODY_TIME: Duration = Duration::from_secs(30);
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
