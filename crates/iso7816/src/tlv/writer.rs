//! Writing data objects.

use super::Tag;

/// Collects data objects with minimal lengths.
///
/// ```
/// use chancery_iso7816::tlv::{Tag, Writer};
/// let mut writer = Writer::new();
/// writer.nested(Tag(0x30), |fields| {
///     fields.tlv(Tag(0x02), &[1]).tlv(Tag(0x0C), b"k1");
/// });
/// assert_eq!(writer.finish(), [0x30, 0x07, 0x02, 0x01, 0x01, 0x0C, 0x02, b'k', b'1']);
/// ```
#[derive(Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one data object.
    pub fn tlv(&mut self, tag: Tag, value: &[u8]) -> &mut Self {
        self.header(tag, value.len());
        self.raw(value)
    }

    /// Appends one data object whose value `fill` writes.
    pub fn nested(&mut self, tag: Tag, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new();
        fill(&mut inner);
        self.tlv(tag, &inner.out)
    }

    /// Appends bytes as they are, such as data objects encoded elsewhere.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Everything written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn header(&mut self, tag: Tag, length: usize) {
        let bytes = tag.0.to_be_bytes();
        self.out
            .extend_from_slice(&bytes[bytes.len() - tag.encoded_len()..]);
        let bytes = length.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let significant = &bytes[zeros..];
        match *significant {
            [] => self.out.push(0),
            [short @ ..=0x7F] => self.out.push(short),
            _ => {
                self.out.push(significant.iter().fold(0x80, |form, _| form + 1));
                self.out.extend_from_slice(significant);
            }
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({} bytes)", self.out.len())
    }
}
