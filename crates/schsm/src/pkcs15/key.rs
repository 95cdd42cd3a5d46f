//! Descriptions of private and secret keys (PRKD).

use chancery_iso7816::tlv::{Reader, Tag, Tlv, Writer};

use super::object::{
    self, BIT_STRING, Common, INTEGER, MODIFIABLE, OCTET_STRING, PRIVATE, SEQUENCE, SUBCLASS, TYPE,
};
use super::{KeyAccess, KeyUsage, Pkcs15Error};
use crate::{KeyId, KeyType};

const EC: Tag = Tag(0xA0);
const AES: Tag = Tag(0xA8);

/// The description of a private or secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateKeyDescription {
    /// The kind of key.
    pub key_type: KeyType,
    /// Name for people. It proves nothing.
    pub label: String,
    /// CKA_ID, free bytes.
    pub id: Vec<u8>,
    /// What the key is for.
    pub usage: KeyUsage,
    /// Size in bits; 521 for P-521, though some tools write 528.
    pub key_size: u16,
    /// Where it comes from, when said.
    pub access: Option<KeyAccess>,
    /// Number of the key, when said; the file identifier is what counts.
    pub key_reference: Option<u8>,
    /// Subject of the key's certificate, a DER Name with its tag, when said.
    pub subject: Option<Vec<u8>>,
    /// Object flags as bits from the left: 8000 private, 4000 modifiable.
    pub flags: Option<u16>,
    /// Identifier of the PIN that protects the key, when said.
    pub auth_id: Option<Vec<u8>>,
}

impl PrivateKeyDescription {
    /// An EC key generated on the token.
    #[must_use]
    pub fn ec(key: KeyId, label: &str, id: &[u8], bits: u16) -> Self {
        let usage = KeyUsage::SIGN | KeyUsage::SIGN_RECOVER | KeyUsage::DERIVE;
        Self::generated(KeyType::Ec, key, label, id, bits, usage)
    }

    /// An RSA key generated on the token.
    #[must_use]
    pub fn rsa(key: KeyId, label: &str, id: &[u8], bits: u16) -> Self {
        let usage = KeyUsage::DECRYPT | KeyUsage::SIGN | KeyUsage::SIGN_RECOVER;
        Self::generated(KeyType::Rsa, key, label, id, bits, usage)
    }

    /// An AES key.
    #[must_use]
    pub fn aes(label: &str, id: &[u8], bits: u16) -> Self {
        Self {
            key_type: KeyType::Aes,
            label: label.to_owned(),
            id: id.to_vec(),
            usage: KeyUsage::ENCRYPT | KeyUsage::DECRYPT,
            key_size: bits,
            access: None,
            key_reference: None,
            subject: None,
            flags: None,
            auth_id: None,
        }
    }

    /// The same key with the subject of its certificate, a DER Name with its tag.
    #[must_use]
    pub fn with_subject(mut self, name: &[u8]) -> Self {
        self.subject = Some(name.to_vec());
        self
    }

    /// The content of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let tag = match self.key_type {
            KeyType::Rsa => SEQUENCE,
            KeyType::Ec => EC,
            KeyType::Aes => AES,
        };
        out.nested(tag, |parts| {
            let common = Common {
                label: self.label.clone(),
                flags: self.flags,
                auth_id: self.auth_id.clone(),
            };
            common.write(parts);
            parts.nested(SEQUENCE, |fields| self.write_key_attributes(fields));
            let size = object::number(u32::from(self.key_size));
            if self.key_type == KeyType::Aes {
                parts.nested(SUBCLASS, |outer| {
                    outer.nested(SEQUENCE, |fields| {
                        fields.tlv(INTEGER, &size);
                    });
                });
                return;
            }
            if let Some(subject) = &self.subject {
                parts.nested(SUBCLASS, |outer| {
                    outer.tlv(SEQUENCE, subject);
                });
            }
            parts.nested(TYPE, |outer| {
                outer.nested(SEQUENCE, |fields| {
                    fields.nested(SEQUENCE, |path| {
                        path.tlv(OCTET_STRING, &[]);
                    });
                    fields.tlv(INTEGER, &size);
                });
            });
        });
        out.finish()
    }

    /// Reads the content of the file; what follows the description is ignored.
    ///
    /// # Errors
    /// [`Pkcs15Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Pkcs15Error> {
        let wanted = "a private key";
        let outer = Reader::new(bytes)
            .next()?
            .ok_or(Pkcs15Error::Value { field: "private key" })?;
        let key_type = match outer.tag {
            SEQUENCE => KeyType::Rsa,
            EC => KeyType::Ec,
            AES => KeyType::Aes,
            tag => return Err(Pkcs15Error::Kind { tag, wanted }),
        };
        let mut parts = outer.children();
        let common = Common::read(&mut parts)?;
        let mut description = Self {
            key_type,
            label: common.label,
            id: Vec::new(),
            usage: KeyUsage::default(),
            key_size: 0,
            access: None,
            key_reference: None,
            subject: None,
            flags: common.flags,
            auth_id: common.auth_id,
        };
        description.read_key_attributes(parts.expect(SEQUENCE)?)?;
        let mut size = None;
        while let Some(part) = parts.next()? {
            match (key_type, part.tag) {
                (KeyType::Aes, SUBCLASS | TYPE) => size = size.or(find_size(part)?),
                (_, SUBCLASS) => description.subject = read_subject(part)?,
                (_, TYPE) => size = find_size(part)?,
                _ => {}
            }
        }
        let size = size.ok_or(Pkcs15Error::Value { field: "key size" })?;
        description.key_size = u16::try_from(size).map_err(|_| Pkcs15Error::Value { field: "key size" })?;
        Ok(description)
    }

    fn generated(key_type: KeyType, key: KeyId, label: &str, id: &[u8], bits: u16, usage: KeyUsage) -> Self {
        let access = KeyAccess::SENSITIVE
            | KeyAccess::ALWAYS_SENSITIVE
            | KeyAccess::NEVER_EXTRACTABLE
            | KeyAccess::LOCAL;
        Self {
            key_type,
            label: label.to_owned(),
            id: id.to_vec(),
            usage,
            key_size: bits,
            access: Some(access),
            key_reference: Some(key.0),
            subject: None,
            flags: Some(PRIVATE | MODIFIABLE),
            auth_id: Some(vec![1]),
        }
    }

    fn write_key_attributes(&self, fields: &mut Writer) {
        fields.tlv(OCTET_STRING, &self.id);
        let usage = match self.key_type {
            // OpenSC describes no AES keys; sc-hsm-embedded does, and with all ten bits.
            KeyType::Aes => self.usage.encode_all(),
            KeyType::Ec | KeyType::Rsa => self.usage.encode(),
        };
        fields.tlv(BIT_STRING, &usage);
        if let Some(access) = self.access {
            fields.tlv(BIT_STRING, &access.encode());
        }
        if let Some(reference) = self.key_reference {
            fields.tlv(INTEGER, &object::number(u32::from(reference)));
        }
    }

    /// { id, usage, [native], [access flags], [key reference], .. }
    fn read_key_attributes(&mut self, attributes: Tlv<'_>) -> Result<(), Pkcs15Error> {
        let mut fields = attributes.children();
        self.id = fields.expect(OCTET_STRING)?.value.to_vec();
        self.usage = KeyUsage::parse(fields.expect(BIT_STRING)?.value, "key usage")?.defined();
        while let Some(field) = fields.next()? {
            match field.tag {
                BIT_STRING => self.access = Some(KeyAccess::parse(field.value, "key access flags")?),
                // Early tools wrote it as a signed byte, so that 80 and above came out negative.
                INTEGER => self.key_reference = field.value.last().copied(),
                _ => {}
            }
        }
        Ok(())
    }
}

/// { 30 { .. INTEGER } } or, on early cards, { 30 { .. } INTEGER }.
fn find_size(part: Tlv<'_>) -> Result<Option<u32>, Pkcs15Error> {
    let mut size = None;
    let mut outer = part.children();
    while let Some(element) = outer.next()? {
        match element.tag {
            INTEGER => size = Some(object::read_number(element.value, "key size")?),
            SEQUENCE => {
                let mut fields = element.children();
                while let Some(field) = fields.next()? {
                    if field.tag == INTEGER && size.is_none() {
                        size = Some(object::read_number(field.value, "key size")?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(size)
}

/// { 30 { Name } }
fn read_subject(part: Tlv<'_>) -> Result<Option<Vec<u8>>, Pkcs15Error> {
    let Some(attributes) = part.children().optional(SEQUENCE)? else {
        return Ok(None);
    };
    Ok(attributes
        .children()
        .optional(SEQUENCE)?
        .map(|name| name.raw.to_vec()))
}
