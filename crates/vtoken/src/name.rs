//! Names of tokens.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Name of a virtual token and of its directory: 1 to 32 of `a-z`, `0-9` and `-`, not starting with `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(String);

/// A name that no token can have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a token name: 1 to 32 of a-z, 0-9 and -, the first not -")]
pub struct TokenNameError(String);

impl TokenName {
    /// Longest name, in characters.
    pub const MAX_LENGTH: usize = 32;

    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`TokenNameError`] when it is not of the form above.
    pub fn new(name: &str) -> Result<Self, TokenNameError> {
        let alphabet = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty()
            || name.len() > Self::MAX_LENGTH
            || name.starts_with('-')
            || !name.bytes().all(alphabet)
        {
            return Err(TokenNameError(name.chars().take(2 * Self::MAX_LENGTH).collect()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = TokenNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_directory() {
        for good in ["a", "hsm-1", "0", &"x".repeat(32)] {
            assert_eq!(
                TokenName::new(good).map(|name| name.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "-a",
            "A",
            "a/b",
            "..",
            ".new",
            "a b",
            "ä",
            "a\n",
            &"x".repeat(33),
        ] {
            assert!(TokenName::new(bad).is_err(), "{bad:?}");
        }
    }
}
