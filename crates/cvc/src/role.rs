//! The certificate holder authorisation template (DO 7F4C): what a certified key may do.

/// Role of a certificate holder: a scheme and the bits of that scheme (reference: BSI TR-03110-3 C.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    scheme: RoleScheme,
    bits: Vec<u8>,
}

impl Role {
    /// The role of a SmartCard-HSM certificate; `None` for [`RoleKind::Other`].
    #[must_use]
    pub fn smartcard_hsm(kind: RoleKind) -> Option<Self> {
        let bits = match kind {
            RoleKind::Root => ROOT,
            RoleKind::Issuer => ISSUER,
            RoleKind::Device => DEVICE,
            RoleKind::Other => return None,
        };
        Some(Self {
            scheme: RoleScheme::SmartCardHsm,
            bits: vec![bits],
        })
    }

    pub(crate) fn new(oid: &[u8], bits: &[u8]) -> Self {
        Self {
            scheme: RoleScheme::from_oid(oid),
            bits: bits.to_vec(),
        }
    }

    /// The scheme the bits belong to.
    #[must_use]
    pub fn scheme(&self) -> &RoleScheme {
        &self.scheme
    }

    /// Content of DO 53.
    #[must_use]
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// What the two highest bits say. In the SmartCard-HSM scheme nothing but the single bytes C0, 80 and 00 has a
    /// meaning.
    #[must_use]
    pub fn kind(&self) -> RoleKind {
        let Some(first) = self.bits.first().copied() else {
            return RoleKind::Other;
        };
        if self.scheme == RoleScheme::SmartCardHsm && (self.bits.len() != 1 || first & !ROOT != 0) {
            return RoleKind::Other;
        }
        match first & ROOT {
            ROOT => RoleKind::Root,
            ISSUER => RoleKind::Issuer,
            DEVICE => RoleKind::Device,
            _ => RoleKind::Other,
        }
    }
}

/// Place of a certificate in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleKind {
    /// Scheme root (SRCA; TR-03110: CVCA), C0.
    Root,
    /// Issuer of devices (DICA; TR-03110: domestic document verifier), 80.
    Issuer,
    /// A device or terminal, 00.
    Device,
    /// Anything else; it certifies nothing and is no device.
    Other,
}

impl std::fmt::Display for RoleKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Issuer => "issuer",
            Self::Device => "device",
            Self::Other => "other",
        })
    }
}

/// Object identifier of a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RoleScheme {
    /// 1.3.6.1.4.1.24991.3.1.1, the SmartCard-HSM's.
    SmartCardHsm,
    /// 0.4.0.127.0.7.3.1.2.1, inspection systems.
    InspectionSystem,
    /// 0.4.0.127.0.7.3.1.2.2, authentication terminals.
    AuthenticationTerminal,
    /// 0.4.0.127.0.7.3.1.2.3, signature terminals.
    SignatureTerminal,
    /// Another one, content octets.
    Other(Vec<u8>),
}

impl RoleScheme {
    /// Content octets of the object identifier.
    #[must_use]
    pub fn oid(&self) -> &[u8] {
        match self {
            Self::SmartCardHsm => SMARTCARD_HSM,
            Self::InspectionSystem => &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x03, 0x01, 0x02, 0x01],
            Self::AuthenticationTerminal => &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x03, 0x01, 0x02, 0x02],
            Self::SignatureTerminal => &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x03, 0x01, 0x02, 0x03],
            Self::Other(oid) => oid,
        }
    }

    fn from_oid(oid: &[u8]) -> Self {
        [
            Self::SmartCardHsm,
            Self::InspectionSystem,
            Self::AuthenticationTerminal,
            Self::SignatureTerminal,
        ]
        .into_iter()
        .find(|scheme| scheme.oid() == oid)
        .unwrap_or_else(|| Self::Other(oid.to_vec()))
    }
}

const SMARTCARD_HSM: &[u8] = &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x03, 0x01, 0x01];
const ROOT: u8 = 0xC0;
const ISSUER: u8 = 0x80;
const DEVICE: u8 = 0x00;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_scheme() {
        assert_eq!(Role::new(SMARTCARD_HSM, &[0xC0]).kind(), RoleKind::Root);
        assert_eq!(Role::new(SMARTCARD_HSM, &[0x80]).kind(), RoleKind::Issuer);
        assert_eq!(Role::new(SMARTCARD_HSM, &[0x00]).kind(), RoleKind::Device);
        for odd in [&[][..], &[0x40], &[0x81], &[0x80, 0x00]] {
            assert_eq!(Role::new(SMARTCARD_HSM, odd).kind(), RoleKind::Other, "{odd:?}");
        }
        let terminal = RoleScheme::AuthenticationTerminal;
        assert_eq!(
            Role::new(terminal.oid(), &[0xC0, 0, 0, 0, 4]).kind(),
            RoleKind::Root
        );
        assert_eq!(Role::new(terminal.oid(), &[0x00]).kind(), RoleKind::Device);
        assert_eq!(Role::new(terminal.oid(), &[0x40]).kind(), RoleKind::Other);
    }
}
