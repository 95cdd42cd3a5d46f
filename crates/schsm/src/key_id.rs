//! Key identifiers.

use std::fmt;

/// The number of a key on a token: the low byte of its file identifiers, and P1 of key commands.
///
/// 00 is the device authentication key, 01 to FF are free. `Display` is the decimal number that other tools call
/// the key reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(pub u8);

impl KeyId {
    /// The device authentication key, made at the factory.
    pub const DEVICE: Self = Self(0);

    /// Whether this is the device authentication key.
    #[must_use]
    pub fn is_device(self) -> bool {
        self == Self::DEVICE
    }

    /// The lowest number from 01 on that `used` does not contain, `None` when all 255 are taken.
    #[must_use]
    pub fn lowest_free(used: &[Self]) -> Option<Self> {
        (1..=u8::MAX).map(Self).find(|id| !used.contains(id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
