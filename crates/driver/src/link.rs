//! One APDU out, one answer back: the only place where the transport is called.

use chancery_iso7816::{ApduError, CommandApdu, ResponseApdu, Transport};

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
}

impl<T: Transport> Link<T> {
    pub(crate) fn new(transport: T, limits: Limits) -> Self {
        let limits = Limits {
            max_command: limits.max_command.max(Limits::LEAST_COMMAND),
            max_file: limits.max_file.min(usize::from(u16::MAX)),
        };
        Self { transport, limits }
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
        let command = command
            .map_err(|error| Error::input(doing, error.to_string()))?
            .encode();
        if command.len() > self.limits.max_command {
            return Err(Error::TooLarge {
                doing: doing.clone(),
                limit: self.limits.max_command,
            });
        }
        let answer = self.transport.transmit(&command).map_err(|source| {
            tracing::debug!(
                instruction = doing.instruction(),
                sent = command.len(),
                "card did not answer"
            );
            Error::Link {
                doing: doing.clone(),
                source,
            }
        })?;
        let response = ResponseApdu::parse(&answer)
            .map_err(|_| Error::protocol(doing, "a response shorter than a status word"))?;
        tracing::debug!(
            instruction = doing.instruction(),
            sent = command.len(),
            received = answer.len(),
            status = format_args!("{:04X}", response.status.0),
            "card command"
        );
        Ok(response)
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
