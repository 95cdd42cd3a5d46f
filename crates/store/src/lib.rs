//! What is stored, and how it is asked for: models and traits. This crate knows no database.
//!
//! A [`Change`] is a value: rows to write and audit events to append, all or nothing. [`Store::commit`] takes a group of changes and
//! makes them durable together, which is what lets many certificates share one disk flush. Reading never waits for writing.
//!
//! Every row is a cache or a claim, never a right: who may do what is proven by the signed acts, see `chancery-center`.

mod change;
mod error;
mod lease;
mod model;
mod network;
mod store;

pub use change::{Change, Conflict, Write};
pub use error::StoreError;
pub use lease::{
    LeaseAnswerRecord, LeaseCallRecord, LeaseRecord, LeaseSignatureRecord, LeaseWideningRecord,
    ManifestRecord, SigningKeyRecord,
};
pub use model::{
    ActRecord, AuditHead, AuditLeaf, CaRecord, CertificateRecord, CertificateState, CrlRecord,
    CustodianRecord, DecidedRequest, DecisionKind, DecisionRecord, HsmRecord, PersonRecord, ReplicaRecord,
    ReplicaState, RequestKind, RequestRecord, RequestState, RevokedEntry, SignerRecord, TokenMark,
};
pub use network::{ClientRecord, ConnectorRecord};
pub use store::Store;
