//! Answers: JSON, and failures with the HTTP status that fits.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use chancery_api::{Failure, FailureKind};
use serde::Serialize;

/// HTTP status (RFC 9110 section 15) for a failure. Its kind in the body says more.
pub(crate) const fn status(kind: FailureKind) -> StatusCode {
    match kind {
        FailureKind::Invalid | FailureKind::Version => StatusCode::BAD_REQUEST,
        FailureKind::Blocked | FailureKind::Conflict => StatusCode::CONFLICT,
        FailureKind::NotFound => StatusCode::NOT_FOUND,
        FailureKind::Refused => StatusCode::FORBIDDEN,
        FailureKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer of this value.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => bytes(status, body),
        Err(error) => bytes(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{{\"kind\":\"internal\",\"message\":\"the answer cannot be written: {error}\"}}")
                .into_bytes(),
        ),
    }
}

/// An answer of JSON that is written already.
pub(crate) fn bytes(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A failure of the signing API: the [`Failure`] itself.
pub(crate) fn failed(failure: &Failure) -> Response<Body> {
    json(status(failure.kind), failure)
}

/// A failure as calls are answered with: `{"failed": ...}`.
pub(crate) fn call_failed(status: StatusCode, failure: &Failure) -> Response<Body> {
    json(status, &serde_json::json!({ "failed": failure }))
}
