//! SELECT of the application and what its answer tells.

use std::fmt;

use chancery_iso7816::tlv::{Reader, Tag};
use chancery_iso7816::{CommandApdu, Transport};
use chancery_schsm::InitializeOptions;

use crate::error::{Doing, Error};
use crate::link::Link;

/// Application identifier of the SmartCard-HSM: E8 and the body of OID 1.3.6.1.4.1.24991.2.1.
pub const AID: [u8; 11] = [0xE8, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x02, 0x01];

/// Version of the applet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Firmware {
    /// Major version; 2 brought use counters and public key authentication, 3 larger keys and key domains.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Platform byte (00 JCOP, 01 demo JCOP, FF Pico HSM), absent before version 2.
    pub platform: Option<u8>,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What the answer to SELECT tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppletInfo {
    pub(crate) firmware: Firmware,
    pub(crate) options: Option<InitializeOptions>,
}

/// SELECT by AID; clears PIN, SO-PIN and quorum state on the card.
pub(crate) fn select<T: Transport>(link: &mut Link<T>) -> Result<AppletInfo, Error> {
    let doing = Doing::new("SELECT", "SmartCard-HSM application");
    let command = CommandApdu::new(0x00, 0xA4, 0x04, 0x00)
        .with_data(&AID)
        .map(|c| c.expecting(256));
    let response = link.expect_ok(&doing, command, Error::refused)?;
    parse_fci(&response.data)
        .ok_or_else(|| Error::protocol(&doing, "no version in the application's description"))
}

/// FCI 6F or 62 with DO 85: options (2 bytes), platform, major, minor; before version 2 only major, minor.
fn parse_fci(data: &[u8]) -> Option<AppletInfo> {
    let outer = Reader::new(data).next().ok()??;
    if ![Tag(0x6F), Tag(0x62)].contains(&outer.tag) {
        return None;
    }
    let mut fields = outer.children();
    let version = loop {
        let field = fields.next().ok()??;
        if field.tag == Tag(0x85) {
            break field.value;
        }
    };
    let (&minor, rest) = version.split_last()?;
    let (&major, rest) = rest.split_last()?;
    let options = rest
        .first_chunk()
        .map(|word| InitializeOptions(u16::from_be_bytes(*word)));
    let platform = options.and_then(|_| rest.get(2)).copied();
    Some(AppletInfo {
        firmware: Firmware {
            major,
            minor,
            platform,
        },
        options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_generation() {
        let old = parse_fci(&[0x6F, 0x07, 0x82, 0x01, 0x78, 0x85, 0x02, 0x01, 0x02]).unwrap();
        assert_eq!(
            old.firmware,
            Firmware {
                major: 1,
                minor: 2,
                platform: None
            }
        );
        assert!(old.options.is_none());
        let new = [
            0x62, 0x0A, 0x82, 0x01, 0x78, 0x85, 0x05, 0x00, 0x19, 0x00, 0x04, 0x01,
        ];
        let new = parse_fci(&new).unwrap();
        assert_eq!(
            new.firmware,
            Firmware {
                major: 4,
                minor: 1,
                platform: Some(0)
            }
        );
        let options = new.options.unwrap();
        assert!(options == InitializeOptions(0x0019));
    }

    #[test]
    fn nonsense_is_no_version() {
        for bad in [
            &b""[..],
            b"\x6F",
            b"\x6F\x03\x85\x01\x01",
            b"\x6F\x05\x85\x05\x00",
            b"\x30\x04\x85\x02\x01\x02",
            b"\x6F\x02\x85\x00",
        ] {
            assert!(parse_fci(bad).is_none(), "{bad:02X?}");
        }
    }
}
