//! The option word of device initialisation.

use std::fmt;
use std::ops::BitOr;

/// Option bits given at initialisation (DO 80) and shown again when the application is selected; combine with `|`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct InitializeOptions(pub u16);

impl InitializeOptions {
    /// No option.
    pub const NONE: Self = Self(0);
    /// The SO-PIN may reset the retry counter of the user PIN.
    pub const RESET_RETRY_COUNTER: Self = Self(0x0001);
    /// The user PIN is a transport PIN and has to be changed before first use.
    pub const TRANSPORT_PIN: Self = Self(0x0002);
    /// Session PIN, cleared at reset.
    pub const SESSION_PIN: Self = Self(0x0004);
    /// Session PIN, cleared explicitly. Its bits are those of [`Self::SESSION_PIN`] and [`Self::REPLACE_PUBLIC_KEYS`],
    /// which cannot be had together.
    pub const LASTING_SESSION_PIN: Self = Self(0x000C);
    /// Registered public keys may be replaced.
    pub const REPLACE_PUBLIC_KEYS: Self = Self(0x0008);
    /// User PIN and public key authentication are both required.
    pub const PIN_AND_PUBLIC_KEYS: Self = Self(0x0010);
    /// The SO-PIN may reset the counter but not set a new user PIN.
    pub const RESET_WITHOUT_NEW_PIN: Self = Self(0x0020);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for InitializeOptions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for InitializeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InitializeOptions({:04X})", self.0)
    }
}
