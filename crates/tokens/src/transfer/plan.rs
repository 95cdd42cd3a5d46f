//! What a journal keeps of a key under way. Stored: fields are only ever added.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::Check;

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
