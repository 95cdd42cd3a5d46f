//! `SubjectPublicKeyInfo` (reference: RFC 5280 4.1.2.7, RFC 5480, RFC 8017 A.1).

use chancery_iso7816::tlv::{Reader, Tag};
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey};

use super::{EcPublicKey, PublicKey, RsaPublicKey};
use crate::error::KeyError;

impl PublicKey {
    /// Encodes as `SubjectPublicKeyInfo`, DER: named curve with an uncompressed point, or `rsaEncryption`.
    ///
    /// # Errors
    /// [`KeyError::NoDomain`] for a point without a curve, [`KeyError::Unsupported`] for a curve without a name (RFC
    /// 5480 has no form for one), [`KeyError::Crypto`] when the crypto library fails.
    pub fn to_spki_der(&self) -> Result<Vec<u8>, KeyError> {
        if self.domain().is_some_and(|domain| domain.curve().is_none()) {
            return Err(KeyError::Unsupported {
                what: "a curve without a name in X.509",
            });
        }
        self.to_pkey()?.public_key_to_der().map_err(KeyError::Crypto)
    }

    /// Reads a `SubjectPublicKeyInfo` with an EC or RSA key. Explicit curve parameters are recognised as a named curve
    /// where they are those of one.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for other bytes, [`KeyError::Unsupported`] for other keys.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::Malformed {
            what: "SubjectPublicKeyInfo",
        };
        // The crypto library ignores what follows the structure.
        let mut reader = Reader::new(der);
        reader.expect(Tag(0x30)).map_err(KeyError::Structure)?;
        reader.finish().map_err(KeyError::Structure)?;
        let key = PKey::public_key_from_der(der).map_err(|_: ErrorStack| malformed)?;
        match key.id() {
            Id::EC => Ok(Self::Ec(EcPublicKey::from_ec_key(
                &*key.ec_key().map_err(KeyError::Crypto)?,
            )?)),
            Id::RSA => Ok(Self::Rsa(RsaPublicKey::from_rsa(
                &*key.rsa().map_err(KeyError::Crypto)?,
            )?)),
            _ => Err(KeyError::Unsupported {
                what: "neither EC nor RSA",
            }),
        }
    }
}
