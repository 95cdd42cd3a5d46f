//! What `sc-hsm-tool` makes of what is typed into its share dialogue, mistakes included, so that a key that was made of them can be made
//! again.
//!
//! Of each line it takes 63 characters. Prime and value: pairs of hexadecimal digits, blanks and colons between pairs; at the first
//! character that is neither, or a lone digit, it stops without a word and takes what it has. Share id: hexadecimal digits up to the
//! first other character. It interpolates through all shares it is given, and the password is the result without leading zero bytes.

use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use crate::field::{Field, Point, number};
use crate::text::{ShareText, Written};

/// Longest line its buffer takes.
const MOST: usize = 63;

/// What was typed: the prime once, then id and value of each share in the order in which they were typed.
#[derive(Clone, Debug)]
pub struct Typed {
    /// The prime.
    pub prime: Written,
    /// Share ids and values.
    pub shares: Vec<(Written, Written)>,
}

impl Typed {
    /// These shares, typed as they are written, the prime of the first for all. `None` when there is no prime.
    #[must_use]
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = &'a ShareText>) -> Option<Self> {
        let texts: Vec<_> = texts.into_iter().collect();
        Some(Self {
            prime: texts.iter().find_map(|text| text.prime.clone())?,
            shares: texts
                .iter()
                .map(|text| (text.id.clone(), text.value.clone()))
                .collect(),
        })
    }

    /// The password that the tool computes; `None` where it gives up, as with two equal ids.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn password(&self) -> Result<Option<Zeroizing<Vec<u8>>>, ErrorStack> {
        let mut field = Field::new(&bytes(self.prime.secret_text()))?;
        let points = self
            .shares
            .iter()
            .map(|(id, value)| Ok((place(id.secret_text())?, number(&bytes(value.secret_text()))?)))
            .collect::<Result<Vec<Point>, ErrorStack>>()?;
        let zero = BigNum::new_secure()?;
        let secret = field.interpolate(&points, &zero)?;
        Ok(secret.map(|secret| Zeroizing::new(secret.to_vec())))
    }
}

/// A prime or value as the tool reads it.
fn bytes(line: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST));
    let mut high: Option<u8> = None;
    for byte in line.bytes().take(MOST) {
        match (nibble(byte), high) {
            (Some(nibble), Some(first)) => {
                bytes.push(first << 4 | nibble);
                high = None;
            }
            (Some(nibble), None) => high = Some(nibble),
            (None, None) if matches!(byte, b' ' | b':') => {}
            (None, _) => break,
        }
    }
    bytes
}

/// A share id as the tool reads it.
fn place(line: &str) -> Result<BigNum, ErrorStack> {
    let line = line.get(..line.len().min(MOST)).unwrap_or(line);
    let (line, negative) = match line.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let nibbles: Vec<_> = line.bytes().map_while(nibble).collect();
    let mut place = BigNum::new_secure()?;
    for nibble in nibbles {
        place.mul_word(16)?;
        place.add_word(nibble.into())?;
    }
    place.set_negative(negative);
    Ok(place)
}

const fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIME: &str = "e2:8c:4e:2a:93:cc:a8:77";

    fn password(prime: &str, shares: &[(&str, &str)]) -> Option<Vec<u8>> {
        let typed = Typed {
            prime: Written::new(prime),
            shares: shares
                .iter()
                .map(|(id, value)| (Written::new(id), Written::new(value)))
                .collect(),
        };
        typed.password().unwrap().map(|password| password.to_vec())
    }

    #[test]
    fn what_is_typed_right_gives_the_published_password() {
        let shares = [
            ("1", "BED92AF69643C441"),
            ("2", "8d:d4:9d:69:82:04:8a:5b"),
            ("3", "08 3e cb ce 3e 4a d6 b6"),
            ("4", "845D7A40863E4C32"),
        ];
        let secret = hex::decode("2792FE8453AD89FF").unwrap();
        assert_eq!(password(PRIME, &shares), Some(secret.clone()));
        assert_ne!(password(PRIME, &shares[..3]), Some(secret));
        assert_eq!(password(PRIME, &[shares[0], shares[0]]), None);
        assert_eq!(password("", &shares), None);
        assert_eq!(password("00", &shares), None);
    }

    #[test]
    fn lines_are_read_up_to_the_first_mistake() {
        for (line, expected) in [
            ("8dd4", &[0x8D, 0xD4][..]),
            ("8d d4:9D", &[0x8D, 0xD4, 0x9D]),
            ("8dd", &[0x8D]),
            ("8d d 49d", &[0x8D]),
            ("8dOd", &[0x8D]),
            ("", &[]),
            ("7", &[]),
        ] {
            assert_eq!(bytes(line).as_slice(), expected, "{line}");
        }
        assert_eq!(bytes(&"ab".repeat(40)).len(), 31);
        for (line, expected) in [("10", 16), ("a", 10), ("1O", 1), ("", 0), ("0c", 12)] {
            assert_eq!(
                place(line).unwrap(),
                BigNum::from_u32(expected).unwrap(),
                "{line}"
            );
        }
        assert!(place("-2").unwrap().is_negative());
    }
}
