//! What comes with a request about a token's key, framed for storage.

use chancery_api::{Base64, Failure, FailureKind};
use serde::{Deserialize, Serialize};

/// EF 2F02 and CExx. Stored as JSON; fields are never renamed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenEvidence {
    pub(crate) chain: Base64,
    pub(crate) key_request: Base64,
}

impl TokenEvidence {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Failure> {
        serde_json::to_vec(self).map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(bytes).map_err(|error| {
            Failure::new(
                FailureKind::Refused,
                format!("the stored evidence cannot be read: {error}"),
            )
        })
    }
}
