//! Verification of proofs by somebody who has only two roots.

use crate::hash::{TreeHash, empty_root, node_hash};

/// Checks that a leaf is at `index` of the tree of `size` leaves with this root
/// (reference: RFC 9162 2.1.3.2).
///
/// # Errors
/// If the proof does not lead from the leaf to the root.
pub fn verify_inclusion(
    leaf: &TreeHash,
    index: u64,
    size: u64,
    proof: &[TreeHash],
    root: &TreeHash,
) -> Result<(), VerifyError> {
    if index >= size {
        return Err(VerifyError::NoSuchLeaf { index, size });
    }
    let mut path = Path {
        node: index,
        last: size - 1,
    };
    let mut computed = *leaf;
    for hash in proof {
        computed = match path.ascend()? {
            Side::Left => node_hash(hash, &computed),
            Side::Right => node_hash(&computed, hash),
        };
    }
    path.finish()?;
    if computed == *root {
        Ok(())
    } else {
        Err(VerifyError::Root {
            expected: *root,
            computed,
        })
    }
}

/// Checks that the tree of `new` leaves with `new_root` starts with the tree of `old` leaves with `old_root`
/// (reference: RFC 9162 2.1.4.2). Every tree continues the empty one, with an empty proof.
///
/// # Errors
/// If the proof does not lead to both roots.
pub fn verify_consistency(
    old: u64,
    old_root: &TreeHash,
    new: u64,
    new_root: &TreeHash,
    proof: &[TreeHash],
) -> Result<(), VerifyError> {
    if old > new {
        return Err(VerifyError::Shrinks { old, new });
    }
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(VerifyError::Length);
        }
        let expected = if old == 0 { empty_root() } else { *new_root };
        require(old_root, &expected)?;
        return if new == 0 {
            require(new_root, &expected)
        } else {
            Ok(())
        };
    }
    let mut path = Path {
        node: old - 1,
        last: new - 1,
    };
    path.skip_complete();
    // A complete old tree is a node of the new one, and its root starts the path instead of a proof hash.
    let (start, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(VerifyError::Length)?
    };
    let (mut computed_old, mut computed_new) = (*start, *start);
    for hash in rest {
        match path.ascend()? {
            Side::Left => {
                computed_old = node_hash(hash, &computed_old);
                computed_new = node_hash(hash, &computed_new);
            }
            Side::Right => computed_new = node_hash(&computed_new, hash),
        }
    }
    path.finish()?;
    require(old_root, &computed_old)?;
    require(new_root, &computed_new)
}

/// A proof that proves nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The leaf cannot be in a tree of this size.
    #[error("leaf {index} cannot be in a tree of {size} leaves")]
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
    /// The proof has too few or too many hashes for these sizes.
    #[error("the proof has the wrong number of hashes for these sizes")]
    Length,
    /// The proof leads to another root.
    #[error("the proof leads to root {computed}, not to {expected}")]
    Root {
        /// The root that should be proven.
        expected: TreeHash,
        /// The root the proof leads to.
        computed: TreeHash,
    },
}

/// Where the verifier stands in the tree: the node's number in its level, and the last number there.
struct Path {
    node: u64,
    last: u64,
}

/// On which side of the path the next hash of the proof stands.
enum Side {
    Left,
    Right,
}

impl Path {
    /// Goes up past one hash of the proof, and past the levels where the node has no sibling.
    fn ascend(&mut self) -> Result<Side, VerifyError> {
        if self.last == 0 {
            return Err(VerifyError::Length);
        }
        let side = if self.node & 1 == 1 {
            Side::Left
        } else if self.node == self.last {
            while self.node & 1 == 0 && self.node != 0 {
                self.up();
            }
            Side::Left
        } else {
            Side::Right
        };
        self.up();
        Ok(side)
    }

    /// Goes up while the node is a right child: to the root of the complete subtree that ends at it.
    fn skip_complete(&mut self) {
        while self.node & 1 == 1 {
            self.up();
        }
    }

    const fn up(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }

    const fn finish(&self) -> Result<(), VerifyError> {
        if self.last == 0 {
            Ok(())
        } else {
            Err(VerifyError::Length)
        }
    }
}

fn require(expected: &TreeHash, computed: &TreeHash) -> Result<(), VerifyError> {
    if expected == computed {
        Ok(())
    } else {
        Err(VerifyError::Root {
            expected: *expected,
            computed: *computed,
        })
    }
}
