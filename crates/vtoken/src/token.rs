//! The token as its transports see it: bytes in, bytes out.

use std::path::Path;
use std::sync::Arc;

use chancery_iso7816::{StatusWord, Transport, TransportError};
use zeroize::Zeroizing;

use crate::apdu::Command;
use crate::card::{Answer, Card};
use crate::commands;
use crate::persistent::Persistent;
use crate::session::Session;
use crate::{AtRest, Files, OpenError, RealFiles, StateMark};

/// A virtual SmartCard-HSM that is plugged in: a running card with its durable state open.
///
/// It behaves like a device with firmware 4.1. Dropping it pulls the plug; all that was answered with 9000 is
/// durable before.
pub struct VirtualToken {
    card: Card,
}

/// Answer to reset of a T=1 SmartCard-HSM on JCOP 3; host software recognises the device by it.
const ATR: [u8; 24] = [
    0x3B, 0xDE, 0x96, 0xFF, 0x81, 0x91, 0xFE, 0x1F, 0xC3, 0x80, 0x31, 0x81, 0x54, 0x48, 0x53, 0x4D, 0x31,
    0x73, 0x80, 0x21, 0x40, 0x81, 0x07, 0x92,
];

impl VirtualToken {
    /// Plugs in the token stored in a directory.
    ///
    /// # Errors
    /// [`OpenError`], among them that another process has the token plugged in.
    pub fn open(directory: &Path, at_rest: &AtRest) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealFiles), directory, at_rest)
    }

    /// As [`VirtualToken::open`], on other files than the machine's.
    ///
    /// # Errors
    /// As there.
    pub fn open_on(files: Arc<dyn Files>, directory: &Path, at_rest: &AtRest) -> Result<Self, OpenError> {
        Ok(Self {
            card: Card::new(Persistent::open(files, directory, at_rest)?),
        })
    }

    /// Answer to reset (ISO/IEC 7816-3 8).
    #[must_use]
    pub fn atr(&self) -> &'static [u8] {
        &ATR
    }

    /// Where the durable state stands: grows with every change, so that a state restored from an older copy shows.
    #[must_use]
    pub fn mark(&self) -> StateMark {
        self.card.store().mark()
    }

    /// Processes one command APDU. Every answer ends with a status word; no input makes this panic.
    pub fn process(&mut self, command: &[u8]) -> Zeroizing<Vec<u8>> {
        let Ok(command) = Command::parse(command) else {
            return response(&[], StatusWord::WRONG_LENGTH);
        };
        let outcome = commands::dispatch(&mut self.card, &command);
        let answer = match outcome {
            Ok(Answer { data, status }) if data.len() <= command.expected => response(&data, status),
            // Without Le the data is dropped, as devices do.
            Ok(Answer { status, .. }) if command.expected == 0 => response(&[], status),
            Ok(Answer { data, .. }) => response(data.get(..command.expected).unwrap_or_default(), CUT_SHORT),
            Err(status) => response(&[], status),
        };
        tracing::trace!(
            instruction = command.instruction,
            sent = command.data.len(),
            answered = answer.len(),
            status = %status_of(&answer),
            "command processed"
        );
        answer
    }

    /// Power cycle: forgets everything volatile.
    pub fn power_cycle(&mut self) {
        self.card.session = Session::default();
    }
}

impl Transport for VirtualToken {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        Ok(self.process(command))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.power_cycle();
        Ok(())
    }
}

impl std::fmt::Debug for VirtualToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VirtualToken({})", self.card.state().device.chr)
    }
}

/// 6281: the host asked for less than there is.
const CUT_SHORT: StatusWord = StatusWord(0x6281);

fn response(data: &[u8], status: StatusWord) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(data.len() + 2));
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(&status.0.to_be_bytes());
    bytes
}

fn status_of(response: &[u8]) -> StatusWord {
    response
        .last_chunk::<2>()
        .map_or(StatusWord::UNKNOWN_ERROR, |sw| {
            StatusWord(u16::from_be_bytes(*sw))
        })
}

#[cfg(test)]
mod tests;
