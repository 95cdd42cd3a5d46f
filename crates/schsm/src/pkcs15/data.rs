//! Descriptions of data objects (DCOD).

use chancery_iso7816::tlv::{Reader, Writer};

use super::Pkcs15Error;
use super::object::{self, Common, MODIFIABLE, PRIVATE, SEQUENCE, TYPE, UTF8_STRING};
use crate::Fid;
use crate::fid::prefix;

/// The description of a data object that lies in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDescription {
    /// Name for people.
    pub label: String,
    /// Name of the application it belongs to.
    pub application: String,
    /// The file that holds it: of [`prefix::PRIVATE_DATA`] or [`prefix::PUBLIC_DATA`].
    pub file: Fid,
}

impl DataDescription {
    /// The content of the file. Private data is marked as such and as protected by the user PIN.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let private = self.file.prefix() == prefix::PRIVATE_DATA;
        let common = Common {
            label: self.label.clone(),
            flags: Some(if private { PRIVATE | MODIFIABLE } else { MODIFIABLE }),
            auth_id: private.then(|| vec![1]),
        };
        let mut out = Writer::new();
        out.nested(SEQUENCE, |parts| {
            common.write(parts);
            parts.nested(SEQUENCE, |fields| {
                fields.tlv(UTF8_STRING, self.application.as_bytes());
            });
            parts.nested(TYPE, |value| object::write_path(value, self.file));
        });
        out.finish()
    }

    /// Reads the content of the file; what follows the description is ignored.
    ///
    /// # Errors
    /// [`Pkcs15Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Pkcs15Error> {
        let outer = Reader::new(bytes)
            .next()?
            .ok_or(Pkcs15Error::Value { field: "data object" })?;
        if outer.tag != SEQUENCE {
            return Err(Pkcs15Error::Kind {
                tag: outer.tag,
                wanted: "a data object",
            });
        }
        let mut parts = outer.children();
        let label = Common::read(&mut parts)?.label;
        let mut fields = parts.expect(SEQUENCE)?.children();
        let application = fields.optional(UTF8_STRING)?.map_or(&[][..], |name| name.value);
        let application = String::from_utf8_lossy(application).into_owned();
        let file = loop {
            match parts.next()? {
                Some(part) if part.tag == TYPE => break object::read_path(part)?,
                Some(_) => {}
                None => return Err(Pkcs15Error::Value { field: "path" }),
            }
        };
        Ok(Self {
            label,
            application,
            file,
        })
    }
}
