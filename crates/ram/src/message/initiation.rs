//! The first message of a session.

use zeroize::Zeroizing;

use super::wire::{Reader, Writer};
use super::{MessageError, tag};

/// What the token's side says of itself at the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initiation {
    /// Answer to reset of the card.
    pub atr: Vec<u8>,
    /// Bytes of the longest command APDU it takes, when it says so.
    pub max_command: Option<u32>,
    /// Bytes of the longest response APDU it takes, status word included, when it says so.
    pub max_response: Option<u32>,
}

impl Initiation {
    /// Reads an `E8` template. Limits that are zero or negative count as not given.
    ///
    /// # Errors
    /// [`MessageError`] when it is none, or has no ATR.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut objects = Reader::template(bytes, tag::INITIATION)?;
        let mut atr = None;
        let mut max_command = None;
        let mut max_response = None;
        while let Some(object) = objects.next()? {
            match object.tag {
                tag::RESET => atr = Some(object.value.to_vec()),
                tag::MAX_COMMAND => max_command = positive(object.integer()?),
                tag::MAX_RESPONSE => max_response = positive(object.integer()?),
                _ => {}
            }
        }
        Ok(Self {
            atr: atr.ok_or(MessageError::Missing {
                tag: tag::RESET,
                within: tag::INITIATION,
            })?,
            max_command,
            max_response,
        })
    }

    /// Writes the template.
    ///
    /// # Errors
    /// [`MessageError::TooLong`] when the ATR is longer than any ATR.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        let mut objects = Writer::default();
        objects.push(tag::RESET, &self.atr)?;
        for (tag, limit) in [
            (tag::MAX_COMMAND, self.max_command),
            (tag::MAX_RESPONSE, self.max_response),
        ] {
            if let Some(limit) = limit {
                objects.push_integer(tag, i32::try_from(limit).unwrap_or(i32::MAX))?;
            }
        }
        objects.into_template(tag::INITIATION)
    }
}

/// The number, unless it is zero or negative.
pub(super) fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number > 0)
}
