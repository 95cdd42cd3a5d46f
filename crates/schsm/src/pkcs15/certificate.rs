//! Descriptions of CA certificates (CD). The certificate of a key has none; its key's description serves.

use chancery_iso7816::tlv::{Reader, Tag, Writer};

use super::Pkcs15Error;
use super::object::{self, Common, MODIFIABLE, OCTET_STRING, SEQUENCE, TYPE};
use crate::Fid;

/// Card verifiable certificates stand under a tag of their own.
const CVC: Tag = Tag(0xA5);

/// The description of a certificate that lies in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateDescription {
    /// Name for people. It proves nothing.
    pub label: String,
    /// CKA_ID, free bytes.
    pub id: Vec<u8>,
    /// The file that holds the certificate.
    pub file: Fid,
    /// Whether it is a card verifiable certificate, not X.509.
    pub card_verifiable: bool,
    /// Object flags as bits from the left: 8000 private, 4000 modifiable.
    pub flags: Option<u16>,
}

impl CertificateDescription {
    /// An X.509 certificate in this file.
    #[must_use]
    pub fn x509(label: &str, id: &[u8], file: Fid) -> Self {
        Self {
            label: label.to_owned(),
            id: id.to_vec(),
            file,
            card_verifiable: false,
            flags: Some(MODIFIABLE),
        }
    }

    /// The content of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.nested(if self.card_verifiable { CVC } else { SEQUENCE }, |parts| {
            Common {
                label: self.label.clone(),
                flags: self.flags,
                auth_id: None,
            }
            .write(parts);
            parts.nested(SEQUENCE, |fields| {
                fields.tlv(OCTET_STRING, &self.id);
            });
            parts.nested(TYPE, |outer| {
                outer.nested(SEQUENCE, |value| object::write_path(value, self.file));
            });
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
            .ok_or(Pkcs15Error::Value { field: "certificate" })?;
        let card_verifiable = match outer.tag {
            SEQUENCE => false,
            CVC => true,
            tag => {
                return Err(Pkcs15Error::Kind {
                    tag,
                    wanted: "a certificate",
                });
            }
        };
        let mut parts = outer.children();
        let Common { label, flags, .. } = Common::read(&mut parts)?;
        let id = parts
            .expect(SEQUENCE)?
            .children()
            .expect(OCTET_STRING)?
            .value
            .to_vec();
        let file = loop {
            match parts.next()? {
                Some(part) if part.tag == TYPE => break object::read_path(part)?,
                Some(_) => {}
                None => return Err(Pkcs15Error::Value { field: "path" }),
            }
        };
        Ok(Self {
            label,
            id,
            file,
            card_verifiable,
            flags,
        })
    }
}
