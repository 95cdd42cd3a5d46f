//! Who is let in to the API, and how much of a request is read.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode, header},
    middleware::Next,
};
use chancery_api::{Failure, FailureKind};
use hyper::body::Frame;
use tokio::time::timeout;

use crate::{Peer, Service, answer, call::CALL_PATH, standing::Standing};

/// How long the body of a request may take.
const BODY: Duration = Duration::from_secs(30);
/// How long the rest of a body is taken that is too long.
const DRAIN: Duration = Duration::from_secs(5);

/// Lets in whose key is enrolled; the request then has the [`crate::Caller`] among its extensions.
pub(crate) async fn enrolled(
    State(service): State<Arc<dyn Service>>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let is_call = request.uri().path() == CALL_PATH;
    let peer = request.extensions().get::<Peer>();
    let known = match peer.and_then(|peer| Some((peer.key?, peer.address.ip()))) {
        Some((key, address)) => service.client(key, address).await,
        None => Err(Failure::new(
            FailureKind::Refused,
            "the client's certificate holds no key that can be enrolled",
        )
        .with_remedy("chancery client key --out FILE makes one")),
    };
    match known {
        Ok(caller) => {
            if let Some(standing) = request.extensions().get::<Standing>() {
                standing.known();
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => {
            let status = match failure.kind {
                FailureKind::Refused => StatusCode::UNAUTHORIZED,
                kind => answer::status(kind),
            };
            if is_call {
                answer::call_failed(status, &failure)
            } else {
                answer::json(status, &failure)
            }
        }
    }
}

/// Reads the body of a request before anything else is done about it: at most `limit` bytes, within half a minute.
pub(crate) async fn whole_body(State(limit): State<usize>, request: Request, next: Next) -> Response<Body> {
    let (head, body) = request.into_parts();
    let failed = |status, message: String| answer::json(status, &Failure::new(FailureKind::Invalid, message));
    match read_body(&head.headers, body, limit, BODY).await {
        Ok(whole) => next.run(Request::from_parts(head, Body::from(whole))).await,
        Err(Unread::TooLong) => failed(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request is longer than {limit} bytes"),
        ),
        Err(Unread::Broken) => failed(
            StatusCode::BAD_REQUEST,
            "the request ends in the middle".to_owned(),
        ),
        Err(Unread::TooSlow) => failed(
            StatusCode::REQUEST_TIMEOUT,
            format!("the request did not arrive within {} s", BODY.as_secs()),
        ),
    }
}

/// Why the body of a request was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    TooLong,
    Broken,
    TooSlow,
}

/// The body of a request: at most `limit` bytes, within `time`. Room is taken as it comes, whatever length was announced.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    time: Duration,
) -> Result<Vec<u8>, Unread> {
    let told = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let limit_64 = u64::try_from(limit).unwrap_or(u64::MAX);
    let read = async {
        if told.is_some_and(|told| told > limit_64) {
            return Err(Unread::TooLong);
        }
        collect(&mut body, limit).await
    };
    let read = timeout(time, read).await.unwrap_or(Err(Unread::TooSlow));
    if read == Err(Unread::TooLong) {
        // Who still sends would not see an answer: the rest is taken, within reason.
        drain(&mut body, limit.saturating_mul(4), DRAIN).await;
    }
    read
}

/// The next piece of a body; `None` at its end.
async fn piece(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => return Some(Ok(data)),
            // Trailers are of no use here.
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

async fn collect(body: &mut Body, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut whole = Vec::new();
    while let Some(piece) = piece(body).await {
        let piece = piece.map_err(|_| Unread::Broken)?;
        if whole.len().saturating_add(piece.len()) > limit {
            return Err(Unread::TooLong);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// Takes what still comes of a body, piece by piece, and keeps nothing.
pub(crate) async fn drain(body: &mut Body, most: usize, time: Duration) {
    let take = async {
        let mut taken = 0_usize;
        while let Some(Ok(piece)) = piece(body).await {
            taken = taken.saturating_add(piece.len());
            if taken > most {
                return;
            }
        }
    };
    // What has not come by then stays unread, and the connection ends.
    let _ = timeout(time, take).await;
}
