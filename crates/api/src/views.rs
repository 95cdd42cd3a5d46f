//! What the node shows. The command line prints these as JSON with `--json`; fields are added, never renamed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Base64, CertificateId, Condition, Hash32, HsmId, PersonId, RequestNumber, Role, SignerId, Subject,
};

/// State of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Process id.
    pub pid: u32,
    /// Version of the program.
    pub version: String,
    /// Installation.
    pub installation: String,
    /// Data directory.
    pub data_dir: String,
    /// Start, RFC 3339.
    pub started: String,
    /// Number of this start, counted in the database; fences work of earlier starts.
    pub epoch: i64,
    /// Seconds without a call after which the node ends itself while no HSM is unlocked; 0 when it never does.
    pub idle_stop_seconds: u64,
    /// Address at which agents with tokens are answered.
    #[serde(default)]
    pub listen: Option<String>,
    /// Address at which enrolled clients are answered.
    #[serde(default)]
    pub api_listen: Option<String>,
    /// HSMs.
    pub hsms: Vec<HsmView>,
}

/// An act to be shown and signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftView {
    /// Canonical JSON of an [`crate::ActPayload`].
    pub payload: Base64,
}

/// What carrying out an act did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Performed {
    /// HSMs after an initialisation, attach, detach or registration.
    Hsms {
        /// Their state now.
        hsms: Vec<HsmView>,
    },
    /// Requests after an approval, a rejection or signing.
    Requests {
        /// Their state now, in the order of the act.
        requests: Vec<RequestDetail>,
    },
    /// A signer after replication.
    Signer {
        /// The signer with all its replicas.
        signer: SignerView,
    },
    /// A certificate after revocation.
    Certificate {
        /// The certificate.
        certificate: CertificateDetail,
    },
    /// A new CRL.
    Crl {
        /// The CRL.
        crl: CrlDetail,
    },
}

/// An HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HsmView {
    /// Identifier.
    pub id: HsmId,
    /// Name.
    pub name: String,
    /// CHR of the device certificate.
    pub device: String,
    /// `production`, `virtual`, `test` or `other`: what its chain says it is.
    pub genuineness: String,
    /// State.
    pub state: HsmState,
    /// Custodians needed (n) and registered at most (m); absent before initialisation.
    pub quorum: Option<QuorumView>,
    /// Custodians registered, in the order of the HSM's list.
    pub custodians: Vec<CustodianView>,
    /// Key check value of the key domain, hexadecimal.
    pub kcv: Option<String>,
    /// Signers with a replica here.
    pub signers: Vec<String>,
    /// Things somebody should look at, e.g. a token state older than one seen before.
    pub warnings: Vec<String>,
}

/// Whether an HSM can be used, and if not why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum HsmState {
    /// Known, not attached.
    Detached,
    /// Attached; custodians still have to be registered.
    Unregistered {
        /// Custodian keys still missing.
        missing: u8,
    },
    /// Attached, no custodian has answered.
    Locked {
        /// Custodians who could answer.
        could: Vec<String>,
    },
    /// Some custodians have answered, not yet enough.
    Quorum {
        /// How many have answered.
        have: u8,
        /// How many are needed.
        need: u8,
        /// Who has answered.
        answered: Vec<String>,
        /// Who still could.
        could: Vec<String>,
    },
    /// Open for all its keys.
    Unlocked {
        /// Since when, RFC 3339.
        since: String,
        /// Whose answers opened it.
        by: Vec<String>,
        /// Signers the unlock is a lease for.
        lease: Vec<String>,
    },
    /// The node held it and does not any more.
    Lost {
        /// When this was noticed, RFC 3339.
        at: String,
        /// Why.
        because: String,
    },
}

impl HsmState {
    /// One line for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let names = |list: &[String]| {
            if list.is_empty() {
                "nobody".to_owned()
            } else {
                list.join(", ")
            }
        };
        match self {
            Self::Detached => "detached".to_owned(),
            Self::Unregistered { missing } => format!("{missing} custodians still to be registered"),
            Self::Locked { could } => format!("locked; can answer: {}", names(could)),
            Self::Quorum {
                have,
                need,
                answered,
                could,
            } => {
                format!(
                    "quorum {have} of {need}; answered: {}; could: {}",
                    names(answered),
                    names(could)
                )
            }
            Self::Unlocked { since, by, .. } => format!("unlocked since {since} by {}", names(by)),
            Self::Lost { at, because } => format!("lost since {at} because {because}"),
        }
    }
}

/// Quorum of an HSM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumView {
    /// Custodians needed (n).
    pub required: u8,
    /// Custodian keys to be registered (m).
    pub total: u8,
    /// Custodian keys not yet registered.
    pub missing: u8,
}

/// A custodian registered in an HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodianView {
    /// Name of the person; empty when the HSM lists a key the center does not know.
    pub person: String,
    /// CHR of the custodian key.
    pub chr: String,
    /// Whether this custodian has answered since the HSM was locked.
    pub answered: bool,
}

/// A challenge of an HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockChallengeView {
    /// Session to answer in.
    pub session: String,
    /// Name of the HSM.
    pub hsm: String,
    /// EF 2F02 of the HSM, from which the custodian's side takes name and key and compares them with what it accepted.
    pub chain: Base64,
    /// CHR of the custodian key asked.
    pub chr: String,
    /// The challenge, 8 bytes.
    pub challenge: Base64,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonView {
    /// Identifier.
    pub id: PersonId,
    /// Name.
    pub name: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// CHR of the token's device certificate.
    pub device: String,
    /// SHA-256 of the key that signs what the person decides (SubjectPublicKeyInfo).
    pub key: Hash32,
    /// Names of the managers who signed the person into being; the first manager is `pinned at init`.
    pub granted_by: Vec<String>,
    /// HSMs in which the person is a custodian.
    pub custodian_of: Vec<String>,
}

/// A certification authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaView {
    /// Name.
    pub name: String,
    /// `requested`, `key-generated`, `signing` or `active`.
    pub state: String,
    /// Subject, RFC 4514.
    pub subject: String,
    /// Key algorithm.
    pub algorithm: String,
    /// End of validity, RFC 3339; absent before the certificate exists.
    pub not_after: Option<String>,
    /// HSMs with a replica of the key.
    pub hsms: Vec<String>,
}

/// A certification authority with its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaDetail {
    /// Summary.
    pub ca: CaView,
    /// Certificate, DER.
    pub certificate: Option<Base64>,
    /// Its signer.
    pub signer: Option<SignerView>,
    /// Number of the newest CRL.
    pub crl_number: Option<i64>,
}

/// A signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerView {
    /// Identifier.
    pub id: SignerId,
    /// Name of the CA it serves; the signer's own name when it is for signing.
    pub ca: String,
    /// `ca` or `signing`, for life.
    pub purpose: String,
    /// Key algorithm.
    pub algorithm: String,
    /// SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    pub key: String,
    /// Key check value of its key domain, hexadecimal.
    pub kcv: String,
    /// Presence on each HSM of the trust center.
    pub replicas: Vec<ReplicaView>,
}

/// Presence of a signer on one HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaView {
    /// Name of the HSM.
    pub hsm: String,
    /// `verified` (signed a test value), `present`, `absent`, `other key domain`, `partial`.
    pub state: String,
    /// When this was last asked of the HSM, RFC 3339.
    pub checked: Option<String>,
}

/// A request in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestView {
    /// Number.
    pub request: RequestNumber,
    /// `certificate`, `person`, `ca`, `custodian` or `signer`.
    pub kind: String,
    /// `open`, `approved`, `signing`, `done` or `rejected`.
    pub state: String,
    /// What it is for, one line.
    pub title: String,
    /// When it was opened, RFC 3339.
    pub created: String,
}

/// A page of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestPage {
    /// Newest first.
    pub requests: Vec<RequestView>,
    /// Pass this as `before` for the next page.
    pub next: Option<RequestNumber>,
}

/// A request in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDetail {
    /// Summary.
    pub request: RequestView,
    /// What is asked.
    pub subject: Subject,
    /// Who decided what.
    pub decisions: Vec<DecisionView>,
    /// The certificate made for it.
    pub certificate: Option<CertificateView>,
    /// The certificate, DER, once issued.
    pub der: Option<Base64>,
    /// What stands between the request and its end; empty when it is done or rejected.
    pub unmet: Vec<Condition>,
}

/// A decision on a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// `approve`, `reject` or `sign`.
    pub decision: String,
    /// Name of the person.
    pub person: String,
    /// When, RFC 3339.
    pub time: String,
    /// Reason of a rejection.
    pub reason: Option<String>,
}

/// What stands between a request and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyView {
    /// The request.
    pub request: RequestView,
    /// The next action, e.g. `sign`; absent when the request is at its end.
    pub action: Option<String>,
    /// Unmet conditions of that action, in order. Empty: it can be done now.
    pub unmet: Vec<Condition>,
    /// The command to type for the next action.
    pub next: Option<String>,
}

/// A certificate in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateView {
    /// Identifier.
    pub id: CertificateId,
    /// Name of the issuing CA.
    pub ca: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// `signing`, `issued` or `revoked`.
    pub state: String,
    /// Subject, RFC 4514.
    pub subject: String,
    /// Subject alternative names as `type:value`.
    pub names: Vec<String>,
    /// End of validity, RFC 3339.
    pub not_after: String,
    /// Request it was made for; absent for certificates of the trust center itself.
    pub request: Option<RequestNumber>,
    /// Revocation time (RFC 3339) and reason.
    pub revoked: Option<(String, String)>,
}

/// A page of certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatePage {
    /// Newest first.
    pub certificates: Vec<CertificateView>,
    /// Pass this as `before` for the next page.
    pub next: Option<String>,
}

/// A certificate with its chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateDetail {
    /// Summary.
    pub certificate: CertificateView,
    /// DER; absent while it is being signed.
    pub der: Option<Base64>,
    /// Issuer certificates up to the root, DER.
    pub chain: Vec<Base64>,
}

/// A CRL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrlDetail {
    /// Name of the CA.
    pub ca: String,
    /// CRL number.
    pub number: i64,
    /// thisUpdate, RFC 3339.
    pub this_update: String,
    /// nextUpdate, RFC 3339.
    pub next_update: String,
    /// Number of entries.
    pub entries: u64,
    /// DER.
    pub der: Base64,
}

/// A page of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Leaves in order.
    pub leaves: Vec<AuditLeafView>,
    /// Number of leaves in the log.
    pub size: u64,
    /// Newest signed checkpoint, C2SP signed note.
    pub checkpoint: Option<String>,
}

/// A leaf of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLeafView {
    /// Index, from 0.
    pub index: u64,
    /// The event.
    pub event: Value,
}
