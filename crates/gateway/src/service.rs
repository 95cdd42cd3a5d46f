//! What the API needs of the node.

use std::net::IpAddr;

use async_trait::async_trait;
use chancery_api::{Failure, Hash32};
use serde_json::value::RawValue;

/// An enrolled client that calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name it was enrolled under.
    pub name: String,
    /// SHA-256 of its SubjectPublicKeyInfo (DER), which it proved to have.
    pub key: Hash32,
    /// Where it comes from.
    pub address: IpAddr,
    /// Custodian whose agent it is.
    pub custodian: Option<String>,
}

/// Answers clients. All rules are behind it.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// The client that is enrolled with this key now.
    ///
    /// # Errors
    /// [`chancery_api::FailureKind::Refused`] when there is none; other kinds when that cannot be said.
    async fn client(&self, key: Hash32, address: IpAddr) -> Result<Caller, Failure>;

    /// Answers a call of a client with the JSON of its reply.
    ///
    /// # Errors
    /// The failure the client is told.
    async fn call(&self, caller: &Caller, method: &str, params: &RawValue) -> Result<Box<RawValue>, Failure>;
}
