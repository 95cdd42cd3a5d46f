//! A byte buffer that leaves nothing behind: messages can carry PINs.

use std::io;

use zeroize::{Zeroize, Zeroizing};

/// Bytes that are wiped when they are consumed, when the buffer grows and when it is dropped.
pub(crate) struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.room_for(bytes.len()).extend_from_slice(bytes);
    }

    /// The vector behind, with room for `more` bytes. Whoever appends stays within that room.
    pub(crate) fn room_for(&mut self, more: usize) -> &mut Vec<u8> {
        if self.0.capacity() - self.0.len() < more {
            // Not `reserve`, which would free the old bytes as they are.
            let size = (self.0.len() + more).max(2 * self.0.capacity());
            let mut larger = Zeroizing::new(Vec::with_capacity(size));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        &mut self.0
    }

    /// Forgets the first bytes; all when there are fewer.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.0.len());
        let rest = self.0.len() - bytes;
        self.0.copy_within(bytes.., 0);
        if let Some(tail) = self.0.get_mut(rest..) {
            tail.zeroize();
        }
        self.0.truncate(rest);
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_consumed_is_gone_and_the_rest_stays() {
        let mut buffer = Buffer::with_capacity(4);
        buffer.push(b"secret\nnext");
        buffer.consume(7);
        assert_eq!(buffer.as_slice(), b"next");
        buffer.room_for(1000).extend_from_slice(b" line");
        assert_eq!(buffer.as_slice(), b"next line");
        buffer.consume(100);
        assert!(buffer.is_empty());
    }
}
