//! Rows as values. Times are milliseconds since the Unix epoch (UTC) unless the name says seconds.

use std::sync::Arc;

use chancery_api::{ActId, CaId, CertificateId, HsmId, PersonId, RequestNumber, SignerId};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// The text in the database and in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Reads the text of the database.
            #[must_use]
            pub fn from_name(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

states! {
    /// What a request is for.
    RequestKind {
        /// A certificate for a key the requester holds.
        Certificate = "certificate",
        /// A person with roles.
        Person = "person",
        /// A certification authority.
        Ca = "ca",
        /// A custodian's key in HSMs.
        Custodian = "custodian",
        /// A signing key.
        Signer = "signer",
    }
}

states! {
    /// Where a request stands.
    RequestState {
        /// Waiting for approval.
        Open = "open",
        /// Approved; for a certificate or a CA: waiting for the decision to sign.
        Approved = "approved",
        /// The decision to sign is recorded; the signature is not.
        Signing = "signing",
        /// At its end.
        Done = "done",
        /// Rejected.
        Rejected = "rejected",
    }
}

states! {
    /// What a person decided on a request.
    DecisionKind {
        /// Approved.
        Approve = "approve",
        /// Rejected.
        Reject = "reject",
        /// Have it signed.
        Sign = "sign",
    }
}

states! {
    /// Where a certificate (or CRL) stands.
    CertificateState {
        /// To-be-signed bytes and actor are recorded; the HSM has been or will be asked.
        Signing = "signing",
        /// Signed and recorded.
        Issued = "issued",
        /// Revoked.
        Revoked = "revoked",
    }
}

states! {
    /// What is known of a signer's presence on an HSM; a cache, the HSM is asked again.
    ReplicaState {
        /// A copy was begun.
        Copying = "copying",
        /// The key is there.
        Present = "present",
        /// The key is there and has signed a test value.
        Verified = "verified",
        /// The key is not there.
        Absent = "absent",
    }
}

/// An act as it was signed. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActRecord {
    /// Identifier, the same as in the payload.
    pub id: ActId,
    /// Who signed.
    pub person: PersonId,
    /// The verb, as in the payload.
    pub verb: String,
    /// Canonical JSON as signed.
    pub payload: Vec<u8>,
    /// ECDSA signature, DER.
    pub signature: Vec<u8>,
    /// The node's nonce (32 bytes), unique.
    pub nonce: Vec<u8>,
    /// When it was handed in.
    pub created_ms: i64,
}

/// A person. Immutable: a change of roles is a new request that replaces the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRecord {
    /// Identifier.
    pub id: PersonId,
    /// Name, unique.
    pub name: String,
    /// Canonical JSON of the person document that the managers' acts cover.
    pub document: Vec<u8>,
    /// SubjectPublicKeyInfo (DER) of the key that signs the person's acts, unique.
    pub public_key: Vec<u8>,
    /// EF 2F02 of the person's token.
    pub chain: Vec<u8>,
    /// Authenticated request of the key.
    pub key_request: Vec<u8>,
    /// Request that made the person; absent for the first manager.
    pub request: Option<RequestNumber>,
    /// When.
    pub created_ms: i64,
}

/// How far a virtual token's state has come: sequence number of its log and hash over it (32 bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenMark {
    /// Grows with every change.
    pub sequence: i64,
    /// Hash chain value at that number.
    pub hash: Vec<u8>,
}

/// An HSM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HsmRecord {
    /// Identifier.
    pub id: HsmId,
    /// Name, unique.
    pub name: String,
    /// CHR of the device certificate, unique.
    pub device: String,
    /// Device public key, uncompressed point.
    pub device_key: Vec<u8>,
    /// EF 2F02.
    pub chain: Vec<u8>,
    /// Where the token is: `virtual:NAME`.
    pub locator: String,
    /// Key check value (8 bytes) once known.
    pub kcv: Option<Vec<u8>>,
    /// Custodians needed.
    pub quorum_required: i64,
    /// Custodian keys to register.
    pub quorum_total: i64,
    /// Whether the node should hold it.
    pub attached: bool,
    /// Newest state seen, for tokens that tell.
    pub mark: Option<TokenMark>,
    /// When and why the node lost it last; cleared when it is attached again.
    pub lost: Option<(i64, String)>,
    /// The act that made it known.
    pub act: ActId,
    /// When.
    pub created_ms: i64,
}

/// A custodian's key registered in an HSM. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodianRecord {
    /// The HSM.
    pub hsm: HsmId,
    /// The person.
    pub person: PersonId,
    /// CHR of the key; unique in the HSM.
    pub chr: String,
    /// SubjectPublicKeyInfo (DER); unique in the HSM.
    pub public_key: Vec<u8>,
    /// EF 2F02 of the custodian's token.
    pub chain: Vec<u8>,
    /// Authenticated request of the key.
    pub key_request: Vec<u8>,
    /// The request that the managers approved.
    pub request: RequestNumber,
}

/// A CA key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerRecord {
    /// Identifier.
    pub id: SignerId,
    /// Key check value (8 bytes) of its key domain.
    pub kcv: Vec<u8>,
    /// Key id on the tokens, 1..=255.
    pub key_id: i64,
    /// `ec:P-256`, `rsa:3072`, ...
    pub algorithm: String,
    /// SubjectPublicKeyInfo (DER), unique.
    pub public_key: Vec<u8>,
    /// Authenticated request made at the key's birth.
    pub attestation: Vec<u8>,
    /// EF 2F02 of the HSM it was born in.
    pub chain: Vec<u8>,
    /// When.
    pub created_ms: i64,
}

/// A signer on an HSM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaRecord {
    /// The signer.
    pub signer: SignerId,
    /// The HSM.
    pub hsm: HsmId,
    /// State.
    pub state: ReplicaState,
    /// When the HSM was last asked.
    pub checked_ms: i64,
}

/// A certification authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaRecord {
    /// Identifier.
    pub id: CaId,
    /// Name, unique.
    pub name: String,
    /// Request that asked for it.
    pub request: RequestNumber,
    /// Key id reserved on the HSM before the key is generated, so that a crash leaves nothing unknown.
    pub key_id: i64,
    /// Its signer once the key exists.
    pub signer: Option<SignerId>,
    /// Its own certificate once recorded.
    pub certificate: Option<CertificateId>,
    /// When.
    pub created_ms: i64,
}

/// A service request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Number, unique.
    pub number: RequestNumber,
    /// What it is for.
    pub kind: RequestKind,
    /// State.
    pub state: RequestState,
    /// One line for lists.
    pub title: String,
    /// Canonical JSON of the `Subject`; immutable, its hash is what approvals cover.
    pub document: Vec<u8>,
    /// What came with it: PKCS#10 (DER) for certificates, empty for CAs, EF 2F02 and CExx for people as the center frames them. Immutable.
    pub evidence: Vec<u8>,
    /// To-be-signed bytes prepared at approval; replaced when they have become stale.
    pub tbs: Option<Vec<u8>>,
    /// The certificate recorded for it.
    pub certificate: Option<CertificateId>,
    /// Uid of the process that opened it.
    pub created_by_uid: i64,
    /// When.
    pub created_ms: i64,
}

/// A person's decision on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// The request.
    pub request: RequestNumber,
    /// What was decided.
    pub kind: DecisionKind,
    /// The proof. One act may decide on many requests: it is read once and shared.
    pub act: Arc<ActRecord>,
}

/// A request with all decisions on it, read together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedRequest {
    /// The request.
    pub request: RequestRecord,
    /// The decisions, oldest first.
    pub decisions: Vec<DecisionRecord>,
}

/// A certificate, from before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Identifier.
    pub id: CertificateId,
    /// Issuing CA; a root's own certificate names itself.
    pub ca: CaId,
    /// Serial number, content bytes of the INTEGER, unique in the CA.
    pub serial: Vec<u8>,
    /// State.
    pub state: CertificateState,
    /// Request it is for; absent for certificates of the trust center itself.
    pub request: Option<RequestNumber>,
    /// The act that had it signed.
    pub act: ActId,
    /// Name of the profile.
    pub profile: String,
    /// Subject, RFC 4514.
    pub subject: String,
    /// Subject alternative names, one a line.
    pub names: String,
    /// notAfter, seconds since the Unix epoch.
    pub not_after_seconds: i64,
    /// To-be-signed bytes. Immutable.
    pub tbs: Vec<u8>,
    /// Certificate, DER, once signed.
    pub der: Option<Vec<u8>>,
    /// Lease epoch of the node that claimed the signature.
    pub epoch: i64,
    /// When it was recorded.
    pub created_ms: i64,
    /// Revocation time in seconds since the Unix epoch, reason code of RFC 5280 section 5.3.1, and the act.
    pub revoked: Option<(i64, i64, ActId)>,
}

/// A CRL, from before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlRecord {
    /// The CA.
    pub ca: CaId,
    /// CRL number, unique in the CA.
    pub number: i64,
    /// `signing` or `issued`.
    pub state: CertificateState,
    /// To-be-signed bytes. Immutable.
    pub tbs: Vec<u8>,
    /// CRL, DER, once signed.
    pub der: Option<Vec<u8>>,
    /// thisUpdate, seconds since the Unix epoch.
    pub this_update_seconds: i64,
    /// nextUpdate, seconds since the Unix epoch.
    pub next_update_seconds: i64,
    /// Number of entries.
    pub entries: i64,
    /// Lease epoch of the node that claimed the signature.
    pub epoch: i64,
    /// The act that had it signed.
    pub act: ActId,
}

/// What a CRL needs of a revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedEntry {
    /// Serial number.
    pub serial: Vec<u8>,
    /// Revocation time in seconds since the Unix epoch.
    pub revoked_seconds: i64,
    /// Reason code of RFC 5280 section 5.3.1.
    pub reason: i64,
    /// The act that revoked it.
    pub act: ActId,
}

/// A leaf of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLeaf {
    /// Index from 0.
    pub index: i64,
    /// Canonical JSON of the event.
    pub body: Vec<u8>,
}

/// Head of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// Number of leaves.
    pub size: i64,
    /// The compact range in the form of `chancery-audit`.
    pub frontier: Vec<u8>,
}
