//! The messages on the socket, version 1.
//!
//! A frame is a length (4 bytes, big endian, 1 to [`LONGEST`]), a type and a body of that length less one. The client asks,
//! the server answers, one after the other; the client begins with [`Request::Hello`]. Numbers are big endian.
//!
//! | type | request | body | answer |
//! |---|---|---|---|
//! | 01 | hello | `CHANCERY-READER`, version | 81: version, length and text of the name, length and bytes of the answer to reset |
//! | 02 | begin | longest wait in ms (4) | 82: 1 when the token was reset since this client held it, else 0 |
//! | 03 | end | - | 83 |
//! | 04 | command | command APDU | 84: response APDU |
//! | 05 | reset | - | 83 |
//! | 06 | status | - | 85: process that serves (4), that holds (4, 0: none), number that wait (4), text: where else it is plugged in |
//! | 07 | unplug | - | 83 |
//! | | any | | 86: failure (1), process (4), text |
//!
//! Texts are UTF-8 without control characters, at most [`LONGEST_TEXT`] bytes.

use std::io::{self, Read, Write};

use thiserror::Error;
use zeroize::Zeroizing;

/// The version spoken here.
pub const VERSION: u8 = 1;
/// Longest type and body together, in bytes: a response APDU of 65538 bytes and its type.
pub const LONGEST: usize = 65_539;
/// Longest text, in bytes.
pub const LONGEST_TEXT: usize = 1024;
/// Longest answer to reset, in bytes (ISO/IEC 7816-3 8.2.1).
const LONGEST_ATR: usize = 33;
const MAGIC: &[u8] = b"CHANCERY-READER";

/// What a client asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// The first message.
    Hello {
        /// The client's version.
        version: u8,
    },
    /// Holds the token.
    Begin {
        /// Longest wait in milliseconds.
        wait_ms: u32,
    },
    /// Lets others hold the token.
    End,
    /// A command APDU.
    Command(Zeroizing<Vec<u8>>),
    /// Power cycle.
    Reset,
    /// Who serves, who holds.
    Status,
    /// The end of the reader.
    Unplug,
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Hello`].
    Hello {
        /// The server's version.
        version: u8,
        /// The token's name.
        name: String,
        /// Answer to reset; empty when the token is plugged in elsewhere.
        atr: Vec<u8>,
    },
    /// The client holds the token.
    Begun {
        /// Whether it was reset since this client held it last.
        reset: bool,
    },
    /// Done.
    Done,
    /// A response APDU.
    Response(Zeroizing<Vec<u8>>),
    /// To [`Request::Status`].
    Status(Status),
    /// Not done.
    Failed {
        /// Why.
        failure: Failure,
        /// The process concerned: of [`Failure::Busy`] the one that holds the token; 0 when there is none.
        pid: u32,
        /// In words.
        text: String,
    },
}

/// Who serves a token and who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The process that serves it.
    pub server: u32,
    /// The process that holds it.
    pub holder: Option<u32>,
    /// How many wait for it.
    pub waiting: u32,
    /// Where else it is plugged in, when it cannot be held through this socket.
    pub elsewhere: Option<String>,
}

/// Why a request was not fulfilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Another process holds the token.
    Busy,
    /// The client does not hold the token.
    NotHeld,
    /// The token is gone.
    Lost,
    /// The exchange with the token failed; it is still there.
    Exchange,
    /// The server speaks another version.
    Version,
    /// There are too many clients.
    Crowded,
    /// The token is plugged in elsewhere.
    Elsewhere,
}

/// A message that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// No message is so long, or so short.
    #[error("a message of {length} bytes is announced, which none has")]
    Length {
        /// Bytes announced.
        length: u32,
    },
    /// There is no such message.
    #[error("message of unknown type {kind:02X}")]
    Kind {
        /// Its first byte.
        kind: u8,
    },
    /// Its body is not what the type says.
    #[error("message of type {kind:02X}: {what}")]
    Body {
        /// Its first byte.
        kind: u8,
        /// What is wrong.
        what: &'static str,
    },
}

impl From<WireError> for io::Error {
    fn from(error: WireError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl Request {
    /// Type and body.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Hello { version } => frame(0x01, &[MAGIC, &[*version]]),
            Self::Begin { wait_ms } => frame(0x02, &[&wait_ms.to_be_bytes()]),
            Self::End => frame(0x03, &[]),
            Self::Command(command) => frame(0x04, &[command]),
            Self::Reset => frame(0x05, &[]),
            Self::Status => frame(0x06, &[]),
            Self::Unplug => frame(0x07, &[]),
        }
    }

    /// From type and body.
    ///
    /// # Errors
    /// [`WireError`] when they are no request.
    pub fn parse(message: &[u8]) -> Result<Self, WireError> {
        let mut body = Body::of(message)?;
        let request = match body.kind {
            0x01 => {
                if body.take(MAGIC.len())? != MAGIC {
                    return Err(body.wrong("the client is no client of this reader"));
                }
                Self::Hello {
                    version: body.byte()?,
                }
            }
            0x02 => Self::Begin {
                wait_ms: body.number()?,
            },
            0x03 => Self::End,
            0x04 => Self::Command(body.all()),
            0x05 => Self::Reset,
            0x06 => Self::Status,
            0x07 => Self::Unplug,
            kind => return Err(WireError::Kind { kind }),
        };
        body.end()?;
        Ok(request)
    }
}

impl Answer {
    /// Type and body. Texts are cut, and freed of control characters, to what fits.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Hello { version, name, atr } => {
                let name = plain(name, usize::from(u8::MAX));
                let atr = atr.get(..LONGEST_ATR).unwrap_or(atr);
                frame(
                    0x81,
                    &[
                        &[*version],
                        &short_length(name.as_bytes()),
                        name.as_bytes(),
                        &short_length(atr),
                        atr,
                    ],
                )
            }
            Self::Begun { reset } => frame(0x82, &[&[u8::from(*reset)]]),
            Self::Done => frame(0x83, &[]),
            Self::Response(response) => frame(0x84, &[response]),
            Self::Status(status) => {
                let elsewhere = plain(status.elsewhere.as_deref().unwrap_or_default(), LONGEST_TEXT);
                frame(
                    0x85,
                    &[
                        &status.server.to_be_bytes(),
                        &status.holder.unwrap_or(0).to_be_bytes(),
                        &status.waiting.to_be_bytes(),
                        elsewhere.as_bytes(),
                    ],
                )
            }
            Self::Failed { failure, pid, text } => frame(
                0x86,
                &[
                    &[failure.code()],
                    &pid.to_be_bytes(),
                    plain(text, LONGEST_TEXT).as_bytes(),
                ],
            ),
        }
    }

    /// From type and body.
    ///
    /// # Errors
    /// [`WireError`] when they are no answer.
    pub fn parse(message: &[u8]) -> Result<Self, WireError> {
        let mut body = Body::of(message)?;
        let answer = match body.kind {
            0x81 => {
                let version = body.byte()?;
                let length = body.byte()?;
                let name = body.text(usize::from(length))?;
                let length = usize::from(body.byte()?);
                if length > LONGEST_ATR {
                    return Err(body.wrong("the answer to reset is too long"));
                }
                Self::Hello {
                    version,
                    name,
                    atr: body.take(length)?.to_vec(),
                }
            }
            0x82 => Self::Begun {
                reset: match body.byte()? {
                    0 => false,
                    1 => true,
                    _ => return Err(body.wrong("neither yes nor no")),
                },
            },
            0x83 => Self::Done,
            0x84 => Self::Response(body.all()),
            0x85 => Self::Status(Status {
                server: body.number()?,
                holder: Some(body.number()?).filter(|pid| *pid > 0),
                waiting: body.number()?,
                elsewhere: Some(body.rest_as_text()?).filter(|text| !text.is_empty()),
            }),
            0x86 => {
                let code = body.byte()?;
                let Some(failure) = Failure::of(code) else {
                    return Err(body.wrong("unknown failure"));
                };
                Self::Failed {
                    failure,
                    pid: body.number()?,
                    text: body.rest_as_text()?,
                }
            }
            kind => return Err(WireError::Kind { kind }),
        };
        body.end()?;
        Ok(answer)
    }
}

impl Failure {
    const ALL: [Self; 7] = [
        Self::Busy,
        Self::NotHeld,
        Self::Lost,
        Self::Exchange,
        Self::Version,
        Self::Crowded,
        Self::Elsewhere,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Busy => 1,
            Self::NotHeld => 2,
            Self::Lost => 3,
            Self::Exchange => 4,
            Self::Version => 5,
            Self::Crowded => 6,
            Self::Elsewhere => 7,
        }
    }

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.code() == code)
    }
}

/// Reads one frame: type and body. `None` when the other side has closed the connection between two.
///
/// # Errors
/// Those of the connection; [`WireError::Length`] as [`io::ErrorKind::InvalidData`].
pub fn read(stream: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut length = [0; 4];
    let there = loop {
        match stream.read(&mut length) {
            Ok(0) => return Ok(None),
            Ok(there) => break there,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    stream.read_exact(length.get_mut(there..).unwrap_or_default())?;
    let length = u32::from_be_bytes(length);
    let fits = usize::try_from(length)
        .ok()
        .filter(|length| (1..=LONGEST).contains(length));
    // Sized once, so that no copy of a PIN stays behind.
    let mut message = Zeroizing::new(vec![0; fits.ok_or(WireError::Length { length })?]);
    stream.read_exact(&mut message)?;
    Ok(Some(message))
}

/// Sends one frame in one piece.
///
/// # Errors
/// Those of the connection; [`io::ErrorKind::InvalidInput`] for one that is too long.
pub fn write(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len())
        .ok()
        .filter(|_| message.len() <= LONGEST)
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 + message.len()));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    stream.write_all(&bytes)
}

/// The body of a message that is being read.
struct Body<'a> {
    kind: u8,
    left: &'a [u8],
}

impl<'a> Body<'a> {
    fn of(message: &'a [u8]) -> Result<Self, WireError> {
        let (kind, left) = message.split_first().ok_or(WireError::Length { length: 0 })?;
        Ok(Self { kind: *kind, left })
    }

    const fn wrong(&self, what: &'static str) -> WireError {
        WireError::Body {
            kind: self.kind,
            what,
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, left) = self
            .left
            .split_at_checked(length)
            .ok_or_else(|| self.wrong("it ends too early"))?;
        self.left = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        let (byte, left) = self
            .left
            .split_first()
            .ok_or_else(|| self.wrong("it ends too early"))?;
        self.left = left;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u32, WireError> {
        let (bytes, left) = self
            .left
            .split_first_chunk()
            .ok_or_else(|| self.wrong("it ends too early"))?;
        self.left = left;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn all(&mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(std::mem::take(&mut self.left).to_vec())
    }

    fn text(&mut self, length: usize) -> Result<String, WireError> {
        let bytes = self.take(length)?;
        let text = str::from_utf8(bytes).map_err(|_| self.wrong("a text is not UTF-8"))?;
        if text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
            return Err(self.wrong("a text is too long or not plain"));
        }
        Ok(text.to_owned())
    }

    fn rest_as_text(&mut self) -> Result<String, WireError> {
        self.text(self.left.len())
    }

    fn end(&self) -> Result<(), WireError> {
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(self.wrong("it goes on after its end"))
        }
    }
}

fn frame(kind: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut message = Zeroizing::new(Vec::with_capacity(1 + length));
    message.push(kind);
    for part in parts {
        message.extend_from_slice(part);
    }
    message
}

/// The length of something that is known to have at most 255 bytes.
fn short_length(bytes: &[u8]) -> [u8; 1] {
    [u8::try_from(bytes.len()).unwrap_or(u8::MAX)]
}

/// A text as it may be sent.
fn plain(text: &str, limit: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(limit));
    for letter in text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
    {
        if plain.len() + letter.len_utf8() > limit {
            break;
        }
        plain.push(letter);
    }
    plain
}

#[cfg(test)]
mod tests;
