//! Everything about one key.

use chancery_cvc::PublicKey;
use chancery_driver::{AppletAccess, Error, KeyAttributes, KeyCertificate, exchange, reading};
use chancery_schsm::{Algorithm, AlgorithmList, Kcv, KeyDomainStatus, KeyId, KeyType, fid};

use crate::catalogue::{Description, read_description};

/// Largest certificate looked at, in bytes.
pub(crate) const MOST_CERTIFICATE_BYTES: usize = 32 * 1024;

/// A key with all that a token says of it. Nothing but the attributes comes from the key itself: its description and its
/// certificate are files beside it.
#[derive(Clone, Debug)]
pub struct KeyDetails {
    /// Its id.
    pub id: KeyId,
    /// Use counter, algorithm list, key domain.
    pub attributes: KeyAttributes,
    /// What C4xx says.
    pub description: Description,
    /// What CExx holds.
    pub certificate: Option<KeyCertificate>,
    /// The public key that CExx names.
    pub public_key: Option<PublicKey>,
    /// State of the key's domain; `None` when it is in none. A key that names no domain is in the only one of a token with a
    /// single place, and in none where there are several.
    pub domain: Option<KeyDomainStatus>,
}

impl KeyDetails {
    /// Reads everything about key `id`; `None` when there is no such key. Four commands, and for a key that names no domain one
    /// for each place more.
    ///
    /// # Errors
    /// A command failed. A description or certificate that cannot be read is left out.
    pub fn read(card: &mut impl AppletAccess, id: KeyId) -> Result<Option<Self>, Error> {
        let description = read_description(card, id)?;
        let Some(mut details) = Self::beside(card, id, description)? else {
            return Ok(None);
        };
        details.domain = match details.attributes.key_domain {
            Some(number) => reading::domain(card, number)?,
            None => match exchange::places(card)?.as_slice() {
                [only] => only.clone(),
                _ => None,
            },
        };
        Ok(Some(details))
    }

    /// As [`Self::read`], with a description that is known and without the key's domain. Two commands.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn beside(
        card: &mut impl AppletAccess,
        id: KeyId,
        description: Description,
    ) -> Result<Option<Self>, Error> {
        let Some(attributes) = reading::attributes(card, id)? else {
            return Ok(None);
        };
        let certificate = read_certificate(card, id)?;
        Ok(Some(Self {
            id,
            attributes,
            description,
            public_key: certificate.as_ref().and_then(KeyCertificate::public_key),
            certificate,
            domain: None,
        }))
    }

    /// The kind of key, as its certificate or else its description says.
    #[must_use]
    pub fn key_type(&self) -> Option<KeyType> {
        match &self.public_key {
            Some(PublicKey::Rsa(_)) => Some(KeyType::Rsa),
            Some(PublicKey::Ec(_) | PublicKey::EcPointOnly(_)) => Some(KeyType::Ec),
            None => self.description.known().map(|description| description.key_type),
        }
    }

    /// Size in bits, as its certificate or else its description says.
    #[must_use]
    pub fn bits(&self) -> Option<u16> {
        self.public_key
            .as_ref()
            .and_then(bits_of)
            .or_else(|| self.description.known().map(|description| description.key_size))
    }

    /// Algorithm for people: `secp256r1`, `RSA-2048`, `AES-256`.
    #[must_use]
    pub fn algorithm(&self) -> String {
        algorithm(self.public_key.as_ref(), &self.description)
    }

    /// Whether the key may do nothing but answer for a custodian, so that it must not sign what is put before it.
    #[must_use]
    pub fn is_custodian_key(&self) -> bool {
        is_custodian_key(&self.attributes)
    }

    /// Key check value of the key's domain, when that is complete.
    #[must_use]
    pub fn kcv(&self) -> Option<Kcv> {
        self.domain
            .as_ref()
            .filter(|domain| domain.is_complete() && domain.kcv != Kcv::NONE)
            .map(|domain| domain.kcv)
    }
}

/// Algorithm for people, by the public key that stands beside a key, or else by its description.
#[must_use]
pub fn algorithm(public_key: Option<&PublicKey>, description: &Description) -> String {
    match public_key {
        Some(key) => name_of(key),
        None => description.known().map_or_else(
            || "unknown".to_owned(),
            |description| described(description.key_type, description.key_size),
        ),
    }
}

/// What CExx of a key holds, as far as it is one data object. One command, or a few for a long certificate.
///
/// # Errors
/// A command failed.
pub fn read_certificate(card: &mut impl AppletAccess, id: KeyId) -> Result<Option<KeyCertificate>, Error> {
    let content = reading::read(card, fid::certificate(id), MOST_CERTIFICATE_BYTES)?;
    Ok(content
        .as_ref()
        .and_then(|content| content.object())
        .map(|object| KeyCertificate::recognise(object.to_vec())))
}

/// Whether a key is limited to the signature custodians answer with.
pub(crate) fn is_custodian_key(attributes: &KeyAttributes) -> bool {
    makes_custodian_key(&attributes.algorithms)
}

/// Whether a list is that of a custodian's key: the signature custodians answer with, and nothing else.
#[must_use]
pub fn makes_custodian_key(algorithms: &AlgorithmList) -> bool {
    algorithms.ids() == [Algorithm::EcdsaSha256.id()]
}

/// Kind and size for people, from a description.
#[must_use]
pub fn described(key_type: KeyType, bits: u16) -> String {
    match key_type {
        KeyType::Rsa => format!("RSA-{bits}"),
        KeyType::Ec => format!("EC-{bits}"),
        KeyType::Aes => format!("AES-{bits}"),
    }
}

/// Name of a public key's algorithm for people: the curve, or RSA with its size.
#[must_use]
pub fn name_of(key: &PublicKey) -> String {
    match key {
        PublicKey::Ec(key) => key.domain().to_string(),
        PublicKey::Rsa(key) => format!("RSA-{}", key.bits()),
        PublicKey::EcPointOnly(_) => "EC without curve".to_owned(),
    }
}

/// Size of a public key in bits.
pub(crate) fn bits_of(key: &PublicKey) -> Option<u16> {
    match key {
        PublicKey::Ec(key) => match key.domain().curve() {
            Some(curve) => Some(curve.bits()),
            None => u16::try_from(key.domain().field_len() * 8).ok(),
        },
        PublicKey::Rsa(key) => u16::try_from(key.bits()).ok(),
        PublicKey::EcPointOnly(_) => None,
    }
}

/// Kind of key a public key belongs to.
pub(crate) const fn type_of(key: &PublicKey) -> KeyType {
    match key {
        PublicKey::Rsa(_) => KeyType::Rsa,
        PublicKey::Ec(_) | PublicKey::EcPointOnly(_) => KeyType::Ec,
    }
}
