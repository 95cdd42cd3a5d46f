//! Tags.

use std::fmt;

/// A tag as its encoded bytes, big endian: `Tag(0x30)`, `Tag(0x7F49)`, `Tag(0x5F2010)`.
///
/// The reader gives well-formed tags only. The writer writes what it is given, without leading zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

impl Tag {
    /// Whether the value of the data object is itself a sequence of data objects (bit 6 of the first byte).
    #[must_use]
    pub fn is_constructed(self) -> bool {
        self.leading_byte() & 0x20 != 0
    }

    /// Length of the encoded tag in bytes.
    #[must_use]
    pub fn encoded_len(self) -> usize {
        match self.0 {
            0..=0xFF => 1,
            0x100..=0xFFFF => 2,
            0x1_0000..=0xFF_FFFF => 3,
            _ => 4,
        }
    }

    fn leading_byte(self) -> u8 {
        self.0
            .to_be_bytes()
            .into_iter()
            .find(|byte| *byte != 0)
            .unwrap_or(0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$X}", self.0, width = self.encoded_len() * 2)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}
