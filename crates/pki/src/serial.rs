//! Certificate serial numbers, RFC 5280 4.1.2.2.

use core::fmt;
use core::str::FromStr;

use der::asn1::UintRef;
use thiserror::Error;

use crate::element::{Element, unsigned};

/// A certificate serial number: positive, at most 20 octets in DER (RFC 5280 4.1.2.2).
///
/// Ordered by value. Shown as lower-case hexadecimal with an even number of digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SerialNumber {
    /// Big endian, right aligned, zero filled: so the derived equality and the order below are numeric.
    value: [u8; Self::MAX_OCTETS],
}

/// A number that cannot be a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SerialError {
    /// Zero or no octets.
    #[error("a serial number must be greater than zero")]
    Zero,
    /// Negative INTEGER.
    #[error("a serial number must not be negative")]
    Negative,
    /// More than 20 octets of DER content.
    #[error("a serial number has at most {limit} octets in DER")]
    TooLong {
        /// The limit in octets.
        limit: usize,
    },
    /// Text that is not hexadecimal.
    #[error("a serial number is written in hexadecimal digits, two for each octet")]
    NotHexadecimal,
    /// Not a DER INTEGER.
    #[error("reading a serial number")]
    Malformed(#[source] der::Error),
}

impl SerialNumber {
    /// Longest DER content in octets (RFC 5280 4.1.2.2).
    pub const MAX_OCTETS: usize = 20;

    /// A serial number from 16 random octets of the caller: 128 bits, positive. Sixteen zero octets, which
    /// no working generator gives, become 1.
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        let mut value = [0; Self::MAX_OCTETS];
        value[4..].copy_from_slice(&random);
        if random == [0; 16] {
            value[Self::MAX_OCTETS - 1] = 1;
        }
        Self { value }
    }

    /// A serial number from its big endian magnitude; leading zero octets do not matter.
    ///
    /// # Errors
    /// [`SerialError::Zero`], or [`SerialError::TooLong`] when the DER form would pass 20 octets.
    pub fn from_bytes(magnitude: &[u8]) -> Result<Self, SerialError> {
        let start = magnitude
            .iter()
            .position(|&octet| octet != 0)
            .ok_or(SerialError::Zero)?;
        let digits = magnitude.get(start..).unwrap_or_default();
        let sign_octet = usize::from(digits.first().is_some_and(|first| first & 0x80 != 0));
        if digits.len() + sign_octet > Self::MAX_OCTETS {
            return Err(SerialError::TooLong {
                limit: Self::MAX_OCTETS,
            });
        }
        let mut value = [0; Self::MAX_OCTETS];
        for (to, from) in value.iter_mut().rev().zip(digits.iter().rev()) {
            *to = *from;
        }
        Ok(Self { value })
    }

    /// The magnitude: big endian, no leading zero octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let start = self
            .value
            .iter()
            .position(|&octet| octet != 0)
            .unwrap_or(Self::MAX_OCTETS - 1);
        self.value.get(start..).unwrap_or_default()
    }

    /// Lower-case hexadecimal, two digits for each octet.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    pub(crate) fn as_uint(&self) -> der::Result<UintRef<'_>> {
        UintRef::new(self.as_bytes())
    }

    pub(crate) fn from_element(element: &Element<'_>) -> Result<Self, SerialError> {
        match unsigned(element) {
            Ok(magnitude) => Self::from_bytes(magnitude),
            Err(_)
                if element.tag == der::Tag::Integer
                    && element.value.first().is_some_and(|o| o & 0x80 != 0) =>
            {
                Err(SerialError::Negative)
            }
            Err(source) => Err(SerialError::Malformed(source)),
        }
    }
}

impl PartialOrd for SerialNumber {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SerialNumber {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl FromStr for SerialNumber {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        Self::from_bytes(&hex::decode(text).map_err(|_| SerialError::NotHexadecimal)?)
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Encode;

    #[test]
    fn random_serials_are_positive_and_short_enough() {
        for random in [[0xFF; 16], [0x80; 16], [0; 16], [1; 16]] {
            let serial = SerialNumber::from_random(random);
            let der = serial.as_uint().unwrap().to_der().unwrap();
            let content = &der[2..];
            assert!(content.len() <= 20, "{content:02x?}");
            assert_eq!(content[0] & 0x80, 0, "positive");
            assert_ne!(content, [0]);
            assert_eq!(
                SerialNumber::from_element(&Element::parse(&der).unwrap()),
                Ok(serial)
            );
        }
        assert_eq!(SerialNumber::from_random([0; 16]).to_hex(), "01");
    }

    #[test]
    fn limits_are_exact() {
        assert!(SerialNumber::from_bytes(&[0x7F; 20]).is_ok());
        assert_eq!(
            SerialNumber::from_bytes(&[0x80; 20]),
            Err(SerialError::TooLong { limit: 20 })
        );
        assert_eq!(
            SerialNumber::from_bytes(&[1; 21]),
            Err(SerialError::TooLong { limit: 20 })
        );
        assert_eq!(SerialNumber::from_bytes(&[0, 0]), Err(SerialError::Zero));
        assert_eq!("0g".parse::<SerialNumber>(), Err(SerialError::NotHexadecimal));
        assert_eq!("00ff01".parse::<SerialNumber>().unwrap().to_hex(), "ff01");
    }

    #[test]
    fn order_is_numeric() {
        let small: SerialNumber = "ff".parse().unwrap();
        let large: SerialNumber = "0100".parse().unwrap();
        assert!(small < large);
    }
}
