//! The roots somebody trusts.

use super::step::{Genuineness, TrustedCertificate, is_smartcard_hsm_root};
use crate::certificate::Certificate;
use crate::error::{ParseError, SignatureError};
use crate::names::VirtualCode;
use crate::reference::Reference;
use crate::role::RoleKind;

/// A set of root certificates, each checked: role of a root, self-signed, name in keeping with what it is.
///
/// What a root makes genuine follows from the root alone: the two of the SmartCard-HSM's maker are known byte for
/// byte, a name `UTCHR..` makes virtual tokens, and everything else is [`Genuineness::Other`].
#[derive(Clone, Debug, Default)]
pub struct TrustAnchors {
    roots: Vec<TrustedCertificate>,
}

impl TrustAnchors {
    /// No root: nothing verifies.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The production root DESRCACC100001.
    ///
    /// # Errors
    /// [`AnchorError`] when the crypto library cannot verify it, as when it was built without brainpoolP256r1.
    pub fn production() -> Result<Self, AnchorError> {
        let mut anchors = Self::none();
        anchors.add_bytes(PRODUCTION)?;
        Ok(anchors)
    }

    /// Trusts the test root UTSRCACC100001 as well.
    ///
    /// # Errors
    /// As [`TrustAnchors::production`].
    pub fn add_test_root(&mut self) -> Result<&mut Self, AnchorError> {
        self.add_bytes(TEST)
    }

    /// Trusts the roots of Pico HSM (ESPICOHSMCA00001 and 00002) as well: anybody can have a device certified there.
    ///
    /// # Errors
    /// As [`TrustAnchors::production`].
    pub fn add_pico_roots(&mut self) -> Result<&mut Self, AnchorError> {
        for root in PICO {
            self.add_bytes(root)?;
        }
        Ok(self)
    }

    /// Trusts a root given as a whole DO 7F21.
    ///
    /// # Errors
    /// As [`TrustAnchors::add`], and [`AnchorError::Parse`].
    pub fn add_bytes(&mut self, root: &[u8]) -> Result<&mut Self, AnchorError> {
        self.add(Certificate::parse(root)?)
    }

    /// Trusts a root. One that is trusted already changes nothing.
    ///
    /// # Errors
    /// [`AnchorError`] when it is no root, is not signed by itself, takes the name of another, or has a virtual
    /// root's name of the wrong form.
    pub fn add(&mut self, root: Certificate) -> Result<&mut Self, AnchorError> {
        let name = root.chr().clone();
        match root.role_kind() {
            Some(RoleKind::Root) => {}
            found => return Err(AnchorError::NotARoot { name, found }),
        }
        if root.car() != root.chr() {
            return Err(AnchorError::NotSelfSigned {
                name,
                car: root.car().clone(),
            });
        }
        let genuine = classify(&root)?;
        if let Some(known) = self.find(&name) {
            return if known.certificate() == &root {
                Ok(self)
            } else {
                Err(AnchorError::NameTaken { name })
            };
        }
        root.verify_signature(root.key())
            .map_err(|source| AnchorError::Signature { name, source })?;
        self.roots.push(TrustedCertificate::anchor(root, genuine));
        Ok(self)
    }

    /// The trusted root of this name.
    #[must_use]
    pub fn find(&self, name: &Reference) -> Option<&TrustedCertificate> {
        self.roots.iter().find(|root| root.name() == name)
    }

    /// All trusted roots.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedCertificate> {
        self.roots.iter()
    }
}

fn classify(root: &Certificate) -> Result<Genuineness, AnchorError> {
    for (known, name, genuine) in [
        (PRODUCTION, PRODUCTION_NAME, Genuineness::Production),
        (TEST, TEST_NAME, Genuineness::Test),
    ] {
        if root.as_bytes() == known {
            return Ok(genuine);
        }
        if root.chr().as_str() == name {
            return Err(AnchorError::NameTaken {
                name: root.chr().clone(),
            });
        }
    }
    if !VirtualCode::is_reserved(root.chr()) {
        return Ok(Genuineness::Other);
    }
    if VirtualCode::of_root(root.chr()).is_some() && is_smartcard_hsm_root(root) {
        Ok(Genuineness::Virtual)
    } else {
        Err(AnchorError::VirtualName {
            name: root.chr().clone(),
        })
    }
}

/// Why a certificate cannot be trusted as a root.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AnchorError {
    /// The bytes are no certificate.
    #[error("root certificate")]
    Parse(#[from] ParseError),
    /// It is a request, or a certificate of another role.
    #[error("{name} does not have the role of a root")]
    NotARoot {
        /// Its holder.
        name: Reference,
        /// Its role, `None` for a request.
        found: Option<RoleKind>,
    },
    /// Another signed it.
    #[error("{name} was certified by {car} and not by itself")]
    NotSelfSigned {
        /// Its holder.
        name: Reference,
        /// Who issued it.
        car: Reference,
    },
    /// Its signature is not its own.
    #[error("the root {name} did not sign itself")]
    Signature {
        /// Its holder.
        name: Reference,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// A root of that name is known, and it is another one.
    #[error("{name} is the name of another root")]
    NameTaken {
        /// The name.
        name: Reference,
    },
    /// A name set aside for virtual tokens, but not that of a virtual root, or in another scheme.
    #[error("{name} is set aside for virtual tokens and no name of a virtual root")]
    VirtualName {
        /// The name.
        name: Reference,
    },
}

const PRODUCTION_NAME: &str = "DESRCACC100001";
const PRODUCTION: &[u8] = include_bytes!("../../roots/DESRCACC100001.cvc");
const TEST_NAME: &str = "UTSRCACC100001";
const TEST: &[u8] = include_bytes!("../../roots/UTSRCACC100001.cvc");
const PICO: [&[u8]; 2] = [
    include_bytes!("../../roots/ESPICOHSMCA00001.cvc"),
    include_bytes!("../../roots/ESPICOHSMCA00002.cvc"),
];
