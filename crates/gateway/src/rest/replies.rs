//! Views of the interface as the OpenAPI document describes them. They are never built: a test holds real answers against them.
#![expect(dead_code, reason = "these types describe JSON and are never built")]

use utoipa::ToSchema;

/// How a signer may sign.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(super) enum Mechanism {
    /// ECDSA over a digest; the signature is plain r | s.
    Ecdsa,
    /// RSASSA-PKCS1-v1_5.
    #[schema(rename = "rsa-pkcs1")]
    RsaPkcs1,
    /// RSASSA-PSS, MGF1 with the same hash, salt as long as the hash.
    RsaPss,
}

/// What a program says of itself. Nothing of it is proven.
#[derive(ToSchema)]
pub(super) struct Claims {
    /// User name.
    user: String,
    /// Host name.
    host: String,
    /// Command line, without anything secret.
    command: String,
}

/// Why something was not done.
#[derive(ToSchema)]
pub(super) struct Failure {
    /// Who must act: the input, the conditions, ...
    kind: FailureKind,
    /// What was being done and what is wrong, one sentence.
    message: String,
    /// The next step.
    remedy: Option<String>,
    /// Conditions that are not met, in the order in which they should be met.
    #[schema(required = false)]
    unmet: Vec<Condition>,
}

/// Kinds of failures.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(super) enum FailureKind {
    /// The input is malformed or against a rule.
    Invalid,
    /// Conditions are not met.
    Blocked,
    /// The thing named does not exist.
    NotFound,
    /// It exists already, or somebody else changed it meanwhile.
    Conflict,
    /// A proof does not hold.
    Refused,
    /// A token, the database or the disk did not do its part.
    Unavailable,
    /// Client and node do not understand each other's version.
    Version,
    /// A defect of the node.
    Internal,
}

/// Something that must hold and does not.
#[derive(ToSchema)]
pub(super) struct Condition {
    /// Stable name.
    code: String,
    /// What is missing.
    what: String,
    /// What to do about it.
    remedy: String,
    /// Who can do it.
    who: Vec<String>,
    /// Other remedies.
    #[schema(required = false)]
    or: Vec<String>,
}

/// An HSM.
#[derive(ToSchema)]
pub(super) struct Hsm {
    /// Identifier.
    #[schema(format = "uuid")]
    id: String,
    /// Name.
    name: String,
    /// Holder reference of its device certificate.
    device: String,
    /// `production`, `virtual`, `test` or `other`.
    genuineness: String,
    /// State: `is` says which, other members say more.
    state: HsmState,
    /// Its quorum.
    #[schema(required = true)]
    quorum: Option<Quorum>,
    /// Custodians registered in it.
    custodians: Vec<Custodian>,
    /// Key check value of its key domain, hexadecimal.
    #[schema(required = true)]
    kcv: Option<String>,
    /// Signers with a replica in it.
    signers: Vec<String>,
    /// Things somebody should look at.
    warnings: Vec<String>,
}

/// Whether an HSM can be used, and if not why.
#[derive(ToSchema)]
pub(super) struct HsmState {
    /// `detached`, `unregistered`, `locked`, `quorum`, `unlocked` or `lost`.
    is: String,
    /// Custodian keys still missing.
    missing: Option<u8>,
    /// Custodians who have answered.
    have: Option<u8>,
    /// Custodians needed.
    need: Option<u8>,
    /// Who has answered.
    #[schema(required = false)]
    answered: Vec<String>,
    /// Who still could.
    #[schema(required = false)]
    could: Vec<String>,
    /// Unlocked since, RFC 3339.
    since: Option<String>,
    /// Whose answers opened it.
    #[schema(required = false)]
    by: Vec<String>,
    /// Signers it is open for.
    #[schema(required = false)]
    lease: Vec<String>,
    /// Lost at, RFC 3339.
    at: Option<String>,
    /// Why it was lost.
    because: Option<String>,
}

/// Quorum of an HSM.
#[derive(ToSchema)]
pub(super) struct Quorum {
    /// Custodians needed.
    required: u8,
    /// Custodian keys in all.
    total: u8,
    /// Custodian keys not yet registered.
    missing: u8,
}

/// A custodian of an HSM.
#[derive(ToSchema)]
pub(super) struct Custodian {
    /// Name.
    person: String,
    /// Holder reference of the key.
    chr: String,
    /// Whether this custodian has answered since the HSM was locked.
    answered: bool,
}

/// A signing key.
#[derive(ToSchema)]
pub(super) struct SigningKey {
    /// Name of the signer.
    name: String,
    /// Algorithm, e.g. `ec:P-256`.
    algorithm: String,
    /// SubjectPublicKeyInfo, DER, base64.
    public_key: String,
    /// Key id on the tokens.
    key_id: u8,
    /// Key check value of its key domain, hexadecimal.
    key_domain: String,
    /// X.509 certificate, DER, base64.
    #[schema(required = true)]
    certificate: Option<String>,
    /// HSMs it has replicas on, and their states.
    replicas: Vec<ReplicaState>,
}

/// An HSM with a replica of a key.
#[derive(ToSchema)]
pub(super) struct ReplicaState {
    /// Name of the HSM.
    hsm: String,
    /// Its state.
    state: String,
}

/// A lease, and where it stands.
#[derive(ToSchema)]
pub(super) struct Lease {
    /// The lease.
    #[schema(format = "uuid")]
    lease: String,
    /// Canonical JSON of its text, as custodians read and sign it, base64.
    text: String,
    /// Where it stands.
    state: LeaseState,
    /// Grows with every change.
    version: u64,
    /// Custodians that agreed.
    agreed: Vec<String>,
    /// Custodians that could still answer.
    could: Vec<String>,
    /// Custodians needed.
    needed: u8,
    /// Who refused, revoked or withdrew it and why, or what was missing.
    #[schema(required = true)]
    because: Option<String>,
    /// Whether the node enforces the quorum because an HSM was open already, or the HSMs do.
    node_enforced: bool,
    /// Distinct digests signed or reserved so far.
    used: u64,
    /// Seconds it still lasts.
    remaining_seconds: u64,
    /// State of each of its HSMs.
    hsms: Vec<ReplicaState>,
}

/// Where a lease stands.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(super) enum LeaseState {
    /// It waits for custodians.
    Waiting,
    /// It may be used.
    Live,
    /// A custodian refused.
    Refused,
    /// Not enough custodians answered in time.
    TimedOut,
    /// The requester took it back.
    Withdrawn,
    /// Its deadline is over.
    Expired,
    /// Everything it permits was signed.
    Exhausted,
    /// Somebody ended it.
    Revoked,
}

/// One signature.
#[derive(ToSchema)]
pub(super) struct Signature {
    /// What was signed, `sha256:<hexadecimal>`.
    digest: String,
    /// ECDSA: plain r | s. RSA: as long as the modulus. Base64.
    signature: String,
    /// The lease it was made under.
    #[schema(format = "uuid")]
    lease: String,
    /// HSM that made it.
    hsm: String,
}

/// Everything needed to check offline that a quorum permitted a signature.
#[derive(ToSchema)]
pub(super) struct Receipt {
    /// Version of this format: 1.
    v: u32,
    /// Canonical JSON of the lease's text, base64.
    text: String,
    /// What was signed.
    digest: String,
    /// The signature, base64.
    signature: String,
    /// SubjectPublicKeyInfo (DER) of the key, base64.
    public_key: String,
    /// Where the key was born.
    origin: KeyOrigin,
    /// The HSM that signed.
    hsm: HsmDocument,
    /// Its device certificate and issuer, base64.
    hsm_chain: String,
    /// When, RFC 3339, UTC.
    time: String,
    /// Whether node or HSMs enforced the quorum.
    node_enforced: bool,
    /// Custodians needed.
    needed: u8,
    /// What custodians signed.
    statements: Vec<Statement>,
    /// Digests named in the lease, as far as the receipt holds them.
    manifest: Vec<String>,
    /// Index of the audit leaf that records the signature.
    leaf: u64,
    /// That leaf, base64.
    leaf_body: String,
    /// Proof that the leaf is in the log, once a head that covers it is signed.
    #[schema(required = true)]
    inclusion: Option<Inclusion>,
}

/// Where a key was born.
#[derive(ToSchema)]
pub(super) struct KeyOrigin {
    /// Authenticated request of the key, base64.
    request: String,
    /// Device certificate and issuer of the HSM it was generated in, base64.
    chain: String,
}

/// An HSM as decisions name it.
#[derive(ToSchema)]
pub(super) struct HsmDocument {
    /// Identifier.
    #[schema(format = "uuid")]
    id: String,
    /// Name.
    name: String,
    /// Holder reference of its device certificate.
    device: String,
    /// SHA-256 of its device key, hexadecimal.
    key: String,
}

/// What one custodian signed for one HSM.
#[derive(ToSchema)]
pub(super) struct Statement {
    /// The custodian.
    person: String,
    /// Holder reference of the custodian key.
    chr: String,
    /// Authenticated request of the custodian key, base64.
    key_request: String,
    /// Device certificate and issuer of the custodian's token, base64.
    chain: String,
    /// `unlock`, `open` or `refuse`.
    kind: String,
    /// The HSM.
    hsm: HsmDocument,
    /// Challenge or nonce, base64.
    challenge: String,
    /// Place in the audit log.
    log: LogPlace,
    /// The answer to the HSM's challenge, base64.
    #[schema(required = true)]
    unlock: Option<String>,
    /// Signature over the statement, base64.
    statement: String,
}

/// A place in the audit log.
#[derive(ToSchema)]
pub(super) struct LogPlace {
    /// Number of leaves.
    size: u64,
    /// Root hash, hexadecimal.
    root: String,
}

/// Proof that a leaf is in the audit log.
#[derive(ToSchema)]
pub(super) struct Inclusion {
    /// Signed checkpoint, a C2SP signed note.
    checkpoint: String,
    /// Inclusion proof (RFC 6962 section 2.1.1), hexadecimal.
    proof: Vec<String>,
}
