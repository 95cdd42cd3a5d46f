//! What a journal keeps of a key under way. Stored: fields are only ever added.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::Check;
use super::parcel::digest;
use crate::key::KeyDetails;

/// A key on its way into a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct InstallPlan {
    /// What it comes from, for people.
    pub(super) from: String,
    /// The container it comes from, where it can be read again.
    pub(super) file: Option<PathBuf>,
    /// SHA-256 over the blob, hexadecimal.
    pub(super) blob: String,
    /// Id the key gets.
    pub(super) id: u8,
    /// Description to write, hexadecimal.
    pub(super) description: Option<String>,
    /// Certificate or request to write, hexadecimal.
    pub(super) certificate: Option<String>,
    /// How the key proves which one it is.
    pub(super) check: Check,
}

/// A key on its way out of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WrapPlan {
    /// Its id.
    pub(super) id: u8,
    /// The file to write.
    pub(super) file: PathBuf,
    /// Which key stood under the id.
    #[serde(default)]
    pub(super) key: KeyMark,
}

/// Which key stands under an id, by the files beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyMark {
    /// SHA-256 over the SubjectPublicKeyInfo of its certificate or request, hexadecimal.
    #[serde(default)]
    pub(super) public_key: Option<String>,
    /// SHA-256 over its description, hexadecimal.
    #[serde(default)]
    pub(super) description: Option<String>,
}

/// What is noted of a file before it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FileMark {
    /// SHA-256 over its content, hexadecimal.
    pub(super) sha256: String,
    /// SubjectPublicKeyInfo (DER, hexadecimal) that the key proved to belong to.
    pub(super) proven: Option<String>,
}

impl KeyMark {
    /// From what was read of a key.
    pub(super) fn of(details: &KeyDetails) -> Self {
        let spki = details.public_key.as_ref().and_then(|key| key.to_spki_der().ok());
        Self {
            public_key: spki.map(|spki| digest(&spki)),
            description: details
                .description
                .known()
                .map(|description| digest(&description.encode())),
        }
    }

    /// Whether both are of one key; `None` when that cannot be told. A description may change in a key's life, its public key
    /// cannot.
    pub(super) fn same_key(&self, now: &Self) -> Option<bool> {
        match (&self.public_key, &now.public_key) {
            (Some(before), Some(now)) => Some(before == now),
            _ => match (&self.description, &now.description) {
                (Some(before), Some(now)) if before == now => Some(true),
                _ => None,
            },
        }
    }
}

/// The token takes the key.
pub(super) const UNWRAP: &str = "key";
/// The key proves which one it is.
pub(super) const PROVE: &str = "test use";
/// Description.
pub(super) const DESCRIBE: &str = "description";
/// Certificate or request.
pub(super) const CERTIFY: &str = "certificate or request";
/// The token gives the key.
pub(super) const WRAP: &str = "key from the token";
/// The file is written.
pub(super) const WRITE: &str = "file";

impl InstallPlan {
    /// The steps in order.
    pub(super) fn steps(&self) -> Vec<&'static str> {
        let mut steps = vec![UNWRAP, PROVE];
        if self.description.is_some() {
            steps.push(DESCRIBE);
        }
        if self.certificate.is_some() {
            steps.push(CERTIFY);
        }
        steps
    }
}

/// A field in hexadecimal digits; `None` when it is none.
pub(super) fn bytes(field: Option<&String>) -> Option<Vec<u8>> {
    hex::decode(field?).ok()
}
