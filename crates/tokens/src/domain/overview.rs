//! Which key domains a token has, and which keys belong to them.

use chancery_driver::exchange::places;
use chancery_driver::{AppletAccess, Error, KeyAttributes, reading};
use chancery_schsm::{Algorithm, Kcv, KeyDomainStatus, KeyId};

use super::error::DomainError;
use crate::catalogue::{Catalogue, Hold};

/// The key domains of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The places by number; none on a token set up without key domains.
    pub places: Vec<Place>,
    /// Keys that belong to no domain: they never leave the token.
    pub outside: Vec<DomainKey>,
}

/// A place for a key domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub number: u8,
    /// What is there.
    pub state: DomainState,
    /// Keys that belong to it.
    pub keys: Vec<DomainKey>,
}

/// What a place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainState {
    /// Nothing yet.
    Free,
    /// A domain whose key encryption key comes of shares (DKEK).
    Shares {
        /// How many there are; with none the token drew the key itself, and nobody has it.
        shares: u8,
        /// How many are still missing.
        outstanding: u8,
        /// Key check value; `None` while shares are missing.
        kcv: Option<Kcv>,
    },
    /// An exchange domain (XKEK), whose key encryption key two members of a group agree on.
    Exchange {
        /// Identifier of the group: x | y of its signer's key.
        group: Vec<u8>,
        /// Key check value; `None` before an agreement.
        kcv: Option<Kcv>,
    },
}

/// A key in a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainKey {
    /// Its id.
    pub id: KeyId,
    /// Its label; empty when it has none.
    pub label: String,
    /// Whether it can do nothing but agree on key encryption keys.
    pub exchange: bool,
}

impl Overview {
    /// Looks. Needs no PIN: two commands, one for each place, and two for each key.
    ///
    /// # Errors
    /// A command failed.
    pub fn of(card: &mut impl AppletAccess) -> Result<Self, Error> {
        let mut places: Vec<Place> = (0..=u8::MAX)
            .zip(places(card)?)
            .map(|(number, status)| Place {
                number,
                state: DomainState::of(status.as_ref()),
                keys: Vec::new(),
            })
            .collect();
        let mut outside = Vec::new();
        for listed in Catalogue::new().look(card, Hold::Lost)?.keys {
            let Some(attributes) = reading::attributes(card, listed.id)? else {
                continue;
            };
            let key = DomainKey {
                id: listed.id,
                label: listed.description.label().to_owned(),
                exchange: is_exchange_key(&attributes),
            };
            // A token with one place need not say of a key that it belongs there.
            let number = match (attributes.key_domain, places.as_slice()) {
                (Some(number), _) => Some(number),
                (None, [only]) if only.state != DomainState::Free => Some(only.number),
                _ => None,
            };
            match places.iter_mut().find(|place| Some(place.number) == number) {
                Some(place) => place.keys.push(key),
                None => outside.push(key),
            }
        }
        Ok(Self { places, outside })
    }

    /// The place of this number.
    ///
    /// # Errors
    /// [`DomainError::NoPlaces`], [`DomainError::NoPlace`].
    pub fn place(&self, number: u8) -> Result<&Place, DomainError> {
        if self.places.is_empty() {
            return Err(DomainError::NoPlaces);
        }
        self.places.get(usize::from(number)).ok_or(DomainError::NoPlace {
            domain: number,
            places: self.places.len(),
        })
    }

    /// The place wanted, which must be free, or the first that is.
    pub(super) fn free(&self, wanted: Option<u8>) -> Result<u8, DomainError> {
        match wanted {
            Some(number) => match self.place(number)?.state {
                DomainState::Free => Ok(number),
                _ => Err(DomainError::Taken { domain: number }),
            },
            None if self.places.is_empty() => Err(DomainError::NoPlaces),
            None => self
                .places
                .iter()
                .find(|place| place.state == DomainState::Free)
                .map(|place| place.number)
                .ok_or(DomainError::NoFreePlace {
                    places: self.places.len(),
                }),
        }
    }

    /// The place of this number, which must not be free.
    pub(super) fn taken(&self, number: u8) -> Result<&Place, DomainError> {
        let place = self.place(number)?;
        match place.state {
            DomainState::Free => Err(DomainError::NotThere { domain: number }),
            _ => Ok(place),
        }
    }
}

impl DomainState {
    pub(super) fn of(status: Option<&KeyDomainStatus>) -> Self {
        match status {
            None => Self::Free,
            Some(status) => match &status.uid {
                Some(group) => Self::Exchange {
                    group: group.clone(),
                    kcv: (status.kcv != Kcv::NONE).then_some(status.kcv),
                },
                None => Self::Shares {
                    shares: status.shares,
                    outstanding: status.outstanding,
                    kcv: status.is_complete().then_some(status.kcv),
                },
            },
        }
    }

    /// Key check value of its key encryption key, if it has one.
    #[must_use]
    pub const fn kcv(&self) -> Option<Kcv> {
        match self {
            Self::Free => None,
            Self::Shares { kcv, .. } | Self::Exchange { kcv, .. } => *kcv,
        }
    }
}

/// Whether a key can do nothing but agree on key encryption keys.
pub(super) fn is_exchange_key(attributes: &KeyAttributes) -> bool {
    attributes.algorithms.ids() == [Algorithm::EcdhXkek.id()]
}
