//! Two members agree on the key encryption key of their exchange domains.

use chancery_cvc::{Curve, DeviceIdentity, PublicKey};
use chancery_driver::exchange::{Derivation, ExchangeError, Offer, VerifiedOffer};
use chancery_driver::{Authenticated, reading};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, AlgorithmList, Kcv, KeyId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::DomainError;
use super::group::request_of;
use super::overview::{DomainState, Overview, is_exchange_key};
use super::{AGREE, Host};
use crate::journal::{Begin, Work};
use crate::key::name_of;
use crate::keys::{KeyError, NewKey, NewKeyKind, free_id, generate};

/// Step: the exchange key with its description and request.
pub(super) const KEY: &str = "exchange key";
/// Step: the agreement. Its detail is the peer's offer.
pub(super) const AGREEMENT: &str = "agreement";

/// Which exchange key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChoice {
    /// The one there is in the domain; a new one when there is none.
    TheOne,
    /// This one.
    Id(KeyId),
    /// A new one.
    New,
}

/// What a token is prepared for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Number of the exchange domain.
    pub domain: u8,
    /// Which exchange key.
    pub key: KeyChoice,
    /// The curve it has to be on; a new one is on the peer's or on brainpoolP256r1 when nothing is said.
    pub curve: Option<Curve>,
    /// The peer, where it is known: what does not fit is found before anything is made.
    pub peer: Option<&'a VerifiedOffer>,
    /// Refuse when the domain has a key encryption key, which an agreement would replace.
    pub keep_kek: bool,
}

/// What a journal keeps of an agreement. Stored: fields are only ever added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Number of the domain.
    pub(super) domain: u8,
    /// Id of the exchange key that is made.
    pub(super) key: u8,
    /// Its curve.
    pub(super) curve: String,
    /// Key check value of the domain before, hexadecimal.
    pub(super) before: Option<String>,
}

/// A token with an exchange key, ready to agree.
#[derive(Debug)]
pub struct Prepared {
    domain: u8,
    id: KeyId,
    offer: VerifiedOffer,
    before: Option<Kcv>,
    work: Option<Work>,
}

/// Makes sure that an exchange domain has an exchange key, and reads what the peer needs of it.
///
/// # Errors
/// [`DomainError`]; after [`DomainError::Interrupted`] the work is open.
pub fn prepare<T: Transport>(
    card: &mut Authenticated<T>,
    wanted: &Wanted<'_>,
    host: &Host<'_>,
) -> Result<Prepared, DomainError> {
    let domain = wanted.domain;
    // Before anything is made: a token that cannot prove what it is gets no peer.
    let device = card.device_identity(host.anchors)?;
    let overview = Overview::of(card)?;
    let place = overview.taken(domain)?;
    let DomainState::Exchange { group, kcv: before } = &place.state else {
        return Err(DomainError::NotExchange { domain });
    };
    let before = *before;
    if let Some(peer) = wanted.peer {
        fits(&device, group, peer)?;
        let theirs = curve_of(peer.offer());
        if let (Some(curve), true) = (wanted.curve, wanted.curve != theirs) {
            return Err(DomainError::OtherCurve {
                ours: curve.name().to_owned(),
                theirs: theirs.map_or("another curve", Curve::name).to_owned(),
            });
        }
    }
    if let (Some(kcv), true) = (before, wanted.keep_kek) {
        return Err(DomainError::HasKek { domain, kcv });
    }
    let there: Vec<KeyId> = place
        .keys
        .iter()
        .filter(|key| key.exchange)
        .map(|key| key.id)
        .collect();
    let existing = match (wanted.key, there.as_slice()) {
        (KeyChoice::Id(id), ids) if ids.contains(&id) => Some(id),
        (KeyChoice::Id(id), _) => return Err(DomainError::NoExchangeKey { domain, key: id }),
        (KeyChoice::New, _) | (KeyChoice::TheOne, []) => None,
        (KeyChoice::TheOne, [only]) => Some(*only),
        (KeyChoice::TheOne, several) => {
            return Err(DomainError::SeveralExchangeKeys {
                domain,
                keys: several.to_vec(),
            });
        }
    };
    let mut work = None;
    let id = match existing {
        Some(id) => id,
        None => {
            let id = free_id(card, None)?;
            let peers = wanted.peer.and_then(|peer| curve_of(peer.offer()));
            let curve = wanted.curve.or(peers).unwrap_or(Curve::BrainpoolP256r1);
            let plan = Plan {
                domain,
                key: id.0,
                curve: curve.name().to_owned(),
                before: before.map(|kcv| kcv.to_string()),
            };
            let begun = host.noted.journal.begin(
                &Begin {
                    kind: AGREE,
                    device: host.noted.device,
                    token: host.noted.token,
                    now: host.noted.now,
                },
                &plan,
            )?;
            work = Some(make(card, domain, id, curve, begun, host)?);
            id
        }
    };
    let prepared = Prepared::read(card, domain, id, before, work, host)?;
    if let Some(curve) = wanted.curve
        && curve_of(prepared.offer.offer()) != Some(curve)
    {
        return Err(DomainError::OtherCurve {
            ours: prepared.curve(),
            theirs: curve.name().to_owned(),
        });
    }
    if let Some(peer) = wanted.peer
        && let Err(error) = prepared.check(peer)
    {
        // An exchange key that was made is whole, and serves another agreement.
        prepared.finish()?;
        return Err(error);
    }
    Ok(prepared)
}

/// Makes the exchange key, noting it.
pub(super) fn make<T: Transport>(
    card: &mut Authenticated<T>,
    domain: u8,
    id: KeyId,
    curve: Curve,
    mut work: Work,
    host: &Host<'_>,
) -> Result<Work, DomainError> {
    let new = NewKey {
        id: Some(id),
        kind: NewKeyKind::Ec(curve),
        label: label(domain),
        cka_id: None,
        algorithms: AlgorithmList::new(&[Algorithm::EcdhXkek]).unwrap_or_default(),
        key_domain: Some(domain),
        use_counter: None,
    };
    work.begin_step(KEY, &())?;
    match generate(card, &new, host.anchors, host.archive, host.now) {
        Ok(_) => {
            work.end_step(KEY, &())?;
            Ok(work)
        }
        Err(error) => {
            // Nothing to finish or undo when there is no key.
            if !matches!(error, KeyError::Half { .. }) && matches!(reading::attributes(card, id), Ok(None)) {
                work.finish()?;
                return Err(error.into());
            }
            Err(DomainError::Interrupted {
                work: work.id().to_owned(),
                step: KEY,
                source: Box::new(error.into()),
            })
        }
    }
}

/// What an exchange key is called.
pub(super) fn label(domain: u8) -> String {
    format!("exchange key of domain {domain}")
}

impl Prepared {
    /// Reads what there is, and verifies it as the peer will.
    pub(super) fn read<T: Transport>(
        card: &mut Authenticated<T>,
        domain: u8,
        id: KeyId,
        before: Option<Kcv>,
        work: Option<Work>,
        host: &Host<'_>,
    ) -> Result<Self, DomainError> {
        let read = |card: &mut Authenticated<T>| {
            let attributes = reading::attributes(card, id)?.ok_or(DomainError::NoSuchKey(id))?;
            if attributes.key_domain != Some(domain) || !is_exchange_key(&attributes) {
                return Err(DomainError::NoExchangeKey { domain, key: id });
            }
            let request = request_of(card, id)?;
            Ok(Offer::new(&card.device_chain()?, &request)?.verify(host.anchors)?)
        };
        match (read(card), work) {
            (Ok(offer), work) => Ok(Self {
                domain,
                id,
                offer,
                before,
                work,
            }),
            (Err(error), Some(work)) => Err(DomainError::Interrupted {
                work: work.id().to_owned(),
                step: KEY,
                source: Box::new(error),
            }),
            (Err(error), None) => Err(error),
        }
    }

    /// Agrees with a peer. A key encryption key that the domain has is replaced.
    ///
    /// # Errors
    /// [`DomainError`]: what does not fit is found before the token is asked. After [`DomainError::Interrupted`] the work is open.
    pub fn agree<T: Transport>(
        &mut self,
        card: &mut Authenticated<T>,
        peer: &VerifiedOffer,
    ) -> Result<Kcv, DomainError> {
        self.check(peer)?;
        let detail = json!({ "peer": hex::encode(peer.offer().encode()) });
        if let Some(work) = &mut self.work {
            work.begin_step(AGREEMENT, &detail)?;
        }
        match card.agree(self.domain, self.id, peer) {
            Ok(status) => {
                if let Some(work) = &mut self.work {
                    work.end_step(AGREEMENT, &detail)?;
                }
                Ok(status.kcv)
            }
            Err(error) => Err(self.not_agreed(error)?),
        }
    }

    /// The work is done, or stops here by intent: with an offer to hand over.
    ///
    /// # Errors
    /// The journal.
    pub fn finish(self) -> Result<(), DomainError> {
        match self.work {
            Some(work) => Ok(work.finish()?),
            None => Ok(()),
        }
    }

    /// What the peer needs of this token.
    #[must_use]
    pub const fn offer(&self) -> &VerifiedOffer {
        &self.offer
    }

    /// Id of the exchange key.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.id
    }

    /// Whether the exchange key was made now.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.work.is_some()
    }

    /// Number of the domain.
    #[must_use]
    pub const fn domain(&self) -> u8 {
        self.domain
    }

    /// Key check value of the domain before the agreement.
    #[must_use]
    pub const fn before(&self) -> Option<Kcv> {
        self.before
    }

    /// Name of the exchange key's curve.
    #[must_use]
    pub fn curve(&self) -> String {
        name_of(&PublicKey::Ec(self.offer.offer().vouched().key().clone()))
    }

    /// Whether the two can agree at all.
    fn check(&self, peer: &VerifiedOffer) -> Result<(), DomainError> {
        fits(self.offer.device(), self.offer.offer().group(), peer)?;
        let (ours, theirs) = (self.offer.offer().vouched().key(), peer.offer().vouched().key());
        if ours.domain() != theirs.domain() {
            return Err(DomainError::OtherCurve {
                ours: self.curve(),
                theirs: name_of(&PublicKey::Ec(theirs.clone())),
            });
        }
        Ok(())
    }

    /// What a failed agreement leaves behind: a refusal nothing, anything else open work.
    fn not_agreed(&mut self, error: ExchangeError) -> Result<DomainError, DomainError> {
        let refused = match error.card() {
            Some(card) => card.status().is_some(),
            None => !matches!(error, ExchangeError::NoKek { .. }),
        };
        let Some(mut work) = self.work.take() else {
            return Ok(error.into());
        };
        if refused {
            // The exchange key is whole, and serves another agreement.
            work.forget_step(AGREEMENT)?;
            work.finish()?;
            return Ok(error.into());
        }
        Ok(DomainError::Interrupted {
            work: work.id().to_owned(),
            step: AGREEMENT,
            source: Box::new(error.into()),
        })
    }
}

/// Whether a device in a group and a peer can have the same key encryption key.
fn fits(device: &DeviceIdentity, group: &[u8], peer: &VerifiedOffer) -> Result<(), DomainError> {
    if peer.device().name() == device.name() {
        return Err(DomainError::SameDevice(device.name().clone()));
    }
    if peer.offer().group() != group {
        return Err(DomainError::OtherGroup {
            ours: hex::encode_upper(group),
            theirs: hex::encode_upper(peer.offer().group()),
        });
    }
    let (own, other) = (Derivation::of(device), Derivation::of(peer.device()));
    if own == other {
        return Ok(());
    }
    Err(DomainError::OtherDerivation {
        ours: device.name().clone(),
        own,
        theirs: peer.device().name().clone(),
        other,
    })
}

fn curve_of(offer: &Offer) -> Option<Curve> {
    offer.vouched().key().domain().curve()
}
