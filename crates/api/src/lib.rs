//! What the node and its clients say to each other: typed, versioned messages, canonical JSON, and the statements people sign.
//!
//! This crate is pure: no I/O, no clock, no randomness. The same types travel over the node's Unix socket today and are meant to
//! travel over HTTP unchanged: a method has a name, parameters and a reply, and every failure is a [`Failure`].

mod act;
mod bytes;
mod canonical;
mod failure;
mod ids;
mod lease;
mod lease_methods;
mod message;
mod methods;
mod mistake;
mod name;
mod network_methods;
mod receipt;
mod roles;
mod views;
mod widening;

pub use act::{
    ActPayload, ApprovedItem, CaDocument, CertificateDocument, CustodianDocument, Decision, HsmDocument,
    PersonDocument, SignedAct, SignedItem, SignerDocument, Subject, statement,
};
pub use bytes::{Base64, Hash32, SecretText};
pub use canonical::{CanonicalError, canonical_json};
pub use failure::{Condition, Failure, FailureKind};
pub use ids::{
    ActId, CaId, CertificateId, HsmId, InstallationId, LeaseId, PersonId, RequestNumber, SignerId,
};
pub use lease::{
    Claims, DigestError, DigestValue, Extent, HashName, LeaseText, LogPlace, Mechanism, Requester,
    StatementKind, lease_statement, manifest_hash,
};
pub use lease_methods::*;
pub use message::{Call, MAX_MESSAGE, Method, PROTOCOL_VERSION, Reply};
pub use methods::*;
pub use mistake::mistake;
pub use name::check_name;
pub use network_methods::*;
pub use roles::Role;
pub use views::*;
pub use widening::{MOST_NEXT, MOST_WIDENINGS, NotWidened, Widening};
