//! What CExx holds: an X.509 certificate, a card verifiable one, or the key's authenticated request.

use chancery_cvc::{AuthenticatedRequest, Certificate, PublicKey};
use openssl::x509::X509;

/// Content of CExx.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyCertificate {
    /// The request the card wrote at generation, `67 {..}`.
    Request(Vec<u8>),
    /// An X.509 certificate, DER.
    X509(Vec<u8>),
    /// A card verifiable certificate.
    Cvc(Vec<u8>),
    /// Something else.
    Unknown(Vec<u8>),
}

impl KeyCertificate {
    /// Tells by the outermost tag what the file holds.
    #[must_use]
    pub fn recognise(object: Vec<u8>) -> Self {
        match object.as_slice() {
            [0x67, ..] => Self::Request(object),
            [0x30, ..] => Self::X509(object),
            [0x7F, 0x21, ..] => Self::Cvc(object),
            _ => Self::Unknown(object),
        }
    }

    /// The bytes as they stand on the token.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Request(bytes) | Self::X509(bytes) | Self::Cvc(bytes) | Self::Unknown(bytes) => bytes,
        }
    }

    /// The public key it names; not verified.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        match self {
            Self::Request(bytes) => Some(
                AuthenticatedRequest::parse(bytes)
                    .ok()?
                    .request()
                    .public_key()
                    .clone(),
            ),
            Self::X509(der) => {
                let spki = X509::from_der(der)
                    .ok()?
                    .public_key()
                    .ok()?
                    .public_key_to_der()
                    .ok()?;
                PublicKey::from_spki_der(&spki).ok()
            }
            Self::Cvc(bytes) => Some(Certificate::parse(bytes).ok()?.public_key().clone()),
            Self::Unknown(_) => None,
        }
    }
}

/// The public key a content of CExx names.
pub(crate) fn public_key_of(object: &[u8]) -> Option<PublicKey> {
    KeyCertificate::recognise(object.to_vec()).public_key()
}
