//! Keys that sign and verify notes.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::note::{NoteError, NoteSignature};

/// The identifier of a note key: the first 4 bytes of SHA-256 over name, line feed, algorithm byte and public
/// key (reference: C2SP signed-note, "Signatures"). It tells keys apart; it proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 4]);

impl KeyId {
    fn of(name: &str, public_key: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(name)
            .chain_update([b'\n', ALGORITHM_ED25519])
            .chain_update(public_key)
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        Self([a, b, c, d])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Verifies the notes of one Ed25519 key, known by its name and its public key.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    id: KeyId,
    public_key: [u8; PUBLIC_KEY_BYTES],
}

impl NoteVerifier {
    /// A verifier for a key of this name; `public_key` is the 32 bytes of RFC 8032 5.1.5.
    ///
    /// # Errors
    /// If the name is empty, too long, or has a space, a plus or a control character in it.
    pub fn new(name: &str, public_key: [u8; PUBLIC_KEY_BYTES]) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            id: KeyId::of(name, &public_key),
            public_key,
        })
    }

    /// Reads the text form `name+key id in hex+base64(01, public key)`
    /// (reference: C2SP signed-note, "Verifier keys").
    ///
    /// # Errors
    /// If the text has another form, another algorithm, or a key id that is not that of its key.
    pub fn parse_vkey(vkey: &str) -> Result<Self, KeyError> {
        if vkey.len() > MAX_VKEY_BYTES {
            return Err(KeyError::VkeyTooLong { bytes: vkey.len() });
        }
        // The base64 part may hold a plus of its own, the name may not.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::VkeyForm {
                part: "three parts joined by +",
            });
        };
        let key = STANDARD.decode(key).map_err(|_| KeyError::VkeyForm {
            part: "a key in base64",
        })?;
        let Some((algorithm, key)) = key.split_first() else {
            return Err(KeyError::VkeyForm {
                part: "an algorithm byte",
            });
        };
        if *algorithm != ALGORITHM_ED25519 {
            return Err(KeyError::Algorithm { found: *algorithm });
        }
        let public_key = key.try_into().map_err(|_| KeyError::VkeyForm {
            part: "an Ed25519 key of 32 bytes",
        })?;
        let verifier = Self::new(name, public_key)?;
        if verifier.id.to_string() != id {
            return Err(KeyError::Id {
                expected: verifier.id,
            });
        }
        Ok(verifier)
    }

    /// The text form that [`NoteVerifier::parse_vkey`] reads.
    pub fn to_vkey(&self) -> String {
        let mut key = Vec::with_capacity(1 + PUBLIC_KEY_BYTES);
        key.push(ALGORITHM_ED25519);
        key.extend_from_slice(&self.public_key);
        format!("{}+{}+{}", self.name, self.id, STANDARD.encode(key))
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's identifier.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The public key, 32 bytes (reference: RFC 8032 5.1.5).
    pub const fn public_key(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.public_key
    }

    /// Whether a signature line claims to be of this key.
    pub(crate) fn is_named_by(&self, signature: &NoteSignature) -> bool {
        signature.id == self.id && signature.name == self.name
    }

    pub(crate) fn verify(&self, text: &str, signature: &NoteSignature) -> Result<(), NoteError> {
        ParsedPublicKey::new(&ED25519, self.public_key)
            .ok()
            .and_then(|key| key.verify_sig(text.as_bytes(), &signature.signature).ok())
            .ok_or_else(|| NoteError::BadSignature {
                name: self.name.clone(),
                id: self.id,
            })
    }
}

impl fmt::Debug for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteVerifier({})", self.to_vkey())
    }
}

/// Signs notes with an Ed25519 key under a name.
pub struct NoteSigner {
    verifier: NoteVerifier,
    key: Ed25519KeyPair,
}

impl NoteSigner {
    /// A signer of this name.
    ///
    /// # Errors
    /// If the name is empty, too long, or has a space, a plus or a control character in it.
    pub fn new(name: &str, key: Ed25519KeyPair) -> Result<Self, KeyError> {
        let public_key = key
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::VkeyForm {
                part: "an Ed25519 key of 32 bytes",
            })?;
        Ok(Self {
            verifier: NoteVerifier::new(name, public_key)?,
            key,
        })
    }

    /// What others need to verify this signer's notes.
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    pub(crate) fn sign(&self, text: &str) -> NoteSignature {
        NoteSignature {
            name: self.verifier.name.clone(),
            id: self.verifier.id,
            signature: self.key.sign(text.as_bytes()).as_ref().to_vec(),
        }
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

/// A note key or its name that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, over 255 bytes, or has a space, a plus or a control character in it.
    #[error("a key name has 1 to 255 bytes without spaces, plus signs and control characters")]
    Name,
    /// The verifier key is longer than any valid one.
    #[error("a verifier key of {bytes} bytes is over the limit of {MAX_VKEY_BYTES}")]
    VkeyTooLong {
        /// Length found, in bytes.
        bytes: usize,
    },
    /// The verifier key lacks something.
    #[error("the verifier key is not name+id+key: {part} expected")]
    VkeyForm {
        /// What was expected.
        part: &'static str,
    },
    /// The verifier key is for another algorithm than Ed25519 (01).
    #[error("the verifier key's algorithm {found:#04x} is not Ed25519 (0x01)")]
    Algorithm {
        /// The algorithm byte found.
        found: u8,
    },
    /// The verifier key's identifier is not that of its name and key.
    #[error("the verifier key's id is not {expected}, that of its name and key")]
    Id {
        /// The identifier its name and key have.
        expected: KeyId,
    },
}

pub(crate) fn check_name(name: &str) -> Result<(), KeyError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(bad) {
        return Err(KeyError::Name);
    }
    Ok(())
}

const ALGORITHM_ED25519: u8 = 0x01;
const PUBLIC_KEY_BYTES: usize = 32;
const MAX_NAME_BYTES: usize = 255;
const MAX_VKEY_BYTES: usize = 512;
