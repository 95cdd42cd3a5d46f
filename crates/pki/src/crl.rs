//! Certificate revocation lists, version 2 (RFC 5280 5).

use core::time::Duration;

use der::asn1::{AnyRef, OctetString, UintRef};
use der::{Decode, Encode, Sequence, Tag};
use spki::AlgorithmIdentifierRef;
use thiserror::Error;
use time::OffsetDateTime;
use x509_cert::Version;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlReason};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::time::Time;

use crate::algorithm::SignatureAlgorithm;
use crate::element::{Element, context, exactly};
use crate::issuer::Issuer;
use crate::revocation::{RevocationReason, Revoked};
use crate::serial::{SerialError, SerialNumber};
use crate::signed::Signed;
use crate::tbs::key_id_of_authority;
use crate::{instant, oid};

/// The bytes of a CRL that are signed (`TBSCertList`), with what they say. Join them with their signature by
/// [`crate::assemble`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlToBeSigned {
    der: Vec<u8>,
    number: u64,
    algorithm: SignatureAlgorithm,
    entries: usize,
}

/// A CRL read back. Its signature is not checked here, see [`crate::verify_signature`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// Issuer as RFC 4514 text.
    pub issuer: String,
    /// Issuer name as DER.
    pub issuer_der: Vec<u8>,
    /// CRL number (RFC 5280 5.2.3).
    pub number: u64,
    /// When this CRL was made.
    pub this_update: OffsetDateTime,
    /// When the next one is due at the latest.
    pub next_update: OffsetDateTime,
    /// Key identifier of the issuer.
    pub authority_key_id: Vec<u8>,
    /// The revoked certificates in the order of the CRL.
    pub entries: Vec<Revoked>,
}

/// Why a CRL cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CrlError {
    /// The CA certificate's key usage has no cRLSign (RFC 5280 4.2.1.3).
    #[error("the issuer's certificate does not allow signing CRLs")]
    NotAllowed,
    /// nextUpdate is not after thisUpdate.
    #[error("the next update must come after this one")]
    Times,
    /// A time before 1970 or after 9999.
    #[error("a time lies outside of the years 1970 to 9999")]
    TimeRange,
    /// The same certificate twice.
    #[error("certificate {serial} is listed twice")]
    Duplicate {
        /// Its serial number.
        serial: SerialNumber,
    },
    /// `removeFromCRL` belongs to delta CRLs (RFC 5280 5.3.1).
    #[error("certificate {serial}: a certificate is taken off a CRL by not listing it")]
    RemoveFromCrl {
        /// Its serial number.
        serial: SerialNumber,
    },
    /// The encoder failed.
    #[error("encoding the CRL")]
    Encode(#[source] der::Error),
    /// Not a CRL in DER.
    #[error("the CRL is not readable")]
    Malformed(#[source] der::Error),
    /// A serial number in it is not allowed.
    #[error("the CRL has a wrong serial number")]
    Serial(#[from] SerialError),
    /// Something this reader demands is missing.
    #[error("the CRL has no {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// A critical extension that is not known.
    #[error("the CRL has the critical extension {oid}, which is not known here")]
    UnknownCriticalExtension {
        /// The extension.
        oid: der::asn1::ObjectIdentifier,
    },
}

/// `TBSCertList` (RFC 5280 5.1).
#[derive(Sequence)]
struct TbsCertList<'a> {
    version: Version,
    signature: AlgorithmIdentifierRef<'a>,
    issuer: AnyRef<'a>,
    this_update: Time,
    next_update: Time,
    // RFC 5280 5.1.2.6: absent when nothing is revoked
    revoked: Option<Vec<Entry<'a>>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Entry<'a> {
    serial: UintRef<'a>,
    revoked_at: Time,
    extensions: Option<Vec<Extension>>,
}

/// Builds the to-be-signed bytes of a CRL: version 2, entries sorted by serial number, authority key
/// identifier and CRL number. The same inputs give the same bytes, whatever the order of the entries.
///
/// # Errors
/// [`CrlError`] says what does not fit.
pub fn prepare_crl(
    issuer: &Issuer,
    number: u64,
    this_update: OffsetDateTime,
    next_update: OffsetDateTime,
    entries: &[Revoked],
) -> Result<CrlToBeSigned, CrlError> {
    if !issuer.signs_crls() {
        return Err(CrlError::NotAllowed);
    }
    if next_update.unix_timestamp() <= this_update.unix_timestamp() {
        return Err(CrlError::Times);
    }
    let mut sorted: Vec<&Revoked> = entries.iter().collect();
    sorted.sort_unstable_by_key(|entry| entry.serial);
    if let Some(pair) = sorted.array_windows().find(|[a, b]| a.serial == b.serial) {
        return Err(CrlError::Duplicate {
            serial: pair[0].serial,
        });
    }
    if let Some(entry) = sorted
        .iter()
        .find(|entry| entry.reason == RevocationReason::RemoveFromCrl)
    {
        return Err(CrlError::RemoveFromCrl { serial: entry.serial });
    }
    let time = |moment| instant::to_x509(moment).map_err(|_| CrlError::TimeRange);
    let mut revoked = Vec::with_capacity(sorted.len());
    for entry in &sorted {
        revoked.push(Entry {
            serial: entry.serial.as_uint().map_err(CrlError::Encode)?,
            revoked_at: time(entry.revoked_at)?,
            extensions: entry_extensions(entry.reason).map_err(CrlError::Encode)?,
        });
    }
    let encode = |this_update, next_update| {
        TbsCertList {
            version: Version::V2,
            signature: issuer.algorithm().identifier(),
            issuer: AnyRef::from_der(issuer.name_der())?,
            this_update,
            next_update,
            revoked: if revoked.is_empty() { None } else { Some(revoked) },
            extensions: list_extensions(issuer, number)?,
        }
        .to_der()
    };
    let der = encode(time(this_update)?, time(next_update)?).map_err(CrlError::Encode)?;
    Ok(CrlToBeSigned {
        der,
        number,
        algorithm: issuer.algorithm(),
        entries: sorted.len(),
    })
}

impl CrlToBeSigned {
    /// DER `TBSCertList`: the bytes to sign.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// CRL number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What the bytes must be signed with.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// How many certificates are listed.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }
}

impl RevocationList {
    /// Reads a DER CRL of version 2 with CRL number, authority key identifier and nextUpdate, as this crate
    /// makes them.
    ///
    /// # Errors
    /// [`CrlError`] says what is wrong with it.
    pub fn parse(der: &[u8]) -> Result<Self, CrlError> {
        let malformed = CrlError::Malformed;
        let signed = Signed::parse(der).map_err(malformed)?;
        let fields = signed.tbs.sequence().map_err(malformed)?;
        let [version, _algorithm, issuer, this_update, next_update, rest @ ..] = fields.as_slice() else {
            return Err(malformed(Tag::Sequence.length_error().into()));
        };
        if version.raw != [2, 1, 1] {
            return Err(CrlError::Missing { what: "version 2" });
        }
        if !matches!(next_update.tag, Tag::UtcTime | Tag::GeneralizedTime) {
            return Err(CrlError::Missing { what: "next update" });
        }
        let (revoked, extensions) = match rest {
            [extensions] => (None, extensions),
            [revoked, extensions] => (Some(revoked), extensions),
            _ => return Err(CrlError::Missing { what: "extensions" }),
        };
        let (number, authority_key_id) = read_extensions(extensions)?;
        let entries = match revoked {
            Some(list) => list
                .sequence()
                .map_err(malformed)?
                .iter()
                .map(read_entry)
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Self {
            issuer: issuer.decode::<Name>().map_err(malformed)?.to_string(),
            issuer_der: issuer.raw.to_vec(),
            number,
            this_update: instant::from_element(this_update).map_err(malformed)?,
            next_update: instant::from_element(next_update).map_err(malformed)?,
            authority_key_id,
            entries,
        })
    }

    /// The entry of a certificate, if it is revoked.
    #[must_use]
    pub fn find(&self, serial: SerialNumber) -> Option<&Revoked> {
        self.entries.iter().find(|entry| entry.serial == serial)
    }

    /// Time from this update to the next.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        Duration::try_from(self.next_update - self.this_update).unwrap_or_default()
    }
}

fn entry_extensions(reason: RevocationReason) -> der::Result<Option<Vec<Extension>>> {
    if reason == RevocationReason::Unspecified {
        return Ok(None);
    }
    Ok(Some(vec![extension(oid::CRL_REASON, &reason.to_x509())?]))
}

fn list_extensions(issuer: &Issuer, number: u64) -> der::Result<Vec<Extension>> {
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(issuer.key_id())?),
        ..AuthorityKeyIdentifier::default()
    };
    Ok(vec![
        extension(oid::AUTHORITY_KEY_ID, &authority)?,
        extension(oid::CRL_NUMBER, &number)?,
    ])
}

fn extension<T: Encode>(oid: der::asn1::ObjectIdentifier, value: &T) -> der::Result<Extension> {
    (oid, false, value).to_extension(&Name::default(), &[])
}

fn read_extensions(element: &Element<'_>) -> Result<(u64, Vec<u8>), CrlError> {
    let malformed = CrlError::Malformed;
    element.expect(context(0, true)).map_err(malformed)?;
    let [list] = exactly(element.children().map_err(malformed)?).map_err(malformed)?;
    let (mut number, mut authority_key_id) = (None, None);
    for element in list.sequence().map_err(malformed)? {
        let extension = Extension::from_der(element.raw).map_err(malformed)?;
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            oid::CRL_NUMBER => number = Some(u64::from_der(value).map_err(malformed)?),
            oid::AUTHORITY_KEY_ID => {
                authority_key_id = key_id_of_authority(value).map_err(malformed)?.map(<[u8]>::to_vec);
            }
            oid if extension.critical => return Err(CrlError::UnknownCriticalExtension { oid }),
            _ => {}
        }
    }
    let number = number.ok_or(CrlError::Missing { what: "CRL number" })?;
    Ok((
        number,
        authority_key_id.ok_or(CrlError::Missing {
            what: "authority key identifier",
        })?,
    ))
}

fn read_entry(element: &Element<'_>) -> Result<Revoked, CrlError> {
    let malformed = CrlError::Malformed;
    let fields = element.sequence().map_err(malformed)?;
    let (serial, revoked_at, extensions) = match fields.as_slice() {
        [serial, revoked_at] => (serial, revoked_at, None),
        [serial, revoked_at, extensions] => (serial, revoked_at, Some(extensions)),
        _ => return Err(malformed(Tag::Sequence.length_error().into())),
    };
    let mut reason = RevocationReason::Unspecified;
    for element in extensions
        .map_or(Ok(Vec::new()), |list| list.sequence())
        .map_err(malformed)?
    {
        let extension = Extension::from_der(element.raw).map_err(malformed)?;
        if extension.extn_id == oid::CRL_REASON {
            let value = CrlReason::from_der(extension.extn_value.as_bytes()).map_err(malformed)?;
            reason = RevocationReason::from_x509(value).unwrap_or_default();
        } else if extension.critical {
            return Err(CrlError::UnknownCriticalExtension {
                oid: extension.extn_id,
            });
        }
    }
    Ok(Revoked {
        serial: SerialNumber::from_element(serial)?,
        revoked_at: instant::from_element(revoked_at).map_err(malformed)?,
        reason,
    })
}
