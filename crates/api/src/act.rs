//! Acts: decisions of people, proven by a signature of the actor's own token key.
//!
//! The node drafts an [`ActPayload`] with a nonce of its own; the person's side shows it, and signs the [`statement`] over its
//! canonical bytes. The payload names everything that is decided, so the signature can be checked later without the database.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ActId, Base64, Hash32, HsmId, InstallationId, PersonId, RequestNumber, Role, SignerId};

/// What a person signs: 16 bytes tag, 16 bytes installation id, 32 bytes SHA-256 of the payload's canonical bytes.
///
/// The tag ends with a zero byte and the statement is 64 bytes long, so it can be mistaken neither for an answer to an HSM's
/// challenge (24 bytes, signed by another key) nor for any X.509 structure.
#[must_use]
pub fn statement(installation: InstallationId, payload: &[u8]) -> [u8; 64] {
    let mut out = [0; 64];
    out[..16].copy_from_slice(b"CHANCERY-ACT-v1\0");
    out[16..32].copy_from_slice(installation.as_bytes());
    out[32..].copy_from_slice(&Sha256::digest(payload));
    out
}

/// One decision of one person. Stored as its canonical JSON; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActPayload {
    /// Version of this format: 1.
    pub v: u32,
    /// The installation the act is meant for.
    pub installation: InstallationId,
    /// Identifies the act; chosen by the node.
    pub act: ActId,
    /// The node's nonce: an act is accepted once, by the process that drafted it.
    pub nonce: Hash32,
    /// Time of the draft by the node's clock, RFC 3339, UTC.
    pub time: String,
    /// Who decides.
    pub person: PersonId,
    /// The name that person is known by, for display.
    pub name: String,
    /// What is decided.
    pub decision: Decision,
}

/// What is decided. Every variant carries the digests of what it decides on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Decision {
    /// The first manager of an installation signs himself into being; the key is pinned outside the database.
    Init {
        /// The first manager.
        person: PersonDocument,
    },
    /// Initialise tokens as HSMs of one new key domain. Erases them; refused for a token that holds keys.
    HsmInit {
        /// The tokens, each with what it will be.
        hsms: Vec<HsmDocument>,
        /// Custodians needed to unlock (n).
        quorum_required: u8,
        /// Custodians to be registered (m).
        quorum_total: u8,
        /// Number of shares of the device key encryption key.
        shares: u8,
    },
    /// Attach an HSM, known or new.
    HsmAttach {
        /// The HSM.
        hsm: HsmDocument,
    },
    /// Detach an HSM: the node gives it up.
    HsmDetach {
        /// The HSM.
        hsm: HsmDocument,
    },
    /// Approve requests.
    RequestApprove {
        /// What is approved.
        items: Vec<ApprovedItem>,
    },
    /// Reject requests.
    RequestReject {
        /// The requests.
        requests: Vec<RequestNumber>,
        /// Why, for the requester.
        reason: String,
    },
    /// Have certificates signed.
    RequestSign {
        /// What is signed.
        items: Vec<SignedItem>,
    },
    /// Copy a signer's key to another HSM of its key domain.
    SignerReplicate {
        /// The signer.
        signer: SignerId,
        /// SHA-256 of its SubjectPublicKeyInfo.
        key: Hash32,
        /// The HSM that gets the copy.
        hsm: HsmDocument,
    },
    /// Revoke a certificate (RFC 5280 section 5.3).
    CertificateRevoke {
        /// Name of the issuing CA.
        ca: String,
        /// Serial number, hexadecimal.
        serial: String,
        /// Reason code name of RFC 5280 section 5.3.1.
        reason: String,
    },
    /// Have a CRL signed.
    CrlCreate {
        /// Name of the CA.
        ca: String,
        /// CRL number.
        number: i64,
        /// How many certificates it lists.
        entries: u64,
        /// nextUpdate, RFC 3339.
        next_update: String,
        /// SHA-256 of the to-be-signed bytes.
        tbs: Hash32,
    },
}

impl Decision {
    /// The verb as in the canonical JSON.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Init { .. } => "init",
            Self::HsmInit { .. } => "hsm-init",
            Self::HsmAttach { .. } => "hsm-attach",
            Self::HsmDetach { .. } => "hsm-detach",
            Self::RequestApprove { .. } => "request-approve",
            Self::RequestReject { .. } => "request-reject",
            Self::RequestSign { .. } => "request-sign",
            Self::SignerReplicate { .. } => "signer-replicate",
            Self::CertificateRevoke { .. } => "certificate-revoke",
            Self::CrlCreate { .. } => "crl-create",
        }
    }
}

/// A person as signed into being by managers. Stored; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonDocument {
    /// Identifier, chosen by the node (by `init` for the first manager).
    pub id: PersonId,
    /// Short name used on the command line.
    pub name: String,
    /// Roles, sorted.
    pub roles: Vec<Role>,
    /// SHA-256 of the SubjectPublicKeyInfo of the key that signs this person's acts.
    pub key: Hash32,
    /// CHR of the device certificate of the token that holds the key.
    pub device: String,
}

/// An HSM as shown to the person who decides on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsmDocument {
    /// Identifier in this installation.
    pub id: HsmId,
    /// Name in this installation.
    pub name: String,
    /// CHR of its device certificate.
    pub device: String,
    /// SHA-256 of its device public key (uncompressed point).
    pub key: Hash32,
}

/// A custodian's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodianDocument {
    /// The person.
    pub person: PersonId,
    /// The person's name.
    pub name: String,
    /// CHR of the custodian key, by which the HSM selects it.
    pub chr: String,
    /// SHA-256 of the custodian key's SubjectPublicKeyInfo.
    pub key: Hash32,
    /// CHR of the custodian's token.
    pub device: String,
    /// The HSMs it is registered in.
    pub hsms: Vec<HsmDocument>,
}

/// What an approval covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedItem {
    /// The request.
    pub request: RequestNumber,
    /// SHA-256 over the request's document in canonical form.
    pub document: Hash32,
    /// What is asked, in full: the same document.
    pub subject: Subject,
    /// For a certificate: SHA-256 of the to-be-signed bytes prepared for it, serial number and validity included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tbs: Option<Hash32>,
}

/// What a request asks for. The canonical form of this is the request's document: stored, fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Subject {
    /// A certificate for a key the requester holds.
    Certificate(CertificateDocument),
    /// A person, with roles.
    Person(PersonDocument),
    /// A new certification authority.
    Ca(CaDocument),
    /// A person's key as custodian of HSMs.
    Custodian(CustodianDocument),
    /// A new signing key.
    Signer(SignerDocument),
}

/// A certificate asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateDocument {
    /// SHA-256 of the PKCS#10 request (DER).
    pub csr: Hash32,
    /// Name of the issuing CA.
    pub ca: String,
    /// SHA-256 of the issuing CA's certificate (DER).
    pub issuer: Hash32,
    /// Name of the profile.
    pub profile: String,
    /// Hash of the profile's content.
    pub profile_hash: Hash32,
    /// Subject, RFC 4514.
    pub subject: String,
    /// Subject alternative names that will be in the certificate, as `type:value`.
    pub names: Vec<String>,
    /// SHA-256 of the requested SubjectPublicKeyInfo.
    pub key: Hash32,
    /// Parts of the request that are ignored, in words.
    pub ignored: Vec<String>,
}

/// A certification authority asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaDocument {
    /// Name of the CA in this installation.
    pub name: String,
    /// Subject of its certificate, RFC 4514.
    pub subject: String,
    /// Algorithm of its key, e.g. `ec:P-256` or `rsa:3072`.
    pub algorithm: String,
    /// Name of the profile of its own certificate.
    pub profile: String,
    /// Hash of that profile's content.
    pub profile_hash: Hash32,
    /// HSM in which the key is generated.
    pub hsm: HsmDocument,
}

/// A signing key asked for. It is for signing, for life: it never issues certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerDocument {
    /// Name of the signer in this installation.
    pub name: String,
    /// Algorithm of its key, e.g. `ec:P-256` or `rsa:3072`.
    pub algorithm: String,
    /// HSM in which the key is generated.
    pub hsm: HsmDocument,
}

/// What a decision to sign covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedItem {
    /// The request.
    pub request: RequestNumber,
    /// Name of the issuing CA.
    pub ca: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Subject, RFC 4514.
    pub subject: String,
    /// Subject alternative names as `type:value`.
    pub names: Vec<String>,
    /// SHA-256 of the to-be-signed bytes.
    pub tbs: Hash32,
}

/// An act with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAct {
    /// Canonical JSON of the [`ActPayload`], exactly as signed.
    pub payload: Base64,
    /// ECDSA with SHA-256 over the [`statement`], DER `SEQUENCE { r, s }`.
    pub signature: Base64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_statement_binds_tag_installation_and_payload() {
        let id = InstallationId::new(Uuid::from_bytes([7; 16]));
        let statement = statement(id, b"{}");
        assert_eq!(&statement[..16], b"CHANCERY-ACT-v1\0");
        assert_eq!(&statement[16..32], &[7; 16]);
        assert_eq!(
            hex::encode(&statement[32..]),
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
