//! Roots and proofs computed from leaf hashes, by whoever has the log.

use crate::hash::{TreeHash, empty_root, node_hash};

/// The root of the tree over `leaves` (reference: RFC 9162 2.1.1).
pub fn root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split_point(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// Proof that the leaf at `index` is in the tree of the first `size` leaves, the hash next to the leaf first
/// (reference: RFC 9162 2.1.3.1).
///
/// # Errors
/// If fewer than `size` leaves are given or `index` is not below `size`.
pub fn inclusion_proof(leaves: &[TreeHash], index: u64, size: u64) -> Result<Vec<TreeHash>, ProofError> {
    let mut tree = prefix(leaves, size)?;
    let mut index = usize::try_from(index)
        .ok()
        .filter(|index| *index < tree.len())
        .ok_or(ProofError::NoSuchLeaf { index, size })?;
    let mut proof = Vec::new();
    while tree.len() > 1 {
        let split = split_point(tree.len());
        let (left, right) = tree.split_at(split);
        if index < split {
            proof.push(root(right));
            tree = left;
        } else {
            proof.push(root(left));
            tree = right;
            index -= split;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proof that the tree of the first `old` leaves is a prefix of the tree of the first `new` leaves
/// (reference: RFC 9162 2.1.4.1). It is empty when the sizes are equal or `old` is 0.
///
/// # Errors
/// If fewer than `new` leaves are given or `old` is over `new`.
pub fn consistency_proof(leaves: &[TreeHash], old: u64, new: u64) -> Result<Vec<TreeHash>, ProofError> {
    let mut tree = prefix(leaves, new)?;
    let mut old = usize::try_from(old)
        .ok()
        .filter(|old| *old <= tree.len())
        .ok_or(ProofError::Shrinks { old, new })?;
    if old == 0 {
        return Ok(Vec::new());
    }
    let mut proof = Vec::new();
    // While the old tree starts at leaf 0, its root is known to the verifier and need not be in the proof.
    let mut from_start = true;
    while old < tree.len() {
        let split = split_point(tree.len());
        let (left, right) = tree.split_at(split);
        if old <= split {
            proof.push(root(right));
            tree = left;
        } else {
            proof.push(root(left));
            tree = right;
            old -= split;
            from_start = false;
        }
    }
    if !from_start {
        proof.push(root(tree));
    }
    proof.reverse();
    Ok(proof)
}

/// A proof that was asked for and cannot exist.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The log is shorter than the tree that was asked about.
    #[error("the log has {available} leaves, a tree of {size} was asked for")]
    LogTooShort {
        /// Leaves of the log.
        available: usize,
        /// Leaves of the tree asked for.
        size: u64,
    },
    /// The leaf is not in the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    NoSuchLeaf {
        /// Index of the leaf, from 0.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The tree that should be the later one is smaller.
    #[error("a tree of {new} leaves cannot continue one of {old}")]
    Shrinks {
        /// Leaves of the older tree.
        old: u64,
        /// Leaves of the newer tree.
        new: u64,
    },
}

fn prefix(leaves: &[TreeHash], size: u64) -> Result<&[TreeHash], ProofError> {
    usize::try_from(size)
        .ok()
        .and_then(|size| leaves.get(..size))
        .ok_or(ProofError::LogTooShort {
            available: leaves.len(),
            size,
        })
}

/// The largest power of two smaller than `size`, for `size` of at least 2.
const fn split_point(size: usize) -> usize {
    1 << (size - 1).ilog2()
}
