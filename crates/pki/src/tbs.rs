//! To-be-signed certificate bytes: reading them, and proving where they come from.

use core::fmt;

use der::asn1::ObjectIdentifier;
use der::{Decode, Tag};
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::Name;

use crate::algorithm::SignatureAlgorithm;
use crate::altname::AltName;
use crate::element::{Element, context, exactly};
use crate::instant;
use crate::issuer::key_usage_from;
use crate::oid;
use crate::prepare::{Inputs, PrepareError};
use crate::profile::KeyUsageBit;
use crate::serial::{SerialError, SerialNumber};

/// The bytes of a certificate that are signed (RFC 5280 4.1.1.1), with what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToBeSigned {
    der: Vec<u8>,
    serial: SerialNumber,
    algorithm: SignatureAlgorithm,
    subject: String,
    names: Vec<String>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

/// Why stored to-be-signed bytes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TbsError {
    /// Not a DER `TBSCertificate`.
    #[error("the to-be-signed bytes are not readable")]
    Malformed(#[source] der::Error),
    /// Its serial number is not allowed.
    #[error("the to-be-signed bytes have a wrong serial number")]
    Serial(#[from] SerialError),
    /// An algorithm we do not sign with.
    #[error("the to-be-signed bytes name an unknown signature algorithm")]
    Algorithm,
}

/// A part of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Version.
    Version,
    /// Serial number.
    Serial,
    /// Signature algorithm.
    Algorithm,
    /// Issuer name.
    Issuer,
    /// notBefore and notAfter.
    Validity,
    /// Subject name.
    Subject,
    /// Public key.
    PublicKey,
    /// An extension's value or criticality, its presence or absence.
    Extension(ObjectIdentifier),
    /// Order of the extensions, or fields that do not belong there.
    Structure,
}

/// Why stored to-be-signed bytes are not what the inputs give.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// The inputs do not give a certificate at all.
    #[error("the inputs no longer give a certificate")]
    Inputs(#[from] PrepareError),
    /// The stored bytes cannot be read.
    #[error("the stored bytes are not readable")]
    Stored(#[from] TbsError),
    /// A field differs.
    #[error("the stored bytes differ from what the inputs give: {field}")]
    Field {
        /// The first field that differs.
        field: Field,
    },
}

impl ToBeSigned {
    /// Reads to-be-signed bytes that were stored. They prove nothing until [`Self::reproduces`] was asked.
    ///
    /// # Errors
    /// [`TbsError`] when they are not a DER `TBSCertificate`.
    pub fn from_der(der: &[u8]) -> Result<Self, TbsError> {
        let element = Element::parse(der).map_err(TbsError::Malformed)?;
        let certificate = Certificate::parse(&element).map_err(TbsError::Malformed)?;
        let names = certificate.alt_names().map_err(TbsError::Malformed)?;
        Ok(Self {
            der: der.to_vec(),
            serial: SerialNumber::from_element(&certificate.serial)?,
            algorithm: SignatureAlgorithm::from_element(&certificate.algorithm).ok_or(TbsError::Algorithm)?,
            subject: certificate.subject_text().map_err(TbsError::Malformed)?,
            names,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        })
    }

    /// Rebuilds the bytes from the inputs and compares every byte. Only the serial number and the moment of
    /// preparation (notBefore and the profile's backdating) are taken from the stored bytes; the length of
    /// the validity is not.
    ///
    /// # Errors
    /// [`Mismatch`] names the first field that differs.
    pub fn reproduces(&self, inputs: &Inputs<'_>) -> Result<(), Mismatch> {
        let backdate = Duration::seconds(i64::from(inputs.profile().backdate_seconds));
        let now = self.not_before.checked_add(backdate).ok_or(PrepareError::Time)?;
        let rebuilt = inputs.prepare(self.serial, now)?;
        if rebuilt.der == self.der {
            return Ok(());
        }
        Err(Mismatch::Field {
            field: first_difference(&self.der, &rebuilt.der),
        })
    }

    pub(crate) fn built(
        der: Vec<u8>,
        serial: SerialNumber,
        algorithm: SignatureAlgorithm,
        subject: String,
        names: Vec<String>,
        validity: (OffsetDateTime, OffsetDateTime),
    ) -> Self {
        let (not_before, not_after) = validity;
        Self {
            der,
            serial,
            algorithm,
            subject,
            names,
            not_before,
            not_after,
        }
    }

    /// DER `TBSCertificate`: the bytes to sign.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Serial number.
    #[must_use]
    pub fn serial(&self) -> SerialNumber {
        self.serial
    }

    /// What the bytes must be signed with.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Subject as RFC 4514 text, perhaps empty.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Subject alternative names with their type, such as `DNS:example.com`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// First second of validity.
    #[must_use]
    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// Last second of validity.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }
}

/// The fields of a `TBSCertificate` of version 3, as they are.
pub(crate) struct Certificate<'a> {
    pub(crate) serial: Element<'a>,
    pub(crate) algorithm: Element<'a>,
    pub(crate) issuer: Element<'a>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    pub(crate) subject: Element<'a>,
    pub(crate) spki: Element<'a>,
    pub(crate) extensions: Vec<Extension>,
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(tbs: &Element<'a>) -> der::Result<Self> {
        let fields: [Element<'a>; 8] = exactly(tbs.sequence()?)?;
        let [
            version,
            serial,
            algorithm,
            issuer,
            validity,
            subject,
            spki,
            extensions,
        ] = fields;
        version.expect(context(0, true))?;
        let [not_before, not_after] = exactly(validity.sequence()?)?;
        extensions.expect(context(3, true))?;
        let [list] = exactly(extensions.children()?)?;
        let extensions = list
            .sequence()?
            .iter()
            .map(|e| Extension::from_der(e.raw))
            .collect::<der::Result<_>>()?;
        Ok(Self {
            serial,
            algorithm,
            issuer,
            not_before: instant::from_element(&not_before)?,
            not_after: instant::from_element(&not_after)?,
            subject,
            spki,
            extensions,
        })
    }

    /// Value of an extension; twice the same is an error.
    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> der::Result<Option<&[u8]>> {
        let mut found = self
            .extensions
            .iter()
            .filter(|extension| extension.extn_id == oid);
        let first = found.next();
        if found.next().is_some() {
            return Err(Tag::Sequence.value_error().into());
        }
        Ok(first.map(|extension| extension.extn_value.as_bytes()))
    }

    pub(crate) fn basic_constraints(&self) -> der::Result<Option<BasicConstraints>> {
        self.extension(oid::BASIC_CONSTRAINTS)?
            .map(BasicConstraints::from_der)
            .transpose()
    }

    pub(crate) fn key_usage(&self) -> der::Result<Option<Vec<KeyUsageBit>>> {
        self.extension(oid::KEY_USAGE)?.map(key_usage_from).transpose()
    }

    pub(crate) fn subject_key_id(&self) -> der::Result<Option<&[u8]>> {
        let Some(value) = self.extension(oid::SUBJECT_KEY_ID)? else {
            return Ok(None);
        };
        let element = Element::parse(value)?;
        element.expect(Tag::OctetString)?;
        Ok(Some(element.value))
    }

    /// keyIdentifier of the authority key identifier (RFC 5280 4.2.1.1).
    pub(crate) fn authority_key_id(&self) -> der::Result<Option<&[u8]>> {
        self.extension(oid::AUTHORITY_KEY_ID)?
            .map_or(Ok(None), key_id_of_authority)
    }

    /// Alternative names as text; types we never issue are shown by name.
    pub(crate) fn alt_names(&self) -> der::Result<Vec<String>> {
        let Some(value) = self.extension(oid::SUBJECT_ALT_NAME)? else {
            return Ok(Vec::new());
        };
        let text = |element: &Element<'_>| match AltName::from_element(element) {
            Ok(name) => name.to_string(),
            Err(_) => format!("other:{}", hex::encode(element.raw)),
        };
        Ok(Element::parse(value)?.sequence()?.iter().map(text).collect())
    }

    pub(crate) fn subject_text(&self) -> der::Result<String> {
        Ok(Name::from_der(self.subject.raw)?.to_string())
    }
}

/// keyIdentifier in the value of an authority key identifier extension (RFC 5280 4.2.1.1).
pub(crate) fn key_id_of_authority(value: &[u8]) -> der::Result<Option<&[u8]>> {
    let fields = Element::parse(value)?.sequence()?;
    Ok(fields
        .iter()
        .find(|field| field.tag == context(0, false))
        .map(|field| field.value))
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("the version"),
            Self::Serial => f.write_str("the serial number"),
            Self::Algorithm => f.write_str("the signature algorithm"),
            Self::Issuer => f.write_str("the issuer"),
            Self::Validity => f.write_str("the validity"),
            Self::Subject => f.write_str("the subject"),
            Self::PublicKey => f.write_str("the public key"),
            Self::Extension(oid) => write!(f, "the extension {oid}"),
            Self::Structure => f.write_str("the structure"),
        }
    }
}

const FIELDS: [Field; 7] = [
    Field::Version,
    Field::Serial,
    Field::Algorithm,
    Field::Issuer,
    Field::Validity,
    Field::Subject,
    Field::PublicKey,
];

fn first_difference(stored: &[u8], rebuilt: &[u8]) -> Field {
    let fields = |der| Element::parse(der).and_then(|e| e.sequence()).unwrap_or_default();
    let (stored, rebuilt) = (fields(stored), fields(rebuilt));
    for ((left, right), field) in stored.iter().zip(&rebuilt).zip(FIELDS) {
        if left.raw != right.raw {
            return field;
        }
    }
    match (stored.get(FIELDS.len()), rebuilt.get(FIELDS.len())) {
        (Some(left), Some(right)) => different_extension(left, right).unwrap_or(Field::Structure),
        _ => Field::Structure,
    }
}

fn different_extension(stored: &Element<'_>, rebuilt: &Element<'_>) -> Option<Field> {
    let list = |element: &Element<'_>| -> Option<Vec<Extension>> {
        let [list] = exactly(element.children().ok()?).ok()?;
        list.sequence()
            .ok()?
            .iter()
            .map(|e| Extension::from_der(e.raw).ok())
            .collect()
    };
    let (stored, rebuilt) = (list(stored)?, list(rebuilt)?);
    let differs = |one: &[Extension], other: &[Extension]| {
        let missing = one.iter().find(|extension| !other.contains(extension));
        missing.map(|extension| Field::Extension(extension.extn_id))
    };
    differs(&rebuilt, &stored).or_else(|| differs(&stored, &rebuilt))
}
