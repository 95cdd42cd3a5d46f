//! TokenInfo: what the token is called.

use chancery_iso7816::tlv::{Reader, Tag, Writer};

use super::Pkcs15Error;
use super::flags;
use super::object::{self, BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE, UTF8_STRING};

const LABEL: Tag = Tag(0x80);

/// The PKCS#15 TokenInfo of a token (reference: ISO/IEC 7816-15 8.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Name for people; empty when there is none.
    pub label: String,
    /// Serial number, when said. The one in the device certificate is what counts.
    pub serial: Option<Vec<u8>>,
    /// Maker, when said.
    pub manufacturer: Option<String>,
    /// Token flags as bits from the left: 2000 random number generation, 4000 authentication required.
    pub flags: u16,
    /// Version of the structure, 0 as OpenSC writes it.
    pub version: u8,
}

impl TokenInfo {
    /// Token flag: generates random numbers.
    pub const RANDOM: u16 = 0x2000;

    /// What OpenSC writes for a token with this label.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            serial: None,
            manufacturer: None,
            flags: Self::RANDOM,
            version: 0,
        }
    }

    /// The content of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.nested(SEQUENCE, |fields| {
            fields.tlv(INTEGER, &object::number(u32::from(self.version)));
            if let Some(serial) = &self.serial {
                fields.tlv(OCTET_STRING, serial);
            }
            if let Some(manufacturer) = &self.manufacturer {
                fields.tlv(UTF8_STRING, manufacturer.as_bytes());
            }
            fields.tlv(LABEL, self.label.as_bytes());
            fields.tlv(BIT_STRING, &flags::encode(self.flags));
        });
        out.finish()
    }

    /// Reads the content of the file; what follows the structure is ignored.
    ///
    /// # Errors
    /// [`Pkcs15Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Pkcs15Error> {
        let outer = Reader::new(bytes).next()?.ok_or(Pkcs15Error::Value {
            field: "token information",
        })?;
        if outer.tag != SEQUENCE {
            return Err(Pkcs15Error::Kind {
                tag: outer.tag,
                wanted: "a token",
            });
        }
        let mut info = Self {
            label: String::new(),
            serial: None,
            manufacturer: None,
            flags: 0,
            version: 0,
        };
        let mut fields = outer.children();
        while let Some(field) = fields.next()? {
            let text = || String::from_utf8_lossy(field.value).into_owned();
            match field.tag {
                INTEGER => {
                    let version = object::read_number(field.value, "version")?;
                    info.version =
                        u8::try_from(version).map_err(|_| Pkcs15Error::Value { field: "version" })?;
                }
                OCTET_STRING => info.serial = Some(field.value.to_vec()),
                UTF8_STRING => info.manufacturer = Some(text()),
                LABEL => info.label = text(),
                BIT_STRING => info.flags = flags::parse(field.value, "token flags")?,
                _ => {}
            }
        }
        Ok(info)
    }
}
