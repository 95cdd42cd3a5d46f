//! What a server has a token's side do.

use std::fmt;

use zeroize::Zeroizing;

use super::initiation::positive;
use super::wire::{LONGEST_HEADER, Object, Reader, Writer};
use super::{MessageError, tag};

/// Commands and notices, to be taken in order. Empty ones keep a session alive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandTemplate(pub Vec<CommandObject>);

/// One thing to do.
#[derive(Clone, PartialEq, Eq)]
pub enum CommandObject {
    /// Send this command APDU to the card.
    Command(Zeroizing<Vec<u8>>),
    /// Power the card off and on and answer with its ATR.
    Reset,
    /// Tell the user. Nothing is answered to it.
    Notify {
        /// Below 0: error; 0: completion; above: progress.
        id: i32,
        /// The text.
        text: String,
        /// Seconds to completion.
        seconds: Option<u32>,
    },
    /// The server ends the session in order. Only few clients understand it.
    Close {
        /// Why.
        reason: String,
    },
}

impl CommandTemplate {
    /// Reads an `AA` template. Unknown objects are skipped.
    ///
    /// # Errors
    /// [`MessageError`] when it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut objects = Reader::template(bytes, tag::COMMANDS)?;
        let mut commands = Vec::new();
        while let Some(object) = objects.next()? {
            commands.extend(CommandObject::parse(&object)?);
        }
        Ok(Self(commands))
    }

    /// Writes the template.
    ///
    /// # Errors
    /// [`MessageError::TooLong`] when the objects do not fit one template.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        let mut objects = Writer::with_capacity(self.0.iter().map(CommandObject::room).sum());
        for object in &self.0 {
            object.write(&mut objects)?;
        }
        objects.into_template(tag::COMMANDS)
    }
}

impl CommandObject {
    fn parse(object: &Object<'_>) -> Result<Option<Self>, MessageError> {
        Ok(Some(match object.tag {
            tag::COMMAND => Self::Command(Zeroizing::new(object.value.to_vec())),
            tag::RESET if object.value.is_empty() => Self::Reset,
            tag::RESET => {
                return Err(MessageError::ResetWithValue {
                    offset: object.offset,
                });
            }
            tag::NOTIFICATION => Self::parse_notification(object)?,
            tag::CLOSE => Self::Close {
                reason: reason(object)?,
            },
            _ => return Ok(None),
        }))
    }

    fn parse_notification(object: &Object<'_>) -> Result<Self, MessageError> {
        let mut parts = object.objects();
        let mut id = None;
        let mut text = String::new();
        let mut seconds = None;
        while let Some(part) = parts.next()? {
            match part.tag {
                tag::INTEGER => id = Some(part.integer()?),
                tag::TEXT => text = part.text(),
                tag::SECONDS => seconds = positive(part.integer()?),
                _ => {}
            }
        }
        let id = id.ok_or(MessageError::Missing {
            tag: tag::INTEGER,
            within: tag::NOTIFICATION,
        })?;
        Ok(Self::Notify { id, text, seconds })
    }

    fn write(&self, objects: &mut Writer) -> Result<(), MessageError> {
        match self {
            Self::Command(command) => objects.push(tag::COMMAND, command),
            Self::Reset => objects.push(tag::RESET, &[]),
            Self::Notify { id, text, seconds } => {
                let mut parts = Writer::default();
                parts.push_integer(tag::INTEGER, *id)?;
                parts.push(tag::TEXT, text.as_bytes())?;
                if let Some(seconds) = seconds {
                    parts.push_integer(tag::SECONDS, i32::try_from(*seconds).unwrap_or(i32::MAX))?;
                }
                objects.push(tag::NOTIFICATION, parts.bytes())
            }
            Self::Close { reason } => write_close(objects, reason),
        }
    }

    /// Bytes it takes in a template, or a few more.
    fn room(&self) -> usize {
        LONGEST_HEADER
            + match self {
                Self::Command(command) => command.len(),
                Self::Reset => 0,
                Self::Notify { text, .. } => text.len() + 4 * LONGEST_HEADER,
                Self::Close { reason } => reason.len() + LONGEST_HEADER,
            }
    }
}

impl fmt::Debug for CommandObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The body may hold a PIN.
            Self::Command(command) => write!(f, "Command({} bytes)", command.len()),
            Self::Reset => f.write_str("Reset"),
            Self::Notify { id, text, seconds } => write!(f, "Notify({id}, {text:?}, {seconds:?})"),
            Self::Close { reason } => write!(f, "Close({reason:?})"),
        }
    }
}

/// The text within a close.
pub(super) fn reason(close: &Object<'_>) -> Result<String, MessageError> {
    let mut parts = close.objects();
    let mut reason = String::new();
    while let Some(part) = parts.next()? {
        if part.tag == tag::TEXT {
            reason = part.text();
        }
    }
    Ok(reason)
}

/// Adds a close with its text.
pub(super) fn write_close(objects: &mut Writer, reason: &str) -> Result<(), MessageError> {
    let mut parts = Writer::default();
    parts.push(tag::TEXT, reason.as_bytes())?;
    objects.push(tag::CLOSE, parts.bytes())
}
