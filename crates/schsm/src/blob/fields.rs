//! The fields of a blob: a two-byte big-endian length and a value.

use super::BlobError;

/// Reads fields.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// Appends fields.
pub(super) struct Sink<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, BlobError> {
        self.take(1, field).map(|bytes| bytes.iter().copied().sum())
    }

    pub(super) fn number(&mut self, field: &'static str) -> Result<u16, BlobError> {
        let bytes = self.take(2, field)?;
        Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte)))
    }

    pub(super) fn field(&mut self, field: &'static str) -> Result<&'a [u8], BlobError> {
        let length = usize::from(self.number(field)?);
        self.take(length, field)
    }

    pub(super) fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], BlobError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(BlobError::Truncated { field })?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Sink<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(super) fn number(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn field(&mut self, value: &[u8], field: &'static str) -> Result<(), BlobError> {
        self.number(u16::try_from(value.len()).map_err(|_| BlobError::Key { field })?);
        self.raw(value);
        Ok(())
    }

    /// A number in a field of exactly `length` bytes.
    pub(super) fn padded(
        &mut self,
        value: &[u8],
        length: usize,
        field: &'static str,
    ) -> Result<(), BlobError> {
        let value = strip(value);
        let zeros = length.checked_sub(value.len()).ok_or(BlobError::Key { field })?;
        self.number(u16::try_from(length).map_err(|_| BlobError::Key { field })?);
        self.out.resize(self.out.len() + zeros, 0);
        self.raw(value);
        Ok(())
    }
}

/// A number without its leading zero bytes.
pub(super) fn strip(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
