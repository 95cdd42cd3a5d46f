//! Methods and views around signers and leases.

use serde::{Deserialize, Serialize};

use crate::methods::methods;
use crate::{
    Base64, Claims, DigestValue, Extent, Hash32, HsmDocument, LeaseId, LogPlace, Mechanism, RequestView,
    StatementKind,
};

methods! {
    /// Opens a request for a new signing key. A TrustCenter Manager approves it, which has the key generated in the HSM.
    SignerCreate("signer.create") -> RequestView {
        /// Name of the signer, unique among signers and CAs.
        name: String,
        /// Key algorithm: as for `ca.create`.
        algorithm: String,
        /// HSM in which the key is generated.
        hsm: String,
    }
    /// Signing keys a client may ask leases for, CA signers left out.
    SigningKeys("signing.keys") -> Vec<SigningKeyView> {}
    /// Stores an X.509 certificate with a signing key, for programs that look for one. It must be for that key.
    SigningCertificate("signing.certificate") -> SigningKeyView {
        /// Name of the signer.
        signer: String,
        /// Certificate, DER or PEM.
        certificate: Base64,
    }

    /// Asks for a lease.
    LeaseRequest("lease.request") -> LeaseView {
        /// Name of the signer.
        signer: String,
        /// What for; one line, at most 200 characters.
        purpose: String,
        /// How to sign.
        mechanism: Mechanism,
        /// Digests that are known; at most 40 000, all by one hash function.
        digests: Vec<DigestValue>,
        /// How many further distinct digests.
        further: u64,
        /// How long it is to last from now, in seconds; at most 31 days.
        seconds: u64,
        /// Whether an HSM that is open already is locked first.
        strict: bool,
        /// How long it waits for custodians at most, in seconds, up to a day; 15 minutes when absent.
        wait_seconds: Option<u64>,
        /// Whether a lease of the same requester that covers digests and count is given back in place of a new one, however long it
        /// still lasts: a live one, one that waits for its custodians again, or a request for the very same. Without digests one
        /// digest that is left is enough.
        reuse: bool,
        /// While it waits for its first quorum: without a `lease.show` of the requester for so many seconds it is withdrawn. A
        /// request that nobody attends waits on when absent.
        attended_seconds: Option<u32>,
        /// What the program says of itself.
        claimed: Claims,
    }
    /// Leases, newest first.
    LeaseList("lease.list") -> Vec<LeaseView> {
        /// Only those that wait or are live.
        open_only: bool,
        /// At most this many, up to 200.
        limit: u32,
    }
    /// One lease. With a state the caller knows and seconds, the answer waits until the lease is in another state or somebody
    /// answered, at most that long (up to 30).
    LeaseShow("lease.show") -> LeaseView {
        /// The lease.
        lease: LeaseId,
        /// [`LeaseView::version`] the caller knows.
        known: Option<u64>,
        /// Seconds to wait for a change.
        wait_seconds: u32,
    }
    /// Digests named in a lease, in ascending order.
    LeaseManifest("lease.manifest") -> Vec<DigestValue> {
        /// The lease.
        lease: LeaseId,
        /// Only those after this one.
        after: Option<DigestValue>,
        /// At most this many, up to 10 000.
        limit: u32,
    }
    /// The requester takes back what it asked for, or gives up what is left of it.
    LeaseWithdraw("lease.withdraw") -> LeaseView {
        /// The lease.
        lease: LeaseId,
    }
    /// Ends a lease at once. Needs no act: ending is always safe.
    LeaseRevoke("lease.revoke") -> LeaseView {
        /// The lease.
        lease: LeaseId,
        /// Why, one line.
        reason: String,
    }
    /// Leases that wait for a custodian. With seconds, the answer waits until there is one that the caller does not know, at
    /// most that long (up to 30).
    LeasePending("lease.pending") -> Vec<LeaseView> {
        /// Name of the custodian.
        person: String,
        /// Leases the caller knows.
        known: Vec<LeaseId>,
        /// Seconds to wait.
        wait_seconds: u32,
    }
    /// A custodian adds digests that nobody knows yet to a lease, while its request waits for its first quorum. The text is another
    /// one then: whoever had answered is asked again.
    LeaseWiden("lease.widen") -> LeaseView {
        /// The lease.
        lease: LeaseId,
        /// Name of the custodian.
        person: String,
        /// SHA-256 of the text the custodian read: another one is not widened.
        read: Hash32,
        /// How many further distinct digests, up to [`crate::MOST_NEXT`].
        next: u64,
        /// How long the lease is to last from now, in seconds; as before when absent.
        seconds: Option<u64>,
    }
    /// Asks for what a custodian answers for one HSM of a lease. Until it is answered or a minute has passed a locked HSM does
    /// nothing else.
    LeaseChallenge("lease.challenge") -> LeaseChallengeView {
        /// The lease.
        lease: LeaseId,
        /// Name of the custodian.
        person: String,
        /// Name of the HSM.
        hsm: String,
        /// Place in the audit log the custodian's agent knows, to which the answer's place is shown to be consistent.
        seen: Option<LogPlace>,
        /// To refuse rather than approve.
        refuse: bool,
    }
    /// A custodian's answer for one HSM of a lease.
    LeaseAnswer("lease.answer") -> LeaseView {
        /// The lease.
        lease: LeaseId,
        /// Session of the challenge.
        session: String,
        /// For [`StatementKind::Unlock`]: ECDSA with SHA-256 over CHR of the HSM's device certificate | challenge, plain r | s.
        unlock: Option<Base64>,
        /// ECDSA with SHA-256 over [`crate::lease_statement`], plain r | s.
        statement: Base64,
        /// For [`StatementKind::Refuse`]: why, one line.
        reason: Option<String>,
    }

    /// Signs digests under a live lease of the caller's.
    SigningSign("signing.sign") -> Vec<SignatureView> {
        /// Name of the signer.
        signer: String,
        /// How.
        mechanism: Mechanism,
        /// At most 1000, all by one hash function.
        digests: Vec<DigestValue>,
        /// The lease; any live one of the caller's that fits when absent.
        lease: Option<LeaseId>,
        /// The caller's own key for this call: the same call with the same key gives the same answer.
        idempotency_key: Option<String>,
    }
    /// The receipt of a signature.
    ReceiptShow("receipt.show") -> Receipt {
        /// The lease.
        lease: LeaseId,
        /// The digest.
        digest: DigestValue,
    }
}

/// A signing key, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyView {
    /// Name of the signer.
    pub name: String,
    /// Algorithm, e.g. `ec:P-256`.
    pub algorithm: String,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Base64,
    /// Key id on the tokens.
    pub key_id: u8,
    /// Key check value of its key domain, hexadecimal.
    pub key_domain: String,
    /// X.509 certificate, DER, when one was stored.
    pub certificate: Option<Base64>,
    /// HSMs it has replicas on, and their states.
    pub replicas: Vec<ReplicaStateView>,
}

/// A replica, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStateView {
    /// Name of the HSM.
    pub hsm: String,
    /// `locked`, `unlocked`, `being locked`, `quorum 1 of 2`, `lost`, ...
    pub state: String,
}

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// It waits for custodians: for the first time, or again because every HSM they opened for it was locked, lost, or left by a
    /// restart of the node.
    Waiting,
    /// It may be used.
    Live,
    /// A custodian refused.
    Refused,
    /// Not enough custodians answered in time.
    TimedOut,
    /// The requester took it back or is gone.
    Withdrawn,
    /// Its deadline is over.
    Expired,
    /// Everything it permits was signed. Until its time is over the same digests get the same signatures again, from the record.
    Exhausted,
    /// Somebody ended it.
    Revoked,
}

/// A lease, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// The lease.
    pub lease: LeaseId,
    /// Canonical JSON of the [`crate::LeaseText`].
    pub text: Base64,
    /// Where it stands.
    pub state: LeaseState,
    /// Grows with every change.
    pub version: u64,
    /// Custodians that agreed, by name.
    pub agreed: Vec<String>,
    /// Custodians that could still answer, by name.
    pub could: Vec<String>,
    /// Custodians needed.
    pub needed: u8,
    /// Who refused, revoked or withdrew it, and why; for a time-out what was missing. One sentence for people.
    pub because: Option<String>,
    /// Whether the node enforces the quorum because an HSM was open already (`true`), or the HSMs do (`false`).
    pub node_enforced: bool,
    /// Distinct digests signed or reserved so far.
    pub used: u64,
    /// Seconds it still lasts; 0 when it is over.
    pub remaining_seconds: u64,
    /// State of each of its HSMs, by name.
    pub hsms: Vec<ReplicaStateView>,
}

/// What a custodian's agent needs to answer for one HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseChallengeView {
    /// Names this challenge.
    pub session: String,
    /// What kind of statement is asked for.
    pub kind: StatementKind,
    /// The HSM as in the lease text.
    pub hsm: HsmDocument,
    /// EF 2F02 of the HSM.
    pub chain: Base64,
    /// CHR of the custodian key that is asked.
    pub chr: String,
    /// The HSM's challenge, or a nonce of the node's; 8 bytes.
    pub challenge: Base64,
    /// Place in the audit log that goes into the statement.
    pub log: LogPlace,
    /// Consistency proof from the place the agent knows to that one (RFC 6962 section 2.1.2).
    pub consistency: Vec<Hash32>,
    /// The signed checkpoint of that place, a C2SP signed note, where there is one.
    pub checkpoint: Option<String>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureView {
    /// What was signed.
    pub digest: DigestValue,
    /// ECDSA: plain r | s. RSA: as long as the modulus.
    pub signature: Base64,
    /// The lease it was made under.
    pub lease: LeaseId,
    /// HSM that made it.
    pub hsm: String,
}

/// Everything needed to check offline that a quorum permitted a signature. Stored; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Version of this format: 1.
    pub v: u32,
    /// Canonical JSON of the [`crate::LeaseText`].
    pub text: Base64,
    /// What was signed.
    pub digest: DigestValue,
    /// The signature, as in [`SignatureView::signature`].
    pub signature: Base64,
    /// SubjectPublicKeyInfo (DER) of the key that signed.
    pub public_key: Base64,
    /// Authenticated request made at the key's birth, and EF 2F02 of the HSM it was born in.
    pub origin: KeyOrigin,
    /// The HSM that signed, and its EF 2F02.
    pub hsm: HsmDocument,
    /// EF 2F02 of that HSM.
    pub hsm_chain: Base64,
    /// When, by the node's clock, RFC 3339, UTC.
    pub time: String,
    /// Whether node or HSMs enforced the quorum: as in the statements.
    pub node_enforced: bool,
    /// Custodians needed.
    pub needed: u8,
    /// What custodians signed.
    pub statements: Vec<CustodianStatement>,
    /// Digests named in the lease, when it names some and they are at most 256; else the digest's presence is on the word of
    /// the node.
    pub manifest: Vec<DigestValue>,
    /// Index of the audit leaf that records the signature.
    pub leaf: u64,
    /// That leaf's bytes.
    pub leaf_body: Base64,
    /// Proof that the leaf is in the log, once a head that covers it is signed.
    pub inclusion: Option<Inclusion>,
}

/// Where a key was born.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyOrigin {
    /// Authenticated request of the key.
    pub request: Base64,
    /// EF 2F02 of the HSM it was generated in.
    pub chain: Base64,
}

/// What one custodian signed for one HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodianStatement {
    /// The custodian's name.
    pub person: String,
    /// CHR of the custodian key.
    pub chr: String,
    /// Authenticated request of the custodian key.
    pub key_request: Base64,
    /// EF 2F02 of the custodian's token.
    pub chain: Base64,
    /// What kind of statement.
    pub kind: StatementKind,
    /// The HSM.
    pub hsm: HsmDocument,
    /// Challenge or nonce, 8 bytes.
    pub challenge: Base64,
    /// Place in the audit log.
    pub log: LogPlace,
    /// For [`StatementKind::Unlock`]: the answer to the HSM's challenge.
    pub unlock: Option<Base64>,
    /// Signature over the statement, plain r | s.
    pub statement: Base64,
}

/// Proof that a leaf is in the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// Signed checkpoint, a C2SP signed note.
    pub checkpoint: String,
    /// Inclusion proof (RFC 6962 section 2.1.1).
    pub proof: Vec<Hash32>,
}

impl LeaseState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Live,
        Self::Refused,
        Self::TimedOut,
        Self::Withdrawn,
        Self::Expired,
        Self::Exhausted,
        Self::Revoked,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Live => "live",
            Self::Refused => "refused",
            Self::TimedOut => "timed-out",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Exhausted => "exhausted",
            Self::Revoked => "revoked",
        }
    }

    /// Reads what [`Self::name`] writes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it waits or may be used.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Live)
    }
}

/// What is asked for with `--count` and digests, as the text of a lease says it.
#[must_use]
pub fn extent(digests: &[DigestValue], further: u64) -> Extent {
    let mut distinct: Vec<&DigestValue> = digests.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let count = u64::try_from(distinct.len()).unwrap_or(u64::MAX);
    match (count, further) {
        (0, further) => Extent::Count { count: further },
        (count, 0) => Extent::Manifest {
            manifest: crate::manifest_hash(digests),
            count,
        },
        (count, further) => Extent::Named {
            manifest: crate::manifest_hash(digests),
            count,
            further,
        },
    }
}
