//! What of a command is looked at.

use chancery_iso7816::CommandApdu;
use chancery_iso7816::tlv::{Reader, Tag};

use super::refusal::{Header, Reason, Refusal};

/// A command as far as it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    header: Header,
    protected: bool,
    data: bool,
    application: bool,
}

/// Secure messaging with an authenticated header (ISO/IEC 7816-4 5.4.1), the only form tokens know.
const PROTECTED: u8 = 0x0C;
/// "Proprietary"; ignored by tokens.
const PROPRIETARY: u8 = 0x80;
/// Cryptogram, for even and for odd instructions.
const CRYPTOGRAMS: [Tag; 2] = [Tag(0x87), Tag(0x85)];
/// Le of a protected command.
const EXPECTED: Tag = Tag(0x97);
const MAC: Tag = Tag(0x8E);
/// Application identifier of the SmartCard-HSM.
const AID: [u8; 11] = [0xE8, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x02, 0x01];

impl Shape {
    /// Reads a command.
    ///
    /// # Errors
    /// [`Refusal`] when it is none that a token of this kind understands.
    pub fn read(command: &[u8]) -> Result<Self, Refusal> {
        let header = Header::of(command);
        let parsed = CommandApdu::parse(command)
            .map_err(|_| Refusal::new(header, command.len() > 4, Reason::Malformed))?;
        let plain = Self {
            header,
            protected: false,
            data: !parsed.data().is_empty(),
            application: parsed.data() == AID,
        };
        match parsed.class & !PROPRIETARY {
            0 => Ok(plain),
            PROTECTED => {
                let data = protected_data(parsed.data())
                    .ok_or_else(|| Refusal::new(header, plain.data, Reason::Malformed))?;
                Ok(Self {
                    protected: true,
                    data,
                    application: false,
                    ..plain
                })
            }
            // Command chaining, logical channels, other forms of secure messaging.
            _ => Err(Refusal::new(header, plain.data, Reason::Class)),
        }
    }

    /// CLA, INS, P1, P2.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// Whether it travels in a secure channel.
    #[must_use]
    pub const fn is_protected(&self) -> bool {
        self.protected
    }

    /// Whether it carries data beside what secure messaging adds.
    #[must_use]
    pub const fn has_data(&self) -> bool {
        self.data
    }

    /// Whether its data is, readably, the name of the SmartCard-HSM application.
    pub(super) const fn names_application(&self) -> bool {
        self.application
    }

    /// Whether it is chip authentication itself.
    #[must_use]
    pub const fn is_chip_authentication(&self) -> bool {
        self.header.instruction == 0x86
    }

    /// Whether it selects an application, which ends every authentication.
    #[must_use]
    pub const fn selects_application(&self) -> bool {
        self.header.instruction == 0xA4 && self.header.p1 == 0x04
    }
}

/// Whether there is a cryptogram; `None` for anything but `[87 | 85] [97] 8E` with eight bytes of MAC.
fn protected_data(objects: &[u8]) -> Option<bool> {
    let mut objects = Reader::new(objects);
    let mut next = objects.next().ok()??;
    let data = CRYPTOGRAMS.contains(&next.tag);
    if data {
        next = objects.next().ok()??;
    }
    if next.tag == EXPECTED && matches!(next.value.len(), 1 | 2) {
        next = objects.next().ok()??;
    }
    (next.tag == MAC && next.value.len() == 8 && objects.is_empty()).then_some(data)
}
