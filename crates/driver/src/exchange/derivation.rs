//! Who derives the key encryption key in which way.

use std::fmt;

use chancery_cvc::{DeviceIdentity, Genuineness};

/// A way to turn the shared point of two exchange keys into a key encryption key. Tokens of different ways never agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivation {
    /// That of the maker's devices, which is not public.
    Maker,
    /// That of virtual tokens.
    Virtual,
    /// Some other firmware's own.
    Other,
}

impl Derivation {
    /// The way of a device whose chain was verified.
    #[must_use]
    pub fn of(device: &DeviceIdentity) -> Self {
        match device.genuine() {
            Genuineness::Virtual => Self::Virtual,
            Genuineness::Production | Genuineness::Test => Self::Maker,
            Genuineness::Other => Self::Other,
        }
    }
}

impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Maker => "as the maker's devices do",
            Self::Virtual => "as virtual tokens do",
            Self::Other => "in a firmware's own way",
        })
    }
}
