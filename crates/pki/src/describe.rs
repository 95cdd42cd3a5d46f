//! A certificate in words, for listings.

use der::Decode;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use time::OffsetDateTime;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::name::Name;

use crate::algorithm::SignatureAlgorithm;
use crate::element::{Element, unsigned};
use crate::key::Shape;
use crate::oid;
use crate::signed::Signed;
use crate::tbs::Certificate;

/// What a certificate says, as text. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateDescription {
    /// Subject as RFC 4514 text, perhaps empty.
    pub subject: String,
    /// Issuer as RFC 4514 text.
    pub issuer: String,
    /// Serial number in lower-case hexadecimal.
    pub serial: String,
    /// First second of validity.
    pub not_before: OffsetDateTime,
    /// Last second of validity.
    pub not_after: OffsetDateTime,
    /// Subject alternative names with their type, such as `DNS:example.com`.
    pub names: Vec<String>,
    /// Kind and size of the key, such as `EC P-256`.
    pub key: String,
    /// The signature algorithm in words.
    pub signature_algorithm: String,
    /// Whether basic constraints say CA.
    pub is_ca: bool,
    /// How many CAs may follow below, if limited.
    pub path_length: Option<u8>,
    /// Key usage words, such as `digital-signature`.
    pub key_usage: Vec<String>,
    /// Extended key usages as dotted identifiers.
    pub extended_key_usage: Vec<String>,
    /// Subject key identifier in lower-case hexadecimal.
    pub subject_key_id: Option<String>,
    /// Authority key identifier in lower-case hexadecimal.
    pub authority_key_id: Option<String>,
    /// SHA-256 of the certificate in lower-case hexadecimal.
    pub sha256: String,
    /// SHA-1 of the certificate in lower-case hexadecimal, for older tools.
    pub sha1: String,
}

/// A certificate that cannot be described.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DescribeError {
    /// Not a DER certificate of version 3.
    #[error("the certificate is not readable")]
    Malformed(#[from] der::Error),
}

/// Describes a DER certificate of version 3; keys and algorithms that are not known are shown as such.
///
/// # Errors
/// [`DescribeError`] when it cannot be read.
pub fn describe(der: &[u8]) -> Result<CertificateDescription, DescribeError> {
    let signed = Signed::parse(der)?;
    let certificate = Certificate::parse(&signed.tbs)?;
    let constraints = certificate.basic_constraints()?;
    let extended = certificate
        .extension(oid::EXTENDED_KEY_USAGE)?
        .map(ExtendedKeyUsage::from_der)
        .transpose()?;
    let usage = certificate.key_usage()?.unwrap_or_default();
    let algorithm = SignatureAlgorithm::from_element(&signed.algorithm);
    Ok(CertificateDescription {
        subject: certificate.subject_text()?,
        issuer: Name::from_der(certificate.issuer.raw)?.to_string(),
        serial: serial_text(&certificate.serial)?,
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        names: certificate.alt_names()?,
        key: Shape::read(certificate.spki.raw)
            .map_or_else(|_| "unknown".to_owned(), |key| key.kind.to_string()),
        signature_algorithm: algorithm.map_or_else(|| "unknown".to_owned(), |known| known.to_string()),
        is_ca: constraints.as_ref().is_some_and(|constraints| constraints.ca),
        path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
        key_usage: usage.iter().map(|bit| bit.word().to_owned()).collect(),
        extended_key_usage: extended
            .iter()
            .flat_map(|usage| &usage.0)
            .map(ToString::to_string)
            .collect(),
        subject_key_id: certificate.subject_key_id()?.map(hex::encode),
        authority_key_id: certificate.authority_key_id()?.map(hex::encode),
        sha256: hex::encode(Sha256::digest(der)),
        sha1: hex::encode(Sha1::digest(der)),
    })
}

fn serial_text(serial: &Element<'_>) -> der::Result<String> {
    let text = hex::encode(unsigned(serial)?);
    Ok(if text.is_empty() { "00".to_owned() } else { text })
}
