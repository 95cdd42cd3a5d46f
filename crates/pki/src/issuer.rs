//! The CA a certificate or CRL is issued by.

use der::Tag;
use thiserror::Error;
use time::OffsetDateTime;

use crate::algorithm::SignatureAlgorithm;
use crate::element::Element;
use crate::key::{KeyError, PublicKey};
use crate::profile::KeyUsageBit;
use crate::signed::Signed;
use crate::tbs::Certificate;

/// A CA, as its certificate describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    name: Vec<u8>,
    key: PublicKey,
    key_id: Vec<u8>,
    algorithm: SignatureAlgorithm,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    path_length: Option<u8>,
    signs_crls: bool,
}

/// Why a certificate cannot be an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssuerError {
    /// Not a DER certificate.
    #[error("the issuer's certificate is not readable")]
    Malformed(#[source] der::Error),
    /// Its key is not acceptable.
    #[error("the issuer's key is refused")]
    Key(#[from] KeyError),
    /// No basic constraints with `cA` (RFC 5280 4.2.1.9).
    #[error("the certificate is not a CA certificate")]
    NotCa,
    /// Key usage without keyCertSign (RFC 5280 4.2.1.3).
    #[error("the certificate's key usage does not allow signing certificates")]
    NoCertSign,
    /// No subject key identifier (RFC 5280 4.2.1.2 asks every CA for one).
    #[error("the CA certificate has no subject key identifier")]
    NoKeyId,
    /// An empty subject.
    #[error("the CA certificate has an empty subject")]
    NoName,
}

impl Issuer {
    /// Reads a CA certificate (DER). Its signature and validity are not checked here.
    ///
    /// # Errors
    /// [`IssuerError`] when the certificate cannot issue certificates.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IssuerError> {
        let signed = Signed::parse(der).map_err(IssuerError::Malformed)?;
        let certificate = Certificate::parse(&signed.tbs).map_err(IssuerError::Malformed)?;
        let key = PublicKey::from_spki(certificate.spki.raw)?;
        let constraints = certificate.basic_constraints().map_err(IssuerError::Malformed)?;
        let constraints = constraints.filter(|c| c.ca).ok_or(IssuerError::NotCa)?;
        let usage = certificate
            .key_usage()
            .map_err(IssuerError::Malformed)?
            .unwrap_or_default();
        if !usage.contains(&KeyUsageBit::KeyCertSign) {
            return Err(IssuerError::NoCertSign);
        }
        if certificate.subject.value.is_empty() {
            return Err(IssuerError::NoName);
        }
        let key_id = certificate.subject_key_id().map_err(IssuerError::Malformed)?;
        Ok(Self {
            name: certificate.subject.raw.to_vec(),
            key_id: key_id.ok_or(IssuerError::NoKeyId)?.to_vec(),
            algorithm: SignatureAlgorithm::for_key(key.kind()),
            key,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            path_length: constraints.path_len_constraint,
            signs_crls: usage.contains(&KeyUsageBit::CrlSign),
        })
    }

    /// Name as DER, byte for byte the subject of the CA certificate.
    #[must_use]
    pub fn name_der(&self) -> &[u8] {
        &self.name
    }

    /// The CA's public key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Subject key identifier of the CA certificate.
    #[must_use]
    pub fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// What the CA signs with.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// First second of the CA certificate's validity.
    #[must_use]
    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// Last second of the CA certificate's validity.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// How many CA certificates may follow below this one; nothing for no limit.
    #[must_use]
    pub fn path_length(&self) -> Option<u8> {
        self.path_length
    }

    /// Whether the key usage allows signing CRLs.
    #[must_use]
    pub fn signs_crls(&self) -> bool {
        self.signs_crls
    }
}

/// The bits of a key usage BIT STRING (RFC 5280 4.2.1.3).
pub(crate) fn key_usage_from(value: &[u8]) -> der::Result<Vec<KeyUsageBit>> {
    let element = Element::parse(value)?;
    element.expect(Tag::BitString)?;
    let bits: der::asn1::BitString = element.decode()?;
    Ok(KeyUsageBit::ALL
        .into_iter()
        .filter(|bit| bits.get(bit.position()).unwrap_or(false))
        .collect())
}
