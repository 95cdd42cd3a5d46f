//! What both ends do alike: count, encrypt, authenticate.

use chancery_iso7816::tlv::{Reader, Tag, Tlv, Writer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cipher::{MAC, pad, unpadded};
use super::keys::ChannelKeys;
use super::{MAX_PROTECTED_DATA, SecureMessagingError};

/// Cryptogram of plain data.
const CRYPTOGRAM: Tag = Tag(0x87);
/// Cryptogram of data objects: the data of a command with odd instruction, and of its answer.
const CRYPTOGRAM_OBJECTS: Tag = Tag(0x85);
/// Le.
pub(super) const EXPECTED: Tag = Tag(0x97);
/// Status word.
pub(super) const STATUS: Tag = Tag(0x99);
/// MAC.
const CODE: Tag = Tag(0x8E);
/// Padding indicator in front of the cryptogram of plain data: padded with 80 00 ...
const PADDED: u8 = 0x01;

/// Keys and send sequence counter: what one end of an open channel has.
pub(super) struct Link {
    keys: ChannelKeys,
    count: u64,
}

/// The data objects of a message that were found to be authentic.
pub(super) struct Opened<'a> {
    /// Decrypted data, empty when there was none.
    pub(super) data: Zeroizing<Vec<u8>>,
    /// DO 97 of a command, DO 99 of an answer.
    pub(super) plain: Option<&'a [u8]>,
}

impl Link {
    pub(super) fn new(keys: ChannelKeys) -> Self {
        Self { keys, count: 0 }
    }

    /// Counts the message that is next, in either direction.
    pub(super) fn advance(&mut self) -> Result<(), SecureMessagingError> {
        self.count = self.count.checked_add(1).ok_or(SecureMessagingError::Closed)?;
        Ok(())
    }

    /// Goes to the message with this count; the first of a channel has 1.
    pub(super) fn count(&mut self, count: u64) {
        self.count = count;
    }

    /// The data objects of a message: cryptogram, one object in clear, MAC. `header` is that of a command.
    pub(super) fn seal(
        &self,
        header: Option<[u8; 4]>,
        odd: bool,
        data: &[u8],
        plain: Option<(Tag, &[u8])>,
    ) -> Result<Vec<u8>, SecureMessagingError> {
        if data.len() > MAX_PROTECTED_DATA {
            return Err(SecureMessagingError::TooLong { length: data.len() });
        }
        let mut objects = Writer::new();
        if !data.is_empty() {
            let mut text = pad(data, self.block());
            self.keys.encrypt(self.count, &mut text);
            if odd {
                objects.tlv(CRYPTOGRAM_OBJECTS, &text);
            } else {
                objects.tlv(CRYPTOGRAM, &[&[PADDED][..], &text].concat());
            }
        }
        if let Some((tag, value)) = plain {
            objects.tlv(tag, value);
        }
        let mut sealed = objects.finish();
        let code = self.code(header, &sealed);
        let mut last = Writer::new();
        last.tlv(CODE, &code);
        sealed.extend_from_slice(&last.finish());
        Ok(sealed)
    }

    /// Checks the MAC of a message, then decrypts. `plain` is the tag of the object in clear, which an answer must
    /// have and a command may have.
    pub(super) fn open<'a>(
        &self,
        header: Option<[u8; 4]>,
        message: &'a [u8],
        plain: Tag,
    ) -> Result<Opened<'a>, SecureMessagingError> {
        let mut objects = Reader::new(message);
        // Either tag tells its own form, whatever the instruction.
        let cryptogram = match objects.optional(CRYPTOGRAM)? {
            Some(object) => Some(object),
            None => objects.optional(CRYPTOGRAM_OBJECTS)?,
        };
        let plain = if plain == STATUS {
            Some(objects.expect(plain)?.value)
        } else {
            objects.optional(plain)?.map(|object| object.value)
        };
        let authenticated = message.get(..objects.offset()).unwrap_or_default();
        let code: [u8; MAC] = objects
            .expect(CODE)?
            .value
            .try_into()
            .map_err(|_| SecureMessagingError::Content { object: CODE })?;
        objects.finish()?;
        if !bool::from(self.code(header, authenticated).ct_eq(&code)) {
            return Err(SecureMessagingError::Mac);
        }
        Ok(Opened {
            data: cryptogram.map_or_else(|| Ok(Zeroizing::default()), |object| self.decrypt(&object))?,
            plain,
        })
    }

    fn decrypt(&self, object: &Tlv<'_>) -> Result<Zeroizing<Vec<u8>>, SecureMessagingError> {
        let wrong = SecureMessagingError::Content { object: object.tag };
        let text = match (object.tag, object.value) {
            (CRYPTOGRAM, [PADDED, text @ ..]) => text,
            (CRYPTOGRAM_OBJECTS, text) => text,
            _ => return Err(wrong),
        };
        if text.is_empty() || !text.len().is_multiple_of(self.block()) {
            return Err(wrong);
        }
        let mut data = Zeroizing::new(text.to_vec());
        self.keys.decrypt(self.count, &mut data);
        let length = unpadded(&data, self.block()).ok_or(wrong)?;
        data.truncate(length);
        Ok(data)
    }

    /// MAC over counter, padded header and padded data objects.
    fn code(&self, header: Option<[u8; 4]>, objects: &[u8]) -> [u8; MAC] {
        let mut message = self.keys.protocol().counter(self.count);
        if let Some(header) = header {
            message.extend_from_slice(&pad(&header, self.block()));
        }
        if !objects.is_empty() {
            message.extend_from_slice(&pad(objects, self.block()));
        }
        self.keys.mac(&message)
    }

    fn block(&self) -> usize {
        self.keys.protocol().block()
    }
}
