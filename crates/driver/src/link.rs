//! One APDU out, one answer back: the only place where the transport is called.

use chancery_iso7816::{ApduError, CommandApdu, ResponseApdu, Transport, TransportError};
use zeroize::Zeroizing;

use crate::error::{Doing, Error};

/// What the driver allows itself on one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest whole command APDU in bytes, header and length fields included. Cards differ: 1232 on JCOP 3,
    /// 1454 on JCOP 4, 478 on some MicroSD; readers allow 1014 and more.
    pub max_command: usize,
    /// Largest file read, in bytes; at most 65535, the reach of a two-byte offset.
    pub max_file: usize,
}

impl Limits {
    /// The least command size the driver can work with, in bytes.
    pub const LEAST_COMMAND: usize = 128;

    /// What is left for the commands themselves when all of them travel in a secure channel.
    #[must_use]
    pub const fn within_channel(self) -> Self {
        Self {
            max_command: self.max_command.saturating_sub(crate::secure::OVERHEAD),
            max_file: self.max_file,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_command: 1232,
            max_file: 32 * 1024,
        }
    }
}

/// A transport and the limits that hold on it.
pub(crate) struct Link<T> {
    transport: T,
    limits: Limits,
    /// Commands sent and answers received with [`Self::send`] and [`Self::receive`].
    sent: u64,
    received: u64,
}

/// A command that was sent and whose answer was not received yet. It belongs to the link it was sent on.
#[derive(Debug)]
pub(crate) struct Sent {
    doing: Doing,
    length: usize,
    place: u64,
}

impl Sent {
    pub(crate) const fn doing(&self) -> &Doing {
        &self.doing
    }
}

/// What came of [`Link::try_receive`].
pub(crate) enum Received {
    /// The answer.
    Answer(ResponseApdu),
    /// None yet.
    NotYet(Sent),
}

impl<T: Transport> Link<T> {
    pub(crate) fn new(transport: T, limits: Limits) -> Self {
        let limits = Limits {
            max_command: limits.max_command.max(Limits::LEAST_COMMAND),
            max_file: limits.max_file.min(usize::from(u16::MAX)),
        };
        Self {
            transport,
            limits,
            sent: 0,
            received: 0,
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) const fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    pub(crate) fn into_transport(self) -> T {
        self.transport
    }

    /// Power cycle of the card.
    pub(crate) fn reset(&mut self) -> Result<(), Error> {
        let doing = Doing::new("RESET", "card");
        self.transport
            .reset()
            .map_err(|source| Error::Link { doing, source })
    }

    /// Sends a command and returns whatever status the card answers.
    ///
    /// Logs the instruction, lengths and status word; never a body.
    pub(crate) fn exchange(
        &mut self,
        doing: &Doing,
        command: Result<CommandApdu, ApduError>,
    ) -> Result<ResponseApdu, Error> {
        if self.sent != self.received {
            return Err(Error::input(doing, "answers to earlier commands are under way"));
        }
        let command = self.encode(doing, command)?;
        let answer = self
            .transport
            .transmit(&command)
            .map_err(|source| no_answer(doing, command.len(), source))?;
        answered(doing, command.len(), &answer)
    }

    /// Sends a command without waiting for the answer.
    pub(crate) fn send(
        &mut self,
        doing: Doing,
        command: Result<CommandApdu, ApduError>,
    ) -> Result<Sent, Error> {
        let command = self.encode(&doing, command)?;
        if let Err(source) = self.transport.send(&command) {
            if !matches!(source, TransportError::TooLong { .. }) {
                // No more answers come to what is under way.
                self.received = self.sent;
            }
            return Err(no_answer(&doing, command.len(), source));
        }
        self.sent += 1;
        Ok(Sent {
            doing,
            length: command.len(),
            place: self.sent,
        })
    }

    /// Waits for the answer to the oldest command sent.
    pub(crate) fn receive(&mut self, sent: &Sent) -> Result<ResponseApdu, Error> {
        self.in_order(sent)?;
        let answer = self.transport.receive();
        self.taken(sent, answer)
    }

    /// The answer to the oldest command sent, if it is there.
    pub(crate) fn try_receive(&mut self, sent: Sent) -> Result<Received, Error> {
        self.in_order(&sent)?;
        match self.transport.try_receive() {
            Ok(None) => Ok(Received::NotYet(sent)),
            Ok(Some(answer)) => self.taken(&sent, Ok(answer)).map(Received::Answer),
            Err(error) => self.taken(&sent, Err(error)).map(Received::Answer),
        }
    }

    fn in_order(&self, sent: &Sent) -> Result<(), Error> {
        if sent.place == self.received + 1 && sent.place <= self.sent {
            Ok(())
        } else {
            Err(Error::input(
                &sent.doing,
                "answers come in the order of their commands",
            ))
        }
    }

    fn taken(
        &mut self,
        sent: &Sent,
        answer: Result<Zeroizing<Vec<u8>>, TransportError>,
    ) -> Result<ResponseApdu, Error> {
        match answer {
            Ok(answer) => {
                self.received += 1;
                answered(&sent.doing, sent.length, &answer)
            }
            Err(source) => {
                // No more answers come to what is under way.
                self.received = self.sent;
                Err(no_answer(&sent.doing, sent.length, source))
            }
        }
    }

    fn encode(
        &self,
        doing: &Doing,
        command: Result<CommandApdu, ApduError>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let command = command
            .map_err(|error| Error::input(doing, error.to_string()))?
            .encode();
        if command.len() > self.limits.max_command {
            return Err(Error::TooLarge {
                doing: doing.clone(),
                limit: self.limits.max_command,
            });
        }
        Ok(command)
    }

    /// Sends a command that has one good ending, 9000; any other status is given to `refused`.
    pub(crate) fn expect_ok(
        &mut self,
        doing: &Doing,
        command: Result<CommandApdu, ApduError>,
        refused: impl FnOnce(&Doing, chancery_iso7816::StatusWord) -> Error,
    ) -> Result<ResponseApdu, Error> {
        let response = self.exchange(doing, command)?;
        if response.status == chancery_iso7816::StatusWord::OK {
            Ok(response)
        } else {
            Err(refused(doing, response.status))
        }
    }
}

fn no_answer(doing: &Doing, sent: usize, source: TransportError) -> Error {
    tracing::debug!(instruction = doing.instruction(), sent, "card did not answer");
    Error::Link {
        doing: doing.clone(),
        source,
    }
}

fn answered(doing: &Doing, sent: usize, answer: &[u8]) -> Result<ResponseApdu, Error> {
    let response = ResponseApdu::parse(answer)
        .map_err(|_| Error::protocol(doing, "a response shorter than a status word"))?;
    tracing::debug!(
        instruction = doing.instruction(),
        sent,
        received = answer.len(),
        status = format_args!("{:04X}", response.status.0),
        "card command"
    );
    Ok(response)
}
