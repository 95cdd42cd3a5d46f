//! PINs: wiped when dropped, never shown.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A PIN that cannot be sent to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinFormatError {
    /// User PIN length out of range.
    #[error("a user PIN has 6 to 16 bytes, this one has {0}")]
    Length(usize),
    /// SO-PIN text is not sixteen hexadecimal digits.
    #[error("an SO-PIN is 16 hexadecimal digits")]
    SoPin,
}

/// A user PIN: 6 to 16 bytes.
pub struct Pin(Zeroizing<Vec<u8>>);

impl Pin {
    /// From the bytes a person typed; ASCII by convention, sent to the token as they are.
    ///
    /// # Errors
    /// The length is not 6 to 16 bytes. A token counts such an attempt, so it is never sent.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, PinFormatError> {
        let bytes = text.as_ref();
        if !(6..=16).contains(&bytes.len()) {
            return Err(PinFormatError::Length(bytes.len()));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// From the text of a prompt, which is wiped; one trailing line end is dropped.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_prompt(mut text: String) -> Result<Self, PinFormatError> {
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let pin = Self::new(line.strip_suffix('\r').unwrap_or(line));
        text.zeroize();
        pin
    }

    /// Most tries that a token gives a PIN of this length: 3 with 6 bytes, 5 with 7, otherwise 10.
    #[must_use]
    pub fn most_tries(&self) -> u8 {
        match self.0.len() {
            0..=6 => 3,
            7 => 5,
            _ => 10,
        }
    }

    /// The PIN itself.
    pub(crate) fn secret_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Clone for Pin {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// The SO-PIN (initialisation code): exactly 8 bytes.
pub struct SoPin(Zeroizing<[u8; 8]>);

impl SoPin {
    /// From the eight binary bytes.
    #[must_use]
    pub fn new(bytes: [u8; 8]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// From the sixteen hexadecimal digits tools show, letters in either case.
    ///
    /// # Errors
    /// The text is anything else.
    pub fn from_hex(digits: &str) -> Result<Self, PinFormatError> {
        let digits = digits.trim_end_matches(['\r', '\n']).as_bytes();
        let mut bytes = Zeroizing::new([0u8; 8]);
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(PinFormatError::SoPin);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let nibble = |c: u8| match c {
                b'0'..=b'9' => Some(c - b'0'),
                b'a'..=b'f' => Some(c - b'a' + 10),
                b'A'..=b'F' => Some(c - b'A' + 10),
                _ => None,
            };
            let (Some(high), Some(low)) = (nibble(*high), nibble(*low)) else {
                return Err(PinFormatError::SoPin);
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }

    /// The SO-PIN itself.
    pub(crate) fn secret_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Clone for SoPin {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for SoPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoPin(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_have_six_to_sixteen_bytes() {
        assert_eq!(Pin::new("12345").unwrap_err(), PinFormatError::Length(5));
        assert_eq!(
            Pin::new("12345678901234567").unwrap_err(),
            PinFormatError::Length(17)
        );
        assert_eq!(
            Pin::from_prompt("648219\r\n".into()).unwrap().secret_bytes(),
            b"648219"
        );
        assert_eq!(
            Pin::from_prompt("64821\n".into()).unwrap_err(),
            PinFormatError::Length(5)
        );
    }

    #[test]
    fn so_pin_takes_letters_as_hexadecimal() {
        let pin = SoPin::from_hex("35373632aBcDeF30").unwrap();
        assert_eq!(
            pin.secret_bytes(),
            [0x35, 0x37, 0x36, 0x32, 0xAB, 0xCD, 0xEF, 0x30]
        );
        for bad in [
            "",
            "3537363231383",
            "353736323138383g",
            "35373632313838300",
            "353736323138383012",
        ] {
            assert_eq!(SoPin::from_hex(bad).unwrap_err(), PinFormatError::SoPin, "{bad}");
        }
    }

    #[test]
    fn nothing_is_shown() {
        let shown = format!("{:?} {:?}", Pin::new("648219").unwrap(), SoPin::new(*b"57621880"));
        assert_eq!(shown, "Pin(..) SoPin(..)");
    }
}
