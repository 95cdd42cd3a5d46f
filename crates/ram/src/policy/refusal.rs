//! Why a command does not reach the token.

use std::fmt;

/// The first four bytes of a command; of a shorter one what is missing is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Header {
    /// CLA.
    pub class: u8,
    /// INS.
    pub instruction: u8,
    /// P1.
    pub p1: u8,
    /// P2.
    pub p2: u8,
}

impl Header {
    /// Of a command.
    #[must_use]
    pub fn of(command: &[u8]) -> Self {
        let byte = |index: usize| command.get(index).copied().unwrap_or_default();
        Self {
            class: byte(0),
            instruction: byte(1),
            p1: byte(2),
            p2: byte(3),
        }
    }

    /// What tokens of this kind call the command.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.instruction {
            0x20 => "VERIFY",
            0x22 => "MANAGE SECURITY ENVIRONMENT",
            0x24 => "CHANGE REFERENCE DATA",
            0x2A => "PERFORM SECURITY OPERATION",
            0x2C => "RESET RETRY COUNTER",
            0x46 => "GENERATE KEY PAIR",
            0x48 => "GENERATE SYMMETRIC KEY",
            0x50 => "INITIALIZE DEVICE",
            0x52 => "MANAGE KEY DOMAIN",
            0x54 => "MANAGE PUBLIC KEY AUTHENTICATION",
            0x58 => "ENUMERATE OBJECTS",
            0x5A => "GENERATE SESSION PIN",
            0x62 => "DECIPHER",
            0x68 => "SIGN",
            0x72 => "WRAP KEY",
            0x74 => "UNWRAP KEY",
            0x76 => "DERIVE KEY",
            0x78 => "CIPHER",
            0x82 => "EXTERNAL AUTHENTICATE",
            0x84 => "GET CHALLENGE",
            0x86 => "GENERAL AUTHENTICATE",
            0xA4 => "SELECT",
            0xB0 | 0xB1 => "READ BINARY",
            0xC0 => "GET RESPONSE",
            0xD6 | 0xD7 => "UPDATE BINARY",
            0xE4 => "DELETE FILE",
            _ => "unknown command",
        }
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            class,
            instruction,
            p1,
            p2,
        } = self;
        write!(f, "{class:02X} {instruction:02X} {p1:02X} {p2:02X}")
    }
}

/// A command that was kept from the token. It says nothing of the command's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} ({header}{}) was refused: {reason}", .header.name(), if *.with_data { ", with data" } else { "" })]
pub struct Refusal {
    /// Its header.
    pub header: Header,
    /// Whether it had data.
    pub with_data: bool,
    /// Why it was refused.
    pub reason: Reason,
}

impl Refusal {
    pub(super) const fn new(header: Header, with_data: bool, reason: Reason) -> Self {
        Self {
            header,
            with_data,
            reason,
        }
    }

    /// The answer the server gets instead of the token's: 6982, or 6882 where a secure channel is missing.
    #[must_use]
    pub const fn answer(&self) -> [u8; 2] {
        match self.reason {
            Reason::NoChannel => [0x68, 0x82],
            _ => [0x69, 0x82],
        }
    }
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is no command, or not made of the data objects of secure messaging.
    Malformed,
    /// Its class is none of plain and protected.
    Class,
    /// It is protected, and no chip authentication preceded it.
    NoChannel,
    /// It would use a key that was not named.
    KeyNotNamed {
        /// The key.
        id: u8,
    },
    /// It would use the device's own key.
    DeviceKey,
    /// It would change the token.
    Management,
    /// It carries, sets or gives out a PIN.
    Pin,
    /// It is on no list.
    Unknown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is no command that can be judged"),
            Self::Class => f.write_str("its class is neither plain nor protected"),
            Self::NoChannel => f.write_str("there is no secure channel"),
            Self::KeyNotNamed { id } => write!(f, "the use of key {id} is not allowed here"),
            Self::DeviceKey => f.write_str("the device's own key is used by the device alone"),
            Self::Management => f.write_str("it would change the token, and management is not allowed here"),
            Self::Pin => f.write_str("PINs are typed where the token is, never at the other end"),
            Self::Unknown => f.write_str("it is not on the list of what is allowed"),
        }
    }
}
