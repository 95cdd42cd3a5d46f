//! The transport that protects every command.

use std::fmt;

use chancery_cvc::DeviceIdentity;
use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord, Transport, TransportError};
use chancery_schsm::secure_messaging::{HostChannel, SecureMessagingError};
use zeroize::Zeroizing;

use super::agreement::Agreement;
use super::error::{ChannelError, ChannelLost};
use super::record::{ChannelRecord, Exchange};
use crate::error::Failed;

/// A way to a token whose commands and answers are encrypted and authenticated.
///
/// It carries plain commands to whoever uses it and protected ones to the token. After the first thing that is wrong
/// (6987, 6988, 6882, an answer without or with a wrong authentication code, a reset, a failed link) it carries nothing
/// any more and says how it was lost ([`SecureChannel::lost`]).
pub struct SecureChannel<T> {
    transport: T,
    channel: HostChannel,
    lost: Option<ChannelLost>,
    record: Option<ChannelRecord>,
}

impl<T: Transport> SecureChannel<T> {
    /// Opens a channel to the application that is selected on the token, which must be `device`. A channel that was open
    /// before is closed with this.
    ///
    /// # Errors
    /// [`ChannelError`], and the transport back.
    pub fn open(transport: T, device: &DeviceIdentity) -> Result<Self, Failed<T, ChannelError>> {
        Self::agree(transport, device).map(|(channel, _)| channel)
    }

    /// Opens a channel that keeps what passes through it. Nothing secret may: no PIN, no share.
    pub(crate) fn open_recorded(
        transport: T,
        device: &DeviceIdentity,
    ) -> Result<Self, Failed<T, ChannelError>> {
        let (mut channel, agreement) = Self::agree(transport, device)?;
        channel.record = Some(ChannelRecord::begin(&agreement));
        Ok(channel)
    }

    fn agree(
        mut transport: T,
        device: &DeviceIdentity,
    ) -> Result<(Self, Agreement), Failed<T, ChannelError>> {
        match Agreement::with(&mut transport, device) {
            Ok(agreement) => {
                let channel = Self {
                    transport,
                    channel: HostChannel::new(agreement.keys.clone()),
                    lost: None,
                    record: None,
                };
                Ok((channel, agreement))
            }
            Err(error) => Err(Failed {
                card: transport,
                error,
            }),
        }
    }

    /// How the channel was lost; `None` while it is open.
    #[must_use]
    pub const fn lost(&self) -> Option<&ChannelLost> {
        self.lost.as_ref()
    }

    /// Gives up the channel. The token keeps its end until the next plain command.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.transport
    }

    pub(crate) fn take_record(&mut self) -> Option<ChannelRecord> {
        self.record.take()
    }

    fn lose(&mut self, lost: ChannelLost) -> TransportError {
        let reason = super::error_text(&lost);
        self.lost = Some(lost);
        TransportError::Failed { reason }
    }
}

impl<T: Transport> Transport for SecureChannel<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if let Some(lost) = &self.lost {
            return Err(TransportError::Failed {
                reason: super::error_text(lost),
            });
        }
        let not_sent = |reason: String| TransportError::Failed { reason };
        let mut plain = CommandApdu::parse(command).map_err(|error| not_sent(error.to_string()))?;
        if plain.data().is_empty() && plain.expected() == 0 {
            // Real cards cannot take a protected command that has neither data nor Le.
            plain = plain.expecting(256);
        }
        let protected = match self.channel.protect_command(&plain) {
            Ok(protected) => protected.encode(),
            Err(error @ (SecureMessagingError::Class { .. } | SecureMessagingError::TooLong { .. })) => {
                return Err(not_sent(error.to_string()));
            }
            Err(error) => return Err(self.lose(ChannelLost::NotAuthentic(error))),
        };
        let answer = match self.transport.transmit(&protected) {
            Ok(answer) => answer,
            Err(error) => {
                // Whether the token counted the command is not known: the two ends may not agree any more.
                self.lose(match &error {
                    TransportError::Reset { .. } => ChannelLost::Reset,
                    other => ChannelLost::Link(other.clone()),
                });
                return Err(error);
            }
        };
        let Ok(response) = ResponseApdu::parse(&answer) else {
            let missing = SecureMessagingError::Refused {
                status: StatusWord(0),
            };
            return Err(self.lose(ChannelLost::NotAuthentic(missing)));
        };
        let opened = match self.channel.unprotect_response(&response) {
            Ok(opened) => opened,
            Err(SecureMessagingError::Refused { status }) => {
                return Err(self.lose(ChannelLost::Closed { status }));
            }
            Err(error) => return Err(self.lose(ChannelLost::NotAuthentic(error))),
        };
        if let Some(record) = &mut self.record {
            record.exchanges.push(Exchange {
                command: plain.encode().to_vec(),
                protected_command: protected.to_vec(),
                protected_response: answer.to_vec(),
            });
        }
        Ok(opened.encode())
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.lost = Some(ChannelLost::Reset);
        self.transport.reset()
    }
}

impl<T> fmt::Debug for SecureChannel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecureChannel({:?}, {:?})", self.channel, self.lost)
    }
}
