//! The public key data object 7F49.

use chancery_iso7816::tlv::{Reader, Tlv, TlvError, Writer};

use super::{EcPublicKey, PublicKey, RsaPublicKey};
use crate::algorithm::SignatureAlgorithm;
use crate::domain::{DomainParameters, EcDomain, significant};
use crate::error::KeyError;
use crate::tags::{self, key as tag};

/// A public key with the algorithm it is for: the content of DO 7F49 (reference: BSI TR-03110-3 D.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CvKey {
    algorithm: SignatureAlgorithm,
    key: PublicKey,
}

impl CvKey {
    /// Joins key and algorithm.
    ///
    /// # Errors
    /// [`KeyError::AlgorithmMismatch`] when the algorithm is for the other kind of key.
    pub fn new(algorithm: SignatureAlgorithm, key: PublicKey) -> Result<Self, KeyError> {
        if algorithm.is_rsa() == matches!(key, PublicKey::Rsa(_)) {
            Ok(Self { algorithm, key })
        } else {
            Err(KeyError::AlgorithmMismatch)
        }
    }

    /// The key with the algorithm SmartCard-HSM names for it: ECDSA with SHA-256 or RSA PKCS#1 v1.5 with SHA-256.
    #[must_use]
    pub fn with_sha256(key: PublicKey) -> Self {
        let algorithm = match key {
            PublicKey::Rsa(_) => SignatureAlgorithm::RsaV15Sha256,
            PublicKey::Ec(_) | PublicKey::EcPointOnly(_) => SignatureAlgorithm::EcdsaSha256,
        };
        Self { algorithm, key }
    }

    pub(crate) fn parse(object: &Tlv<'_>) -> Result<Self, KeyError> {
        let mut fields = object.children();
        let oid = fields.expect(tags::OID).map_err(KeyError::Structure)?;
        let algorithm = SignatureAlgorithm::from_oid(oid.value)?;
        let key = if algorithm.is_rsa() {
            parse_rsa(&mut fields)?
        } else {
            parse_ec(&mut fields)?
        };
        fields.finish().map_err(KeyError::Structure)?;
        Ok(Self { algorithm, key })
    }

    pub(crate) fn write(&self, out: &mut Writer) -> Result<(), KeyError> {
        let domain = match &self.key {
            PublicKey::Ec(key) => Some(key.domain().parameters()?),
            PublicKey::EcPointOnly(_) | PublicKey::Rsa(_) => None,
        };
        out.nested(tags::PUBLIC_KEY, |out| {
            out.tlv(tags::OID, &self.algorithm.oid());
            if let Some(domain) = domain {
                write_domain(out, domain);
            }
            match &self.key {
                PublicKey::Ec(key) => {
                    out.tlv(tag::Q, key.point());
                }
                PublicKey::EcPointOnly(point) => {
                    out.tlv(tag::Q, point);
                }
                PublicKey::Rsa(key) => {
                    out.tlv(tag::P_OR_MODULUS, key.modulus())
                        .tlv(tag::A_OR_EXPONENT, key.exponent());
                }
            }
            if let Some(cofactor) = domain.and_then(DomainParameters::cofactor) {
                out.tlv(tag::COFACTOR, cofactor);
            }
        });
        Ok(())
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// This key with the domain of its issuer when it carries none itself.
    ///
    /// # Errors
    /// As [`PublicKey::in_domain_of`].
    pub fn in_domain_of(&self, issuer: &Self) -> Result<Self, KeyError> {
        Ok(Self {
            algorithm: self.algorithm,
            key: self.key.in_domain_of(&issuer.key)?,
        })
    }

    /// This key with its curve left out, as issuer and device certificates carry it.
    #[must_use]
    pub fn without_domain(&self) -> Self {
        Self {
            algorithm: self.algorithm,
            key: self.key.without_domain(),
        }
    }
}

/// Reads the domain parameters 81 to 85 when the next object is 81.
pub(crate) fn read_domain<'a>(fields: &mut Reader<'a>) -> Result<Option<DomainFields<'a>>, TlvError> {
    let Some(p) = fields.optional(tag::P_OR_MODULUS)? else {
        return Ok(None);
    };
    Ok(Some(DomainFields {
        p: p.value,
        a: fields.expect(tag::A_OR_EXPONENT)?.value,
        b: fields.expect(tag::B)?.value,
        g: fields.expect(tag::G)?.value,
        n: fields.expect(tag::N)?.value,
    }))
}

/// Domain parameters as they stand in a data object; the cofactor comes after the public point.
pub(crate) struct DomainFields<'a> {
    p: &'a [u8],
    a: &'a [u8],
    b: &'a [u8],
    g: &'a [u8],
    n: &'a [u8],
}

impl DomainFields<'_> {
    pub(crate) fn into_domain(self, cofactor: Option<&[u8]>) -> Result<EcDomain, KeyError> {
        EcDomain::from_parameters(DomainParameters::new(
            self.p, self.a, self.b, self.g, self.n, cofactor,
        )?)
    }
}

/// Writes 81 to 85; the cofactor comes after the public point.
pub(crate) fn write_domain(out: &mut Writer, domain: &DomainParameters) {
    out.tlv(tag::P_OR_MODULUS, domain.prime())
        .tlv(tag::A_OR_EXPONENT, domain.a())
        .tlv(tag::B, domain.b())
        .tlv(tag::G, domain.generator())
        .tlv(tag::N, domain.order());
}

fn parse_ec(fields: &mut Reader<'_>) -> Result<PublicKey, KeyError> {
    let domain = read_domain(fields).map_err(KeyError::Structure)?;
    let point = fields.expect(tag::Q).map_err(KeyError::Structure)?.value;
    let Some(domain) = domain else {
        if point.first() != Some(&0x04) || point.len() % 2 == 0 || point.len() > MAX_POINT_LEN {
            return Err(KeyError::Malformed {
                what: "public point (04, x, y)",
            });
        }
        return Ok(PublicKey::EcPointOnly(point.to_vec()));
    };
    let cofactor = fields.optional(tag::COFACTOR).map_err(KeyError::Structure)?;
    let domain = domain.into_domain(cofactor.map(|cofactor| cofactor.value))?;
    Ok(PublicKey::Ec(EcPublicKey::new(domain, point)?))
}

fn parse_rsa(fields: &mut Reader<'_>) -> Result<PublicKey, KeyError> {
    let modulus = fields
        .expect(tag::P_OR_MODULUS)
        .map_err(KeyError::Structure)?
        .value;
    let exponent = fields
        .expect(tag::A_OR_EXPONENT)
        .map_err(KeyError::Structure)?
        .value;
    if significant(modulus).is_empty() {
        return Err(KeyError::Malformed { what: "RSA modulus" });
    }
    Ok(PublicKey::Rsa(RsaPublicKey::new(modulus, exponent)?))
}

/// 04 and two coordinates of the largest field taken.
const MAX_POINT_LEN: usize = 1 + 2 * 80;
