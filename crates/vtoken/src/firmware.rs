//! Firmware personalities: what tokens of a generation say and can do.

use std::fmt;
use std::str::FromStr;

use chancery_schsm::KeyType;
use thiserror::Error;

/// The firmware a virtual token behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Firmware {
    /// 2.6, on a card with JCOP 2.4: RSA to 2048 bits, curves to 320 bits, no AES, one key domain, no file for long
    /// command data; the end of a file is not marked.
    V2_6,
    /// 4.1, on a card with JCOP 4: RSA to 4096 bits, curves to 521 bits, AES, several key domains.
    #[default]
    V4_1,
}

/// No firmware with this version can be imitated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no firmware {0:?}: there are 2.6 and 4.1")]
pub struct UnknownFirmware(pub String);

/// Answer to reset of a T=1 card with JCOP 2.4.
const ATR_JCOP_2_4: [u8; 24] = [
    0x3B, 0xFE, 0x18, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x45, 0x80, 0x31, 0x81, 0x54, 0x48, 0x53, 0x4D, 0x31,
    0x73, 0x80, 0x21, 0x40, 0x81, 0x07, 0xFA,
];
/// Answer to reset of a T=1 card with JCOP 3 or 4.
const ATR_JCOP_4: [u8; 24] = [
    0x3B, 0xDE, 0x96, 0xFF, 0x81, 0x91, 0xFE, 0x1F, 0xC3, 0x80, 0x31, 0x81, 0x54, 0x48, 0x53, 0x4D, 0x31,
    0x73, 0x80, 0x21, 0x40, 0x81, 0x07, 0x92,
];

/// GENERATE SYMMETRIC KEY and CIPHER.
const AES_INSTRUCTIONS: [u8; 2] = [0x48, 0x78];

impl Firmware {
    /// All of them, oldest first.
    pub const ALL: [Self; 2] = [Self::V2_6, Self::V4_1];

    /// Major and minor version.
    #[must_use]
    pub fn version(self) -> (u8, u8) {
        match self {
            Self::V2_6 => (2, 6),
            Self::V4_1 => (4, 1),
        }
    }

    /// The firmware with this version.
    #[must_use]
    pub fn from_version(major: u8, minor: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|firmware| firmware.version() == (major, minor))
    }

    /// Answer to reset (ISO/IEC 7816-3 8); host software recognises the device by it.
    #[must_use]
    pub fn atr(self) -> &'static [u8] {
        match self {
            Self::V2_6 => &ATR_JCOP_2_4,
            Self::V4_1 => &ATR_JCOP_4,
        }
    }

    /// Platform (00, JCOP) and version, as SELECT and the version query report them.
    pub(crate) fn identity(self) -> [u8; 3] {
        let (major, minor) = self.version();
        [0x00, major, minor]
    }

    /// Longest command APDU in bytes; a longer one is answered with 6700.
    pub(crate) fn longest_command(self) -> usize {
        match self {
            Self::V2_6 => 1462,
            // The length fields are the limit.
            Self::V4_1 => usize::MAX,
        }
    }

    /// Whether the instruction exists, given that a later firmware has it.
    pub(crate) fn knows(self, instruction: u8) -> bool {
        self >= Self::V4_1 || !AES_INSTRUCTIONS.contains(&instruction)
    }

    /// Whether key domains are counted at initialisation (DO 97), and made and deleted one by one.
    pub(crate) fn has_key_domains(self) -> bool {
        self >= Self::V4_1
    }

    /// Whether EF 2F10 takes command data too long for one APDU.
    pub(crate) fn has_scratch_file(self) -> bool {
        self >= Self::V4_1
    }

    /// Whether READ BINARY says with 6282 that the file ended.
    pub(crate) fn marks_end_of_file(self) -> bool {
        self >= Self::V4_1
    }

    /// Whether there are keys of this kind and size in bits, given that a later firmware has them.
    pub(crate) fn has_keys(self, kind: KeyType, bits: usize) -> bool {
        match (self, kind) {
            (Self::V4_1, _) => true,
            (Self::V2_6, KeyType::Rsa) => bits <= 2048,
            (Self::V2_6, KeyType::Ec) => bits <= 320,
            (Self::V2_6, KeyType::Aes) => false,
        }
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version();
        write!(f, "{major}.{minor}")
    }
}

impl FromStr for Firmware {
    type Err = UnknownFirmware;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|firmware| firmware.to_string() == text)
            .ok_or_else(|| UnknownFirmware(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_written() {
        for firmware in Firmware::ALL {
            assert_eq!(firmware.to_string().parse(), Ok(firmware));
            let (major, minor) = firmware.version();
            assert_eq!(Firmware::from_version(major, minor), Some(firmware));
        }
        assert_eq!("3.5".parse::<Firmware>(), Err(UnknownFirmware("3.5".to_owned())));
        assert_eq!(Firmware::default().to_string(), "4.1");
    }
}
