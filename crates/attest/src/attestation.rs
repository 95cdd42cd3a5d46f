//! The proof of one key's origin as a file.

use chancery_cvc::{AuthenticatedRequest, ParseError, Reference};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::fingerprint::KeyFingerprint;

/// The request a device signed for one key, the chain of that device, and when and where they were seen.
///
/// Nothing in it has been verified. As a file it is one JSON object in one spelling only, with a checksum over all of
/// it: a damaged copy is noticed before anybody looks at signatures. The checksum proves nothing, everybody can
/// compute it; what proves is the request and the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    request: AuthenticatedRequest,
    request_bytes: Vec<u8>,
    chain: Vec<u8>,
    saved: OffsetDateTime,
    seen: Seen,
}

/// What was seen beside the proof when it was saved. Nobody signed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Name of the token the key stood on, as its certificate states it; not the generating one's for a copied key.
    pub token: Option<String>,
    /// The file it came from.
    pub file: Option<String>,
    /// Id of the key on the token.
    pub key_id: Option<u8>,
    /// Label of the key.
    pub label: Option<String>,
    /// Version of the applet.
    pub firmware: Option<String>,
    /// Key domain of the key, where the token names one.
    pub key_domain: Option<u8>,
    /// Check value of the key encryption key of that domain, hexadecimal.
    pub kcv: Option<String>,
}

/// Why bytes are no attestation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AttestationError {
    /// Longer than [`Attestation::MAX_LEN`].
    #[error("attestation of {len} bytes is over the limit of {}", Attestation::MAX_LEN)]
    TooLong {
        /// Bytes given.
        len: usize,
    },
    /// Not the JSON of an attestation.
    #[error("not an attestation: {0}")]
    Json(String),
    /// Another format or version.
    #[error("attestation of format {0:?}, which is not known here")]
    Format(String),
    /// A field that is no hexadecimal number.
    #[error("field {field} of the attestation is not hexadecimal")]
    Hex {
        /// Its name.
        field: &'static str,
    },
    /// The request cannot be read.
    #[error("the request in the attestation cannot be read")]
    Request(#[source] ParseError),
    /// Some byte is not the one that was written.
    #[error("the attestation was changed after it was saved: its checksum or spelling is not right")]
    Changed,
}

impl Attestation {
    /// Longest file read, in bytes: a request of RSA-4096 and three certificates take less than a tenth.
    pub const MAX_LEN: usize = 128 * 1024;

    /// Takes the request of a key, `67 {..}` or its content, and the chain of the device that signed it (content of EF
    /// 2F02; empty when it is not at hand).
    ///
    /// # Errors
    /// [`AttestationError::Request`]: it is none. Whether the chain can be read is for verification to say.
    pub fn new(
        request: &[u8],
        chain: &[u8],
        saved: OffsetDateTime,
        seen: Seen,
    ) -> Result<Self, AttestationError> {
        let saved = saved.to_offset(time::UtcOffset::UTC);
        Ok(Self {
            request: AuthenticatedRequest::parse(request).map_err(AttestationError::Request)?,
            request_bytes: request.to_vec(),
            chain: chain.to_vec(),
            saved: saved.replace_nanosecond(0).unwrap_or(saved),
            seen,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AttestationError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(AttestationError::TooLong { len: bytes.len() });
        }
        let file: File =
            serde_json::from_slice(bytes).map_err(|error| AttestationError::Json(error.to_string()))?;
        if file.format != FORMAT {
            return Err(AttestationError::Format(file.format));
        }
        let hex = |field, text: &str| hex::decode(text).map_err(|_| AttestationError::Hex { field });
        let attestation = Self::new(
            &hex("request", &file.request)?,
            &hex("chain", &file.chain)?,
            file.saved,
            file.seen,
        )?;
        if attestation.encode() == bytes {
            Ok(attestation)
        } else {
            Err(AttestationError::Changed)
        }
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut file = File {
            format: FORMAT.to_owned(),
            device: self.device().to_string(),
            key: self.key().to_string(),
            saved: self.saved,
            seen: self.seen.clone(),
            request: hex::encode(&self.request_bytes),
            chain: hex::encode(&self.chain),
            sha256: String::new(),
        };
        file.sha256 = hex::encode(Sha256::digest(file.text()));
        file.text().into_bytes()
    }

    /// The name an archive files it under: the device that signed and the key, both as the request states them.
    #[must_use]
    pub fn file_stem(&self) -> String {
        format!("{}-{}", self.device().holder(), self.key().short())
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect()
    }

    /// The device that signed the request, by the request's own words.
    #[must_use]
    pub fn device(&self) -> &Reference {
        self.request.outer_car()
    }

    /// The key the request is for.
    #[must_use]
    pub fn key(&self) -> KeyFingerprint {
        KeyFingerprint::of(self.request.request().public_key())
    }

    /// The request as it was found.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request_bytes
    }

    /// The chain as it was found; empty when it was not at hand.
    #[must_use]
    pub fn chain(&self) -> &[u8] {
        &self.chain
    }

    /// When it was saved, UTC, by the clock of whoever saved it.
    #[must_use]
    pub fn saved(&self) -> OffsetDateTime {
        self.saved
    }

    /// What was seen beside it.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether the other proves the same: same request, same chain.
    #[must_use]
    pub fn proves_the_same(&self, other: &Self) -> bool {
        self.request == other.request && self.chain == other.chain
    }
}

/// The JSON of a file; fields in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    device: String,
    key: String,
    #[serde(with = "time::serde::rfc3339")]
    saved: OffsetDateTime,
    seen: Seen,
    request: String,
    chain: String,
    /// Over the whole text with this field empty.
    sha256: String,
}

impl File {
    fn text(&self) -> String {
        // Strings, numbers and a date that was parsed: there is nothing JSON could not hold.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// First thing in the file, so that it can be told from other JSON.
pub(crate) const FORMAT: &str = "chancery-attestation-1";
