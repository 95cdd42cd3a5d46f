//! What two people read to each other.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Bytes that are shown: a second file with the same ones cannot be made.
const BYTES: usize = 20;

/// The first 20 bytes of the SHA-256 of a file's canonical form, shown in groups of four hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; BYTES]);

impl Fingerprint {
    pub(super) fn of(canonical: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::digest(canonical).into();
        let mut bytes = [0; BYTES];
        for (to, from) in bytes.iter_mut().zip(hash) {
            *to = from;
        }
        Self(bytes)
    }

    /// Whether somebody wrote down this fingerprint: in either case, with any spaces, colons or hyphens in between, all of it.
    #[must_use]
    pub fn is(&self, written: &str) -> bool {
        let digits: String = written
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, ':' | '-'))
            .collect();
        digits.eq_ignore_ascii_case(&self.digits())
    }

    fn digits(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.0.chunks(2).enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            for byte in pair {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_recognised_as_people_write_it_and_only_whole() {
        // FIPS 180-2, B.1: the digest of "abc".
        let fingerprint = Fingerprint::of(b"abc");
        let shown = "ba78 16bf 8f01 cfea 4141 40de 5dae 2223 b003 61a3";
        assert_eq!(fingerprint.to_string(), shown);
        for written in [
            shown.to_owned(),
            shown.to_uppercase(),
            shown.replace(' ', ""),
            shown.replace(' ', ":"),
            format!(" {} \n", shown.replace(' ', " - ")),
        ] {
            assert!(fingerprint.is(&written), "{written:?}");
        }
        for written in [
            "",
            "ba78",
            "ba78 16bf 8f01 cfea 4141 40de 5dae 2223 b003 61a4",
            "yes",
        ] {
            assert!(!fingerprint.is(written), "{written:?}");
        }
    }
}
