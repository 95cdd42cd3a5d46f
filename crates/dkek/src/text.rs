//! Password shares as people have them: our pages, what `sc-hsm-tool` prints, notes of `ID VALUE`, what was typed line by line.
//!
//! What was written is kept as it was written, since a mistake is often in how it was read: an id of `10` is ten where it was printed
//! and sixteen where it was typed.

mod lines;

use std::fmt;

use openssl::error::ErrorStack;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::checks::{self, GROUPS, Number};
use crate::commitment::Nonce;
use crate::{PasswordShare, Prime, SetId, ShareValue};

pub use lines::parse;

/// Longest text that is read, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;

/// Most shares in one text.
pub const MAX_TEXT_SHARES: usize = 256;

/// Text as somebody wrote it; secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Written(Zeroizing<String>);

impl Written {
    /// Keeps a copy of this text, without the white space around it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn secret_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written(..)")
    }
}

/// A share as it was written down.
#[derive(Clone, Debug)]
pub struct ShareText {
    /// Line on which it begins, from 1.
    pub line: usize,
    /// Modulus.
    pub prime: Option<Written>,
    /// Share id.
    pub id: Written,
    /// Share value.
    pub value: Written,
    /// Set, on our pages.
    pub set: Option<SetId>,
    /// Shares needed, on our pages.
    pub needed: Option<u8>,
    /// Check bytes of the prime.
    pub prime_checks: Option<[u8; GROUPS]>,
    /// Check bytes of the value.
    pub value_checks: Option<[u8; GROUPS]>,
    /// Check bytes of the page.
    pub page_check: Option<[u8; 2]>,
    /// What opens the commitment.
    pub nonce: Option<Nonce>,
}

/// How ids without letters are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdReading {
    /// As they were printed.
    Decimal,
    /// As `sc-hsm-tool` reads what is typed.
    Hexadecimal,
}

/// Something wrong with one share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    /// A number holds a character that is no digit.
    #[error("the {} has a character that is no hexadecimal digit in group {group}", which.name())]
    NotHexadecimal {
        /// Which number.
        which: Number,
        /// Group of four digits, from 1.
        group: usize,
    },
    /// Too many digits, or an odd number.
    #[error("the {} has {digits} digits, not 16", which.name())]
    Digits {
        /// Which number.
        which: Number,
        /// How many.
        digits: usize,
    },
    /// The id is no number, or zero.
    #[error("the share id is no number from 1 on")]
    Id,
    /// Nowhere a prime.
    #[error("there is no prime, neither here nor with another share")]
    NoPrime,
    /// A group that does not fit its check digits.
    #[error("group {group} of the {} is mistyped: it does not fit its check digits", which.name())]
    Group {
        /// Which number.
        which: Number,
        /// Group of four digits, from 1.
        group: usize,
    },
    /// The page check fails while each group fits.
    #[error("the page check does not fit: the share id, the set or the number needed is mistyped{}", probable.map(|id| format!("; with share id {id} it would fit")).unwrap_or_default())]
    Page {
        /// The id with which it would fit.
        probable: Option<u64>,
    },
    /// The modulus is not what a set has.
    #[error("the prime is mistyped: it is no safe prime of 64 bits")]
    Prime,
    /// The value is not in the field.
    #[error("the share value is mistyped: it is not below the prime")]
    TooLarge,
    /// Our tools could not find out.
    #[error("the crypto library failed to look at it")]
    Unknown,
}

/// Why a text gives no shares. Nothing of the text is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShareTextError {
    /// Longer than [`MAX_TEXT`].
    #[error("{length} bytes are more than shares take: the limit is {MAX_TEXT}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// More shares than [`MAX_TEXT_SHARES`].
    #[error("more than {MAX_TEXT_SHARES} shares")]
    TooMany,
    /// A part of a share is missing.
    #[error("the share that begins on line {line} has no {missing}")]
    Incomplete {
        /// Where it begins, from 1.
        line: usize,
        /// What is missing.
        missing: &'static str,
    },
    /// Check digits or another field that cannot be read.
    #[error("line {line}: the {field} is malformed")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// Which field.
        field: &'static str,
    },
    /// Nothing that looks like a share.
    #[error("there is no password share in it: a share has a prime, a share ID and a share value")]
    None,
}

impl ShareText {
    /// Whether the id means two things: it has two or more digits and no letter.
    #[must_use]
    pub fn id_is_ambiguous(&self) -> bool {
        let text = self.id.secret_text();
        text.trim_start_matches('0').len() >= 2 && text.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The id under a reading; `None` when it is no number from 1 on.
    #[must_use]
    pub fn read_id(&self, reading: IdReading) -> Option<u64> {
        let text = self.id.secret_text().to_ascii_lowercase();
        let (text, prefixed) = match text.strip_prefix("0x") {
            Some(rest) => (rest, true),
            None => (text.as_str(), false),
        };
        let hexadecimal = prefixed
            || reading == IdReading::Hexadecimal
            || text.bytes().any(|byte| byte.is_ascii_alphabetic());
        let radix = if hexadecimal { 16 } else { 10 };
        // A sign is no part of an id.
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, radix)
            .ok()
            .filter(|id| digits && (1..=0xFFFF).contains(id))
    }

    /// The share, if it can be read at all, and what is wrong with it.
    #[must_use]
    pub fn read(&self, reading: IdReading) -> (Option<PasswordShare>, Vec<Fault>) {
        let mut faults = Vec::new();
        let prime = match &self.prime {
            Some(text) => number(Number::Prime, text, &mut faults),
            None => {
                faults.push(Fault::NoPrime);
                None
            }
        };
        let value = number(Number::Value, &self.value, &mut faults);
        let id = self.read_id(reading);
        if id.is_none() {
            faults.push(Fault::Id);
        }
        for (which, bytes, checks) in [
            (Number::Prime, &prime, &self.prime_checks),
            (Number::Value, &value, &self.value_checks),
        ] {
            if let (Some(bytes), Some(checks)) = (bytes, checks) {
                let wrong = checks::wrong_groups(which, bytes, checks);
                faults.extend(wrong.into_iter().map(|group| Fault::Group { which, group }));
            }
        }
        let (Some(prime), Some(value), Some(id)) = (prime, value, id) else {
            return (None, faults);
        };
        let share = PasswordShare {
            prime: Prime(*prime),
            id,
            value: ShareValue::new(*value),
        };
        if let Some(check) = self.page_check.filter(|_| faults.is_empty()) {
            faults.extend(self.page_fault(check, &share));
        }
        match share.prime.is_safe_prime() {
            Ok(true) => {
                if *share.value.secret_bytes() >= share.prime.0 {
                    faults.push(Fault::TooLarge);
                }
            }
            // Its groups have named the place.
            Ok(false)
                if faults.iter().any(|fault| {
                    matches!(
                        fault,
                        Fault::Group {
                            which: Number::Prime,
                            ..
                        }
                    )
                }) => {}
            Ok(false) => faults.push(Fault::Prime),
            Err(ErrorStack { .. }) => faults.push(Fault::Unknown),
        }
        (Some(share), faults)
    }

    fn page_fault(&self, check: [u8; 2], share: &PasswordShare) -> Option<Fault> {
        let needed = self.needed.unwrap_or_default();
        if checks::page(self.set, needed, share) == check {
            return None;
        }
        let probable = (1..=u64::from(crate::MAX_SHARES)).find(|id| {
            let other = PasswordShare {
                id: *id,
                ..share.clone()
            };
            checks::page(self.set, needed, &other) == check
        });
        Some(Fault::Page { probable })
    }
}

/// Reads a number of up to sixteen digits. Leading zero bytes may be missing: `sc-hsm-tool` prints none.
fn number(which: Number, text: &Written, faults: &mut Vec<Fault>) -> Option<Zeroizing<[u8; 8]>> {
    let text = text.secret_text();
    let text = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    let mut digits = Zeroizing::new(String::with_capacity(text.len() + 16));
    let count = text.chars().filter(|c| !is_separator(*c)).count();
    let missing = 16_usize.saturating_sub(count);
    digits.extend(std::iter::repeat_n('0', missing));
    digits.extend(text.chars().filter(|c| !is_separator(*c)));
    if let Some(place) = digits.chars().position(|c| !c.is_ascii_hexdigit()) {
        faults.push(Fault::NotHexadecimal {
            which,
            group: place / 4 + 1,
        });
        return None;
    }
    if count > 16 || count % 2 == 1 || count == 0 {
        faults.push(Fault::Digits { which, digits: count });
        return None;
    }
    let mut bytes = Zeroizing::new([0; 8]);
    hex::decode_to_slice(digits.as_bytes(), bytes.as_mut_slice()).ok()?;
    Some(bytes)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ':' | '-' | '.' | '_')
}

#[cfg(test)]
mod tests;
