//! Receipts: what shows offline that a quorum permitted one signature.
//!
//! What each part of a receipt rests on:
//!
//! * the signature, on the key; the key, on the device that attested it;
//! * the lease's text, on the statements of the custodians, whose keys their own tokens attested. That these are keys of the HSM's
//!   custodians, and how many are needed, is the node's word;
//! * time, names, and whatever else no signature above covers, on the node's word, until the signed head of the audit log covers it: then
//!   the node can never have said anything else.

mod custodian;
mod file;
mod finding;
mod log;
mod signature;
mod verdict;

pub(crate) use file::seems_receipt;
pub use file::{ReceiptError, encode_receipt, parse_receipt};
pub use finding::{Agreed, Known, Permit, ReceiptFinding};
pub use verdict::{
    CustodianVerdict, ExtentVerdict, LeaseVerdict, LogVerdict, QuorumVerdict, SignatureVerdict,
};
