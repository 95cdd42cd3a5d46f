//! What a verdict is made of: one record a line in a bundle. Stored in files; fields are never renamed.

use chancery_api::{Base64, Hash32, Installation, PersonId};
use chancery_audit::TreeHash;
use serde::{Deserialize, Serialize};

/// Version of the bundle's form.
pub(crate) const VERSION: u32 = 1;

/// A record. The order is: header, head, people, certificates, CAs, CRLs, checkpoints by size, leaves by index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Record {
    /// Which log this is.
    Header(Header),
    /// The head as the database has it.
    Head(HeadRecord),
    /// A person's row.
    Person(PersonRecord),
    /// A CA's row.
    Ca(CaRecord),
    /// A certificate's row.
    Certificate(CertificateRecord),
    /// A CA's newest CRL.
    Crl(CrlRecord),
    /// A signed head.
    Checkpoint(CheckpointRecord),
    /// A leaf.
    Leaf(LeafRecord),
}

/// Which log this is, and whom it goes back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// Version of the bundle: 1.
    pub(crate) v: u32,
    /// The installation as pinned.
    pub(crate) installation: Installation,
    /// The audit key in the text form of C2SP signed-note; absent before the first start of the node.
    pub(crate) audit_key: Option<String>,
}

/// The head row. Read before the other rows: what happened later is in the leaves only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadRecord {
    /// Number of leaves.
    pub(crate) size: u64,
    /// Root of the tree.
    pub(crate) root: TreeHash,
}

/// A person's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonRecord {
    /// Identifier.
    pub(crate) id: PersonId,
    /// Name.
    pub(crate) name: String,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub(crate) key: Hash32,
}

/// A CA's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaRecord {
    /// Name.
    pub(crate) name: String,
    /// Its certificate, DER.
    pub(crate) certificate: Option<Base64>,
}

/// A certificate's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateRecord {
    /// Name of the issuing CA.
    pub(crate) ca: String,
    /// Serial number, hexadecimal.
    pub(crate) serial: String,
    /// `signing`, `issued` or `revoked`.
    pub(crate) state: String,
    /// Name of its profile.
    pub(crate) profile: String,
    /// SHA-256 of its to-be-signed bytes.
    pub(crate) tbs: Hash32,
    /// SHA-256 of the certificate (DER), once signed.
    pub(crate) sha256: Option<Hash32>,
    /// The certificate itself, for the one of the audit key only.
    pub(crate) der: Option<Base64>,
}

/// A CA's newest CRL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CrlRecord {
    /// Name of the CA.
    pub(crate) ca: String,
    /// CRL number.
    pub(crate) number: i64,
    /// SHA-256 of its to-be-signed bytes.
    pub(crate) tbs: Hash32,
    /// SHA-256 of the CRL (DER), once signed.
    pub(crate) sha256: Option<Hash32>,
}

/// A signed head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointRecord {
    /// Number of leaves, as the database says.
    pub(crate) size: u64,
    /// C2SP signed note.
    pub(crate) note: String,
}

/// A leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafRecord {
    /// Index from 0.
    pub(crate) index: u64,
    /// Canonical JSON of the event, exactly as hashed.
    pub(crate) body: String,
}
