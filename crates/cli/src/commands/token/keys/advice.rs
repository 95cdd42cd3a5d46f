//! What is said before and after a key is made: whether it can ever leave, and what its list makes of it.

use chancery_api::FailureKind;
use chancery_driver::{AppletAccess, exchange::places};
use chancery_tokens::key::makes_custodian_key;

use crate::{
    commands::token::{failure::card, reaching::Chosen},
    context::Context,
    error::CliError,
};

/// Said of a key whose list permits custodians' answers alone.
pub(crate) const CUSTODIAN_KEY: &str =
    "a custodian's key: it answers HSMs and signs nothing else, chancery token sign does not use it";

/// Refuses a key domain that the token would refuse, in words, and says when a key will belong to none although there are some.
pub(crate) fn check_domain(
    context: &Context,
    chosen: &Chosen,
    token: &mut impl AppletAccess,
    domain: Option<u8>,
) -> Result<(), CliError> {
    let device = chosen.device();
    let places = match places(token) {
        Ok(places) => places,
        // A token that does not tell its domains says itself what it does not like.
        Err(error) if error.status().is_some() => return Ok(()),
        Err(error) => return Err(card(&chosen.to_string(), &error)),
    };
    let not_there = |message: String, remedy: String| {
        Err(CliError::with_remedy(
            FailureKind::NotFound,
            format!("{chosen}: {message}; no key was made"),
            remedy,
        ))
    };
    let last = places.len().saturating_sub(1);
    let (number, status) = match (domain, places.as_slice()) {
        (Some(number), []) => {
            return not_there(
                format!("there is no key domain {number}: this token was set up without any"),
                format!("chancery token init {device} --domains N makes places, and erases the token"),
            );
        }
        (Some(number), places) => match places.get(usize::from(number)) {
            Some(Some(status)) => (number, status),
            Some(None) => {
                return not_there(
                    format!("key domain {number} is not made yet"),
                    format!("chancery token domain create {device} --shares N --domain {number}"),
                );
            }
            None => {
                return not_there(
                    format!("there is no key domain {number} on this token (0..{last})"),
                    format!("chancery token domain list {device}"),
                );
            }
        },
        (None, [Some(only)]) => (0, only),
        (None, [] | [None]) => return Ok(()),
        (None, _) => {
            context.tell(format!(
                "(WARNING: this token has several places for key domains, and without --domain the key belongs to none: it can never \
                 be wrapped or backed up. --domain N, 0 to {last}, names one)"
            ));
            return Ok(());
        }
    };
    if status.is_complete() {
        return Ok(());
    }
    let missing = status.outstanding;
    let shares = if missing == 1 { "share" } else { "shares" };
    Err(CliError::with_remedy(
        FailureKind::Refused,
        format!(
            "{chosen}: key domain {number} takes no key before all its shares are there; no key was made"
        ),
        format!("import {missing} more {shares}: chancery dkek import FILE {device} --domain {number}"),
    ))
}

/// A line about a key with this list, if there is something to say.
pub(crate) fn list_line(algorithms: &chancery_schsm::AlgorithmList) -> String {
    if makes_custodian_key(algorithms) {
        format!("note: {CUSTODIAN_KEY}\n")
    } else {
        String::new()
    }
}
