//! The token as its transports see it: bytes in, bytes out.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_iso7816::{StatusWord, Transport, TransportError};
use zeroize::Zeroizing;

use crate::apdu::Command;
use crate::card::{Card, Witness};
use crate::exchange;
use crate::persistent::Persistent;
use crate::{AtRest, Files, Firmware, OpenError, RealFiles, StateMark};

/// A virtual SmartCard-HSM that is plugged in: a running card with its durable state open.
///
/// It behaves like a device with the firmware it was made with. Dropping it pulls the plug; all that was answered with
/// 9000 is durable before.
pub struct VirtualToken {
    card: Card,
    /// The least time a signature takes.
    delay: Duration,
}

/// SIGN.
const SIGN: u8 = 0x68;

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
            delay: Duration::ZERO,
        })
    }

    /// Answer to reset (ISO/IEC 7816-3 8).
    #[must_use]
    pub fn atr(&self) -> &'static [u8] {
        self.firmware().atr()
    }

    /// The firmware it behaves like.
    #[must_use]
    pub fn firmware(&self) -> Firmware {
        self.card.state().firmware
    }

    /// Where the durable state stands: grows with every change, so that a state restored from an older copy shows.
    #[must_use]
    pub fn mark(&self) -> StateMark {
        self.card.store().mark()
    }

    /// Makes every signature take at least this long, as on a device. For rehearsals and measurements.
    pub fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// Has every signature told, before it is answered. For rehearsals and measurements: what a token did can be compared with
    /// what others say it did.
    pub fn set_witness(&mut self, witness: Witness) {
        self.card.witness = Some(witness);
    }

    /// Processes one command APDU. Every answer ends with a status word; no input makes this panic.
    pub fn process(&mut self, command: &[u8]) -> Zeroizing<Vec<u8>> {
        let parsed = Command::parse(command);
        let Some(command) = parsed
            .ok()
            .filter(|_| command.len() <= self.firmware().longest_command())
        else {
            self.card.session.end_channel();
            return response(&[], StatusWord::WRONG_LENGTH);
        };
        let slow = command.instruction == SIGN && !self.delay.is_zero();
        let began = slow.then(Instant::now);
        let (data, status) = exchange::run(&mut self.card, &command);
        if let Some(began) = began.filter(|_| status.is_ok()) {
            std::thread::sleep(self.delay.saturating_sub(began.elapsed()));
        }
        let answer = response(&data, status);
        tracing::trace!(
            instruction = command.instruction,
            sent = command.data.len(),
            answered = answer.len(),
            %status,
            "command processed"
        );
        answer
    }

    /// Power cycle: forgets everything volatile.
    pub fn power_cycle(&mut self) {
        self.card.reset();
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

fn response(data: &[u8], status: StatusWord) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(data.len() + 2));
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(&status.0.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests;
