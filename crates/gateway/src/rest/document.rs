//! The OpenAPI document.

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use utoipa::OpenApi;

use super::{handlers, model, replies};
use crate::answer;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chancery signing API",
        description = "Signatures by keys that open only while a quorum of custodians agrees. Clients prove an enrolled key in the TLS \
                       handshake (chancery client add). Nothing is signed without a lease: ask for one, wait until custodians have \
                       granted it, then sign. An HSM that its quorum opened is open for all its keys until it is locked: the quorum is \
                       enforced by the HSM, leases by the node."
    ),
    paths(
        handlers::hsms,
        handlers::keys,
        handlers::key_domains,
        handlers::request_lease,
        handlers::show_lease,
        handlers::withdraw_lease,
        handlers::show_receipt,
        handlers::sign
    ),
    components(schemas(
        model::NewLease,
        model::NewSignatures,
        model::KeyDomain,
        replies::Failure,
        replies::Hsm,
        replies::SigningKey,
        replies::Lease,
        replies::Signature,
        replies::Receipt
    ))
)]
pub(super) struct Document;

/// The document itself.
pub(super) async fn show() -> Response<Body> {
    answer::json(StatusCode::OK, &Document::openapi())
}
