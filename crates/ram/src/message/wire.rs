//! Reading and writing objects: one-byte tags, definite lengths of one, two or three bytes.

use zeroize::Zeroizing;

use super::{MAX_OBJECTS, MessageError};

/// Longest value of a template or object, in bytes.
pub const MAX_VALUE: usize = 65_535;

/// Walks over objects. It gives borrowed slices and never goes past what is there.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
    left: usize,
}

/// One object.
pub(super) struct Object<'a> {
    pub(super) tag: u8,
    pub(super) value: &'a [u8],
    /// Where it starts in the message.
    pub(super) offset: usize,
    value_offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads the one template a message consists of; what follows it is ignored.
    pub(super) fn template(bytes: &'a [u8], tag: u8) -> Result<Self, MessageError> {
        let mut outer = Self {
            rest: bytes,
            offset: 0,
            left: 1,
        };
        match bytes.first() {
            None => return Err(MessageError::Empty),
            Some(&found) if found != tag => return Err(MessageError::Unexpected { found }),
            Some(_) => {}
        }
        let template = outer.next()?.ok_or(MessageError::Empty)?;
        Ok(template.objects())
    }

    /// The next object, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Object<'a>>, MessageError> {
        let offset = self.offset;
        let Some((&tag, after_tag)) = self.rest.split_first() else {
            return Ok(None);
        };
        self.left = self.left.checked_sub(1).ok_or(MessageError::TooManyObjects)?;
        let truncated = |missing| MessageError::Truncated { offset, missing };
        let (length, after_length) = match *after_tag {
            [short @ ..=0x7F, ref rest @ ..] => (usize::from(short), rest),
            [0x81, length, ref rest @ ..] => (usize::from(length), rest),
            [0x82, high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
            [] | [0x81] => return Err(truncated(1)),
            [0x82, ref rest @ ..] => return Err(truncated(2 - rest.len())),
            [found, ..] => {
                return Err(MessageError::Length {
                    offset: offset + 1,
                    found,
                });
            }
        };
        let Some((value, rest)) = after_length.split_at_checked(length) else {
            return Err(truncated(length - after_length.len()));
        };
        let value_offset = offset + (self.rest.len() - after_length.len());
        self.rest = rest;
        self.offset = value_offset + length;
        Ok(Some(Object {
            tag,
            value,
            offset,
            value_offset,
        }))
    }
}

impl<'a> Object<'a> {
    /// The objects within.
    pub(super) fn objects(&self) -> Reader<'a> {
        Reader {
            rest: self.value,
            offset: self.value_offset,
            left: MAX_OBJECTS,
        }
    }

    /// The value as an integer: big-endian two's complement, 1 to 4 bytes.
    pub(super) fn integer(&self) -> Result<i32, MessageError> {
        match *self.value {
            [a] => Ok(i32::from(i8::from_be_bytes([a]))),
            [a, b] => Ok(i32::from(i16::from_be_bytes([a, b]))),
            [a, b, c] => Ok(i32::from_be_bytes([a, b, c, 0]) >> 8),
            [a, b, c, d] => Ok(i32::from_be_bytes([a, b, c, d])),
            _ => Err(MessageError::Integer {
                offset: self.offset,
                length: self.value.len(),
            }),
        }
    }

    /// The value as text. Bytes that are no UTF-8 become replacement characters: the text is for people.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.value).into_owned()
    }
}

/// Writes objects one after the other.
#[derive(Default)]
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// A writer whose buffer need not grow up to this number of bytes: a buffer that grows leaves copies behind.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    /// Adds one object.
    pub(super) fn push(&mut self, tag: u8, value: &[u8]) -> Result<(), MessageError> {
        let length = u16::try_from(value.len()).map_err(|_| MessageError::TooLong { length: value.len() })?;
        let [high, low] = length.to_be_bytes();
        match length {
            ..0x80 => self.0.extend_from_slice(&[tag, low]),
            0x80..0x100 => self.0.extend_from_slice(&[tag, 0x81, low]),
            0x100.. => self.0.extend_from_slice(&[tag, 0x82, high, low]),
        }
        self.0.extend_from_slice(value);
        Ok(())
    }

    /// Adds one integer, as short as it can be.
    pub(super) fn push_integer(&mut self, tag: u8, value: i32) -> Result<(), MessageError> {
        let bytes = value.to_be_bytes();
        let first = match value {
            -0x80..0x80 => 3,
            -0x8000..0x8000 => 2,
            -0x80_0000..0x80_0000 => 1,
            _ => 0,
        };
        self.push(tag, bytes.get(first..).unwrap_or_default())
    }

    /// Puts everything written so far into one template.
    pub(super) fn into_template(self, tag: u8) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        let mut outer = Self::with_capacity(self.0.len() + LONGEST_HEADER);
        outer.push(tag, &self.0)?;
        Ok(outer.0)
    }

    /// What was written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes of tag and length at most.
pub(super) const LONGEST_HEADER: usize = 4;
