//! Using a key: signatures, decryption, key agreement, derivation.
//!
//! [`KeyInUse::open`] looks at a key once, which is where a custodian's key is refused; after that each use is one command
//! to the token. What the token cannot do, or its key does not permit, is done on the host around the raw operation:
//! hashing, padding, unpadding.

mod decrypt;
mod derive;
mod sign;

pub use decrypt::{Decryption, SymmetricPadding};
pub use derive::Peer;
pub use sign::{HashOn, Scheme, SignatureForm, Signing};

use chancery_cvc::PublicKey;
use chancery_driver::padding::PaddingError;
use chancery_driver::{AppletAccess, Error, KeyAttributes};
use chancery_schsm::{Algorithm, KeyId, KeyType};

use crate::catalogue::{Description, read_description};
use crate::key::KeyDetails;

/// A key that is about to be used.
#[derive(Clone, Debug)]
pub struct KeyInUse {
    id: KeyId,
    key_type: KeyType,
    bits: u16,
    attributes: KeyAttributes,
    public_key: Option<PublicKey>,
}

/// A use of a key that was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperateError {
    /// The token has no such key.
    #[error("the token has no key {0}")]
    NoSuchKey(KeyId),
    /// A custodian's key, which unlocks an HSM: its holder could be talked into an unlock.
    #[error("key {0} is a custodian's key: it answers HSMs and signs nothing else")]
    CustodianKey(KeyId),
    /// Neither description nor certificate says what kind of key it is.
    #[error("nothing on the token says what kind of key {0} is")]
    UnknownKind(KeyId),
    /// The key is of another kind.
    #[error("key {id} is {found} and cannot be used for {wanted}")]
    OtherKind {
        /// The key.
        id: KeyId,
        /// What it is.
        found: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The key's algorithm list permits no way to do it.
    #[error("the algorithm list of key {id} permits no {wanted}; it permits {permitted}")]
    NotPermitted {
        /// The key.
        id: KeyId,
        /// What was asked for.
        wanted: String,
        /// Identifiers it has, hexadecimal.
        permitted: String,
    },
    /// The input does not fit.
    #[error("{0}")]
    Input(String),
    /// The deciphered block is not padded as expected.
    #[error(transparent)]
    Padding(#[from] PaddingError),
    /// The crypto library failed.
    #[error("the crypto library failed")]
    Crypto(#[from] openssl::error::ErrorStack),
    /// A command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

impl KeyInUse {
    /// Looks at key `id`: what it may do and what kind it is. Three commands.
    ///
    /// # Errors
    /// [`OperateError::NoSuchKey`], [`OperateError::CustodianKey`], [`OperateError::UnknownKind`], or a command failed.
    pub fn open(card: &mut impl AppletAccess, id: KeyId) -> Result<Self, OperateError> {
        let description = read_description(card, id)?;
        Self::described(card, id, description)
    }

    /// As [`Self::open`], with a description that is known already. Two commands.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn described(
        card: &mut impl AppletAccess,
        id: KeyId,
        description: Description,
    ) -> Result<Self, OperateError> {
        let details = KeyDetails::beside(card, id, description)?.ok_or(OperateError::NoSuchKey(id))?;
        if details.is_custodian_key() {
            return Err(OperateError::CustodianKey(id));
        }
        let (Some(key_type), Some(bits)) = (details.key_type(), details.bits()) else {
            return Err(OperateError::UnknownKind(id));
        };
        Ok(Self {
            id,
            key_type,
            bits,
            public_key: details.public_key,
            attributes: details.attributes,
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Its kind, as the files beside it say.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Its public key, as the certificate or request beside it says.
    #[must_use]
    pub const fn public_key(&self) -> Option<&PublicKey> {
        self.public_key.as_ref()
    }

    /// Length of the modulus or of a field element, in bytes.
    const fn size(&self) -> usize {
        (self.bits as usize).div_ceil(8)
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        self.attributes.algorithms.allows(algorithm)
    }

    fn require(&self, key_type: KeyType, wanted: &'static str) -> Result<(), OperateError> {
        if self.key_type == key_type {
            return Ok(());
        }
        Err(OperateError::OtherKind {
            id: self.id,
            found: crate::key::described(self.key_type, self.bits),
            wanted,
        })
    }

    fn not_permitted(&self, wanted: impl Into<String>) -> OperateError {
        let permitted: Vec<String> = self
            .attributes
            .algorithms
            .ids()
            .iter()
            .map(|id| format!("{id:02X}"))
            .collect();
        OperateError::NotPermitted {
            id: self.id,
            wanted: wanted.into(),
            permitted: permitted.join(" "),
        }
    }
}
