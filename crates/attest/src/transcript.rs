//! A key generated through a secure channel, with everything that passed through it.
//!
//! As a file it is one JSON object in one spelling only:
//!
//! | member | content |
//! |---|---|
//! | `format` | `chancery-transcript-1` |
//! | `device` | name of the device, as its chain states it |
//! | `recorded` | when, by the clock of who recorded it, RFC 3339 |
//! | `protocol` | `aes-128` or `3des`: BSI TR-03110-3 A.1.1.2, id-CA-ECDH-AES-CBC-CMAC-128 or id-CA-ECDH-3DES-CBC-CBC |
//! | `chain` | content of EF 2F02 |
//! | `ephemeral` | the host's ephemeral private key, a number, big endian |
//! | `nonce`, `token` | the token's answer to GENERAL AUTHENTICATE |
//! | `exchanges` | from the first command of the channel on: `command` in clear, `protected_command` and `protected_response` as they passed |
//! | `sha256` | of the whole text with this member empty: against damage, it proves nothing |
//!
//! Bytes are hexadecimal. Whoever has `ephemeral` and the chain can compute the keys of the channel: that is how the
//! transcript is checked, and why it convinces only who held the channel.

use chancery_schsm::secure_messaging::Protocol;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, UtcOffset};

/// A recorded channel. Nothing in it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// When it was recorded, UTC.
    pub recorded: OffsetDateTime,
    /// What protected the messages.
    pub protocol: Protocol,
    /// Content of EF 2F02.
    pub chain: Vec<u8>,
    /// The host's ephemeral private key, big endian.
    pub ephemeral: Vec<u8>,
    /// The token's nonce.
    pub nonce: Vec<u8>,
    /// What the token proved itself with.
    pub token: Vec<u8>,
    /// Commands and answers, from the first in the channel on.
    pub exchanges: Vec<Recorded>,
}

/// One command and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The command before it was protected.
    pub command: Vec<u8>,
    /// The command as it was sent.
    pub protected_command: Vec<u8>,
    /// The answer as it came.
    pub protected_response: Vec<u8>,
}

/// Why bytes are no transcript.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TranscriptError {
    /// Longer than [`Transcript::MAX_LEN`].
    #[error("transcript of {len} bytes is over the limit of {}", Transcript::MAX_LEN)]
    TooLong {
        /// Bytes given.
        len: usize,
    },
    /// Not the JSON of a transcript.
    #[error("not a transcript: {0}")]
    Json(String),
    /// Another format or version.
    #[error("transcript of format {0:?}, which is not known here")]
    Format(String),
    /// A protocol that is not known.
    #[error("transcript with protocol {0:?}, which is not known here")]
    Protocol(String),
    /// A field that is no hexadecimal number.
    #[error("field {field} of the transcript is not hexadecimal")]
    Hex {
        /// Its name.
        field: &'static str,
    },
    /// Some byte is not the one that was written.
    #[error("the transcript was changed after it was recorded: its checksum or spelling is not right")]
    Changed,
}

impl Transcript {
    /// Longest file read, in bytes.
    pub const MAX_LEN: usize = 512 * 1024;

    /// Most exchanges that are looked at.
    pub const MAX_EXCHANGES: usize = 64;

    /// Reads a file.
    ///
    /// # Errors
    /// [`TranscriptError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TranscriptError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(TranscriptError::TooLong { len: bytes.len() });
        }
        let file: File =
            serde_json::from_slice(bytes).map_err(|error| TranscriptError::Json(error.to_string()))?;
        if file.format != FORMAT {
            return Err(TranscriptError::Format(file.format));
        }
        if file.exchanges.len() > Self::MAX_EXCHANGES {
            return Err(TranscriptError::Json(format!(
                "more than {} exchanges",
                Self::MAX_EXCHANGES
            )));
        }
        let hex = |field, text: &str| hex::decode(text).map_err(|_| TranscriptError::Hex { field });
        let transcript = Self {
            recorded: file.recorded,
            protocol: Protocol::ALL
                .into_iter()
                .find(|protocol| protocol_name(*protocol) == file.protocol)
                .ok_or(TranscriptError::Protocol(file.protocol))?,
            chain: hex("chain", &file.chain)?,
            ephemeral: hex("ephemeral", &file.ephemeral)?,
            nonce: hex("nonce", &file.nonce)?,
            token: hex("token", &file.token)?,
            exchanges: file
                .exchanges
                .iter()
                .map(|exchange| {
                    Ok(Recorded {
                        command: hex("command", &exchange.command)?,
                        protected_command: hex("protected_command", &exchange.protected_command)?,
                        protected_response: hex("protected_response", &exchange.protected_response)?,
                    })
                })
                .collect::<Result<_, TranscriptError>>()?,
        };
        if transcript.encode() == bytes {
            Ok(transcript)
        } else {
            Err(TranscriptError::Changed)
        }
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let recorded = self.recorded.to_offset(UtcOffset::UTC);
        let mut file = File {
            format: FORMAT.to_owned(),
            device: chancery_cvc::DeviceChain::parse(&self.chain)
                .ok()
                .and_then(|chain| chain.device_name().map(ToString::to_string))
                .unwrap_or_default(),
            recorded: recorded.replace_nanosecond(0).unwrap_or(recorded),
            protocol: protocol_name(self.protocol).to_owned(),
            chain: hex::encode(&self.chain),
            ephemeral: hex::encode(&self.ephemeral),
            nonce: hex::encode(&self.nonce),
            token: hex::encode(&self.token),
            exchanges: self
                .exchanges
                .iter()
                .map(|exchange| FileExchange {
                    command: hex::encode(&exchange.command),
                    protected_command: hex::encode(&exchange.protected_command),
                    protected_response: hex::encode(&exchange.protected_response),
                })
                .collect(),
            sha256: String::new(),
        };
        file.sha256 = hex::encode(Sha256::digest(file.text()));
        file.text().into_bytes()
    }
}

/// The JSON of a file; fields in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    device: String,
    #[serde(with = "time::serde::rfc3339")]
    recorded: OffsetDateTime,
    protocol: String,
    chain: String,
    ephemeral: String,
    nonce: String,
    token: String,
    exchanges: Vec<FileExchange>,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileExchange {
    command: String,
    protected_command: String,
    protected_response: String,
}

impl File {
    fn text(&self) -> String {
        // Strings and a date that was parsed: there is nothing JSON could not hold.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Aes128 => "aes-128",
        Protocol::TripleDes => "3des",
    }
}

/// First thing in the file.
pub(crate) const FORMAT: &str = "chancery-transcript-1";
