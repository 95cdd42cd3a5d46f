//! The signing API: HSMs, keys, leases and signatures as resources. It is the same calls in another form; what a client may do
//! is decided behind [`crate::Service`].

mod document;
mod handlers;
mod model;
mod replies;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::Service;

pub(crate) fn router() -> Router<Arc<dyn Service>> {
    Router::new()
        .route("/v1/hsms", get(handlers::hsms))
        .route("/v1/keys", get(handlers::keys))
        .route("/v1/key-domains", get(handlers::key_domains))
        .route("/v1/leases", post(handlers::request_lease))
        .route(
            "/v1/leases/{lease}",
            get(handlers::show_lease).delete(handlers::withdraw_lease),
        )
        .route(
            "/v1/leases/{lease}/receipts/{digest}",
            get(handlers::show_receipt),
        )
        .route("/v1/signatures", post(handlers::sign))
        .route("/v1/openapi.json", get(document::show))
}
