//! A card in a reader, as a transport.

use std::{sync::Arc, time::Duration};

use chancery_iso7816::{Transport, TransportError};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    code::NOT_TRANSACTED,
    error::PcscError,
    link::{LEAVE_CARD, Link, RESET_CARD},
};

/// A connection to the card in a reader. Dropping it ends its transaction; a card that was held exclusively is reset, one
/// that is shared is left as it is, with whatever it was told: select its application before letting go.
///
/// A command outside of a transaction is a transaction of its own: it waits 30 s at most for other programs.
pub struct PcscToken {
    reader: String,
    sharing: Sharing,
    /// `None` after a wait that was given up.
    link: Option<Arc<Link>>,
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

/// How long other programs are waited for where the caller does not say.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Longest command: header, extended Lc, data, extended Le.
const LONGEST_COMMAND: usize = 4 + 3 + 65_535 + 2;
/// Longest answer that pcscd carries, in bytes.
const LONGEST_ANSWER: usize = 65_548;

impl Sharing {
    /// `SCARD_SHARE_EXCLUSIVE` and `SCARD_SHARE_SHARED`.
    pub(crate) const fn raw(self) -> u32 {
        match self {
            Self::Exclusive => 1,
            Self::Shared => 2,
        }
    }
}

impl PcscToken {
    pub(crate) fn connect(reader: &str, sharing: Sharing, timeout: Duration) -> Result<Self, PcscError> {
        let link = Link::connect(reader, sharing, timeout)?;
        Ok(Self {
            reader: reader.to_owned(),
            sharing,
            protocol: link.protocol,
            atr: link.atr.clone(),
            link: Some(link),
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
    /// [`PcscError::StillInUse`] when another program's transaction does not end in time: the next call connects anew, and
    /// nothing the card was told before counts any more. [`PcscError::Reset`] when a program has reset the card since the
    /// last exchange, with the same consequence. [`PcscError::Removed`].
    pub fn begin(&mut self, timeout: Duration) -> Result<(), PcscError> {
        if self.transaction {
            return Ok(());
        }
        let link = self.link(timeout)?;
        let begun = link.begin(&self.reader, timeout);
        self.forget_if_abandoned();
        begun?;
        self.transaction = true;
        Ok(())
    }

    /// Lets other programs at the card again; the card is left as it is. Nothing to do without a transaction.
    ///
    /// # Errors
    /// [`PcscError::Reset`] or [`PcscError::Removed`] when that has happened meanwhile; the transaction is over then, too.
    pub fn end(&mut self) -> Result<(), PcscError> {
        match &self.link {
            Some(link) if std::mem::take(&mut self.transaction) => link
                .end()
                .map_err(|code| PcscError::on(&self.reader, "let other programs use the card", code)),
            _ => Ok(()),
        }
    }

    /// Makes the connection usable again after [`PcscError::Reset`]: the card is left as it is. After
    /// [`PcscError::Removed`], or when pcscd was started anew, whatever card is in the reader now is connected to: compare
    /// its identity with the one before.
    ///
    /// # Errors
    /// As of [`Context::connect`](crate::Context::connect).
    pub fn reconnect(&mut self) -> Result<(), PcscError> {
        match self.again(LEAVE_CARD) {
            Ok(()) => Ok(()),
            Err(error @ (PcscError::InUse { .. } | PcscError::StillInUse { .. })) => Err(error),
            Err(_) => {
                self.link = None;
                self.link(PATIENCE).map(drop)
            }
        }
    }

    /// The connection, made when there is none.
    fn link(&mut self, timeout: Duration) -> Result<Arc<Link>, PcscError> {
        if let Some(link) = &self.link {
            return Ok(Arc::clone(link));
        }
        self.transaction = false;
        let link = Link::connect(&self.reader, self.sharing, timeout)?;
        self.protocol = link.protocol;
        self.atr.clone_from(&link.atr);
        self.link = Some(Arc::clone(&link));
        Ok(link)
    }

    fn again(&mut self, initialisation: u32) -> Result<(), PcscError> {
        let link = self.link(PATIENCE)?;
        let again = link.again(&self.reader, initialisation, PATIENCE);
        self.forget_if_abandoned();
        (self.protocol, self.atr) = again?;
        Ok(())
    }

    fn forget_if_abandoned(&mut self) {
        if self.link.as_ref().is_some_and(|link| link.is_abandoned()) {
            self.link = None;
            self.transaction = false;
        }
    }

    /// One command, in a transaction.
    fn exchange(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let link = self.link(PATIENCE)?;
        let length = match link.transmit(self.protocol, command, &mut self.buffer) {
            Ok(length) => length,
            Err(NOT_TRANSACTED) => {
                return Err(TransportError::lost(format!(
                    "the exchange with the card in reader {:?} broke off",
                    self.reader
                )));
            }
            Err(code) => {
                return Err(PcscError::on(&self.reader, "send a command to the card", code).into());
            }
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
        if self.transaction || self.sharing == Sharing::Exclusive {
            return self.exchange(command);
        }
        // Outside of a transaction pcscd's library would wait for other programs without an end.
        self.begin(PATIENCE)?;
        let answer = self.exchange(command);
        let ended = self.end();
        let answer = answer?;
        // What happened to the card after its answer is found out by the next command.
        if let Err(error) = ended {
            tracing::debug!(%error, "transaction of one command did not end well");
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
    }
}

impl std::fmt::Debug for PcscToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PcscToken({:?}, {:?})", self.reader, self.sharing)
    }
}
