//! Who is let in to the API, and how much of a request is read.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode, header},
    middleware::Next,
};
use chancery_api::{Failure, FailureKind};
use tokio::time::timeout;

use crate::{Peer, Service, answer, call::CALL_PATH};

/// How long the body of a request may take.
const BODY: Duration = Duration::from_secs(30);

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
    let told = head
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let limit_64 = u64::try_from(limit).unwrap_or(u64::MAX);
    let too_long = || {
        let failure = Failure::new(
            FailureKind::Invalid,
            format!("the request is longer than {limit} bytes"),
        );
        answer::json(StatusCode::PAYLOAD_TOO_LARGE, &failure)
    };
    if told.is_some_and(|told| told > limit_64) {
        return too_long();
    }
    match timeout(BODY, to_bytes(body, limit)).await {
        Ok(Ok(body)) => next.run(Request::from_parts(head, Body::from(body))).await,
        Ok(Err(error)) if is_limit(&error) => too_long(),
        Ok(Err(_)) => answer::json(
            StatusCode::BAD_REQUEST,
            &Failure::new(FailureKind::Invalid, "the request ends in the middle"),
        ),
        Err(_) => answer::json(
            StatusCode::REQUEST_TIMEOUT,
            &Failure::new(
                FailureKind::Invalid,
                format!("the request did not arrive within {} s", BODY.as_secs()),
            ),
        ),
    }
}

fn is_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}
