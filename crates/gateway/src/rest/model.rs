//! What the signing API takes, and what it answers beyond the views of the interface.

use chancery_api::{Claims, DigestValue, LeaseId, Mechanism};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::replies;

/// Asks for a lease: custodians decide.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLease {
    /// Name of the signing key.
    pub(super) signer: String,
    /// What for; one line, at most 200 characters. Custodians read it.
    pub(super) purpose: String,
    /// How to sign.
    #[schema(value_type = replies::Mechanism)]
    pub(super) mechanism: Mechanism,
    /// Digests that are known, all by one hash function.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]))]
    pub(super) digests: Vec<DigestValue>,
    /// How many further distinct digests.
    #[serde(default)]
    pub(super) further: u64,
    /// How long it is to last, in seconds.
    pub(super) seconds: u64,
    /// Whether an HSM that is open already is locked first, so that its own quorum decides.
    #[serde(default)]
    pub(super) strict: bool,
    /// How long it waits for custodians at most, in seconds; 15 minutes when absent.
    pub(super) wait_seconds: Option<u64>,
    /// Whether a live lease of the same client that covers what is asked is given back in place of a new one.
    #[serde(default)]
    pub(super) reuse: bool,
    /// What the program says of itself; nothing of it is proven.
    #[serde(default)]
    #[schema(value_type = replies::Claims)]
    pub(super) claimed: Claims,
}

/// Asks for signatures under a live lease: either `digest` or `digests`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSignatures {
    /// Name of the signing key.
    pub(super) signer: String,
    /// How to sign.
    #[schema(value_type = replies::Mechanism)]
    pub(super) mechanism: Mechanism,
    /// One digest.
    #[schema(value_type = Option<String>)]
    pub(super) digest: Option<DigestValue>,
    /// Several digests by one hash function, at most 1000.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub(super) digests: Vec<DigestValue>,
    /// The lease; any live one of the client's that fits when absent.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub(super) lease: Option<LeaseId>,
}

/// How to look at a lease.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Look {
    /// Version of the lease the client knows: the answer waits for another one.
    pub(super) known: Option<u64>,
    /// Seconds to wait for it, at most 30.
    #[serde(default)]
    pub(super) wait: u32,
}

/// A key domain: HSMs that can hold the same keys.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct KeyDomain {
    /// Key check value, hexadecimal.
    pub(super) key_domain: String,
    /// Signing keys in it, by name.
    pub(super) keys: Vec<String>,
    /// HSMs with replicas of them, by name.
    pub(super) hsms: Vec<String>,
}
