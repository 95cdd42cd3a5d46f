//! Checking an audit log without the node, from records that came out of a database or out of a bundle.
//!
//! Pure: records in, a verdict out; no file, no clock, no node. What is checked:
//! - leaves are contiguous, and the tree over them has the root of the head row and of every checkpoint at its size, so each
//!   checkpoint continues the one before;
//! - every checkpoint is signed by the audit key, which the first CA has certified, whose certificate the log says was issued;
//! - the first leaf is the pinned manager's own act; every act in a leaf is signed by a person whom acts before it made known,
//!   with the role it takes;
//! - every certificate the database knows was claimed and decided on in the log, every issued one was issued there, and the other
//!   way round.

mod acts;
mod certificates;
mod checker;
mod leaf;
mod record;

pub(crate) use checker::{Checker, Verdict};
pub(crate) use record::{
    CaRecord, CertificateRecord, CheckpointRecord, CrlRecord, HeadRecord, Header, LeafRecord, PersonRecord,
    Record,
};
