//! One step down a chain: a verified issuer and what it certifies.

use std::fmt;

use crate::certificate::Certificate;
use crate::error::{KeyError, SignatureError};
use crate::key::CvKey;
use crate::names::VirtualCode;
use crate::reference::Reference;
use crate::role::{Role, RoleKind, RoleScheme};

/// What a chain says about a device, by the root it ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Genuineness {
    /// A device its maker certified: the chain ends in DESRCACC100001.
    Production,
    /// A virtual token: the chain ends in the root of an installation (`UTCHR..`).
    Virtual,
    /// A test device: the chain ends in UTSRCACC100001, whose private key is not protected like the other's.
    Test,
    /// Something else that was asked for, such as an open firmware under its own root.
    Other,
}

impl fmt::Display for Genuineness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Production => "production device",
            Self::Virtual => "virtual token",
            Self::Test => "test device",
            Self::Other => "other device",
        })
    }
}

/// A certificate that leads to a trust anchor, or the anchor itself. It can only be made by the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedCertificate {
    certificate: Certificate,
    key: CvKey,
    kind: RoleKind,
    genuine: Genuineness,
    above: Vec<Certificate>,
}

impl TrustedCertificate {
    /// Makes an anchor; the caller has checked it.
    pub(super) fn anchor(certificate: Certificate, genuine: Genuineness) -> Self {
        Self {
            key: certificate.key().clone(),
            kind: RoleKind::Root,
            certificate,
            genuine,
            above: Vec::new(),
        }
    }

    /// Checks a certificate this one should have issued: name of the issuer, roles, names of virtual tokens, the key
    /// in the domain of the issuer, signature. Dates are not looked at.
    ///
    /// A root of the SmartCard-HSM scheme certifies issuers, an issuer devices; under other roots (open firmware) the
    /// root may certify devices itself.
    ///
    /// # Errors
    /// [`ChainError`] naming the first thing that is wrong.
    pub fn certify(&self, certificate: &Certificate) -> Result<Self, ChainError> {
        let holder = || certificate.chr().clone();
        if certificate.car() != self.name() {
            return Err(ChainError::WrongIssuer {
                holder: holder(),
                car: certificate.car().clone(),
                issuer: self.name().clone(),
            });
        }
        let kind = self.check_role(certificate)?;
        self.check_name(certificate.chr(), kind)?;
        let key = certificate
            .key()
            .in_domain_of(&self.key)
            .map_err(|source| ChainError::Key {
                holder: holder(),
                source,
            })?;
        certificate
            .verify_signature(&self.key)
            .map_err(|source| ChainError::Signature {
                holder: holder(),
                issuer: self.name().clone(),
                source,
            })?;
        let mut above = self.above.clone();
        above.push(self.certificate.clone());
        Ok(Self {
            certificate: certificate.clone(),
            key,
            kind,
            genuine: self.genuine,
            above,
        })
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Its holder's name.
    #[must_use]
    pub fn name(&self) -> &Reference {
        self.certificate.chr()
    }

    /// Its key, domain parameters included.
    #[must_use]
    pub fn key(&self) -> &CvKey {
        &self.key
    }

    /// Its place in the chain.
    #[must_use]
    pub fn kind(&self) -> RoleKind {
        self.kind
    }

    /// Which kind of root it leads to.
    #[must_use]
    pub fn genuine(&self) -> Genuineness {
        self.genuine
    }

    /// The certificates from the root down to this one.
    pub fn path(&self) -> impl Iterator<Item = &Certificate> {
        self.above.iter().chain(std::iter::once(&self.certificate))
    }

    fn check_role(&self, certificate: &Certificate) -> Result<RoleKind, ChainError> {
        let holder = certificate.chr();
        let Some(role) = certificate.role() else {
            return Err(ChainError::NotACertificate {
                holder: holder.clone(),
            });
        };
        let own_scheme = self.certificate.role().map(Role::scheme);
        if own_scheme != Some(role.scheme()) {
            return Err(ChainError::OtherScheme {
                holder: holder.clone(),
            });
        }
        let other_root = self.genuine == Genuineness::Other;
        match (self.kind, role.kind()) {
            (RoleKind::Root, kind @ RoleKind::Issuer) | (RoleKind::Issuer, kind @ RoleKind::Device) => {
                Ok(kind)
            }
            (RoleKind::Root, kind @ RoleKind::Device) if other_root => Ok(kind),
            (issuer, found) => Err(ChainError::WrongRole {
                holder: holder.clone(),
                found,
                issuer,
            }),
        }
    }

    fn check_name(&self, holder: &Reference, kind: RoleKind) -> Result<(), ChainError> {
        if self.genuine != Genuineness::Virtual {
            return if VirtualCode::is_reserved(holder) {
                Err(ChainError::ReservedName {
                    holder: holder.clone(),
                })
            } else {
                Ok(())
            };
        }
        let fits = match kind {
            RoleKind::Issuer => {
                let own = VirtualCode::of_root(self.name());
                own.is_some() && VirtualCode::of_issuer(holder) == own
            }
            RoleKind::Device => VirtualCode::of_device(holder).is_some(),
            RoleKind::Root | RoleKind::Other => false,
        };
        if fits {
            Ok(())
        } else {
            Err(ChainError::VirtualName {
                holder: holder.clone(),
                issuer: self.name().clone(),
            })
        }
    }
}

/// The scheme of the roots that lead to [`Genuineness`] other than `Other`.
pub(super) fn is_smartcard_hsm_root(certificate: &Certificate) -> bool {
    certificate
        .role()
        .is_some_and(|role| *role.scheme() == RoleScheme::SmartCardHsm && role.kind() == RoleKind::Root)
}

/// Why a certificate or chain does not lead to a trust anchor.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChainError {
    /// There is no certificate at all.
    #[error("the device has no certificate")]
    NoDeviceCertificate,
    /// Neither a trust anchor nor a certificate of that name is there.
    #[error("{holder} was certified by {car}, which is neither trusted nor in the chain")]
    UnknownIssuer {
        /// Whose certificate it is.
        holder: Reference,
        /// Who issued it.
        car: Reference,
    },
    /// The certificate names another issuer than the one it was checked with.
    #[error("{holder} was certified by {car}, not by {issuer}")]
    WrongIssuer {
        /// Whose certificate it is.
        holder: Reference,
        /// Who issued it, by its own words.
        car: Reference,
        /// Who should have.
        issuer: Reference,
    },
    /// A request stands where a certificate should.
    #[error("{holder} has no role: this is a request, not a certificate")]
    NotACertificate {
        /// Whose request it is.
        holder: Reference,
    },
    /// The role is one of another scheme than the issuer's.
    #[error("the role of {holder} belongs to another scheme than its issuer's")]
    OtherScheme {
        /// Whose certificate it is.
        holder: Reference,
    },
    /// A role that may not stand at that place.
    #[error("{holder} has role {found}, which a holder of role {issuer} cannot give")]
    WrongRole {
        /// Whose certificate it is.
        holder: Reference,
        /// Its role.
        found: RoleKind,
        /// Role of the issuer.
        issuer: RoleKind,
    },
    /// The chain is sound but ends in something that is no device.
    #[error("{holder} has role {found} and is no device")]
    NotADevice {
        /// Whose certificate it is.
        holder: Reference,
        /// Its role.
        found: RoleKind,
    },
    /// A name set aside for virtual tokens under a root that is none of theirs.
    #[error("{holder} is a name for virtual tokens and cannot stand under this root")]
    ReservedName {
        /// The name.
        holder: Reference,
    },
    /// A name a virtual root or issuer may not certify.
    #[error("{issuer} belongs to virtual tokens and cannot certify the name {holder}")]
    VirtualName {
        /// The name.
        holder: Reference,
        /// Who certified it.
        issuer: Reference,
    },
    /// The key cannot be used, for instance because its point is not on the issuer's curve.
    #[error("key of {holder}")]
    Key {
        /// Whose certificate it is.
        holder: Reference,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The signature is not the issuer's.
    #[error("signature of {issuer} on the certificate of {holder}")]
    Signature {
        /// Whose certificate it is.
        holder: Reference,
        /// Who should have signed.
        issuer: Reference,
        /// Why.
        #[source]
        source: SignatureError,
    },
}
