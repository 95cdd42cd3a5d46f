//! An agreement that was interrupted: finished, or taken back.

use chancery_cvc::{Curve, PublicKey};
use chancery_driver::exchange::Offer;
use chancery_driver::keystore::KeyDescription;
use chancery_driver::{Authenticated, reading};
use chancery_iso7816::Transport;
use chancery_schsm::{Kcv, KeyId};

use super::agree::{AGREEMENT, KEY, Plan, Prepared, label, make};
use super::error::DomainError;
use super::overview::{DomainState, is_exchange_key};
use super::{AGREE, Host};
use crate::archive::ArchiveError;
use crate::journal::Work;
use crate::keys::{KeyError, delete};

/// What finishing did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Number of the domain.
    pub domain: u8,
    /// The exchange key, which is whole now.
    pub key: KeyId,
    /// Key check value agreed on; `None` when the work had not got as far as an agreement, which is to be begun anew.
    pub kcv: Option<Kcv>,
}

/// What undoing did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Number of the domain.
    pub domain: u8,
    /// The exchange key that was deleted, if there was one.
    pub key: Option<KeyId>,
    /// Key check value of the key encryption key that was deleted, if there was one.
    pub kek: Option<Kcv>,
}

/// Finishes interrupted work. The token in hand must be the one it was begun on.
///
/// # Errors
/// [`DomainError`]; the same call can be made again.
pub fn resume<T: Transport>(
    card: &mut Authenticated<T>,
    work: Work,
    host: &Host<'_>,
) -> Result<Resumed, DomainError> {
    let plan = plan_of(&work)?;
    same_device(card, &work)?;
    let (domain, key) = (plan.domain, KeyId(plan.key));
    let curve = Curve::from_name(&plan.curve).unwrap_or(Curve::BrainpoolP256r1);
    let peer = peer_of(&work);
    let mut work = match reading::attributes(card, key)? {
        None => make(card, domain, key, curve, work, host)?,
        Some(_) => work,
    };
    let before = kcv(card, domain)?;
    let id = work.id().to_owned();
    let open = |error: DomainError| match error {
        error @ DomainError::Interrupted { .. } => error,
        error => DomainError::Interrupted {
            work: id.clone(),
            step: KEY,
            source: Box::new(error),
        },
    };
    let prepared = Prepared::read(card, domain, key, before, None, host).map_err(open)?;
    let public_key = PublicKey::Ec(prepared.offer().offer().vouched().key().clone());
    card.describe_key(key, &public_key, &KeyDescription::new(label(domain)))
        .map_err(|error| open(error.into()))?;
    match host.archive.keep(card, key, host.now) {
        Ok(_) => {}
        Err(ArchiveError::Card(error)) => return Err(open(error.into())),
        Err(source) => return Err(open(KeyError::Archive { id: key, source }.into())),
    }
    work.end_step(KEY, &())?;
    let Some(peer) = peer else {
        work.finish()?;
        return Ok(Resumed {
            domain,
            key,
            kcv: None,
        });
    };
    let peer = Offer::decode(&peer)?.verify(host.anchors)?;
    let mut prepared = Prepared::read(card, domain, key, before, Some(work), host)?;
    // The same two keys agree on the same, whether they did so before or not.
    let kcv = prepared.agree(card, &peer)?;
    prepared.finish()?;
    Ok(Resumed {
        domain,
        key,
        kcv: Some(kcv),
    })
}

/// Takes back what interrupted work did: the key encryption key agreed on, and the exchange key.
///
/// # Errors
/// [`DomainError::Replaced`] when the agreement took the place of an earlier one, which cannot be brought back; others. The same
/// call can be made again.
pub fn undo<T: Transport>(
    card: &mut Authenticated<T>,
    work: Work,
    host: &Host<'_>,
) -> Result<Undone, DomainError> {
    let plan = plan_of(&work)?;
    same_device(card, &work)?;
    let (domain, key) = (plan.domain, KeyId(plan.key));
    let now = kcv(card, domain)?;
    let mut kek = None;
    if work.record().steps.iter().any(|step| step.name == AGREEMENT)
        && now.map(|kcv| kcv.to_string()) != plan.before
    {
        if plan.before.is_some() {
            return Err(DomainError::Replaced { domain });
        }
        card.delete_kek(domain)?;
        kek = now;
    }
    let made = match reading::attributes(card, key)? {
        Some(attributes) if attributes.key_domain == Some(domain) && is_exchange_key(&attributes) => {
            delete(card, key, host.archive, host.now)?;
            Some(key)
        }
        Some(_) => return Err(DomainError::NoExchangeKey { domain, key }),
        None => None,
    };
    work.finish()?;
    Ok(Undone {
        domain,
        key: made,
        kek,
    })
}

fn kcv<T: Transport>(card: &mut Authenticated<T>, domain: u8) -> Result<Option<Kcv>, DomainError> {
    Ok(DomainState::of(reading::domain(card, domain)?.as_ref()).kcv())
}

/// The peer's offer, once the agreement was begun.
fn peer_of(work: &Work) -> Option<Vec<u8>> {
    let step = work.record().steps.iter().find(|step| step.name == AGREEMENT)?;
    hex::decode(step.detail.get("peer")?.as_str()?).ok()
}

fn plan_of(work: &Work) -> Result<Plan, DomainError> {
    if work.record().kind != AGREE {
        return Err(DomainError::OtherWork(work.id().to_owned()));
    }
    Ok(work.record().plan()?)
}

fn same_device<T: Transport>(card: &mut Authenticated<T>, work: &Work) -> Result<(), DomainError> {
    let chain = card.device_chain()?;
    let found = chain.device_name().map_or("", |name| name.holder());
    let expected = &work.record().device;
    if found == expected {
        Ok(())
    } else {
        Err(DomainError::OtherToken {
            expected: expected.clone(),
            found: found.to_owned(),
        })
    }
}
