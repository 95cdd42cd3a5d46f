//! The token's end of a channel.

use std::fmt;

use chancery_iso7816::{CommandApdu, MAX_EXPECTED, StatusWord};

use super::keys::ChannelKeys;
use super::objects::{EXPECTED, Link, STATUS};
use super::{CLASS_PROTECTED, SecureMessagingError};

/// The token's end of a channel: opens commands and protects their answers, in turn.
pub struct CardChannel(State);

enum State {
    /// The next message is a command.
    Ready(Link),
    /// The next message is the answer; whether the command's instruction was odd.
    Answering(Link, bool),
    Closed,
}

impl CardChannel {
    /// A channel in which nothing was received yet.
    #[must_use]
    pub fn new(keys: ChannelKeys) -> Self {
        Self(State::Ready(Link::new(keys)))
    }

    /// The command as it would be without protection, from header and data field of the one that was received.
    ///
    /// # Errors
    /// [`SecureMessagingError`]; the channel is closed after it, and
    /// [`card_status`](SecureMessagingError::card_status) is the answer.
    pub fn unprotect_command(
        &mut self,
        header: [u8; 4],
        data: &[u8],
    ) -> Result<CommandApdu, SecureMessagingError> {
        let mut link = match std::mem::replace(&mut self.0, State::Closed) {
            State::Ready(link) => link,
            State::Answering(..) => return Err(SecureMessagingError::OutOfOrder),
            State::Closed => return Err(SecureMessagingError::Closed),
        };
        let [class, instruction, p1, p2] = header;
        if class & 0x7F != CLASS_PROTECTED {
            return Err(SecureMessagingError::Class { class });
        }
        link.advance()?;
        let opened = link.open(Some(header), data, EXPECTED)?;
        let command = CommandApdu::new(class & !CLASS_PROTECTED, instruction, p1, p2);
        let command = match *opened.plain.unwrap_or_default() {
            _ if opened.plain.is_none() => command,
            [low] => command.expecting(if low == 0 { 256 } else { u32::from(low) }),
            [high, low] => {
                let expected = u32::from(u16::from_be_bytes([high, low]));
                let expected = if expected == 0 { MAX_EXPECTED } else { expected };
                command.extended().expecting(expected)
            }
            _ => return Err(SecureMessagingError::Content { object: EXPECTED }),
        };
        let length = opened.data.len();
        let command = command
            .with_data(&opened.data)
            .map_err(|_| SecureMessagingError::TooLong { length })?;
        self.0 = State::Answering(link, instruction & 1 == 1);
        Ok(command)
    }

    /// Data field of the answer to the command opened last; it goes out with 9000, whatever `status` is.
    ///
    /// # Errors
    /// [`SecureMessagingError`]; the channel is closed after it.
    pub fn protect_response(
        &mut self,
        data: &[u8],
        status: StatusWord,
    ) -> Result<Vec<u8>, SecureMessagingError> {
        let (mut link, odd) = match std::mem::replace(&mut self.0, State::Closed) {
            State::Answering(link, odd) => (link, odd),
            State::Ready(_) => return Err(SecureMessagingError::OutOfOrder),
            State::Closed => return Err(SecureMessagingError::Closed),
        };
        link.advance()?;
        let objects = link.seal(None, odd, data, Some((STATUS, &status.0.to_be_bytes())))?;
        self.0 = State::Ready(link);
        Ok(objects)
    }

    /// Whether the channel can still be used.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.0, State::Closed)
    }
}

impl fmt::Debug for CardChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_open() {
            "CardChannel(open)"
        } else {
            "CardChannel(closed)"
        })
    }
}
