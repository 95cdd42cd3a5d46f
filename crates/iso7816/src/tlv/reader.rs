//! Reading data objects.

use std::fmt;

use super::{Tag, TlvError};

/// Longest value of a data object in bytes that the reader accepts (1 MiB; the largest file of a token is far below).
pub const MAX_LENGTH: usize = 1 << 20;

/// Deepest nesting the reader accepts; the outermost data objects have depth 1.
pub const MAX_DEPTH: u8 = 16;

/// Walks over a sequence of data objects. It gives borrowed slices, never copies, and never panics.
///
/// Tags have up to three bytes; lengths have up to four length bytes and may be longer than minimal, because real
/// tokens write them so.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
    depth: u8,
}

/// One data object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its tag.
    pub tag: Tag,
    /// Its value.
    pub value: &'a [u8],
    /// The whole data object: tag, length and value as they stood in the input.
    pub raw: &'a [u8],
    value_offset: usize,
    depth: u8,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            offset: 0,
            depth: 1,
        }
    }

    /// Whether all bytes have been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// Bytes read so far, counted from the start of the outermost reader's input.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The next data object, `None` at the end of the input. After an error the reader stands where it stood.
    ///
    /// # Errors
    /// [`TlvError`] when the bytes are no data object or exceed a limit.
    #[expect(
        clippy::should_implement_trait,
        reason = "fallible; an Iterator would invite ignoring the error"
    )]
    pub fn next(&mut self) -> Result<Option<Tlv<'a>>, TlvError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tlv = self.read()?;
        self.rest = self.rest.get(tlv.raw.len()..).unwrap_or_default();
        self.offset += tlv.raw.len();
        Ok(Some(tlv))
    }

    /// The next data object without going past it, `None` at the end of the input.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn peek(&self) -> Result<Option<Tlv<'a>>, TlvError> {
        if self.rest.is_empty() {
            Ok(None)
        } else {
            self.read().map(Some)
        }
    }

    /// The next data object, which must have this tag.
    ///
    /// # Errors
    /// [`TlvError::Missing`] or [`TlvError::Unexpected`], otherwise as [`Self::next`].
    pub fn expect(&mut self, expected: Tag) -> Result<Tlv<'a>, TlvError> {
        let offset = self.offset;
        match self.peek()? {
            None => Err(TlvError::Missing { offset, expected }),
            Some(found) if found.tag != expected => Err(TlvError::Unexpected {
                offset,
                expected,
                found: found.tag,
            }),
            Some(_) => self.next()?.ok_or(TlvError::Missing { offset, expected }),
        }
    }

    /// The next data object if it has this tag; otherwise nothing is read.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn optional(&mut self, wanted: Tag) -> Result<Option<Tlv<'a>>, TlvError> {
        match self.peek()? {
            Some(found) if found.tag == wanted => self.next(),
            _ => Ok(None),
        }
    }

    /// Ends the reading; nothing may be left.
    ///
    /// # Errors
    /// [`TlvError::Trailing`] when something is.
    pub fn finish(self) -> Result<(), TlvError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(TlvError::Trailing {
                offset: self.offset,
                left: self.rest.len(),
            })
        }
    }

    fn read(&self) -> Result<Tlv<'a>, TlvError> {
        let offset = self.offset;
        if self.depth > MAX_DEPTH {
            return Err(TlvError::TooDeep { offset });
        }
        let (tag, after_tag) = read_tag(self.rest, offset)?;
        let (length, after_length) = read_length(after_tag, tag, offset)?;
        let too_long = || TlvError::TooLong { offset, tag, length };
        let length = usize::try_from(length).map_err(|_| too_long())?;
        if length > MAX_LENGTH {
            return Err(too_long());
        }
        let Some(value) = after_length.get(..length) else {
            return Err(TlvError::Truncated {
                offset,
                missing: length - after_length.len(),
            });
        };
        let header = self.rest.len() - after_length.len();
        let raw = self.rest.get(..header + length).unwrap_or_default();
        Ok(Tlv {
            tag,
            value,
            raw,
            value_offset: offset + header,
            depth: self.depth,
        })
    }
}

impl<'a> Tlv<'a> {
    /// Reads the value as a sequence of data objects, one level deeper.
    #[must_use]
    pub fn children(&self) -> Reader<'a> {
        Reader {
            rest: self.value,
            offset: self.value_offset,
            depth: self.depth.saturating_add(1),
        }
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader(at {}, {} bytes left)", self.offset, self.rest.len())
    }
}

impl fmt::Debug for Tlv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be PINs or keys.
        write!(f, "Tlv({}, {} bytes)", self.tag, self.value.len())
    }
}

fn read_tag(bytes: &[u8], offset: usize) -> Result<(Tag, &[u8]), TlvError> {
    let truncated = TlvError::Truncated { offset, missing: 1 };
    let (&first, rest) = bytes.split_first().ok_or_else(|| truncated.clone())?;
    if first == 0 {
        return Err(TlvError::InvalidTag { offset });
    }
    if first & 0x1F != 0x1F {
        return Ok((Tag(u32::from(first)), rest));
    }
    let (&second, rest) = rest.split_first().ok_or_else(|| truncated.clone())?;
    if second == 0x80 {
        return Err(TlvError::InvalidTag { offset });
    }
    let tag = u32::from(first) << 8 | u32::from(second);
    if second & 0x80 == 0 {
        return Ok((Tag(tag), rest));
    }
    let (&third, rest) = rest.split_first().ok_or(truncated)?;
    if third & 0x80 != 0 {
        return Err(TlvError::TagTooLong { offset });
    }
    Ok((Tag(tag << 8 | u32::from(third)), rest))
}

fn read_length(bytes: &[u8], tag: Tag, offset: usize) -> Result<(u32, &[u8]), TlvError> {
    let (&first, rest) = bytes
        .split_first()
        .ok_or(TlvError::Truncated { offset, missing: 1 })?;
    let count = match first {
        0..=0x7F => return Ok((u32::from(first), rest)),
        0x81..=0x84 => usize::from(first & 0x7F),
        _ => return Err(TlvError::LengthForm { offset, tag, first }),
    };
    let Some((length, rest)) = rest.split_at_checked(count) else {
        return Err(TlvError::Truncated {
            offset,
            missing: count - rest.len(),
        });
    };
    Ok((
        length.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        rest,
    ))
}
