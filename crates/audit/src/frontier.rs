//! What a writer of the log keeps in order to append to it.

use crate::hash::{TreeHash, empty_root, node_hash};

/// The largest number of leaves a log can have here; it fits a signed 64-bit column.
pub const MAX_SIZE: u64 = 1 << 62;

/// The roots of the complete subtrees a log of some size consists of, from the largest to the smallest (a
/// "compact range" from leaf 0).
///
/// It is enough to append leaves and to compute the root, and has one hash for every bit that is set in the
/// size. It is no proof of anything: whoever stores it can change it. The checkpoint is what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// The frontier of an empty log.
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the length is not the one the size demands, or the size is over [`MAX_SIZE`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let Some((size, hashes)) = bytes.split_first_chunk::<SIZE_BYTES>() else {
            return Err(FrontierError::Length {
                expected: SIZE_BYTES,
                found: bytes.len(),
            });
        };
        let size = u64::from_be_bytes(*size);
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge { size });
        }
        let (peaks, rest) = hashes.as_chunks::<{ TreeHash::LENGTH }>();
        // At most 64 bits are set, so neither conversion nor product can overflow.
        let expected = usize::try_from(size.count_ones()).unwrap_or(usize::MAX);
        if peaks.len() != expected || !rest.is_empty() {
            let expected = SIZE_BYTES + expected * TreeHash::LENGTH;
            return Err(FrontierError::Length {
                expected,
                found: bytes.len(),
            });
        }
        Ok(Self {
            size,
            peaks: peaks.iter().copied().map(TreeHash::from_bytes).collect(),
        })
    }

    /// Appends a leaf by its hash and returns the index it got, counted from 0.
    pub fn push(&mut self, leaf: TreeHash) -> u64 {
        let index = self.size;
        let mut node = leaf;
        // Each trailing one bit of the index is a complete subtree of the same height as `node`.
        for _ in 0..index.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            node = node_hash(&left, &node);
        }
        self.peaks.push(node);
        // MAX_SIZE is checked on reading, and 2^62 appends take longer than any process lives.
        self.size = index.saturating_add(1);
        index
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree of all leaves so far.
    pub fn root(&self) -> TreeHash {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// The size as 8 bytes, big endian, then the hashes of the subtrees, the largest first, 32 bytes each.
    ///
    /// This form is stored: it must stay readable.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIZE_BYTES + self.peaks.len() * TreeHash::LENGTH);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for peak in &self.peaks {
            bytes.extend_from_slice(peak.as_bytes());
        }
        bytes
    }
}

/// Bytes that are no frontier.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// The bytes do not have the length the size in them demands.
    #[error("a frontier of this size has {expected} bytes, not {found}")]
    Length {
        /// Length the size demands, in bytes.
        expected: usize,
        /// Length that was found, in bytes.
        found: usize,
    },
    /// A size no log reaches.
    #[error("a log of {size} leaves is over the limit of 2^62")]
    TooLarge {
        /// The size that was found, in leaves.
        size: u64,
    },
}

const SIZE_BYTES: usize = size_of::<u64>();
