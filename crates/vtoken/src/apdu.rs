//! The card's own view of a command APDU (ISO/IEC 7816-4 5.1, all seven shapes).
//!
//! This parser shares nothing with the host's encoder, so that an error cannot agree with itself.

/// A command APDU, borrowed from the bytes that were received.
#[derive(Clone, Copy)]
pub(crate) struct Command<'a> {
    /// CLA as received.
    pub(crate) class: u8,
    /// INS.
    pub(crate) instruction: u8,
    /// P1.
    pub(crate) p1: u8,
    /// P2.
    pub(crate) p2: u8,
    /// Command data field, 0..=65535 bytes.
    pub(crate) data: &'a [u8],
    /// Most bytes of response data the host takes: 0 when no Le field was sent, at most 65536.
    pub(crate) expected: usize,
    /// It came through a secure channel.
    pub(crate) protected: bool,
}

/// The bytes are no command APDU; answered with 6700.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrongLength;

impl<'a> Command<'a> {
    /// Parses every shape of ISO/IEC 7816-4 5.1: cases 1, 2S, 3S, 4S, 2E, 3E, 4E. Left-over bytes are
    /// refused.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, WrongLength> {
        let (&[class, instruction, p1, p2], body) = bytes.split_first_chunk().ok_or(WrongLength)?;
        let (data, expected) = match body {
            [] => (&[][..], 0),
            [le] => (&[][..], short_le(*le)),
            [0, high, low] => (&[][..], extended_le(*high, *low)),
            [0, high, low, rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if length == 0 {
                    return Err(WrongLength);
                }
                let (data, le) = rest.split_at_checked(length).ok_or(WrongLength)?;
                match le {
                    [] => (data, 0),
                    [high, low] => (data, extended_le(*high, *low)),
                    _ => return Err(WrongLength),
                }
            }
            [0, ..] => return Err(WrongLength),
            [length, rest @ ..] => {
                let (data, le) = rest.split_at_checked(usize::from(*length)).ok_or(WrongLength)?;
                match le {
                    [] => (data, 0),
                    [le] => (data, short_le(*le)),
                    _ => return Err(WrongLength),
                }
            }
        };
        Ok(Self {
            class,
            instruction,
            p1,
            p2,
            data,
            expected,
            protected: false,
        })
    }

    /// P1 and P2 as one big-endian number, as READ and UPDATE BINARY use them.
    pub(crate) fn p1p2(&self) -> u16 {
        u16::from_be_bytes([self.p1, self.p2])
    }
}

fn short_le(le: u8) -> usize {
    if le == 0 { 256 } else { usize::from(le) }
}

fn extended_le(high: u8, low: u8) -> usize {
    match u16::from_be_bytes([high, low]) {
        0 => 65536,
        le => usize::from(le),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(hex_text: &str) -> Option<(Vec<u8>, usize)> {
        let bytes = hex::decode(hex_text.replace(' ', "")).unwrap();
        Command::parse(&bytes).ok().map(|c| (c.data.to_vec(), c.expected))
    }

    #[test]
    fn every_shape_of_the_wire() {
        let cases: &[(&str, &[u8], usize)] = &[
            ("00200081", &[], 0),
            ("0084000010", &[], 16),
            ("0084000000", &[], 256),
            ("80580000000000", &[], 65536),
            ("80720192000000", &[], 65536),
            ("00840000000010", &[], 16),
            ("00D7CE0103540200", &[0x54, 2, 0], 0),
            ("00D7CE01000003540200", &[0x54, 2, 0], 0),
            ("00B1000004540200 00FE", &[0x54, 2, 0, 0], 0xFE),
            ("00B12F03000004540200000000", &[0x54, 2, 0, 0], 65536),
            ("8068017300000668656C6C6F0A0200", b"hello\n", 512),
        ];
        for (text, data, expected) in cases {
            assert_eq!(shape(text), Some((data.to_vec(), *expected)), "{text}");
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for text in [
            "",
            "00",
            "002000",
            "00200081 0231",
            "00200081 01313131",
            "00200081 0000",
            "00200081 00000001",
            "00200081 000002 31",
            "00200081 000001 3100",
            "00200081 000001 31000000",
            "00200081 02313200 00",
        ] {
            assert_eq!(shape(text), None, "{text}");
        }
    }

    #[test]
    fn largest_command() {
        let mut bytes = vec![0, 0xD7, 0x2F, 0x10, 0, 0xFF, 0xFF];
        bytes.extend(vec![7; 65535]);
        bytes.extend([0, 0]);
        let command = Command::parse(&bytes).unwrap();
        assert_eq!((command.data.len(), command.expected), (65535, 65536));
    }
}
