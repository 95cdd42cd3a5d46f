//! Drafting acts and checking what comes back.
//!
//! A draft is kept in memory until it is handed in once or ten minutes have passed. What comes back must be the drafted bytes, signed by
//! the key of the person it was drafted for; so an act can be neither altered, nor replayed, nor made for somebody else.

use std::collections::HashMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use chancery_api::{
    ActId, ActPayload, Base64, Failure, FailureKind, Hash32, InstallationId, SignedAct, statement,
};
use chancery_store::ActRecord;
use der::{Decode as _, asn1::ObjectIdentifier};
use sha2::{Digest as _, Sha256};
use spki::SubjectPublicKeyInfoRef;

use crate::trust::Person;

/// How long a draft waits for its signature.
const DRAFT_LIFETIME_MS: i64 = 10 * 60 * 1000;

/// Most drafts waiting at once; the oldest gives way.
const MOST_DRAFTS: usize = 4096;

/// A person's act whose signature has been checked.
#[derive(Debug)]
pub(crate) struct ProvenAct {
    pub(crate) record: ActRecord,
    pub(crate) payload: ActPayload,
    pub(crate) person: Person,
}

/// To-be-signed bytes that a draft was made over, in the order of its items.
pub(crate) type Prepared = Vec<Vec<u8>>;

struct Draft {
    payload: ActPayload,
    bytes: Vec<u8>,
    prepared: Prepared,
    created_ms: i64,
}

/// Drafts waiting for their signature.
#[derive(Default)]
pub(crate) struct Drafts {
    waiting: HashMap<Hash32, Draft>,
}

impl Drafts {
    /// Keeps a draft.
    pub(crate) fn put(&mut self, payload: ActPayload, bytes: Vec<u8>, prepared: Prepared, now_ms: i64) {
        if self.waiting.len() >= MOST_DRAFTS {
            self.waiting
                .retain(|_, draft| now_ms - draft.created_ms < DRAFT_LIFETIME_MS);
        }
        if self.waiting.len() >= MOST_DRAFTS
            && let Some(oldest) = self
                .waiting
                .iter()
                .min_by_key(|(_, draft)| draft.created_ms)
                .map(|(nonce, _)| *nonce)
        {
            self.waiting.remove(&oldest);
        }
        self.waiting.insert(
            payload.nonce,
            Draft {
                payload,
                bytes,
                prepared,
                created_ms: now_ms,
            },
        );
    }

    /// Takes the draft that `act` answers.
    pub(crate) fn take(&mut self, act: &SignedAct, now_ms: i64) -> Result<(ActPayload, Prepared), Failure> {
        let payload: ActPayload = serde_json::from_slice(&act.payload.0).map_err(|error| {
            Failure::new(FailureKind::Invalid, format!("the act cannot be read: {error}"))
        })?;
        let unknown = || {
            Failure::new(
                FailureKind::Refused,
                "this node has no such draft: it was handed in before, is older than ten minutes, or the node was restarted",
            )
            .with_remedy("repeat the command")
        };
        let draft = self.waiting.get(&payload.nonce).ok_or_else(unknown)?;
        if draft.bytes != act.payload.0 {
            return Err(Failure::new(
                FailureKind::Refused,
                "the act is not the one that was drafted",
            ));
        }
        let draft = self.waiting.remove(&payload.nonce).ok_or_else(unknown)?;
        if now_ms - draft.created_ms >= DRAFT_LIFETIME_MS {
            return Err(unknown());
        }
        Ok((draft.payload, draft.prepared))
    }
}

/// Why a signature over an act does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ActError {
    #[error("the key is not a P-256 key")]
    Key,
    #[error("the signature does not fit the act and the key")]
    Signature,
    #[error("the act cannot be read")]
    Payload,
    #[error("the act is of another installation")]
    Installation,
    #[error("the act is recorded under another person, verb or identifier than it was signed for")]
    Record,
}

/// The key of a person, read from a SubjectPublicKeyInfo: a P-256 key.
pub(crate) fn parse_key(spki: &[u8]) -> Result<ParsedPublicKey, ActError> {
    let point = p256_point(spki).ok_or(ActError::Key)?;
    ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map_err(|_| ActError::Key)
}

/// Checks the signature of an act: ECDSA on P-256 with SHA-256 over the statement.
pub(crate) fn verify(
    installation: InstallationId,
    payload: &[u8],
    signature: &[u8],
    key: &ParsedPublicKey,
) -> Result<(), ActError> {
    key.verify_sig(&statement(installation, payload), signature)
        .map_err(|_| ActError::Signature)
}

/// As [`verify`], with the key as it is stored.
pub(crate) fn verify_signature(
    installation: InstallationId,
    payload: &[u8],
    signature: &[u8],
    spki: &[u8],
) -> Result<(), ActError> {
    verify(installation, payload, signature, &parse_key(spki)?)
}

/// Checks a stored act: signature, installation, and that the row says what was signed.
pub(crate) fn verify_record(
    installation: InstallationId,
    record: &ActRecord,
    spki: &[u8],
) -> Result<ActPayload, ActError> {
    verify_signature(installation, &record.payload, &record.signature, spki)?;
    let payload: ActPayload = serde_json::from_slice(&record.payload).map_err(|_| ActError::Payload)?;
    if payload.installation != installation {
        return Err(ActError::Installation);
    }
    if payload.act != record.id || payload.person != record.person || payload.decision.verb() != record.verb {
        return Err(ActError::Record);
    }
    Ok(payload)
}

/// The uncompressed point of a P-256 SubjectPublicKeyInfo.
pub(crate) fn p256_point(spki: &[u8]) -> Option<&[u8]> {
    const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    let info = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
    if info.algorithm.oid != EC_PUBLIC_KEY || info.algorithm.parameters_oid().ok()? != PRIME256V1 {
        return None;
    }
    info.subject_public_key.as_bytes()
}

/// The record to store for an act.
pub(crate) fn record(payload: &ActPayload, act: SignedAct, now_ms: i64) -> ActRecord {
    let Base64(bytes) = act.payload;
    let Base64(signature) = act.signature;
    ActRecord {
        id: payload.act,
        person: payload.person,
        verb: payload.decision.verb().to_owned(),
        payload: bytes,
        signature,
        nonce: payload.nonce.0.to_vec(),
        created_ms: now_ms,
    }
}

/// SHA-256 over parts, each with its length in front: the name of a check that was made.
pub(crate) fn digest(parts: &[&[u8]]) -> Hash32 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    Hash32(hash.finalize().into())
}

/// Hashes of acts that were read together, where each identifier stands for one row: a long list is hashed once, not for each of its
/// items.
#[derive(Default)]
pub(crate) struct ActHashes {
    known: HashMap<ActId, Hash32>,
}

impl ActHashes {
    /// The hash of everything that counts of an act.
    pub(crate) fn of(&mut self, act: &ActRecord) -> Hash32 {
        *self.known.entry(act.id).or_insert_with(|| {
            digest(&[
                act.id.as_bytes(),
                act.person.as_bytes(),
                act.verb.as_bytes(),
                &act.payload,
                &act.signature,
            ])
        })
    }
}
