//! A card handle together with the context it belongs to, and waits that end.

use std::{
    ffi::CString,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use crate::{
    code::{Code, MEMORY},
    context::Context,
    error::PcscError,
    library::RawCard,
    token::Sharing,
};

/// A connection to a card. Its context is its own: a wait in one connection does not hold up another.
pub(crate) struct Link {
    context: Context,
    pub(crate) card: RawCard,
    pub(crate) protocol: u32,
    pub(crate) atr: Vec<u8>,
    sharing: Sharing,
    abandoned: AtomicBool,
}

// SCARD_PROTOCOL_*, dispositions and initialisations.
const ANY_PROTOCOL: u32 = 1 | 2;
pub(crate) const LEAVE_CARD: u32 = 0;
pub(crate) const RESET_CARD: u32 = 1;

impl Link {
    /// Connects, within a time: pcscd lets nobody connect while another program has a transaction.
    pub(crate) fn connect(reader: &str, sharing: Sharing, timeout: Duration) -> Result<Arc<Self>, PcscError> {
        let name = reader.to_owned();
        // When the time is over the thread ends with the other program's transaction, and lets go of what it got.
        match within(timeout, move || Self::connect_now(&name, sharing)) {
            Ok(Some(link)) => link.map(Arc::new),
            Ok(None) => Err(still_in_use(reader, timeout)),
            Err(code) => Err(PcscError::on(reader, "connect to the card", code)),
        }
    }

    fn connect_now(reader: &str, sharing: Sharing) -> Result<Self, PcscError> {
        let failed = |code| PcscError::on(reader, "connect to the card", code);
        let name = CString::new(reader).map_err(|_| PcscError::NoReader {
            reader: reader.to_owned(),
        })?;
        let context = Context::open()?;
        let library = context.library;
        let (card, protocol) = library
            .connect(context.raw, &name, sharing.raw(), ANY_PROTOCOL)
            .map_err(failed)?;
        let mut link = Self {
            context,
            card,
            protocol,
            atr: Vec::new(),
            sharing,
            abandoned: AtomicBool::new(false),
        };
        link.atr = library.atr(card).map_err(failed)?;
        Ok(link)
    }

    /// Waits for a transaction of this connection.
    pub(crate) fn begin(self: &Arc<Self>, reader: &str, timeout: Duration) -> Result<(), PcscError> {
        let doing = "keep other programs from the card";
        self.wait(reader, doing, timeout, |link| {
            link.context.library.begin_transaction(link.card)
        })
    }

    /// Ends it.
    pub(crate) fn end(&self) -> Result<(), Code> {
        self.context.library.end_transaction(self.card, LEAVE_CARD)
    }

    /// Makes the handle usable again, with or without a reset of the card: protocol and answer to reset as they are now.
    pub(crate) fn again(
        self: &Arc<Self>,
        reader: &str,
        initialisation: u32,
        timeout: Duration,
    ) -> Result<(u32, Vec<u8>), PcscError> {
        self.wait(reader, "reconnect to the card", timeout, move |link| {
            let library = link.context.library;
            let protocol = library.reconnect(link.card, link.sharing.raw(), ANY_PROTOCOL, initialisation)?;
            Ok((protocol, library.atr(link.card)?))
        })
    }

    /// Sends a command; the number of bytes received.
    pub(crate) fn transmit(&self, protocol: u32, command: &[u8], buffer: &mut [u8]) -> Result<usize, Code> {
        self.context
            .library
            .transmit(self.card, protocol, command, buffer)
    }

    /// Does something that waits while another program has a transaction. When the time is over this connection is gone.
    fn wait<T: Send + 'static>(
        self: &Arc<Self>,
        reader: &str,
        doing: &str,
        timeout: Duration,
        work: impl FnOnce(&Self) -> Result<T, Code> + Send + 'static,
    ) -> Result<T, PcscError> {
        let link = Arc::clone(self);
        match within(timeout, move || work(&link)) {
            Ok(Some(outcome)) => outcome.map_err(|code| PcscError::on(reader, doing, code)),
            Ok(None) => {
                // Without its context the wait ends: with an error, or with a transaction that ends with the context.
                self.abandon();
                Err(still_in_use(reader, timeout))
            }
            Err(code) => Err(PcscError::on(reader, doing, code)),
        }
    }

    fn abandon(&self) {
        if !self.abandoned.swap(true, Ordering::SeqCst) {
            // One that pcscd has forgotten is as good.
            let _: Result<(), Code> = self.context.library.release_context(self.context.raw);
        }
    }

    /// Whether a wait on it was given up.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A shared card is left as it is by the end of the context, which waits for nobody. Nobody else has a card that is
        // held exclusively: it is reset.
        if self.sharing == Sharing::Exclusive
            && !self.is_abandoned()
            && let Err(code) = self.context.library.disconnect(self.card, RESET_CARD)
        {
            tracing::debug!(%code, "card was not disconnected");
        }
    }
}

/// Whether waits for other programs are ended by threads of this library, in the whole process; they are from the beginning.
/// Without threads such a wait lasts as long as the other program's transaction.
pub fn allow_threads(allowed: bool) {
    THREADS.store(allowed, Ordering::SeqCst);
}

static THREADS: AtomicBool = AtomicBool::new(true);

/// Does something in a thread of its own; `None` when it takes longer. It goes on then, and its result is dropped.
fn within<T: Send + 'static>(
    timeout: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, Code> {
    if !THREADS.load(Ordering::SeqCst) {
        return Ok(Some(work()));
    }
    let (done, outcome) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("pcsc".to_owned())
        .spawn(move || {
            // Nobody waits any more when the time is over.
            let _ = done.send(work());
        })
        .map_err(|_| MEMORY)?;
    Ok(outcome.recv_timeout(timeout).ok())
}

fn still_in_use(reader: &str, waited: Duration) -> PcscError {
    PcscError::StillInUse {
        reader: reader.to_owned(),
        waited,
    }
}
