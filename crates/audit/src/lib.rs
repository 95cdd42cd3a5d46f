//! Append-only Merkle log (RFC 6962 hashing) with C2SP signed-note checkpoints; no I/O.
//!
//! Every change and every use of a key is a leaf of one log. This crate holds the arithmetic that lets an
//! outsider check that log without trusting whoever keeps it:
//!
//! - [`TreeHash`], [`leaf_hash`], [`node_hash`]: the hashes of RFC 9162 2.1.1 (the same as RFC 6962 2.1);
//! - [`Frontier`]: what a writer keeps to append leaves and to know the root, at most 62 hashes;
//! - [`inclusion_proof`] and [`consistency_proof`] over a slice of leaf hashes, and [`verify_inclusion`] and
//!   [`verify_consistency`] that need neither the log nor its keeper;
//! - [`Checkpoint`]: origin, size and root as C2SP tlog-checkpoint writes them, carried in a [`SignedNote`]
//!   (C2SP signed-note) made by a [`NoteSigner`] and checked by a [`NoteVerifier`].
//!
//! Invariants: nothing here reads a clock, a file or randomness; nothing panics on bytes from outside; what
//! a leaf contains is not this crate's business.

mod checkpoint;
mod frontier;
mod hash;
mod key;
mod note;
mod proof;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use frontier::{Frontier, FrontierError, MAX_SIZE};
pub use hash::{HashError, TreeHash, empty_root, leaf_hash, node_hash};
pub use key::{KeyError, KeyId, NoteSigner, NoteVerifier};
pub use note::{MAX_NOTE_BYTES, MAX_SIGNATURES, NoteError, NoteSignature, SignedNote};
pub use proof::{VerifyError, verify_consistency, verify_inclusion};
pub use tree::{ProofError, consistency_proof, inclusion_proof, root};
