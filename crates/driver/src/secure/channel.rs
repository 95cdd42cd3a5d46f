//! The transport that protects every command.

use std::fmt;
use std::sync::Arc;

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
///
/// Where the way to the token takes several commands ([`Transport::window`]), so does the channel: the counter of each is known
/// ahead. A channel that is lost voids every command under way, and what the token did with them is not known.
pub struct SecureChannel<T> {
    transport: T,
    channel: HostChannel,
    lost: Option<ChannelLost>,
    /// Commands sent whose answers were not received.
    ahead: usize,
    record: Option<ChannelRecord>,
}

/// A channel that nobody uses at the moment: keys and counters of this end. The token keeps its end until the next plain command.
pub struct Suspended(HostChannel);

impl<T: Transport> SecureChannel<T> {
    /// Puts the channel aside, for whoever goes on with it on the same way to the token. `None` for it when it is lost, answers are
    /// under way, or it is recorded.
    #[must_use]
    pub fn suspend(mut self) -> (T, Option<Suspended>) {
        let whole = self.lost.is_none() && self.ahead == 0 && self.record.is_none();
        self.drain();
        (self.transport, whole.then_some(Suspended(self.channel)))
    }

    /// Goes on with a channel that was put aside. Whether the token still has its end shows in the next command.
    pub fn resume(transport: T, suspended: Suspended) -> Self {
        Self {
            transport,
            channel: suspended.0,
            lost: None,
            ahead: 0,
            record: None,
        }
    }

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
                    ahead: 0,
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

    /// Gives up the channel. The token keeps its end until the next plain command. Answers under way are fetched and dropped.
    #[must_use]
    pub fn into_inner(mut self) -> T {
        self.drain();
        self.transport
    }

    pub(crate) fn take_record(&mut self) -> Option<ChannelRecord> {
        self.record.take()
    }

    /// Closes the channel for good. Answers that are under way belong to it: they are fetched and dropped, so that the way to
    /// the token is free for another channel.
    fn lose(&mut self, lost: ChannelLost) -> TransportError {
        let reason = super::error_text(&lost);
        self.lost = Some(lost);
        self.drain();
        TransportError::Failed { reason }
    }

    fn drain(&mut self) {
        for _ in 0..std::mem::take(&mut self.ahead) {
            if self.transport.receive().is_err() {
                break;
            }
        }
    }

    /// As [`Self::lose`], after the link failed: nothing is under way any more.
    fn lose_link(&mut self, error: &TransportError) {
        self.ahead = 0;
        self.lost = Some(match error {
            TransportError::Reset { .. } => ChannelLost::Reset,
            other => ChannelLost::Link(other.clone()),
        });
    }

    /// The command as it goes to the token, and as it would without protection.
    fn protect(&mut self, command: &[u8]) -> Result<(Zeroizing<Vec<u8>>, CommandApdu), TransportError> {
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
        match self.channel.protect_ahead(&plain) {
            Ok(protected) => Ok((protected.encode(), plain)),
            Err(error @ (SecureMessagingError::Class { .. } | SecureMessagingError::TooLong { .. })) => {
                Err(not_sent(error.to_string()))
            }
            Err(error) => Err(self.lose(ChannelLost::NotAuthentic(error))),
        }
    }

    /// What the token answered within the channel.
    fn unprotect(&mut self, answer: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let Ok(response) = ResponseApdu::parse(answer) else {
            let missing = SecureMessagingError::Refused {
                status: StatusWord(0),
            };
            return Err(self.lose(ChannelLost::NotAuthentic(missing)));
        };
        match self.channel.unprotect_response(&response) {
            Ok(opened) => Ok(opened.encode()),
            Err(SecureMessagingError::Refused { status }) => Err(self.lose(ChannelLost::Closed { status })),
            Err(error) => Err(self.lose(ChannelLost::NotAuthentic(error))),
        }
    }

    /// The answer to the oldest command that was sent ahead.
    fn received(
        &mut self,
        answer: Result<Zeroizing<Vec<u8>>, TransportError>,
    ) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        match answer {
            Ok(answer) => {
                self.ahead = self.ahead.saturating_sub(1);
                self.unprotect(&answer)
            }
            Err(error) => {
                self.lose_link(&error);
                Err(error)
            }
        }
    }

    /// Whether an answer is to be expected.
    fn expecting(&self) -> Result<(), TransportError> {
        if let Some(lost) = &self.lost {
            return Err(TransportError::Failed {
                reason: super::error_text(lost),
            });
        }
        if self.ahead == 0 {
            return Err(TransportError::Failed {
                reason: "no command is under way".to_owned(),
            });
        }
        Ok(())
    }
}

impl<T: Transport> Transport for SecureChannel<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if self.ahead > 0 {
            return Err(TransportError::Failed {
                reason: "answers to earlier commands are under way".to_owned(),
            });
        }
        let (protected, plain) = self.protect(command)?;
        let answer = match self.transport.transmit(&protected) {
            Ok(answer) => answer,
            Err(error) => {
                // Whether the token counted the command is not known: the two ends may not agree any more.
                self.lose_link(&error);
                return Err(error);
            }
        };
        let opened = self.unprotect(&answer)?;
        if let Some(record) = &mut self.record {
            record.exchanges.push(Exchange {
                command: plain.encode().to_vec(),
                protected_command: protected.to_vec(),
                protected_response: answer.to_vec(),
            });
        }
        Ok(opened)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.lost = Some(ChannelLost::Reset);
        self.ahead = 0;
        self.transport.reset()
    }

    /// That of the way to the token; 1 in a channel that is recorded.
    fn window(&self) -> usize {
        if self.record.is_some() {
            1
        } else {
            self.transport.window()
        }
    }

    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        let (protected, _) = match self.protect(command) {
            Ok(protected) => protected,
            Err(error) => {
                if self.lost.is_none() {
                    drop(self.lose(ChannelLost::Link(error.clone())));
                }
                return Err(error);
            }
        };
        match self.transport.send(&protected) {
            Ok(()) => {
                self.ahead += 1;
                Ok(())
            }
            Err(error @ TransportError::TooLong { .. }) => {
                // It was counted here and never sent.
                let lost = ChannelLost::Link(error.clone());
                drop(self.lose(lost));
                Err(error)
            }
            Err(error) => {
                self.lose_link(&error);
                Err(error)
            }
        }
    }

    fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.expecting()?;
        let answer = self.transport.receive();
        self.received(answer)
    }

    fn try_receive(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        self.expecting()?;
        match self.transport.try_receive() {
            Ok(None) => Ok(None),
            Ok(Some(answer)) => self.received(Ok(answer)).map(Some),
            Err(error) => self.received(Err(error)).map(Some),
        }
    }

    fn on_ready(&mut self, ready: Arc<dyn Fn() + Send + Sync>) -> bool {
        self.transport.on_ready(ready)
    }
}

impl fmt::Debug for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suspended({:?})", self.0)
    }
}

impl<T> fmt::Debug for SecureChannel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecureChannel({:?}, {:?})", self.channel, self.lost)
    }
}
