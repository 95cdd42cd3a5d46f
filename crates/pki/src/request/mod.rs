//! Certification requests, PKCS #10 (RFC 2986).

mod error;
mod extensions;
mod possession;

use core::fmt;

use der::Tag;
use der::asn1::ObjectIdentifier;
use sha2::{Digest as _, Sha256};

use crate::altname::AltName;
use crate::element::{Element, context, exactly};
use crate::key::PublicKey;
use crate::name::DistinguishedName;
use crate::{oid, pem};

pub use error::RequestError;

/// Most bytes of a request, as DER or as PEM text.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// Most subject alternative names in a request.
pub const MAX_NAMES: usize = 100;

/// A certification request whose key is sound and whose sender has shown to hold it.
///
/// There is no other way to make one than [`CertificationRequest::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificationRequest {
    der: Vec<u8>,
    subject: DistinguishedName,
    key: PublicKey,
    names: Vec<AltName>,
    ignored: Vec<Ignored>,
}

/// Something in a request that will not be in the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Attribute or extension.
    pub oid: ObjectIdentifier,
    /// Why it is left out, one sentence.
    pub reason: String,
}

impl CertificationRequest {
    /// Reads a request as DER or PEM, verifies the signature that proves possession of the key, and refuses
    /// weak keys, ambiguous requests and requests over the limits [`MAX_REQUEST_BYTES`] and [`MAX_NAMES`].
    ///
    /// # Errors
    /// [`RequestError`]: one variant for each reason, with a remedy.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLong {
                length: bytes.len(),
                limit: MAX_REQUEST_BYTES,
            });
        }
        let decoded;
        let der = if bytes.first() != Some(&0x30) && pem::is_pem(bytes) {
            decoded = pem::decode(&[pem::REQUEST, pem::NEW_REQUEST], bytes)?;
            decoded.as_slice()
        } else {
            bytes
        };
        Self::from_der(der)
    }

    /// The DER bytes of the request.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The subject asked for, perhaps empty.
    #[must_use]
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// The key to certify.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The subject alternative names asked for, in their order, each once.
    #[must_use]
    pub fn names(&self) -> &[AltName] {
        &self.names
    }

    /// What the request contains beyond subject, key and names.
    #[must_use]
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// SHA-256 of the DER bytes.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let malformed = RequestError::Malformed;
        let length = Element::first_length(der).map_err(malformed)?;
        if length < der.len() {
            return Err(RequestError::TrailingBytes {
                count: der.len() - length,
            });
        }
        let [info, algorithm, signature] = Element::parse(der)
            .and_then(|e| e.sequence())
            .and_then(exactly)
            .map_err(malformed)?;
        let mut fields = info.sequence().map_err(malformed)?.into_iter();
        let mut field = || {
            fields
                .next()
                .ok_or_else(|| malformed(Tag::Sequence.length_error().into()))
        };
        let (version, subject, spki, attributes) = (field()?, field()?, field()?, field()?);
        if fields.next().is_some() {
            return Err(malformed(Tag::Sequence.length_error().into()));
        }
        if version.raw != [2, 1, 0] {
            return Err(RequestError::Version);
        }
        let subject = DistinguishedName::from_der(subject.raw)?;
        let key = PublicKey::from_spki(spki.raw)?;
        let mut ignored = Vec::new();
        let names = read_attributes(&attributes, &mut ignored)?;
        if subject.is_empty() && names.is_empty() {
            return Err(RequestError::NoSubject);
        }
        signature.octets_of_bit_string().map_err(malformed)?;
        possession::verify(der, &algorithm, &key)?;
        Ok(Self {
            der: der.to_vec(),
            subject,
            key,
            names,
            ignored,
        })
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oid, self.reason)
    }
}

/// Attributes of the request (RFC 2986 4.1): the extension request is read, the rest listed.
fn read_attributes(
    attributes: &Element<'_>,
    ignored: &mut Vec<Ignored>,
) -> Result<Vec<AltName>, RequestError> {
    let malformed = RequestError::Malformed;
    attributes.expect(context(0, true)).map_err(malformed)?;
    let mut extension_request = None;
    for attribute in attributes.children().map_err(malformed)? {
        let [oid, values] = attribute.sequence().and_then(exactly).map_err(malformed)?;
        let oid = oid.oid().map_err(malformed)?;
        let values = values
            .expect(Tag::Set)
            .and_then(|set| set.children())
            .map_err(malformed)?;
        if oid != oid::EXTENSION_REQUEST {
            let reason = "an attribute that certificates here do not use".to_owned();
            ignored.push(Ignored { oid, reason });
            continue;
        }
        let [value] = exactly(values).map_err(|_| RequestError::ExtensionRequestValues)?;
        if extension_request.replace(value).is_some() {
            return Err(RequestError::DuplicateExtensionRequest);
        }
    }
    extension_request.map_or_else(|| Ok(Vec::new()), |value| extensions::read(&value, ignored))
}
