//! Rows of signing keys and leases. Times are milliseconds since the Unix epoch (UTC) unless said otherwise.

use chancery_api::{HashName, HsmId, LeaseId, LeaseState, PersonId, RequestNumber, SignerId, StatementKind};

/// A signer that is for signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// Request that asked for it; one key a request.
    pub request: RequestNumber,
    /// Name, unique.
    pub name: String,
    /// Key id reserved on the HSM before the key is generated.
    pub key_id: i64,
    /// Its signer once the key exists.
    pub signer: Option<SignerId>,
    /// X.509 certificate stored with it, DER.
    pub certificate: Option<Vec<u8>>,
    /// When.
    pub created_ms: i64,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Identifier.
    pub id: LeaseId,
    /// The signer.
    pub signer: SignerId,
    /// Who asked: `local:UID`, or `client:` and the SHA-256 of the client's key.
    pub requester: String,
    /// Canonical JSON of the text. Replaced when a custodian widens it, see [`LeaseWideningRecord`].
    pub text: Vec<u8>,
    /// When it was asked for.
    pub created_ms: i64,
    /// Where it stands.
    pub state: LeaseState,
    /// Who ended it and why.
    pub because: Option<String>,
    /// Distinct digests reserved.
    pub used: i64,
    /// Milliseconds that were left of it when the row was written last.
    pub remaining_ms: i64,
    /// Milliseconds that were left of its wait for a first quorum then; none once it had one.
    pub wait_remaining_ms: Option<i64>,
    /// Head of the audit log when the row was inserted, as [`AuditHead::frontier`](crate::AuditHead::frontier): nothing the log says
    /// of the lease is before. Set by the database, whatever is given.
    pub log_frontier: Option<Vec<u8>>,
    /// Lease epoch of the node that serves it.
    pub epoch: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

/// Digests a lease names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRecord {
    /// Hash function.
    pub hash: HashName,
    /// The digests, each once, ascending, one after the other.
    pub digests: Vec<u8>,
}

/// What a custodian signed about a lease. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseAnswerRecord {
    /// The lease.
    pub lease: LeaseId,
    /// Place among its answers, from 1.
    pub place: i64,
    /// The HSM.
    pub hsm: HsmId,
    /// Which time this HSM's custodians were asked for this lease, from 1.
    pub attempt: i64,
    /// The custodian.
    pub person: PersonId,
    /// The custodian's name.
    pub name: String,
    /// CHR of the custodian key.
    pub chr: String,
    /// EF 2F02 of the custodian's token.
    pub chain: Vec<u8>,
    /// Authenticated request of the custodian key.
    pub key_request: Vec<u8>,
    /// Kind of statement.
    pub kind: StatementKind,
    /// The HSM's challenge, or the node's nonce, 8 bytes.
    pub challenge: Vec<u8>,
    /// Number of leaves of the log's place in the statement.
    pub log_size: i64,
    /// Root hash of that place, 32 bytes.
    pub log_root: Vec<u8>,
    /// The answer to the HSM's challenge, r | s.
    pub unlock: Option<Vec<u8>>,
    /// Signature over the statement, r | s.
    pub statement: Vec<u8>,
    /// Reason of a refusal.
    pub reason: Option<String>,
    /// When.
    pub answered_ms: i64,
}

/// A custodian's adding to a lease: its row has another text since. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseWideningRecord {
    /// The lease.
    pub lease: LeaseId,
    /// Place among its widenings, from 1.
    pub place: i64,
    /// Canonical JSON of the text that was replaced.
    pub text: Vec<u8>,
    /// Place of the last answer that was about that text, 0 for none: later ones are about the next.
    pub last_answer: i64,
    /// The custodian, by the word of the node.
    pub person: PersonId,
    /// The custodian's name.
    pub name: String,
    /// When.
    pub widened_ms: i64,
}

/// A signature made under a lease. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSignatureRecord {
    /// The lease.
    pub lease: LeaseId,
    /// The digest, as it is written.
    pub digest: String,
    /// The signature.
    pub signature: Vec<u8>,
    /// HSM that made it.
    pub hsm: HsmId,
    /// Attempt of the answers that were in force on that HSM.
    pub attempt: i64,
    /// When.
    pub signed_ms: i64,
    /// Hash of the audit leaf that records it (RFC 6962 section 2.1), 32 bytes.
    pub leaf_hash: Vec<u8>,
    /// Number of leaves when the row was written: the leaf is not before. Set by the database, whatever is given.
    pub log_size: i64,
}

/// A call that is answered the same way when it is repeated. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseCallRecord {
    /// Who called, as [`LeaseRecord::requester`].
    pub requester: String,
    /// The caller's own key for the call.
    pub key: String,
    /// Lease it was answered under.
    pub lease: LeaseId,
    /// SHA-256 of what was asked for.
    pub call: Vec<u8>,
    /// When.
    pub created_ms: i64,
}
