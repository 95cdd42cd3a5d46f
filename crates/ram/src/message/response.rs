//! What a token's side has done.

use std::fmt;

use zeroize::Zeroizing;

use super::command::{reason, write_close};
use super::wire::{LONGEST_HEADER, Reader, Writer};
use super::{MessageError, tag};

/// Results in the order of execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseTemplate {
    /// The results.
    pub results: Vec<ResponseObject>,
    /// Number of executed commands as the other side counts them. Some programs count wrongly or leave it out:
    /// count the responses.
    pub executed: Option<i32>,
}

/// One result.
#[derive(Clone, PartialEq, Eq)]
pub enum ResponseObject {
    /// Response APDU as it came from the card. One shorter than a status word means that the card vanished.
    Response(Zeroizing<Vec<u8>>),
    /// The card was reset; its ATR.
    Atr(Vec<u8>),
    /// The token's side ends the session, or could not go on.
    Close {
        /// Why.
        reason: String,
    },
}

impl ResponseTemplate {
    /// Reads an `AB` template. Unknown objects are skipped.
    ///
    /// # Errors
    /// [`MessageError`] when it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut objects = Reader::template(bytes, tag::RESPONSES)?;
        let mut response = Self::default();
        while let Some(object) = objects.next()? {
            response.results.push(match object.tag {
                tag::RESPONSE => ResponseObject::Response(Zeroizing::new(object.value.to_vec())),
                tag::RESET => ResponseObject::Atr(object.value.to_vec()),
                tag::CLOSE => ResponseObject::Close {
                    reason: reason(&object)?,
                },
                tag::EXECUTED => {
                    response.executed = Some(object.integer()?);
                    continue;
                }
                _ => continue,
            });
        }
        Ok(response)
    }

    /// Writes the template.
    ///
    /// # Errors
    /// [`MessageError::TooLong`] when the results do not fit one template.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        let room: usize = self.results.iter().map(ResponseObject::room).sum();
        let mut objects = Writer::with_capacity(room + 2 * LONGEST_HEADER);
        for result in &self.results {
            match result {
                ResponseObject::Response(response) => objects.push(tag::RESPONSE, response)?,
                ResponseObject::Atr(atr) => objects.push(tag::RESET, atr)?,
                ResponseObject::Close { reason } => write_close(&mut objects, reason)?,
            }
        }
        if let Some(executed) = self.executed {
            objects.push_integer(tag::EXECUTED, executed)?;
        }
        objects.into_template(tag::RESPONSES)
    }

    /// The reason of the first close in it.
    #[must_use]
    pub fn close(&self) -> Option<&str> {
        self.results.iter().find_map(|result| match result {
            ResponseObject::Close { reason } => Some(reason.as_str()),
            _ => None,
        })
    }
}

impl ResponseObject {
    /// Bytes it takes in a template, or a few more.
    fn room(&self) -> usize {
        LONGEST_HEADER
            + match self {
                Self::Response(response) => response.len(),
                Self::Atr(atr) => atr.len(),
                Self::Close { reason } => reason.len() + LONGEST_HEADER,
            }
    }
}

impl fmt::Debug for ResponseObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(response) => write!(f, "Response({} bytes)", response.len()),
            Self::Atr(atr) => write!(f, "Atr({} bytes)", atr.len()),
            Self::Close { reason } => write!(f, "Close({reason:?})"),
        }
    }
}
