//! The hash of a leaf and of an inner node.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 hash of the log's tree: of a leaf, of a subtree or of the whole tree; 32 bytes.
///
/// In text and in JSON it is 64 lower-case hexadecimal digits; a checkpoint writes it in base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreeHash([u8; Self::LENGTH]);

impl TreeHash {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// Takes 32 bytes that are already a hash of this tree.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl TryFrom<&[u8]> for TreeHash {
    type Error = HashError;

    fn try_from(bytes: &[u8]) -> Result<Self, HashError> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| HashError::Length { bytes: bytes.len() })
    }
}

impl TryFrom<String> for TreeHash {
    type Error = HashError;

    fn try_from(text: String) -> Result<Self, HashError> {
        let mut bytes = [0; Self::LENGTH];
        hex::decode_to_slice(&text, &mut bytes).map_err(|source| HashError::Text { source })?;
        Ok(Self(bytes))
    }
}

impl From<TreeHash> for String {
    fn from(hash: TreeHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}

/// Bytes or text that are no hash of this tree.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Not 32 bytes.
    #[error("a tree hash has 32 bytes, not {bytes}")]
    Length {
        /// The length that was found, in bytes.
        bytes: usize,
    },
    /// Not 64 hexadecimal digits.
    #[error("a tree hash is written as 64 hexadecimal digits")]
    Text {
        /// What the decoder said.
        source: hex::FromHexError,
    },
}

/// The hash of a leaf: SHA-256 of `00` and the entry (reference: RFC 9162 2.1.1).
pub fn leaf_hash(entry: &[u8]) -> TreeHash {
    TreeHash(
        Sha256::new()
            .chain_update([LEAF_PREFIX])
            .chain_update(entry)
            .finalize()
            .into(),
    )
}

/// The hash of an inner node: SHA-256 of `01`, the left and the right hash (reference: RFC 9162 2.1.1).
pub fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    TreeHash(
        Sha256::new()
            .chain_update([NODE_PREFIX])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The root of a tree without leaves: SHA-256 of nothing (reference: RFC 9162 2.1.1).
pub fn empty_root() -> TreeHash {
    TreeHash(Sha256::digest([]).into())
}

const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;
