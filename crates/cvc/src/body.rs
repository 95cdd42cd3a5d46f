//! The signed part of certificates and requests, and how they are built.

use chancery_iso7816::tlv::{Tlv, Writer};
use time::Date;

use crate::certificate::Certificate;
use crate::date::CardDate;
use crate::error::{KeyError, ParseError, SignatureError};
use crate::key::{CvKey, PublicKey};
use crate::reference::Reference;
use crate::role::{Role, RoleKind};
use crate::tags;

/// Content of DO 7F4E: what a certificate or request says (reference: BSI TR-03110-3 C.1, C.2).
///
/// A certificate has a role and dates, a request has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateBody {
    car: Reference,
    key: CvKey,
    chr: Reference,
    role: Option<Role>,
    effective: Option<CardDate>,
    expires: Option<CardDate>,
    extensions: Option<Vec<u8>>,
}

impl CertificateBody {
    /// A self-signed scheme root with its full domain parameters.
    ///
    /// # Errors
    /// [`KeyError::NoDomain`] when the key has no domain.
    pub fn root(name: &Reference, key: CvKey, validity: Validity) -> Result<Self, KeyError> {
        Ok(Self::certificate(
            name,
            name,
            with_domain(key)?,
            RoleKind::Root,
            validity,
        ))
    }

    /// A certificate of a device issuer (DICA). The domain parameters are left out: they are the root's.
    #[must_use]
    pub fn issuer(root: &Reference, name: &Reference, key: &CvKey, validity: Validity) -> Self {
        Self::certificate(root, name, key.without_domain(), RoleKind::Issuer, validity)
    }

    /// A device certificate (C.DevAut). The domain parameters are left out: they are the root's.
    #[must_use]
    pub fn device(issuer: &Reference, name: &Reference, key: &CvKey, validity: Validity) -> Self {
        Self::certificate(issuer, name, key.without_domain(), RoleKind::Device, validity)
    }

    /// The request of a newly generated key with its full domain parameters, to be signed by that key.
    ///
    /// # Errors
    /// [`KeyError::NoDomain`] when the key has no domain.
    pub fn key_request(car: &Reference, chr: &Reference, key: CvKey) -> Result<Self, KeyError> {
        Ok(Self {
            car: car.clone(),
            key: with_domain(key)?,
            chr: chr.clone(),
            role: None,
            effective: None,
            expires: None,
            extensions: None,
        })
    }

    /// Adds a DO 65 with this content.
    #[must_use]
    pub fn with_extensions(mut self, content: &[u8]) -> Self {
        self.extensions = Some(content.to_vec());
        self
    }

    /// Has `sign` sign the body and puts the certificate or request together. `sign` gets the whole DO 7F4E and
    /// answers with the plain signature. What signs itself is verified before it is given out.
    ///
    /// # Errors
    /// [`BuildError`]: the error of `sign`, or a signature that does not verify.
    pub fn sign<E>(
        self,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Certificate, BuildError<E>> {
        let signed = self.encode()?;
        let signature = sign(&signed).map_err(BuildError::Sign)?;
        let mut out = Writer::new();
        out.nested(tags::CERTIFICATE, |out| {
            out.raw(&signed).tlv(tags::SIGNATURE, &signature);
        });
        let certificate = Certificate::parse(&out.finish())?;
        if self.role.is_none() || self.car == self.chr {
            certificate
                .verify_signature(&self.key)
                .map_err(BuildError::SelfSignature)?;
        }
        Ok(certificate)
    }

    /// The whole DO 7F4E, lengths minimal.
    ///
    /// # Errors
    /// [`KeyError::CurveUnavailable`] when the crypto library was built without the curve.
    pub fn encode(&self) -> Result<Vec<u8>, KeyError> {
        let mut key = Writer::new();
        self.key.write(&mut key)?;
        let key = key.finish();
        let mut out = Writer::new();
        out.nested(tags::BODY, |out| {
            out.tlv(tags::PROFILE, &[PROFILE])
                .tlv(tags::CAR, self.car.as_bytes())
                .raw(&key);
            out.tlv(tags::CHR, self.chr.as_bytes());
            if let Some(role) = &self.role {
                out.nested(tags::ROLE, |out| {
                    out.tlv(tags::OID, role.scheme().oid())
                        .tlv(tags::DISCRETIONARY, role.bits());
                });
            }
            if let Some(date) = &self.effective {
                out.tlv(tags::EFFECTIVE, date.digits());
            }
            if let Some(date) = &self.expires {
                out.tlv(tags::EXPIRES, date.digits());
            }
            if let Some(extensions) = &self.extensions {
                out.tlv(tags::EXTENSIONS, extensions);
            }
        });
        Ok(out.finish())
    }

    pub(crate) fn parse(object: &Tlv<'_>) -> Result<Self, ParseError> {
        let structure = |error| ParseError::structure("certificate body")(error);
        let mut fields = object.children();
        if fields.expect(tags::PROFILE).map_err(structure)?.value != [PROFILE] {
            return Err(ParseError::Profile);
        }
        let car = reference(
            "authority reference",
            &fields.expect(tags::CAR).map_err(structure)?,
        )?;
        let key = CvKey::parse(&fields.expect(tags::PUBLIC_KEY).map_err(structure)?)?;
        let chr = reference("holder reference", &fields.expect(tags::CHR).map_err(structure)?)?;
        let role = fields
            .optional(tags::ROLE)
            .map_err(structure)?
            .map(|role| parse_role(&role))
            .transpose()?;
        let mut date = |tag, object| match fields.optional(tag).map_err(structure)? {
            Some(date) => CardDate::parse(date.value)
                .map(Some)
                .ok_or(ParseError::Date { object }),
            None => Ok(None),
        };
        let effective = date(tags::EFFECTIVE, "effective date")?;
        let expires = date(tags::EXPIRES, "expiration date")?;
        let extensions = fields
            .optional(tags::EXTENSIONS)
            .map_err(structure)?
            .map(|tlv| tlv.value.to_vec());
        fields.finish().map_err(structure)?;
        Ok(Self {
            car,
            key,
            chr,
            role,
            effective,
            expires,
            extensions,
        })
    }

    /// Name of the key that signs this (certification authority reference).
    #[must_use]
    pub fn car(&self) -> &Reference {
        &self.car
    }

    /// Name of the key this is about (certificate holder reference).
    #[must_use]
    pub fn chr(&self) -> &Reference {
        &self.chr
    }

    /// The key this is about.
    #[must_use]
    pub fn key(&self) -> &CvKey {
        &self.key
    }

    /// What the holder may do; `None` in requests.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        self.role.as_ref()
    }

    /// First day of validity; `None` in requests.
    #[must_use]
    pub fn effective(&self) -> Option<Date> {
        self.effective.map(CardDate::date)
    }

    /// Last day of validity; `None` in requests.
    #[must_use]
    pub fn expires(&self) -> Option<Date> {
        self.expires.map(CardDate::date)
    }

    /// Content of DO 65, if there is one.
    #[must_use]
    pub fn extensions(&self) -> Option<&[u8]> {
        self.extensions.as_deref()
    }

    fn certificate(car: &Reference, chr: &Reference, key: CvKey, kind: RoleKind, validity: Validity) -> Self {
        Self {
            car: car.clone(),
            key,
            chr: chr.clone(),
            role: Role::smartcard_hsm(kind),
            effective: Some(validity.from),
            expires: Some(validity.to),
            extensions: None,
        }
    }
}

/// First and last day on which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    from: CardDate,
    to: CardDate,
}

impl Validity {
    /// Takes first and last day; `None` when they are out of order or outside 2000..=2099.
    #[must_use]
    pub fn new(from: Date, to: Date) -> Option<Self> {
        (from <= to).then_some(Self {
            from: CardDate::new(from)?,
            to: CardDate::new(to)?,
        })
    }
}

/// Why a certificate or request was not built. `E` is the error of whoever signs.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError<E> {
    /// The signer failed.
    #[error("signing a card verifiable certificate")]
    Sign(#[source] E),
    /// The key cannot be written.
    #[error("key to be certified")]
    Key(#[from] KeyError),
    /// What was put together is no certificate, because it is too large.
    #[error("the certificate put together is not valid")]
    Result(#[from] ParseError),
    /// The signature is not one of the key in the certificate, which should sign itself.
    #[error("the signature just made is wrong")]
    SelfSignature(#[source] SignatureError),
}

fn with_domain(key: CvKey) -> Result<CvKey, KeyError> {
    match key.key() {
        PublicKey::EcPointOnly(_) => Err(KeyError::NoDomain),
        PublicKey::Ec(_) | PublicKey::Rsa(_) => Ok(key),
    }
}

fn reference(object: &'static str, tlv: &Tlv<'_>) -> Result<Reference, ParseError> {
    Reference::from_bytes(tlv.value).map_err(|source| ParseError::Reference { object, source })
}

fn parse_role(object: &Tlv<'_>) -> Result<Role, ParseError> {
    let structure = |error| ParseError::structure("authorisation template")(error);
    let mut fields = object.children();
    let oid = fields.expect(tags::OID).map_err(structure)?;
    let bits = fields.expect(tags::DISCRETIONARY).map_err(structure)?;
    fields.finish().map_err(structure)?;
    Ok(Role::new(oid.value, bits.value))
}

const PROFILE: u8 = 0x00;
