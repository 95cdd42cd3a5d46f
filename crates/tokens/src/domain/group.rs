//! Groups: who signs for them, who is admitted, and an admitted device's domain.

use chancery_cvc::{AttestedKey, Curve, DeviceIdentity};
use chancery_driver::exchange::{Derivation, Membership, VerifiedMembership, VouchedRequest};
use chancery_driver::{Authenticated, KeyCertificate, reading};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, AlgorithmList, KeyId};

use super::Host;
use super::error::DomainError;
use super::overview::Overview;
use crate::key::read_certificate;
use crate::keys::{KeyError, MadeKey, NewKey, NewKeyKind, generate};

/// A key on this token that signs for a group.
#[derive(Clone, Debug)]
pub struct GroupSigner {
    id: KeyId,
    vouched: VouchedRequest,
    device: DeviceIdentity,
    attested: AttestedKey,
    /// Whether the key may do nothing but sign messages, so that it can be neither copied nor led to sign something else.
    pub limited: bool,
}

/// A token that joined a group.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Number of the exchange domain.
    pub domain: u8,
    /// Identifier of the group.
    pub group: Vec<u8>,
    /// The token that joined.
    pub member: DeviceIdentity,
    /// The token that holds the group signer.
    pub signer: DeviceIdentity,
}

/// Makes a group: a key that signs for it, limited to ECDSA with SHA-256.
///
/// # Errors
/// [`KeyError`].
pub fn create_signer<T: Transport>(
    card: &mut Authenticated<T>,
    label: &str,
    id: Option<KeyId>,
    curve: Curve,
    host: &Host<'_>,
) -> Result<MadeKey, KeyError> {
    let new = NewKey {
        id,
        kind: NewKeyKind::Ec(curve),
        label: label.to_owned(),
        cka_id: None,
        algorithms: AlgorithmList::new(&[Algorithm::EcdsaSha256]).unwrap_or_default(),
        key_domain: None,
        use_counter: None,
    };
    generate(card, &new, host.anchors, host.archive, host.now)
}

impl GroupSigner {
    /// Key `id` of this token, whose request must still be there: the others of the group are shown it.
    ///
    /// # Errors
    /// [`DomainError`]: there is no such key, or it cannot sign for a group.
    pub fn find<T: Transport>(
        card: &mut Authenticated<T>,
        id: KeyId,
        host: &Host<'_>,
    ) -> Result<Self, DomainError> {
        let attributes = reading::attributes(card, id)?.ok_or(DomainError::NoSuchKey(id))?;
        if !attributes.algorithms.allows(Algorithm::EcdsaSha256) {
            return Err(DomainError::NoSigner {
                key: id,
                why: "its algorithm list does not permit ECDSA with SHA-256",
            });
        }
        let request = request_of(card, id)?;
        let vouched = VouchedRequest::from_chain(&card.device_chain()?, &request)?;
        let (device, attested) = vouched.verify(host.anchors)?;
        Ok(Self {
            id,
            vouched,
            device,
            attested,
            limited: attributes.algorithms.ids() == [Algorithm::EcdsaSha256.id()],
        })
    }

    /// Admits a device whose chain was verified. The membership is verified before it is given out.
    ///
    /// # Errors
    /// [`DomainError`].
    pub fn admit<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        member: &DeviceIdentity,
        host: &Host<'_>,
    ) -> Result<VerifiedMembership, DomainError> {
        Ok(card.sign_membership(self.id, &self.vouched, member, host.anchors)?)
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The token it is on.
    #[must_use]
    pub const fn device(&self) -> &DeviceIdentity {
        &self.device
    }

    /// Identifier of the group.
    #[must_use]
    pub fn group(&self) -> &[u8] {
        self.vouched.coordinates()
    }

    /// The key, with the proof that this token made it.
    #[must_use]
    pub const fn attested(&self) -> &AttestedKey {
        &self.attested
    }
}

/// Makes an exchange domain by a membership, at the place wanted or the first that is free. The membership is verified first.
///
/// # Errors
/// [`DomainError`].
pub fn join<T: Transport>(
    card: &mut Authenticated<T>,
    number: Option<u8>,
    membership: Membership,
    host: &Host<'_>,
) -> Result<Joined, DomainError> {
    let member = card.device_identity(host.anchors)?;
    let membership = membership.verify(host.anchors, &member)?;
    let domain = Overview::of(card)?.free(number)?;
    card.join_group(domain, &membership)?;
    Ok(Joined {
        domain,
        group: membership.membership().group().to_vec(),
        signer: membership.signer().clone(),
        member,
    })
}

/// The request that stands with a key.
pub(super) fn request_of<T: Transport>(
    card: &mut Authenticated<T>,
    id: KeyId,
) -> Result<Vec<u8>, DomainError> {
    match read_certificate(card, id)? {
        Some(KeyCertificate::Request(request)) => Ok(request),
        _ => Err(DomainError::NoRequest(id)),
    }
}

impl Joined {
    /// Whether the member and the group signer's token derive key encryption keys in one way. A group may be signed for by a token
    /// of another; only members that agree have to be alike.
    #[must_use]
    pub fn is_alike(&self) -> bool {
        Derivation::of(&self.member) == Derivation::of(&self.signer)
    }
}
