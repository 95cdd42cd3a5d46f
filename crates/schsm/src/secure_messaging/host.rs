//! The host's end of a channel.

use std::fmt;

use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord};

use super::keys::ChannelKeys;
use super::objects::{EXPECTED, Link, STATUS};
use super::{CLASS_PROTECTED, MAX_PROTECTED_DATA, SecureMessagingError};

/// The host's end of a channel: protects commands and opens their answers.
///
/// The counter of a command follows from its place, and that of its answer from the command's. So commands can be protected
/// before the answers to earlier ones are there ([`Self::protect_ahead`]), as long as the token gets them in this order.
pub struct HostChannel(Option<Open>);

/// An open end.
struct Open {
    link: Link,
    /// Commands protected so far.
    commands: u64,
    /// Answers opened so far.
    answers: u64,
}

/// Bits of CLA that a command must not have before it is protected: all but "proprietary".
const NOT_PLAIN: u8 = 0x7F;

impl HostChannel {
    /// A channel in which nothing was sent yet. Only for keys with which the token has proved itself, see
    /// [`ChannelKeys::token_matches`].
    #[must_use]
    pub fn new(keys: ChannelKeys) -> Self {
        Self(Some(Open {
            link: Link::new(keys),
            commands: 0,
            answers: 0,
        }))
    }

    /// The command to send instead of a plain one: class 0C or 8C, with Le.
    ///
    /// # Errors
    /// [`SecureMessagingError::Class`] and [`SecureMessagingError::TooLong`] change nothing. When the answer to the
    /// last command was not opened ([`SecureMessagingError::OutOfOrder`]) the channel is closed.
    pub fn protect_command(&mut self, command: &CommandApdu) -> Result<CommandApdu, SecureMessagingError> {
        check(command)?;
        if self.pending() > 0 {
            self.0 = None;
            return Err(SecureMessagingError::OutOfOrder);
        }
        self.protect_ahead(command)
    }

    /// As [`Self::protect_command`], whether or not the answers to earlier commands were opened.
    ///
    /// # Errors
    /// [`SecureMessagingError`] as there, but never that it is out of order.
    pub fn protect_ahead(&mut self, command: &CommandApdu) -> Result<CommandApdu, SecureMessagingError> {
        check(command)?;
        let length = command.data().len();
        // Closed unless all goes well.
        let mut open = self.0.take().ok_or(SecureMessagingError::Closed)?;
        let count = open
            .commands
            .checked_mul(2)
            .and_then(|before| before.checked_add(1));
        open.link.count(count.ok_or(SecureMessagingError::Closed)?);
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
        let objects = open.link.seal(Some(header), odd, command.data(), expected)?;
        let outer = CommandApdu::new(class, command.instruction, command.p1, command.p2)
            .with_data(&objects)
            .map_err(|_| SecureMessagingError::TooLong { length })?;
        let extended = command.is_extended() || objects.len() > 255;
        let outer = if extended {
            outer.extended().expecting(chancery_iso7816::MAX_EXPECTED)
        } else {
            outer.expecting(256)
        };
        open.commands += 1;
        self.0 = Some(open);
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
        let mut open = self.0.take().ok_or(SecureMessagingError::Closed)?;
        if open.answers >= open.commands {
            return Err(SecureMessagingError::OutOfOrder);
        }
        if response.data.is_empty() {
            return Err(SecureMessagingError::Refused {
                status: response.status,
            });
        }
        let count = open.answers.checked_add(1).and_then(|place| place.checked_mul(2));
        open.link.count(count.ok_or(SecureMessagingError::Closed)?);
        let opened = open.link.open(None, &response.data, STATUS)?;
        let status = opened.plain.and_then(|value| <[u8; 2]>::try_from(value).ok());
        let status = status.ok_or(SecureMessagingError::Content { object: STATUS })?;
        open.answers += 1;
        let opened = ResponseApdu {
            data: opened.data,
            status: StatusWord(u16::from_be_bytes(status)),
        };
        self.0 = Some(open);
        Ok(opened)
    }

    /// Commands whose answers were not opened yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |open| open.commands.saturating_sub(open.answers))
    }

    /// Whether the channel can still be used.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }
}

/// What is wrong with a command before anything is done.
fn check(command: &CommandApdu) -> Result<(), SecureMessagingError> {
    if command.class & NOT_PLAIN != 0 {
        return Err(SecureMessagingError::Class { class: command.class });
    }
    let length = command.data().len();
    if length > MAX_PROTECTED_DATA {
        return Err(SecureMessagingError::TooLong { length });
    }
    Ok(())
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
