//! Short checksums that find the group that was mistyped.
//!
//! A number of a share has four groups of four digits. Each group has two check digits of its own, which depend on the group, its
//! place and the kind of number; four more cover the page as a whole, so that a wrong share id or a group of another page is found as
//! well. Check digits are printed beside the share alone: those of a share value would help in guessing it.

use sha2::{Digest, Sha256};

use crate::{PasswordShare, SetId};

/// Which number of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    /// The prime.
    Prime,
    /// The share value.
    Value,
}

impl Number {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prime => "prime",
            Self::Value => "share value",
        }
    }
}

/// Groups of a number.
pub const GROUPS: usize = 4;

/// A check byte for each group of a number.
#[must_use]
pub fn groups(which: Number, bytes: &[u8; 8]) -> [u8; GROUPS] {
    let mut checks = [0; GROUPS];
    for (index, (check, group)) in checks.iter_mut().zip(bytes.chunks(2)).enumerate() {
        let digest = Sha256::new()
            .chain_update(b"chancery share group")
            .chain_update([
                match which {
                    Number::Prime => 0,
                    Number::Value => 1,
                },
                u8::try_from(index).unwrap_or_default(),
            ])
            .chain_update(group)
            .finalize();
        *check = digest.first().copied().unwrap_or_default();
    }
    checks
}

/// The groups of a number that do not fit their check bytes, counted from 1.
#[must_use]
pub fn wrong_groups(which: Number, bytes: &[u8; 8], checks: &[u8; GROUPS]) -> Vec<usize> {
    groups(which, bytes)
        .iter()
        .zip(checks)
        .zip(1..)
        .filter_map(|((computed, printed), group)| (computed != printed).then_some(group))
        .collect()
}

/// Two check bytes for everything on a page that has to be typed.
#[must_use]
pub fn page(set: Option<SetId>, threshold: u8, share: &PasswordShare) -> [u8; 2] {
    let digest = Sha256::new()
        .chain_update(b"chancery share page")
        .chain_update(set.map(|set| set.0).unwrap_or_default())
        .chain_update([threshold])
        .chain_update(share.id.to_be_bytes())
        .chain_update(share.prime.0)
        .chain_update(share.value.secret_bytes())
        .finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_that_was_changed_is_named() {
        let bytes = [0x8D, 0xD4, 0x9D, 0x69, 0x82, 0x04, 0x8A, 0x5B];
        let checks = groups(Number::Value, &bytes);
        assert!(wrong_groups(Number::Value, &bytes, &checks).is_empty());
        // Two check digits let one error in 256 through; of all errors in one digit the page's four catch the rest.
        let (mut named, mut silent) = (0, 0);
        for place in 0..16 {
            for other in 1..16_u8 {
                let mut typed = bytes;
                typed[place / 2] ^= if place % 2 == 0 { other << 4 } else { other };
                match wrong_groups(Number::Value, &typed, &checks).as_slice() {
                    [group] => {
                        assert_eq!(*group, place / 4 + 1);
                        named += 1;
                    }
                    [] => silent += 1,
                    more => panic!("{more:?}"),
                }
            }
        }
        assert!(named >= 230 && silent <= 10, "{named} named, {silent} not");
    }

    #[test]
    fn groups_in_another_order_are_found() {
        let bytes = [0x8D, 0xD4, 0x9D, 0x69, 0x82, 0x04, 0x8A, 0x5B];
        let checks = groups(Number::Value, &bytes);
        let swapped = [0x9D, 0x69, 0x8D, 0xD4, 0x82, 0x04, 0x8A, 0x5B];
        assert_eq!(wrong_groups(Number::Value, &swapped, &checks), [1, 2]);
        assert_ne!(groups(Number::Prime, &bytes), checks);
    }
}
