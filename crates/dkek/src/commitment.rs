//! Hiding commitments: a custodian checks a share at home, against a public file, and the file says nothing about the share.
//!
//! A commitment is SHA-256 over a nonce of 16 bytes, the set id (8 bytes), the share id (1 byte) and the share value (8 bytes). The
//! nonce is on the custodian's page and nowhere else: a share has 64 bits, which anybody could try through without it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::share::digits;
use crate::{PasswordShare, Prime, SetId, Threshold};

/// The random part of a commitment, 128 bits: secret as the share is.
#[derive(Clone)]
pub struct Nonce(Box<Zeroizing<[u8; 16]>>);

impl Nonce {
    /// A nonce from its bytes, of which the caller has a copy.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// Reads 32 hexadecimal digits with anything but letters and digits between them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        digits(text).map(Self::new)
    }

    /// The secret bytes.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// A commitment. Public.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Commitment(pub [u8; 32]);

impl Commitment {
    /// The commitment to a share. Ids of a set that has commitments are below 256.
    #[must_use]
    pub fn to(nonce: &Nonce, set: SetId, share: &PasswordShare) -> Self {
        let id = u8::try_from(share.id).unwrap_or_default();
        let digest = Sha256::new()
            .chain_update(nonce.secret_bytes())
            .chain_update(set.0)
            .chain_update([id])
            .chain_update(share.value.secret_bytes())
            .finalize();
        Self(digest.into())
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({self})")
    }
}

/// What is published of a set. Stored as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Commitments {
    /// The set.
    pub set: SetId,
    /// How it was split.
    pub how: Threshold,
    /// Modulus of the set.
    pub prime: Prime,
    /// Salt of the share file that the set opens, which tells the file.
    pub salt: [u8; 8],
    /// Key check value of the share in the file.
    pub kcv: [u8; 8],
    /// One commitment for each share, from id 1 on.
    pub commitments: Vec<Commitment>,
}

/// Why a share is not the one that was committed to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitmentError {
    /// The page is of another set.
    #[error("the page is of set {page}, these are the commitments of set {published}")]
    OtherSet {
        /// Set on the page.
        page: SetId,
        /// Set of the file.
        published: SetId,
    },
    /// Another prime.
    #[error(
        "the prime on the page is not the prime of set {0}: one of its digits is wrong, or the page is of another set"
    )]
    OtherPrime(SetId),
    /// No share of that id.
    #[error("the set has no share {id}: it has {shares}")]
    NoShare {
        /// Id on the page.
        id: u64,
        /// Shares of the set.
        shares: u8,
    },
    /// Value, nonce or id are wrong.
    #[error(
        "share {id} does not fit its commitment: a digit of the share value or of the nonce is wrong, or the page was altered"
    )]
    Mismatch {
        /// Id on the page.
        id: u64,
    },
}

impl Commitments {
    /// Checks one custodian's share.
    ///
    /// # Errors
    /// [`CommitmentError`].
    pub fn check(
        &self,
        set: Option<SetId>,
        share: &PasswordShare,
        nonce: &Nonce,
    ) -> Result<(), CommitmentError> {
        if let Some(page) = set.filter(|page| *page != self.set) {
            return Err(CommitmentError::OtherSet {
                page,
                published: self.set,
            });
        }
        if share.prime != self.prime {
            return Err(CommitmentError::OtherPrime(self.set));
        }
        let published = usize::try_from(share.id)
            .ok()
            .and_then(|id| id.checked_sub(1))
            .and_then(|index| self.commitments.get(index))
            .ok_or_else(|| CommitmentError::NoShare {
                id: share.id,
                shares: self.how.shares(),
            })?;
        let computed = Commitment::to(nonce, self.set, share);
        if bool::from(computed.0.ct_eq(&published.0)) {
            Ok(())
        } else {
            Err(CommitmentError::Mismatch { id: share.id })
        }
    }
}

/// The file as it is stored; other programs read it, so names stay.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    set: String,
    threshold: u8,
    shares: u8,
    prime: String,
    salt: String,
    kcv: String,
    commitments: Vec<String>,
}

impl From<Commitments> for Stored {
    fn from(from: Commitments) -> Self {
        Self {
            v: 1,
            set: from.set.to_string(),
            threshold: from.how.threshold(),
            shares: from.how.shares(),
            prime: from.prime.to_string(),
            salt: hex::encode(from.salt),
            kcv: hex::encode_upper(from.kcv),
            commitments: from.commitments.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<Stored> for Commitments {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        if stored.v != 1 {
            return Err(format!("commitments of version {}, known is 1", stored.v));
        }
        let wrong = |what: &'static str| move || format!("{what} is malformed");
        let how = Threshold::new(stored.threshold, stored.shares).map_err(|error| error.to_string())?;
        let commitments = stored
            .commitments
            .iter()
            .map(|text| digits(text).map(Commitment))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(wrong("a commitment"))?;
        if commitments.len() != usize::from(how.shares()) {
            return Err(format!(
                "{} commitments for {} shares",
                commitments.len(),
                how.shares()
            ));
        }
        Ok(Self {
            set: SetId::parse(&stored.set).ok_or_else(wrong("the set id"))?,
            how,
            prime: digits(&stored.prime).map(Prime).ok_or_else(wrong("the prime"))?,
            salt: digits(&stored.salt).ok_or_else(wrong("the salt"))?,
            kcv: digits(&stored.kcv).ok_or_else(wrong("the key check value"))?,
            commitments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShareValue;

    fn share() -> PasswordShare {
        PasswordShare {
            prime: Prime([0xE2, 0x8C, 0x4E, 0x2A, 0x93, 0xCC, 0xA8, 0x77]),
            id: 2,
            value: ShareValue::new([0x8D, 0xD4, 0x9D, 0x69, 0x82, 0x04, 0x8A, 0x5B]),
        }
    }

    fn published(nonce: &Nonce) -> Commitments {
        Commitments {
            set: SetId([7; 8]),
            how: Threshold::new(2, 3).unwrap(),
            prime: share().prime,
            salt: [1; 8],
            kcv: [2; 8],
            commitments: vec![
                Commitment([0; 32]),
                Commitment::to(nonce, SetId([7; 8]), &share()),
                Commitment([1; 32]),
            ],
        }
    }

    #[test]
    fn a_commitment_is_the_plain_hash_of_its_four_parts() {
        let nonce = Nonce::new(*b"0123456789abcdef");
        let mut bytes = b"0123456789abcdef".to_vec();
        bytes.extend([7; 8]);
        bytes.push(2);
        bytes.extend(share().value.secret_bytes());
        let judge = openssl::sha::sha256(&bytes);
        assert_eq!(Commitment::to(&nonce, SetId([7; 8]), &share()).0, judge);
    }

    #[test]
    fn every_part_counts() {
        let nonce = Nonce::new([9; 16]);
        let public = published(&nonce);
        let set = Some(SetId([7; 8]));
        assert_eq!(public.check(set, &share(), &nonce), Ok(()));
        assert_eq!(public.check(None, &share(), &nonce), Ok(()));
        assert!(matches!(
            public.check(Some(SetId([8; 8])), &share(), &nonce),
            Err(CommitmentError::OtherSet { .. })
        ));
        let mut other = share();
        other.prime.0[7] ^= 1;
        assert!(matches!(
            public.check(set, &other, &nonce),
            Err(CommitmentError::OtherPrime(_))
        ));
        for id in [0, 4, 256 + 2, u64::MAX] {
            let mut other = share();
            other.id = id;
            assert!(matches!(
                public.check(set, &other, &nonce),
                Err(CommitmentError::NoShare { .. })
            ));
        }
        let mut other = share();
        other.id = 3;
        let mismatch = |id| Err(CommitmentError::Mismatch { id });
        assert_eq!(public.check(set, &other, &nonce), mismatch(3));
        let mut bytes = *share().value.secret_bytes();
        bytes[5] ^= 4;
        other = share();
        other.value = ShareValue::new(bytes);
        assert_eq!(public.check(set, &other, &nonce), mismatch(2));
        assert_eq!(public.check(set, &share(), &Nonce::new([8; 16])), mismatch(2));
    }

    #[test]
    fn the_file_is_checked_when_it_is_read() {
        let public = published(&Nonce::new([9; 16]));
        let stored = Stored::from(public.clone());
        assert_eq!(Commitments::try_from(stored.clone()), Ok(public));
        let breaks: [fn(&mut Stored); 6] = [
            |stored| stored.v = 2,
            |stored| stored.set.truncate(5),
            |stored| stored.threshold = 1,
            |stored| stored.commitments.truncate(2),
            |stored| stored.kcv.push_str("00"),
            |stored| stored.prime = "x".into(),
        ];
        for change in breaks {
            let mut broken = stored.clone();
            change(&mut broken);
            assert!(Commitments::try_from(broken).is_err());
        }
    }
}
