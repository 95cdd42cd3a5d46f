//! Return codes of PC/SC.

use std::{ffi::c_long, fmt};

/// A return code that is not success.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

/// The caller's handle is none, or none any more.
pub(crate) const INVALID_HANDLE: Code = Code(0x8010_0003);
/// Not enough memory, or threads.
pub(crate) const MEMORY: Code = Code(0x8010_0006);
pub(crate) const INSUFFICIENT_BUFFER: Code = Code(0x8010_0008);
pub(crate) const UNKNOWN_READER: Code = Code(0x8010_0009);
pub(crate) const TIMEOUT: Code = Code(0x8010_000A);
pub(crate) const SHARING_VIOLATION: Code = Code(0x8010_000B);
pub(crate) const NO_SMARTCARD: Code = Code(0x8010_000C);
pub(crate) const COMM_ERROR: Code = Code(0x8010_0013);
pub(crate) const NOT_TRANSACTED: Code = Code(0x8010_0016);
pub(crate) const READER_UNAVAILABLE: Code = Code(0x8010_0017);
pub(crate) const NO_SERVICE: Code = Code(0x8010_001D);
pub(crate) const SERVICE_STOPPED: Code = Code(0x8010_001E);
pub(crate) const NO_READERS_AVAILABLE: Code = Code(0x8010_002E);
pub(crate) const UNRESPONSIVE_CARD: Code = Code(0x8010_0066);
pub(crate) const UNPOWERED_CARD: Code = Code(0x8010_0067);
pub(crate) const RESET_CARD: Code = Code(0x8010_0068);
pub(crate) const REMOVED_CARD: Code = Code(0x8010_0069);
pub(crate) const SECURITY_VIOLATION: Code = Code(0x8010_006A);

impl Code {
    /// Success, or the code.
    pub(crate) fn check(code: c_long) -> Result<(), Self> {
        // A long has four or eight bytes; the code is in the last four.
        match *code.to_be_bytes().as_slice() {
            [.., 0, 0, 0, 0] => Ok(()),
            [.., a, b, c, d] => Err(Self(u32::from_be_bytes([a, b, c, d]))),
            _ => Err(Self(u32::MAX)),
        }
    }

    /// What it means.
    fn meaning(self) -> Option<&'static str> {
        Some(match self.0 {
            0x8010_0001 => "internal error of PC/SC",
            0x8010_0002 => "cancelled",
            0x8010_0003 => "the connection to pcscd is closed",
            0x8010_0004 => "invalid parameter",
            0x8010_0006 => "out of memory",
            0x8010_0008 => "the answer is longer than its buffer",
            0x8010_0009 => "there is no such reader",
            0x8010_000A => "time is over",
            0x8010_000B => "another program holds the card",
            0x8010_000C => "there is no card in the reader",
            0x8010_000F => "the card does not speak the protocol",
            0x8010_0010 => "reader or card is not ready",
            0x8010_0013 => "reader or pcscd does not answer",
            0x8010_0016 => "the exchange with the card failed",
            0x8010_0017 => "the reader is gone",
            0x8010_001D => "pcscd does not run",
            0x8010_001E => "pcscd was stopped",
            0x8010_002E => "there are no readers",
            0x8010_0065 => "the card is not supported",
            0x8010_0066 => "the card does not answer to a reset",
            0x8010_0067 => "the card has no power",
            0x8010_0068 => "another program has reset the card",
            0x8010_0069 => "the card was removed",
            0x8010_006A => "access to PC/SC is denied",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meaning() {
            Some(meaning) => write!(f, "{meaning} (PC/SC {:08X})", self.0),
            None => write!(f, "PC/SC error {:08X}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_whatever_their_sign() {
        assert_eq!(Code::check(0), Ok(()));
        assert_eq!(Code::check(0x8010_0069), Err(REMOVED_CARD));
        // As a long of four bytes gives it.
        assert_eq!(Code::check(-0x7FEF_FF97), Err(REMOVED_CARD));
        assert_eq!(
            Code(0x8010_0068).to_string(),
            "another program has reset the card (PC/SC 80100068)"
        );
        assert_eq!(Code(0x1234).to_string(), "PC/SC error 00001234");
    }
}
