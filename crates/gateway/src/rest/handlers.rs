//! What is done at each address: a call, with what the address and the body say.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, Response, StatusCode},
};
use chancery_api::{
    DigestValue, Failure, FailureKind, HsmList, LeaseId, LeaseRequest, LeaseShow, LeaseWithdraw, Method,
    ReceiptShow, SigningKeys, SigningSign,
};
use serde::de::DeserializeOwned;

use super::{
    model::{KeyDomain, Look, NewLease, NewSignatures},
    replies,
};
use crate::{Caller, Service, answer};

/// Calls a method for a client.
async fn call<M: Method>(service: &dyn Service, caller: &Caller, method: &M) -> Result<M::Reply, Failure> {
    let internal = |error: serde_json::Error| {
        Failure::new(
            FailureKind::Internal,
            format!("{} cannot be carried out: {error}", M::NAME),
        )
    };
    let params = serde_json::value::to_raw_value(method).map_err(internal)?;
    let reply = service.call(caller, M::NAME, &params).await?;
    serde_json::from_str(reply.get()).map_err(internal)
}

/// The answer of a call.
async fn answer<M: Method>(
    service: &dyn Service,
    caller: &Caller,
    method: &M,
    done: StatusCode,
) -> Response<Body> {
    match call(service, caller, method).await {
        Ok(reply) => answer::json(done, &reply),
        Err(failure) => answer::failed(&failure),
    }
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::new(
            FailureKind::Invalid,
            format!("the request cannot be read: {error}"),
        )
    })
}

fn lease_id(text: &str) -> Result<LeaseId, Failure> {
    serde_json::from_value(text.into()).map_err(|_| {
        Failure::new(
            FailureKind::Invalid,
            "a lease is named by its UUID in the address",
        )
    })
}

/// HSMs of the trust center with their states.
#[utoipa::path(get, path = "/v1/hsms", operation_id = "listHsms", tag = "HSMs and keys",
    responses((status = 200, description = "All HSMs", body = Vec<replies::Hsm>),
              (status = "default", description = "Nothing was done", body = replies::Failure)))]
pub(super) async fn hsms(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
) -> Response<Body> {
    answer(&*service, &caller, &HsmList {}, StatusCode::OK).await
}

/// Signing keys for which leases can be asked.
#[utoipa::path(get, path = "/v1/keys", operation_id = "listKeys", tag = "HSMs and keys",
    responses((status = 200, description = "All signing keys", body = Vec<replies::SigningKey>),
              (status = "default", description = "Nothing was done", body = replies::Failure)))]
pub(super) async fn keys(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
) -> Response<Body> {
    answer(&*service, &caller, &SigningKeys {}, StatusCode::OK).await
}

/// Key domains with the signing keys in them.
#[utoipa::path(get, path = "/v1/key-domains", operation_id = "listKeyDomains", tag = "HSMs and keys",
    responses((status = 200, description = "All key domains that have signing keys", body = Vec<KeyDomain>),
              (status = "default", description = "Nothing was done", body = replies::Failure)))]
pub(super) async fn key_domains(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
) -> Response<Body> {
    let keys = match call(&*service, &caller, &SigningKeys {}).await {
        Ok(keys) => keys,
        Err(failure) => return answer::failed(&failure),
    };
    let mut domains: BTreeMap<String, KeyDomain> = BTreeMap::new();
    for key in keys {
        let domain = domains
            .entry(key.key_domain.clone())
            .or_insert_with(|| KeyDomain {
                key_domain: key.key_domain,
                keys: Vec::new(),
                hsms: Vec::new(),
            });
        domain.keys.push(key.name);
        for replica in key.replicas {
            if !domain.hsms.contains(&replica.hsm) {
                domain.hsms.push(replica.hsm);
            }
        }
    }
    answer::json(StatusCode::OK, &domains.into_values().collect::<Vec<_>>())
}

/// Asks for a lease.
#[utoipa::path(post, path = "/v1/leases", operation_id = "requestLease", tag = "Leases", request_body = NewLease,
    responses((status = 200, description = "The lease; it waits for custodians unless it is live already", body = replies::Lease),
              (status = "default", description = "Nothing was done", body = replies::Failure)))]
pub(super) async fn request_lease(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
    bytes: Bytes,
) -> Response<Body> {
    let asked: NewLease = match body(&bytes) {
        Ok(asked) => asked,
        Err(failure) => return answer::failed(&failure),
    };
    let method = LeaseRequest {
        signer: asked.signer,
        purpose: asked.purpose,
        mechanism: asked.mechanism,
        digests: asked.digests,
        further: asked.further,
        seconds: asked.seconds,
        strict: asked.strict,
        wait_seconds: asked.wait_seconds,
        reuse: asked.reuse,
        attended_seconds: None,
        claimed: asked.claimed,
    };
    answer(&*service, &caller, &method, StatusCode::OK).await
}

/// One lease of the client's; waits for a change when asked to.
#[utoipa::path(get, path = "/v1/leases/{lease}", operation_id = "showLease", tag = "Leases",
    params(("lease" = String, Path, description = "The lease"), Look),
    responses((status = 200, description = "The lease", body = replies::Lease),
              (status = "default", description = "Nothing was done", body = replies::Failure)))]
pub(super) async fn show_lease(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
    Path(lease): Path<String>,
    look: Result<Query<Look>, QueryRejection>,
) -> Response<Body> {
    let method = lease_id(&lease).and_then(|lease| {
        let Query(look) = look.map_err(|error| Failure::new(FailureKind::Invalid, error.body_text()))?;
        Ok(LeaseShow {
            lease,
            known: look.known,
            wait_seconds: look.wait,
        })
    });
    match method {
        Ok(method) => answer(&*service, &caller, &method, StatusCode::OK).await,
        Err(failure) => answer::failed(&failure),
    }
}

/// Takes a lease back, or gives up what is left of it.
#[utoipa::path(delete, path = "/v1/leases/{lease}", operation_id = "withdrawLease", tag = "Leases",
    params(("lease" = String, Path, description = "The lease")),
    responses((status = 200, description = "The lease as it ended", body = replies::Lease),
              (status = "default", description = "Nothing was done", body = replies::Failure)))]
pub(super) async fn withdraw_lease(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
    Path(lease): Path<String>,
) -> Response<Body> {
    match lease_id(&lease) {
        Ok(lease) => answer(&*service, &caller, &LeaseWithdraw { lease }, StatusCode::OK).await,
        Err(failure) => answer::failed(&failure),
    }
}

/// The receipt of a signature.
#[utoipa::path(get, path = "/v1/leases/{lease}/receipts/{digest}", operation_id = "showReceipt", tag = "Leases",
    params(("lease" = String, Path, description = "The lease"),
           ("digest" = String, Path, description = "The digest, sha256:<hexadecimal>")),
    responses((status = 200, description = "The receipt", body = replies::Receipt),
              (status = "default", description = "Nothing was done", body = replies::Failure)))]
pub(super) async fn show_receipt(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
    Path((lease, digest)): Path<(String, String)>,
) -> Response<Body> {
    let method = lease_id(&lease).and_then(|lease| {
        let digest: DigestValue = digest.parse().map_err(|error: chancery_api::DigestError| {
            Failure::new(FailureKind::Invalid, error.to_string())
        })?;
        Ok(ReceiptShow { lease, digest })
    });
    match method {
        Ok(method) => answer(&*service, &caller, &method, StatusCode::OK).await,
        Err(failure) => answer::failed(&failure),
    }
}

/// Longest idempotency key, in characters.
const LONGEST_KEY: usize = 128;
/// Header with the client's own key of a request: a repeated one is answered as the first was.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Signs digests under a live lease of the client's, one or many. All of them are signed, or the answer is a failure; digests
/// signed before it count once and can be asked for again.
#[utoipa::path(post, path = "/v1/signatures", operation_id = "sign", tag = "Signatures", request_body = NewSignatures,
    params(("Idempotency-Key" = Option<String>, Header,
            description = "The client's own key of this request, at most 128 visible ASCII characters: the same request with the same key gives the same answer")),
    responses((status = 200, description = "The signatures, in the order of the digests", body = Vec<replies::Signature>),
              (status = "default", description = "Nothing was done, or not all of it", body = replies::Failure)))]
pub(super) async fn sign(
    State(service): State<Arc<dyn Service>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let method = idempotency_key(&headers).and_then(|idempotency_key| {
        let asked: NewSignatures = body(&bytes)?;
        let digests = match (asked.digest, asked.digests) {
            (Some(digest), digests) if digests.is_empty() => vec![digest],
            (None, digests) if !digests.is_empty() => digests,
            _ => {
                return Err(Failure::new(
                    FailureKind::Invalid,
                    "either digest or digests says what is signed",
                ));
            }
        };
        Ok(SigningSign {
            signer: asked.signer,
            mechanism: asked.mechanism,
            digests,
            lease: asked.lease,
            idempotency_key,
        })
    });
    match method {
        Ok(method) => answer(&*service, &caller, &method, StatusCode::OK).await,
        Err(failure) => answer::failed(&failure),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if keys.next().is_none() && (1..=LONGEST_KEY).contains(&key.len()) => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(Failure::new(
            FailureKind::Invalid,
            format!("an Idempotency-Key is one line of 1 to {LONGEST_KEY} visible ASCII characters"),
        )),
    }
}
