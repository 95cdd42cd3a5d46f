//! Leases: a quorum's permission to use a signing key, what custodians sign to give it, and the methods around it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Hash32, HsmDocument, InstallationId, LeaseId};

/// What a lease permits, as custodians read and sign it: the hash of its canonical JSON goes into their statement. Fields are
/// never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseText {
    /// Version of this format: 1.
    pub v: u32,
    /// The installation.
    pub installation: InstallationId,
    /// The lease.
    pub lease: LeaseId,
    /// Name of the signer.
    pub signer: String,
    /// SHA-256 of the signer's SubjectPublicKeyInfo (DER).
    pub key: Hash32,
    /// Algorithm of the key, e.g. `ec:P-256` or `rsa:3072`.
    pub algorithm: String,
    /// How it may sign.
    pub mechanism: Mechanism,
    /// What it may sign.
    pub extent: Extent,
    /// What for, in the requester's words; one line.
    pub purpose: String,
    /// Who asks, as the node verified it.
    pub requester: Requester,
    /// What the requester's program says of itself; nothing of it is proven.
    pub claimed: Claims,
    /// When it was asked for, by the node's clock, RFC 3339, UTC.
    pub asked: String,
    /// Nothing is signed after this time, RFC 3339, UTC.
    pub deadline: String,
    /// The HSMs that hold the key and may be opened for it.
    pub hsms: Vec<HsmDocument>,
    /// Whether an HSM that is open already is locked first, so that its own quorum decides.
    pub strict: bool,
    /// What custodians added to what was asked for, in order; absent in a text that nobody widened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<crate::Widening>,
}

/// How a signer may sign. The hash names how long a digest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mechanism {
    /// ECDSA (FIPS 186-5) over a digest; the signature is plain `r | s`.
    #[serde(rename = "ecdsa")]
    Ecdsa,
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2).
    #[serde(rename = "rsa-pkcs1")]
    RsaPkcs1,
    /// RSASSA-PSS (RFC 8017 section 8.1), MGF1 with the same hash, salt as long as the hash.
    #[serde(rename = "rsa-pss")]
    RsaPss,
}

/// Hash functions a digest may come from. MD5 and SHA-1 are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HashName {
    /// SHA-256, 32 bytes.
    #[serde(rename = "sha256")]
    Sha256,
    /// SHA-384, 48 bytes.
    #[serde(rename = "sha384")]
    Sha384,
    /// SHA-512, 64 bytes.
    #[serde(rename = "sha512")]
    Sha512,
}

impl HashName {
    /// Reads what [`Self::name`] writes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|hash| hash.name() == name)
    }

    /// Length of a digest, in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// A digest to be signed, written `sha256:<hexadecimal>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DigestValue {
    hash: HashName,
    bytes: Vec<u8>,
}

/// Text or bytes that are no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `name:hexadecimal`.
    #[error("a digest is written sha256:, sha384: or sha512: and hexadecimal digits")]
    Form,
    /// Another length than the hash function gives.
    #[error("a {} digest has {} bytes, not {found}", .hash.name(), .hash.length())]
    Length {
        /// The hash function.
        hash: HashName,
        /// Bytes found.
        found: usize,
    },
}

impl DigestValue {
    /// A digest by this hash function.
    ///
    /// # Errors
    /// [`DigestError::Length`].
    pub fn new(hash: HashName, bytes: Vec<u8>) -> Result<Self, DigestError> {
        if bytes.len() == hash.length() {
            Ok(Self { hash, bytes })
        } else {
            Err(DigestError::Length {
                hash,
                found: bytes.len(),
            })
        }
    }

    /// The hash function.
    #[must_use]
    pub const fn hash(&self) -> HashName {
        self.hash
    }

    /// The digest.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Display for DigestValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.hash.name(), hex::encode(&self.bytes))
    }
}

impl std::fmt::Debug for DigestValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DigestValue({self})")
    }
}

impl std::str::FromStr for DigestValue {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digits) = text.split_once(':').ok_or(DigestError::Form)?;
        let hash = HashName::from_name(name).ok_or(DigestError::Form)?;
        Self::new(hash, hex::decode(digits).map_err(|_| DigestError::Form)?)
    }
}

impl Serialize for DigestValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DigestValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What a lease may sign. Distinct digests count, not calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Extent {
    /// Exactly these digests.
    Manifest {
        /// [`manifest_hash`] of the digests.
        manifest: Hash32,
        /// How many distinct digests it has.
        count: u64,
    },
    /// These digests and further ones that are not known yet.
    Named {
        /// [`manifest_hash`] of the digests that are known.
        manifest: Hash32,
        /// How many distinct digests it has.
        count: u64,
        /// How many further distinct digests.
        further: u64,
    },
    /// Digests that are not known yet.
    Count {
        /// How many distinct digests.
        count: u64,
    },
}

impl Extent {
    /// How many distinct digests may be signed in all.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        match self {
            Self::Manifest { count, .. } | Self::Count { count } => *count,
            Self::Named { count, further, .. } => count.saturating_add(*further),
        }
    }
}

/// Hash of a list of digests: SHA-256 over the distinct digests as written, in ascending order, each followed by a line feed.
/// This is the content of a manifest file that was sorted and freed of doubles.
#[must_use]
pub fn manifest_hash(digests: &[DigestValue]) -> Hash32 {
    let mut lines: Vec<String> = digests.iter().map(|digest| format!("{digest}\n")).collect();
    lines.sort_unstable();
    lines.dedup();
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
    }
    Hash32(hash.finalize().into())
}

/// Who asks for a lease, as the node verified it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Requester {
    /// A process on the node's own machine.
    Local {
        /// Its user id.
        uid: u32,
    },
    /// An enrolled client, over TLS with its own key.
    Client {
        /// The name it was enrolled under.
        name: String,
        /// SHA-256 of its SubjectPublicKeyInfo (DER).
        key: Hash32,
        /// Address it came from.
        address: String,
    },
}

impl Requester {
    /// Whether `other` is the same requester, wherever it comes from now.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Local { uid }, Self::Local { uid: other }) => uid == other,
            (Self::Client { key, .. }, Self::Client { key: other, .. }) => key == other,
            _ => false,
        }
    }
}

/// What a requester's program says of itself. Foreign text: shown escaped and on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// User name.
    pub user: String,
    /// Host name.
    pub host: String,
    /// Command line, without anything secret.
    pub command: String,
}

/// A place in the audit log: what a custodian's agent has seen and found consistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPlace {
    /// Number of leaves.
    pub size: u64,
    /// Root hash of the tree (RFC 6962 section 2.1).
    pub root: Hash32,
}

/// What a custodian signs besides the HSM's challenge, with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatementKind {
    /// The HSM's own quorum decides: the challenge is the HSM's.
    Unlock,
    /// The HSM is open already and the node decides: the challenge is a nonce of the node's.
    Open,
    /// The custodian refuses: the challenge is a nonce of the node's.
    Refuse,
    /// The lease is strict and the HSM is open: the custodian has it locked, and is asked again; the challenge is a nonce of the
    /// node's. It is no agreement to the lease yet.
    Lock,
}

impl StatementKind {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlock => "unlock",
            Self::Open => "open",
            Self::Refuse => "refuse",
            Self::Lock => "lock",
        }
    }

    /// Reads what [`Self::name`] writes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Unlock, Self::Open, Self::Refuse, Self::Lock]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// The 24 bytes every statement of this kind begins with, zero padded.
    #[must_use]
    pub const fn tag(self) -> &'static [u8; 24] {
        match self {
            Self::Unlock => b"CHANCERY-LEASE-v1\0\0\0\0\0\0\0",
            Self::Open => b"CHANCERY-LEASE-OPEN-v1\0\0",
            Self::Refuse => b"CHANCERY-LEASE-REFUSE-v1",
            Self::Lock => b"CHANCERY-LEASE-LOCK-v1\0\0",
        }
    }
}

/// The bytes a custodian signs: 24 bytes tag, 32 bytes SHA-256 of the lease text's canonical JSON, 8 bytes size (big endian) and
/// 32 bytes root of the audit log, holder reference of the HSM's device certificate, 8 bytes challenge or nonce. For a refusal
/// the SHA-256 of the reason stands between root and holder reference.
///
/// At least 112 bytes: it can be mistaken neither for an answer to an HSM's challenge (at most 24 bytes) nor for an act.
#[must_use]
pub fn lease_statement(
    kind: StatementKind,
    text: &[u8],
    log: LogPlace,
    reason: Option<&str>,
    hsm_chr: &str,
    challenge: [u8; 8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    out.extend_from_slice(kind.tag());
    out.extend_from_slice(&Sha256::digest(text));
    out.extend_from_slice(&log.size.to_be_bytes());
    out.extend_from_slice(&log.root.0);
    if let Some(reason) = reason {
        out.extend_from_slice(&Sha256::digest(reason.as_bytes()));
    }
    out.extend_from_slice(hsm_chr.as_bytes());
    out.extend_from_slice(&challenge);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_they_are_written_and_nothing_else_is() {
        let digest = DigestValue::new(HashName::Sha256, vec![7; 32]).unwrap();
        assert_eq!(digest.to_string().parse(), Ok(digest.clone()));
        assert_eq!(
            DigestValue::new(HashName::Sha384, vec![7; 32]),
            Err(DigestError::Length {
                hash: HashName::Sha384,
                found: 32
            })
        );
        for wrong in ["", "sha256:", "sha1:00", "SHA256:00", "sha256", "sha256:zz"] {
            assert!(wrong.parse::<DigestValue>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_manifest_is_a_set() {
        let one = DigestValue::new(HashName::Sha256, vec![1; 32]).unwrap();
        let two = DigestValue::new(HashName::Sha256, vec![2; 32]).unwrap();
        let hash = manifest_hash(&[one.clone(), two.clone()]);
        assert_eq!(manifest_hash(&[two.clone(), one.clone(), two.clone()]), hash);
        assert_eq!(hash, Hash32::of(format!("{one}\n{two}\n").as_bytes()));
        assert_ne!(manifest_hash(&[one]), hash);
    }

    #[test]
    fn statements_differ_by_tag_and_are_longer_than_an_answer_to_a_challenge() {
        let log = LogPlace {
            size: 3,
            root: Hash32([5; 32]),
        };
        let statement = |kind| lease_statement(kind, b"{}", log, None, "UTCHDAAAAAA00000", [9; 8]);
        assert_ne!(statement(StatementKind::Unlock), statement(StatementKind::Open));
        let bytes = statement(StatementKind::Unlock);
        assert_eq!(bytes.len(), 24 + 32 + 8 + 32 + 16 + 8);
        assert_eq!(&bytes[56..64], &[0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(&bytes[bytes.len() - 8..], &[9; 8]);
    }
}
