//! The parts all descriptions share: common object attributes, identifiers, paths and numbers.

use chancery_iso7816::tlv::{Reader, Tag, Tlv, Writer};

use super::Pkcs15Error;
use super::flags;
use crate::Fid;

pub(super) const SEQUENCE: Tag = Tag(0x30);
pub(super) const INTEGER: Tag = Tag(0x02);
pub(super) const BIT_STRING: Tag = Tag(0x03);
pub(super) const OCTET_STRING: Tag = Tag(0x04);
pub(super) const UTF8_STRING: Tag = Tag(0x0C);
pub(super) const SUBCLASS: Tag = Tag(0xA0);
pub(super) const TYPE: Tag = Tag(0xA1);

/// Object flag: to be read after authentication only.
pub(super) const PRIVATE: u16 = 0x8000;
/// Object flag: may be changed.
pub(super) const MODIFIABLE: u16 = 0x4000;

/// { label, [flags], [authId] }
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Common {
    pub(super) label: String,
    pub(super) flags: Option<u16>,
    pub(super) auth_id: Option<Vec<u8>>,
}

impl Common {
    pub(super) fn write(&self, out: &mut Writer) {
        out.nested(SEQUENCE, |fields| {
            fields.tlv(UTF8_STRING, self.label.as_bytes());
            if let Some(bits) = self.flags {
                fields.tlv(BIT_STRING, &flags::encode(bits));
            }
            if let Some(auth_id) = &self.auth_id {
                fields.tlv(OCTET_STRING, auth_id);
            }
        });
    }

    /// Reads the attributes; parts that are not known are skipped.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Pkcs15Error> {
        let mut common = Self::default();
        let mut fields = reader.expect(SEQUENCE)?.children();
        while let Some(field) = fields.next()? {
            match field.tag {
                // Labels come from whatever wrote them; one odd byte must not hide the key.
                UTF8_STRING => common.label = String::from_utf8_lossy(field.value).into_owned(),
                BIT_STRING => common.flags = Some(flags::parse(field.value, "object flags")?),
                OCTET_STRING => common.auth_id = Some(field.value.to_vec()),
                _ => {}
            }
        }
        Ok(common)
    }
}

/// A non-negative number that fits 32 bits.
pub(super) fn read_number(value: &[u8], field: &'static str) -> Result<u32, Pkcs15Error> {
    let malformed = Pkcs15Error::Value { field };
    let negative = value.first().is_none_or(|first| first & 0x80 != 0);
    if negative {
        return Err(malformed);
    }
    value.iter().try_fold(0_u32, |sum, byte| {
        sum.checked_mul(256)
            .map(|sum| sum | u32::from(*byte))
            .ok_or_else(|| malformed.clone())
    })
}

/// The value of a non-negative INTEGER in as few bytes as it takes (reference: ITU-T X.690 8.3).
pub(super) fn number(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
    let mut value: Vec<u8> = bytes.into_iter().skip(zeros).collect();
    if value.first().is_some_and(|first| first & 0x80 != 0) {
        value.insert(0, 0);
    }
    value
}

/// { 04 file identifier }
pub(super) fn write_path(out: &mut Writer, file: Fid) {
    out.nested(SEQUENCE, |path| {
        path.tlv(OCTET_STRING, &file.to_bytes());
    });
}

/// Reads a path in type attributes: `A1 { 30 { 30 { 04 } } }` of certificates, `A1 { 30 { 04 } }` of data objects.
/// Of a longer path the last file counts.
pub(super) fn read_path(part: Tlv<'_>) -> Result<Fid, Pkcs15Error> {
    let mut reader = part.children();
    while let Some(inner) = reader.optional(SEQUENCE)? {
        reader = inner.children();
    }
    let path = reader.expect(OCTET_STRING)?.value;
    let file = path
        .last_chunk::<2>()
        .ok_or(Pkcs15Error::Value { field: "path" })?;
    Ok(Fid(u16::from_be_bytes(*file)))
}
