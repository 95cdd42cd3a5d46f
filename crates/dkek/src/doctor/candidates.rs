//! Which passwords a set of shares could give, the likeliest first.

use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use super::set::{Set, distinct_ids};
use super::{Case, How};
use crate::text::IdReading;
use crate::typed::Typed;
use crate::{PasswordShare, SchemeError, combine, scheme};

/// A password to try.
pub(super) struct Candidate {
    pub(super) password: Zeroizing<Vec<u8>>,
    pub(super) how: How,
}

/// A set in which more shares than needed lie on one polynomial.
pub(super) struct Consistent {
    /// Indices in the case.
    pub(super) members: Vec<usize>,
    /// How many are needed.
    pub(super) threshold: usize,
    /// How the ids must be read.
    pub(super) reading: IdReading,
}

/// Most members of which all combinations are formed.
const MOST_MEMBERS: usize = 10;

/// The members of a set under a reading of their ids; those whose id makes no sense are left out.
pub(super) fn under(case: &Case, set: &Set, reading: IdReading) -> Vec<(usize, PasswordShare)> {
    set.members
        .iter()
        .filter_map(|(index, share)| {
            let id = case.shares.get(*index)?.text.read_id(reading)?;
            Some((*index, PasswordShare { id, ..share.clone() }))
        })
        .collect()
}

/// The readings under which the ids of a set differ.
pub(super) fn readings(case: &Case, set: &Set) -> &'static [IdReading] {
    let ambiguous = set
        .members
        .iter()
        .filter_map(|(index, _)| case.shares.get(*index))
        .any(|given| given.text.id_is_ambiguous());
    if ambiguous {
        &[IdReading::Decimal, IdReading::Hexadecimal]
    } else {
        &[IdReading::Decimal]
    }
}

/// The largest part of a set that lies on one polynomial for which fewer would do.
pub(super) fn consistent(case: &Case, set: &Set) -> Result<Option<Consistent>, SchemeError> {
    for reading in readings(case, set) {
        let members = under(case, set, *reading);
        for part in combinations(&members, 3) {
            if let Some(threshold) = tolerant(scheme::consistent_threshold(&shares_of(&part)))?.flatten()
                && threshold > 1
            {
                return Ok(Some(Consistent {
                    members: part.iter().map(|(index, _)| *index).collect(),
                    threshold,
                    reading: *reading,
                }));
            }
        }
    }
    Ok(None)
}

/// The passwords that a set could have been made for.
pub(super) fn of_set(
    case: &Case,
    set: &Set,
    consistent: Option<&Consistent>,
) -> Result<Vec<Candidate>, SchemeError> {
    let mut parts: Vec<(IdReading, Vec<(usize, PasswordShare)>)> = Vec::new();
    if let Some(found) = consistent {
        let members = under(case, set, found.reading)
            .into_iter()
            .filter(|(index, _)| found.members.contains(index))
            .collect();
        parts.push((found.reading, members));
    } else if set
        .needed
        .is_none_or(|need| distinct_ids(set) >= usize::from(need))
    {
        let exactly = set.needed.map(usize::from);
        for reading in readings(case, set) {
            for part in combinations(&under(case, set, *reading), 2) {
                if exactly.is_none_or(|exactly| part.len() == exactly) {
                    parts.push((*reading, part));
                }
            }
        }
        // Both readings of the whole before parts of either.
        parts.sort_by_key(|(_, part)| std::cmp::Reverse(part.len()));
        parts.extend(
            mixed(case, set)
                .into_iter()
                .map(|part| (IdReading::Hexadecimal, part)),
        );
    }
    let (mut likely, mut unlikely, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for (reading, part) in parts {
        let Some(secret) = tolerant(combine(&shares_of(&part)))? else {
            continue;
        };
        let shares: Vec<_> = part.iter().map(|(index, _)| *index).collect();
        let zeros = secret.begins_with_zero();
        let to = if secret.is_plausible() {
            &mut likely
        } else {
            &mut unlikely
        };
        for (password, zeros_kept) in [(secret.password(), zeros), (secret.stripped(), false)] {
            let password = Zeroizing::new(password.to_vec());
            if !seen.contains(&password) {
                seen.push(password.clone());
                to.push(Candidate {
                    password,
                    how: How::Shares {
                        shares: shares.clone(),
                        reading,
                        zeros_kept,
                    },
                });
            }
        }
    }
    likely.append(&mut unlikely);
    Ok(likely)
}

/// What `sc-hsm-tool` makes of every combination of a set's shares, typed as they are written.
pub(super) fn as_the_tool_reads(case: &Case, set: &Set) -> Result<Vec<Candidate>, ErrorStack> {
    let mut found = Vec::new();
    for part in combinations(&set.members, 2) {
        let shares: Vec<_> = part.iter().map(|(index, _)| *index).collect();
        let texts = shares
            .iter()
            .filter_map(|index| case.shares.get(*index))
            .map(|given| &given.text);
        let password = match Typed::from_texts(texts) {
            Some(typed) => typed.password()?,
            None => None,
        };
        if let Some(password) = password {
            found.push(Candidate {
                password,
                how: How::AsToolReads { shares },
            });
        }
    }
    Ok(found)
}

/// The whole set with some ambiguous ids read in one way and some in the other.
fn mixed(case: &Case, set: &Set) -> Vec<Vec<(usize, PasswordShare)>> {
    let decimal = under(case, set, IdReading::Decimal);
    let hexadecimal = under(case, set, IdReading::Hexadecimal);
    let ambiguous: Vec<_> = decimal
        .iter()
        .zip(&hexadecimal)
        .enumerate()
        .filter_map(|(place, (one, other))| (one.1.id != other.1.id).then_some(place))
        .collect();
    if decimal.len() != hexadecimal.len() || !(2..=4).contains(&ambiguous.len()) {
        return Vec::new();
    }
    let all = (1_u32 << ambiguous.len()) - 1;
    (1..all)
        .map(|chosen| {
            let mut part = decimal.clone();
            for (bit, place) in ambiguous.iter().enumerate() {
                if chosen >> bit & 1 == 1
                    && let (Some(to), Some(from)) = (part.get_mut(*place), hexadecimal.get(*place))
                {
                    *to = from.clone();
                }
            }
            part
        })
        .collect()
}

/// All parts with at least `least` members, larger ones first; of many members, all of them and all but one.
fn combinations<T: Clone>(members: &[T], least: usize) -> Vec<Vec<T>> {
    let count = members.len();
    let mut parts = Vec::new();
    if count > MOST_MEMBERS {
        parts.push(members.to_vec());
        for without in 0..count {
            let mut part = members.to_vec();
            part.remove(without);
            parts.push(part);
        }
        return parts;
    }
    for chosen in (0_u32..1 << count).rev() {
        let part: Vec<_> = members
            .iter()
            .enumerate()
            .filter(|(place, _)| chosen >> place & 1 == 1)
            .map(|(_, member)| member.clone())
            .collect();
        if part.len() >= least {
            parts.push(part);
        }
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

fn shares_of(part: &[(usize, PasswordShare)]) -> Vec<PasswordShare> {
    part.iter().map(|(_, share)| share.clone()).collect()
}

/// A combination that is none is passed over; a library that fails is not.
pub(super) fn tolerant<T>(result: Result<T, SchemeError>) -> Result<Option<T>, SchemeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (SchemeError::Crypto(_) | SchemeError::Random(_))) => Err(error),
        Err(_) => Ok(None),
    }
}
