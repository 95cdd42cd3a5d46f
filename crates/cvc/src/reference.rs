//! Names of keys: the certificate holder reference (CHR) and certification authority reference (CAR).

use std::fmt;
use std::str::FromStr;

/// Name of a public key, as holder (CHR) or as issuer (CAR): country (2 letters), mnemonic (1 to 9 characters),
/// sequence (5 letters or digits), 8 to 16 characters in all (reference: BSI TR-03110-3 A.6.1).
///
/// The mnemonic is restricted to printable ASCII. Letter case is kept and significant.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(String);

impl Reference {
    /// Shortest reference, in characters.
    pub const MIN_LEN: usize = COUNTRY_LEN + 1 + SEQUENCE_LEN;
    /// Longest reference, in characters.
    pub const MAX_LEN: usize = COUNTRY_LEN + 9 + SEQUENCE_LEN;

    /// Checks and takes a reference.
    ///
    /// # Errors
    /// [`ReferenceError`] when length or characters are not those of a reference.
    pub fn new(text: &str) -> Result<Self, ReferenceError> {
        let len = text.chars().count();
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&len) {
            return Err(ReferenceError::Length { found: len });
        }
        let mnemonic_len = len - COUNTRY_LEN - SEQUENCE_LEN;
        for (position, character) in text.chars().enumerate() {
            let allowed = if position < COUNTRY_LEN {
                character.is_ascii_alphabetic()
            } else if position < COUNTRY_LEN + mnemonic_len {
                character.is_ascii_graphic() || character == ' '
            } else {
                character.is_ascii_alphanumeric()
            };
            if !allowed {
                return Err(ReferenceError::Character { position });
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Checks and takes the content of a DO 42 or 5F20.
    ///
    /// # Errors
    /// [`ReferenceError`] as for [`Reference::new`]; bytes above 7F are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReferenceError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(error) => Err(ReferenceError::Character {
                position: error.valid_up_to(),
            }),
        }
    }

    /// The reference of the same holder with another sequence, in five decimal digits.
    ///
    /// # Errors
    /// [`ReferenceError::Sequence`] above 99999.
    pub fn with_sequence(&self, number: u32) -> Result<Self, ReferenceError> {
        if number > 99_999 {
            return Err(ReferenceError::Sequence { number });
        }
        Self::new(&format!("{}{number:05}", self.holder()))
    }

    /// The whole reference.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole reference as the content of a DO 42 or 5F20.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Country and mnemonic, the sequence left out. For a device certificate this is the serial number:
    /// `DENK040414400000` is `DENK0404144`.
    #[must_use]
    pub fn holder(&self) -> &str {
        self.split().0
    }

    /// The last five characters.
    #[must_use]
    pub fn sequence(&self) -> &str {
        self.split().1
    }

    /// The first two letters.
    #[must_use]
    pub fn country(&self) -> &str {
        self.0.get(..COUNTRY_LEN).unwrap_or_default()
    }

    /// The characters between country and sequence.
    #[must_use]
    pub fn mnemonic(&self) -> &str {
        self.holder().get(COUNTRY_LEN..).unwrap_or_default()
    }

    fn split(&self) -> (&str, &str) {
        let at = self.0.len().saturating_sub(SEQUENCE_LEN);
        self.0.split_at_checked(at).unwrap_or((&self.0, ""))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({})", self.0)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Reference {
    type Error = ReferenceError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl AsRef<str> for Reference {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a text that should be a [`Reference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Shorter than 8 or longer than 16 characters.
    #[error("a reference has 8 to 16 characters, this one {found}")]
    Length {
        /// Number of characters found.
        found: usize,
    },
    /// A character that may not stand there.
    #[error("character {} cannot stand there: 2 letters, then printable ASCII, then 5 letters or digits", position + 1)]
    Character {
        /// Position, counted from 0.
        position: usize,
    },
    /// A sequence that does not fit five digits.
    #[error("sequence {number} does not fit five digits")]
    Sequence {
        /// The number asked for.
        number: u32,
    },
}

const COUNTRY_LEN: usize = 2;
const SEQUENCE_LEN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_apart_a_device_name() {
        let name = Reference::new("DENK040414400000").unwrap();
        assert_eq!(name.country(), "DE");
        assert_eq!(name.mnemonic(), "NK0404144");
        assert_eq!(name.holder(), "DENK0404144");
        assert_eq!(name.sequence(), "00000");
        assert_eq!(name.with_sequence(7).unwrap().as_str(), "DENK040414400007");
        assert_eq!(
            name.with_sequence(100_000),
            Err(ReferenceError::Sequence { number: 100_000 })
        );
    }

    #[test]
    fn takes_the_shortest_and_longest() {
        for good in ["UTCA00001", "UTA00001", "ESPICOHSMCA00001", "DEDINK0400001"] {
            assert_eq!(Reference::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn refuses_by_length_and_character() {
        assert_eq!(
            Reference::new("UT00001"),
            Err(ReferenceError::Length { found: 7 })
        );
        assert_eq!(
            Reference::new("UTABCDEFGHIJ00001"),
            Err(ReferenceError::Length { found: 17 })
        );
        assert_eq!(
            Reference::new("U1CA00001"),
            Err(ReferenceError::Character { position: 1 })
        );
        assert_eq!(
            Reference::new("UTC\n00001"),
            Err(ReferenceError::Character { position: 3 })
        );
        assert_eq!(
            Reference::new("UTCA0000-"),
            Err(ReferenceError::Character { position: 8 })
        );
        assert_eq!(
            Reference::new("UTCä00001"),
            Err(ReferenceError::Character { position: 3 })
        );
        assert_eq!(
            Reference::from_bytes(b"UTCA\xFF0001"),
            Err(ReferenceError::Character { position: 4 })
        );
    }
}
