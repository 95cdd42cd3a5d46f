//! Which public keys the card believes in, and the step from one to the next.
//!
//! Built in are the production scheme root and the issuer of this device, which certifies all tokens of the same
//! installation. Everything else has to be presented, link by link, and is forgotten with the session.

use chancery_cvc::{
    AuthenticatedRequest, Certificate, CvKey, DeviceChain, Reference, RoleKind, TrustAnchors, VirtualCode,
};
use chancery_iso7816::StatusWord;

use crate::session::Session;
use crate::state::State;

/// A public key that was found trustworthy.
#[derive(Clone)]
pub(crate) struct Remembered {
    /// Holder reference.
    pub(crate) chr: Reference,
    /// The key, domain parameters included.
    pub(crate) key: CvKey,
    /// What its holder may certify.
    pub(crate) kind: RoleKind,
}

impl Remembered {
    /// The trusted key of this holder, if there is one.
    pub(crate) fn find(chr: &Reference, state: &State, session: &Session) -> Option<Self> {
        if let Some(known) = session.remembered(chr) {
            return Some(known.clone());
        }
        let anchors = TrustAnchors::production().ok()?;
        let issuer = DeviceChain::parse(&state.device.certificates)
            .ok()?
            .issuer_certificate()
            .cloned();
        if let Some(issuer) = issuer.filter(|issuer| issuer.chr() == chr) {
            // An issuer's certificate leaves its curve out: it is the root's, which is the same for all roots.
            let root = anchors.iter().next()?;
            let key = issuer.key().in_domain_of(root.key()).ok()?;
            return Some(Self {
                chr: chr.clone(),
                key,
                kind: RoleKind::Issuer,
            });
        }
        let root = anchors.find(chr)?;
        Some(Self {
            chr: chr.clone(),
            key: root.key().clone(),
            kind: root.kind(),
        })
    }

    /// The authenticated request in `data`, both of whose signatures are right and whose outer one is of a known device:
    /// 6A88 when no device of that name is known, 6A80 for everything else.
    pub(crate) fn vouched(
        data: &[u8],
        state: &State,
        session: &Session,
    ) -> Result<AuthenticatedRequest, StatusWord> {
        let request = AuthenticatedRequest::parse(data).map_err(|_| StatusWord::WRONG_DATA)?;
        let device =
            Self::find(request.outer_car(), state, session).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
        if device.kind != RoleKind::Device {
            return Err(StatusWord::WRONG_DATA);
        }
        request
            .verify_outer(&device.key)
            .map_err(|_| StatusWord::WRONG_DATA)?;
        request.verify_inner().map_err(|_| StatusWord::WRONG_DATA)?;
        Ok(request)
    }

    /// What a certificate of this holder makes trustworthy: roots certify issuers, issuers certify devices, and only
    /// issuers of virtual tokens certify names of virtual tokens. Dates are not looked at, a token has no clock.
    pub(crate) fn certify(&self, certificate: &Certificate) -> Option<Self> {
        let kind = match (self.kind, certificate.role_kind()?) {
            (RoleKind::Root, RoleKind::Issuer) => RoleKind::Issuer,
            (RoleKind::Issuer, RoleKind::Device) => RoleKind::Device,
            _ => return None,
        };
        let holder = certificate.chr();
        let name_fits = if VirtualCode::of_issuer(&self.chr).is_some() {
            VirtualCode::of_device(holder).is_some()
        } else {
            !VirtualCode::is_reserved(holder)
        };
        if *certificate.car() != self.chr || !name_fits {
            return None;
        }
        certificate.verify_signature(&self.key).ok()?;
        let key = certificate.key().in_domain_of(&self.key).ok()?;
        Some(Self {
            chr: holder.clone(),
            key,
            kind,
        })
    }
}
