//! A connection to the card in a reader.

use std::{
    ffi::CString,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use chancery_iso7816::{Transport, TransportError};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    code::{Code, INVALID_HANDLE, NOT_TRANSACTED},
    context::Context,
    error::PcscError,
    library::RawCard,
};

/// A connection to the card in a reader. Dropping it ends its transaction; a card that was held exclusively is reset, one
/// that is shared is left as it is, with whatever it was told: select its application before letting go.
pub struct PcscToken {
    reader: String,
    sharing: Sharing,
    /// Of this connection alone: a wait in one does not hold up the others.
    context: Context,
    card: RawCard,
    protocol: u32,
    atr: Vec<u8>,
    transaction: bool,
    buffer: Vec<u8>,
}

/// With whom a card is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// With other programs; a transaction keeps them away for as long as it lasts.
    Shared,
    /// With nobody. No other program can connect, and none may be connected.
    Exclusive,
}

// SCARD_SHARE_*, SCARD_PROTOCOL_*, dispositions.
const SHARE_EXCLUSIVE: u32 = 1;
const SHARE_SHARED: u32 = 2;
const PROTOCOL_T0: u32 = 1;
const PROTOCOL_T1: u32 = 2;
const LEAVE_CARD: u32 = 0;
const RESET_CARD: u32 = 1;
/// Longest command: header, extended Lc, data, extended Le.
const LONGEST_COMMAND: usize = 4 + 3 + 65_535 + 2;
/// Longest answer that pcscd carries, in bytes.
const LONGEST_ANSWER: usize = 65_548;

impl Sharing {
    const fn raw(self) -> u32 {
        match self {
            Self::Shared => SHARE_SHARED,
            Self::Exclusive => SHARE_EXCLUSIVE,
        }
    }
}

impl PcscToken {
    pub(crate) fn connect(reader: &str, sharing: Sharing) -> Result<Self, PcscError> {
        let context = Context::open()?;
        let connected = Connected::to(&context, reader, sharing)?;
        Ok(Self {
            reader: reader.to_owned(),
            sharing,
            card: connected.card,
            protocol: connected.protocol,
            atr: connected.atr,
            context,
            transaction: false,
            buffer: vec![0; LONGEST_ANSWER],
        })
    }

    /// The reader's name.
    #[must_use]
    pub fn reader(&self) -> &str {
        &self.reader
    }

    /// Answer to reset (ISO/IEC 7816-3 8).
    #[must_use]
    pub fn atr(&self) -> &[u8] {
        &self.atr
    }

    /// With whom the card is shared.
    #[must_use]
    pub const fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Whether a transaction is open.
    #[must_use]
    pub const fn in_transaction(&self) -> bool {
        self.transaction
    }

    /// Keeps other programs away from the card until [`PcscToken::end`]. One that is open already stays as it is.
    ///
    /// # Errors
    /// [`PcscError::StillInUse`] when another program's transaction does not end in time; [`PcscError::Reset`] when one has
    /// reset the card since the last exchange, so that nothing the card was told counts any more; [`PcscError::Removed`].
    pub fn begin(&mut self, timeout: Duration) -> Result<(), PcscError> {
        if self.transaction {
            return Ok(());
        }
        let (library, card) = (self.context.library, self.card);
        let (done, outcome) = mpsc::channel();
        // The library waits without an end: it waits in a thread whose handle can be taken away.
        let waiter = thread::spawn(move || {
            // Nobody listens any more when the time was over.
            let _ = done.send(library.begin_transaction(card));
        });
        match outcome.recv_timeout(timeout) {
            Ok(Ok(())) => {
                self.transaction = true;
                Ok(())
            }
            Ok(Err(code)) => Err(self.error("keep other programs from the card", code)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                // Without its context the wait ends, with an error or, at the last moment, with a transaction that the
                // context's end gives back.
                let old = std::mem::replace(&mut self.context, Context::open()?);
                drop(old);
                // It only sent a code; it cannot have panicked.
                let _ = waiter.join();
                self.connect_again()?;
                Err(PcscError::StillInUse {
                    reader: self.reader.clone(),
                    waited: timeout,
                })
            }
        }
    }

    /// Lets other programs at the card again; the card is left as it is. Nothing to do without a transaction.
    ///
    /// # Errors
    /// [`PcscError::Reset`] or [`PcscError::Removed`] when that has happened meanwhile; the transaction is over then, too.
    pub fn end(&mut self) -> Result<(), PcscError> {
        if !std::mem::take(&mut self.transaction) {
            return Ok(());
        }
        self.context
            .library
            .end_transaction(self.card, LEAVE_CARD)
            .map_err(|code| self.error("let other programs use the card", code))
    }

    /// Makes the connection usable again after [`PcscError::Reset`]: the card is left as it is. After
    /// [`PcscError::Removed`], or when pcscd was started anew, whatever card is in the reader now is connected to: compare
    /// its identity with the one before.
    ///
    /// # Errors
    /// As of [`Context::connect`].
    pub fn reconnect(&mut self) -> Result<(), PcscError> {
        match self.again(LEAVE_CARD) {
            Ok(()) => Ok(()),
            Err(PcscError::InUse { reader }) => Err(PcscError::InUse { reader }),
            Err(_) => {
                self.context = Context::open()?;
                self.connect_again()
            }
        }
    }

    /// Connects with a context that was just opened.
    fn connect_again(&mut self) -> Result<(), PcscError> {
        self.transaction = false;
        let connected = Connected::to(&self.context, &self.reader, self.sharing)?;
        self.card = connected.card;
        self.protocol = connected.protocol;
        self.atr = connected.atr;
        Ok(())
    }

    /// `SCardReconnect`.
    fn again(&mut self, initialisation: u32) -> Result<(), PcscError> {
        let library = self.context.library;
        self.protocol = library
            .reconnect(
                self.card,
                self.sharing.raw(),
                PROTOCOL_T0 | PROTOCOL_T1,
                initialisation,
            )
            .map_err(|code| self.error("reconnect to the card", code))?;
        self.atr = library
            .atr(self.card)
            .map_err(|code| self.error("read the answer to reset of the card", code))?;
        Ok(())
    }

    fn error(&self, doing: &str, code: Code) -> PcscError {
        PcscError::on(&self.reader, doing, code)
    }
}

/// What a connection gives.
struct Connected {
    card: RawCard,
    protocol: u32,
    atr: Vec<u8>,
}

impl Connected {
    fn to(context: &Context, reader: &str, sharing: Sharing) -> Result<Self, PcscError> {
        let failed = |code| PcscError::on(reader, "connect to the card", code);
        let name = CString::new(reader).map_err(|_| PcscError::NoReader {
            reader: reader.to_owned(),
        })?;
        let library = context.library;
        let (card, protocol) = library
            .connect(context.raw, &name, sharing.raw(), PROTOCOL_T0 | PROTOCOL_T1)
            .map_err(failed)?;
        let atr = library.atr(card).map_err(failed)?;
        Ok(Self { card, protocol, atr })
    }
}

impl Transport for PcscToken {
    /// As the trait says; [`TransportError::Reset`] when another program has reset the card: the command was not sent, and
    /// [`PcscToken::reconnect`] or a reset makes the connection usable again.
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if command.len() > LONGEST_COMMAND {
            return Err(TransportError::TooLong {
                length: command.len(),
                limit: LONGEST_COMMAND,
            });
        }
        let outcome = self
            .context
            .library
            .transmit(self.card, self.protocol, command, &mut self.buffer);
        let length = match outcome {
            Ok(length) => length,
            Err(NOT_TRANSACTED) => {
                return Err(TransportError::lost(format!(
                    "the exchange with the card in reader {:?} broke off",
                    self.reader
                )));
            }
            Err(code) => return Err(self.error("send a command to the card", code).into()),
        };
        let received = self.buffer.get_mut(..length).unwrap_or_default();
        let answer = Zeroizing::new(received.to_vec());
        received.zeroize();
        // A card that is pulled during a command can look like one that answers with nothing.
        if answer.len() < 2 {
            return Err(TransportError::lost(format!(
                "the card in reader {:?} broke off its answer",
                self.reader
            )));
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(self.again(RESET_CARD)?)
    }
}

impl Drop for PcscToken {
    fn drop(&mut self) {
        // Whatever fails here is done by the end of the context.
        let _: Result<(), PcscError> = self.end();
        let disposition = match self.sharing {
            Sharing::Shared => LEAVE_CARD,
            Sharing::Exclusive => RESET_CARD,
        };
        match self.context.library.disconnect(self.card, disposition) {
            Ok(()) | Err(INVALID_HANDLE) => {}
            Err(code) => tracing::debug!(reader = %self.reader, %code, "card was not disconnected"),
        }
    }
}

impl std::fmt::Debug for PcscToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PcscToken({:?}, {:?})", self.reader, self.sharing)
    }
}
