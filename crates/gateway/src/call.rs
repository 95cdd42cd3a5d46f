//! `POST /v1/call`: the messages of the node's socket, over HTTPS.

use std::sync::Arc;

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{Response, StatusCode},
};
use chancery_api::{Failure, FailureKind, PROTOCOL_VERSION};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Caller, Service, answer};

/// Path of calls.
pub(crate) const CALL_PATH: &str = "/v1/call";

/// [`chancery_api::Call`] with the parameters as they came.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Received<'a> {
    v: u32,
    method: String,
    #[serde(borrow)]
    params: &'a RawValue,
}

pub(crate) async fn call(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Response<Body> {
    match answered(&*service, &caller, &body).await {
        Ok(reply) => {
            let mut body = b"{\"ok\":".to_vec();
            body.extend_from_slice(reply.get().as_bytes());
            body.push(b'}');
            answer::bytes(StatusCode::OK, body)
        }
        Err(failure) => answer::call_failed(answer::status(failure.kind), &failure),
    }
}

async fn answered(service: &dyn Service, caller: &Caller, body: &[u8]) -> Result<Box<RawValue>, Failure> {
    let received: Received<'_> = serde_json::from_slice(body).map_err(|error| {
        // A message of another version may have other fields: its version is what matters then.
        match serde_json::from_slice::<Versioned>(body) {
            Ok(Versioned { v }) if v != PROTOCOL_VERSION => version(v),
            _ => Failure::new(FailureKind::Invalid, format!("the request is no call: {error}")),
        }
    })?;
    if received.v != PROTOCOL_VERSION {
        return Err(version(received.v));
    }
    service.call(caller, &received.method, received.params).await
}

#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

fn version(found: u32) -> Failure {
    Failure::new(
        FailureKind::Version,
        format!("the call is of version {found}, the node speaks version {PROTOCOL_VERSION}"),
    )
    .with_remedy("use a program of the node's version")
}
