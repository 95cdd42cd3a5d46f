//! Command APDUs (reference: ISO/IEC 7816-4 5.1 and 12.1).

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

/// Largest command data field, in bytes (two-byte Lc).
pub const MAX_DATA: usize = 65_535;

/// Largest expected response data, in bytes (two-byte Le of zero).
pub const MAX_EXPECTED: u32 = 65_536;

/// A command to a card: header, data field, and how many bytes of response data are expected.
///
/// The data field is wiped when the value is dropped; `Debug` shows the header and lengths only.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandApdu {
    /// CLA.
    pub class: u8,
    /// INS.
    pub instruction: u8,
    /// P1.
    pub p1: u8,
    /// P2.
    pub p2: u8,
    data: Zeroizing<Vec<u8>>,
    ne: u32,
    extended: bool,
}

/// What is wrong with the bytes of a command, or with what somebody wants to put into one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApduError {
    /// Fewer than the four bytes of a header.
    #[error("command APDU of {length} bytes is shorter than its header of 4 bytes")]
    HeaderTruncated {
        /// Bytes present.
        length: usize,
    },
    /// The length fields and the number of bytes present fit no shape of a command.
    #[error(
        "command APDU of {length} bytes does not fit its length field, which announces {announced} bytes of data"
    )]
    LengthMismatch {
        /// Bytes present in the whole command.
        length: usize,
        /// Data bytes announced by Lc.
        announced: usize,
    },
    /// More data than an extended length field can announce.
    #[error("command data of {length} bytes is over the limit of {MAX_DATA} bytes")]
    DataTooLong {
        /// Bytes offered.
        length: usize,
    },
}

impl CommandApdu {
    /// A command without data that expects no response data (case 1).
    #[must_use]
    pub fn new(class: u8, instruction: u8, p1: u8, p2: u8) -> Self {
        Self {
            class,
            instruction,
            p1,
            p2,
            data: Zeroizing::new(Vec::new()),
            ne: 0,
            extended: false,
        }
    }

    /// Sets the data field; an empty one means no data field at all.
    ///
    /// # Errors
    /// [`ApduError::DataTooLong`] above [`MAX_DATA`] bytes.
    pub fn with_data(mut self, data: &[u8]) -> Result<Self, ApduError> {
        if data.len() > MAX_DATA {
            return Err(ApduError::DataTooLong { length: data.len() });
        }
        self.data = Zeroizing::new(data.to_vec());
        Ok(self)
    }

    /// Expects up to `ne` bytes of response data: 0 sends no Le, 256 is the short Le `00`, and everything from
    /// [`MAX_EXPECTED`] on is the extended Le `0000`, "all there is".
    #[must_use]
    pub fn expecting(mut self, ne: u32) -> Self {
        self.ne = ne.min(MAX_EXPECTED);
        self
    }

    /// Uses extended length fields even where short ones would do. A command without data and without Le has no
    /// length field and stays the four bytes of case 1.
    #[must_use]
    pub fn extended(mut self) -> Self {
        self.extended = true;
        self
    }

    /// The data field, empty when there is none.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// How many bytes of response data are expected at most; 0 when the command has no Le.
    #[must_use]
    pub fn expected(&self) -> u32 {
        self.ne
    }

    /// Whether the length fields are (or will be) of the extended form.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        (self.extended || self.data.len() > 255 || self.ne > 256) && (!self.data.is_empty() || self.ne > 0)
    }

    /// The bytes to send (reference: ISO/IEC 7816-4 12.1.1, cases 1 to 4).
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Sized once: a buffer that grows leaves copies of a PIN behind.
        let mut out = Zeroizing::new(Vec::with_capacity(4 + 3 + self.data.len() + 2));
        out.extend_from_slice(&[self.class, self.instruction, self.p1, self.p2]);
        let extended = self.is_extended();
        if extended {
            out.push(0);
        }
        // Data and Le are bounded by the constructors; the low bytes of a full Le (256, 65536) are its encoding.
        if !self.data.is_empty() {
            let [.., high, low] = self.data.len().to_be_bytes();
            if extended {
                out.push(high);
            }
            out.push(low);
            out.extend_from_slice(&self.data);
        }
        if self.ne > 0 {
            let [.., high, low] = self.ne.to_be_bytes();
            if extended {
                out.push(high);
            }
            out.push(low);
        }
        out
    }

    /// Parses a whole command in any of the seven shapes: case 1, and cases 2, 3 and 4 each short and extended.
    ///
    /// # Errors
    /// [`ApduError::HeaderTruncated`] below four bytes, [`ApduError::LengthMismatch`] when the number of bytes fits
    /// no shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApduError> {
        let Some((&[class, instruction, p1, p2], body)) = bytes.split_first_chunk::<4>() else {
            return Err(ApduError::HeaderTruncated { length: bytes.len() });
        };
        let (data, ne, extended) = match *body {
            [] => (&[][..], 0, false),
            [le] => (&[][..], short_ne(le), false),
            [0, high, low] => (&[][..], extended_ne(high, low), true),
            [0, high, low, ref rest @ ..] => {
                let announced = usize::from(u16::from_be_bytes([high, low]));
                let mismatch = ApduError::LengthMismatch {
                    length: bytes.len(),
                    announced,
                };
                // Lc of zero is no Lc: such a command has to leave the field out.
                if announced == 0 {
                    return Err(mismatch);
                }
                match rest.split_at_checked(announced) {
                    Some((data, [])) => (data, 0, true),
                    Some((data, &[high, low])) => (data, extended_ne(high, low), true),
                    _ => return Err(mismatch),
                }
            }
            [lc, ref rest @ ..] => {
                let announced = usize::from(lc);
                let mismatch = ApduError::LengthMismatch {
                    length: bytes.len(),
                    announced,
                };
                if announced == 0 {
                    return Err(mismatch);
                }
                match rest.split_at_checked(announced) {
                    Some((data, [])) => (data, 0, false),
                    Some((data, &[le])) => (data, short_ne(le), false),
                    _ => return Err(mismatch),
                }
            }
        };
        Ok(Self {
            class,
            instruction,
            p1,
            p2,
            data: Zeroizing::new(data.to_vec()),
            ne,
            extended,
        })
    }
}

impl fmt::Debug for CommandApdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CommandApdu({:02X} {:02X} {:02X} {:02X}, {} bytes of data, expecting {})",
            self.class,
            self.instruction,
            self.p1,
            self.p2,
            self.data.len(),
            self.ne
        )
    }
}

fn short_ne(le: u8) -> u32 {
    if le == 0 { 256 } else { u32::from(le) }
}

fn extended_ne(high: u8, low: u8) -> u32 {
    match u16::from_be_bytes([high, low]) {
        0 => MAX_EXPECTED,
        ne => u32::from(ne),
    }
}
