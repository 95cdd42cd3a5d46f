//! Key domains made and deleted.

use chancery_driver::{Authenticated, Error};
use chancery_iso7816::{StatusWord, Transport};
use chancery_schsm::{KeyDomainStatus, KeyId};

use super::error::DomainError;
use super::overview::{DomainState, Overview, Place};

/// Makes a domain for a key encryption key of `shares` shares, at the place wanted or the first that is free.
///
/// # Errors
/// [`DomainError`].
pub fn create<T: Transport>(
    card: &mut Authenticated<T>,
    number: Option<u8>,
    shares: u8,
) -> Result<(u8, KeyDomainStatus), DomainError> {
    let number = Overview::of(card)?.free(number)?;
    Ok((number, card.create_key_domain(number, shares)?))
}

/// Deletes a domain that no key belongs to; its place is free again.
///
/// # Errors
/// [`DomainError::HasKeys`] and others.
pub fn delete<T: Transport>(card: &mut Authenticated<T>, number: u8) -> Result<Place, DomainError> {
    let overview = Overview::of(card)?;
    let place = overview.taken(number)?;
    if !place.keys.is_empty() {
        return Err(has_keys(place));
    }
    card.delete_key_domain(number)
        .map_err(|error| refused(error, place))?;
    Ok(place.clone())
}

/// Deletes the key encryption key of a domain, which then waits for its shares, or for an agreement. What was wrapped under it
/// fits this token again only when the same key comes back.
///
/// # Errors
/// [`DomainError::NoKek`], [`DomainError::HasKeys`] and others.
pub fn delete_key<T: Transport>(card: &mut Authenticated<T>, number: u8) -> Result<Place, DomainError> {
    let overview = Overview::of(card)?;
    let place = overview.taken(number)?;
    // Some shares of several are something to delete, too.
    let empty = match place.state {
        DomainState::Shares {
            shares, outstanding, ..
        } => shares == outstanding && shares != 0,
        _ => place.state.kcv().is_none(),
    };
    if empty {
        return Err(DomainError::NoKek { domain: number });
    }
    card.delete_kek(number).map_err(|error| refused(error, place))?;
    Ok(place.clone())
}

/// What a refused deletion means.
fn refused(error: Error, place: &Place) -> DomainError {
    match error.status() {
        Some(StatusWord(0x6A89)) => has_keys(place),
        _ => error.into(),
    }
}

fn has_keys(place: &Place) -> DomainError {
    DomainError::HasKeys {
        domain: place.number,
        keys: place.keys.iter().map(|key| key.id).collect::<Vec<KeyId>>(),
    }
}
