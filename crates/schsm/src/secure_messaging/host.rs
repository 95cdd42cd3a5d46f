//! The host's end of a channel.

use std::fmt;

use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord};

use super::keys::ChannelKeys;
use super::objects::{EXPECTED, Link, STATUS};
use super::{CLASS_PROTECTED, MAX_PROTECTED_DATA, SecureMessagingError};

/// The host's end of a channel: protects commands and opens their answers, in turn.
pub struct HostChannel(State);

enum State {
    /// The next message is a command.
    Ready(Link),
    /// The next message is the answer to the last command.
    Waiting(Link),
    Closed,
}

/// Bits of CLA that a command must not have before it is protected: all but "proprietary".
const NOT_PLAIN: u8 = 0x7F;

impl HostChannel {
    /// A channel in which nothing was sent yet. Only for keys with which the token has proved itself, see
    /// [`ChannelKeys::token_matches`].
    #[must_use]
    pub fn new(keys: ChannelKeys) -> Self {
        Self(State::Ready(Link::new(keys)))
    }

    /// The command to send instead of a plain one: class 0C or 8C, with Le.
    ///
    /// # Errors
    /// [`SecureMessagingError::Class`] and [`SecureMessagingError::TooLong`] change nothing. When the answer to the
    /// last command was not opened ([`SecureMessagingError::OutOfOrder`]) the channel is closed.
    pub fn protect_command(&mut self, command: &CommandApdu) -> Result<CommandApdu, SecureMessagingError> {
        if command.class & NOT_PLAIN != 0 {
            return Err(SecureMessagingError::Class { class: command.class });
        }
        let length = command.data().len();
        if length > MAX_PROTECTED_DATA {
            return Err(SecureMessagingError::TooLong { length });
        }
        let mut link = match std::mem::replace(&mut self.0, State::Closed) {
            State::Ready(link) => link,
            State::Waiting(_) => return Err(SecureMessagingError::OutOfOrder),
            State::Closed => return Err(SecureMessagingError::Closed),
        };
        link.advance()?;
        let class = command.class | CLASS_PROTECTED;
        let header = [class, command.instruction, command.p1, command.p2];
        let odd = command.instruction & 1 == 1;
        let [.., high, low] = command.expected().to_be_bytes();
        let expected: &[u8] = match (command.expected(), command.is_extended()) {
            (0, _) => &[],
            (_, false) => &[low],
            (_, true) => &[high, low],
        };
        let expected = Some((EXPECTED, expected)).filter(|(_, value)| !value.is_empty());
        let objects = link.seal(Some(header), odd, command.data(), expected)?;
        let outer = CommandApdu::new(class, command.instruction, command.p1, command.p2)
            .with_data(&objects)
            .map_err(|_| SecureMessagingError::TooLong { length })?;
        let extended = command.is_extended() || objects.len() > 255;
        let outer = if extended {
            outer.extended().expecting(chancery_iso7816::MAX_EXPECTED)
        } else {
            outer.expecting(256)
        };
        self.0 = State::Waiting(link);
        Ok(outer)
    }

    /// The answer as it would be without protection. Its status word is the authenticated one; that of the APDU is
    /// not looked at when there are data objects.
    ///
    /// # Errors
    /// [`SecureMessagingError`]; the channel is closed after it.
    pub fn unprotect_response(
        &mut self,
        response: &ResponseApdu,
    ) -> Result<ResponseApdu, SecureMessagingError> {
        let mut link = match std::mem::replace(&mut self.0, State::Closed) {
            State::Waiting(link) => link,
            State::Ready(_) => return Err(SecureMessagingError::OutOfOrder),
            State::Closed => return Err(SecureMessagingError::Closed),
        };
        if response.data.is_empty() {
            return Err(SecureMessagingError::Refused {
                status: response.status,
            });
        }
        link.advance()?;
        let opened = link.open(None, &response.data, STATUS)?;
        let status = opened.plain.and_then(|value| <[u8; 2]>::try_from(value).ok());
        let status = status.ok_or(SecureMessagingError::Content { object: STATUS })?;
        self.0 = State::Ready(link);
        Ok(ResponseApdu {
            data: opened.data,
            status: StatusWord(u16::from_be_bytes(status)),
        })
    }

    /// Whether the channel can still be used.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.0, State::Closed)
    }
}

impl fmt::Debug for HostChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_open() {
            "HostChannel(open)"
        } else {
            "HostChannel(closed)"
        })
    }
}
