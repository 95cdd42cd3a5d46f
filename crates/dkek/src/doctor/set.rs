//! Password shares sorted into sets, and what each shows by itself.

use super::{Case, Finding, ShareVerdict, Standing};
use crate::PasswordShare;
use crate::checks::Number;
use crate::text::{Fault, IdReading};

/// Shares with one prime.
pub(super) struct Set {
    /// Index in the case and the share under the decimal reading, in order; no duplicates.
    pub(super) members: Vec<(usize, PasswordShare)>,
    /// Shares needed, where pages say so.
    pub(super) needed: Option<u8>,
}

/// Sorts the shares; tells what is wrong with single ones.
pub(super) fn sort(case: &Case, findings: &mut Vec<Finding>) -> (Vec<ShareVerdict>, Vec<Set>) {
    let mut verdicts = Vec::new();
    let mut sets: Vec<Set> = Vec::new();
    let (mut good, mut doubtful) = (Vec::new(), Vec::new());
    for (index, given) in case.shares.iter().enumerate() {
        let (share, faults) = given.text.read(IdReading::Decimal);
        let id = shown(given.text.id.secret_text());
        findings.extend(faults.iter().map(|fault| Finding::Faulty {
            source: given.source.clone(),
            id: id.clone(),
            fault: fault.to_string(),
        }));
        if let Some(share) = share {
            // Beside a good prime a mistyped one is not looked at.
            let prime_is_wrong = faults.iter().any(|fault| match fault {
                Fault::Prime => true,
                Fault::Group { which, .. } => *which == Number::Prime,
                _ => false,
            });
            let to = if prime_is_wrong { &mut doubtful } else { &mut good };
            to.push((index, share));
        }
        verdicts.push(ShareVerdict {
            source: given.source.clone(),
            id,
            faults,
            standing: Standing::Unreadable,
        });
    }
    if let Some((_, first)) = good.first() {
        let prime = first.prime;
        for (_, share) in &mut doubtful {
            share.prime = prime;
        }
    }
    good.append(&mut doubtful);
    for (index, share) in good {
        let standing = place(case, &mut sets, index, share, findings);
        if let Some(verdict) = verdicts.get_mut(index) {
            verdict.standing = standing;
        }
    }
    // The set with most members is the one that is meant; with one set there is nothing to say.
    if let Some(most) = sets.iter().map(|set| set.members.len()).max()
        && sets.len() > 1
        && sets.iter().filter(|set| set.members.len() == most).count() == 1
    {
        for (index, _) in sets
            .iter()
            .filter(|set| set.members.len() < most)
            .flat_map(|set| &set.members)
        {
            if let Some(verdict) = verdicts.get_mut(*index) {
                verdict.standing = Standing::OtherSet;
                findings.push(Finding::OtherSet {
                    source: verdict.source.clone(),
                    id: verdict.id.clone(),
                });
            }
        }
    }
    for set in &sets {
        let different = distinct_ids(set);
        if let Some(need) = set.needed
            && different < usize::from(need)
        {
            findings.push(Finding::TooFew {
                have: different,
                need,
            });
        }
    }
    (verdicts, sets)
}

/// Puts one share into its set.
fn place(
    case: &Case,
    sets: &mut Vec<Set>,
    index: usize,
    share: PasswordShare,
    findings: &mut Vec<Finding>,
) -> Standing {
    let source = |index: usize| {
        case.shares
            .get(index)
            .map(|given| given.source.clone())
            .unwrap_or_default()
    };
    let text = case.shares.get(index).map(|given| &given.text);
    let prime = share.prime;
    let position = match sets
        .iter()
        .position(|set| set.members.iter().any(|(_, member)| member.prime == prime))
    {
        Some(position) => position,
        None => {
            sets.push(Set {
                members: Vec::new(),
                needed: None,
            });
            sets.len() - 1
        }
    };
    let Some(set) = sets.get_mut(position) else {
        return Standing::Unknown;
    };
    set.needed = set.needed.or_else(|| text.and_then(|text| text.needed));
    for (other, member) in &set.members {
        if member.id == share.id && member.value == share.value {
            let of = source(*other);
            findings.push(Finding::Duplicate {
                source: source(index),
                of: of.clone(),
            });
            return Standing::Duplicate { of };
        }
        if member.id == share.id {
            findings.push(Finding::Conflict {
                source: source(index),
                other: source(*other),
                id: text.map(|text| shown(text.id.secret_text())).unwrap_or_default(),
            });
        }
    }
    set.members.push((index, share));
    Standing::Unknown
}

/// How many different ids a set has.
pub(super) fn distinct_ids(set: &Set) -> usize {
    let mut ids: Vec<_> = set.members.iter().map(|(_, share)| share.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

/// An id for people: what else may stand in its place is not repeated, it could be a share value.
fn shown(id: &str) -> String {
    if id.len() <= 5 {
        id.to_owned()
    } else {
        "?".to_owned()
    }
}
