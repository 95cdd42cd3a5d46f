//! The token of a session.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chancery_iso7816::{Transport, TransportError};
use chancery_keys::{Known, Mark, Token};
use chancery_ram::server::{JobId, Session, Work};
use zeroize::Zeroizing;

use super::live::Live;

/// The way to the token of a session. It blocks; the session's requests are answered elsewhere.
///
/// [`TransportError::Lost`] says that the session is over and everything the card knew with it, [`TransportError::Failed`]
/// that exchanges are lost but the card keeps its state. Dropping it leaves the session as it is, for the next to take it.
pub struct RemoteToken {
    live: Arc<Live>,
    /// Commands that were sent and not received, oldest first, each with its INS.
    under_way: VecDeque<(JobId, u8)>,
}

/// Commands that may be under way: one template at the card and one ahead.
const WINDOW: usize = 32;

impl RemoteToken {
    /// The token of this session; `None` when somebody has it.
    pub(super) fn take(live: &Arc<Live>) -> Option<Self> {
        live.take().then(|| Self {
            live: Arc::clone(live),
            under_way: VecDeque::new(),
        })
    }

    /// The command as a job, if this way can carry it.
    fn work(&self, command: &[u8]) -> Result<Work, TransportError> {
        let limit = self.live.max_command();
        if command.len() > limit {
            let length = command.len();
            return Err(TransportError::TooLong { length, limit });
        }
        Ok(Work::Command(Zeroizing::new(command.to_vec())))
    }

    /// After an error nothing that was sent before is received any more.
    fn checked(
        &mut self,
        result: Result<Zeroizing<Vec<u8>>, TransportError>,
    ) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if result.is_err() {
            self.live.give_up(self.under_way.drain(..));
        }
        result
    }
}

impl Transport for RemoteToken {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let work = self.work(command)?;
        let job = self.live.submit(|session, now| session.submit(work, now))?;
        let result = self.live.wait_for(job);
        self.checked(result)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        let job = self
            .live
            .submit(|session, now| session.submit(Work::Reset, now))?;
        let result = self.live.wait_for(job);
        self.checked(result).map(drop)
    }

    fn window(&self) -> usize {
        WINDOW
    }

    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        let work = self.work(command)?;
        let job = self.live.submit(|session, now| session.submit_ahead(work, now))?;
        self.under_way
            .push_back((job, command.get(1).copied().unwrap_or_default()));
        Ok(())
    }

    fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let (job, _) = self.under_way.pop_front().ok_or_else(nothing_sent)?;
        self.live.with(Session::flush);
        let result = self.live.wait_for(job);
        self.checked(result)
    }

    fn try_receive(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        let &(job, _) = self.under_way.front().ok_or_else(nothing_sent)?;
        let Some(result) = self.live.try_take(job) else {
            return Ok(None);
        };
        self.under_way.pop_front();
        self.checked(result).map(Some)
    }

    fn on_ready(&mut self, ready: Arc<dyn Fn() + Send + Sync>) -> bool {
        self.live.set_ready(ready);
        true
    }
}

impl Token for RemoteToken {
    fn mark(&self) -> Option<Mark> {
        None
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn authenticated(&mut self) {
        self.live.set_authenticated();
    }

    fn remember(&mut self, known: Known) {
        self.live.remember(known);
    }

    fn remembered(&mut self) -> Option<Known> {
        self.live.remembered()
    }

    fn lock_in(&mut self, after: Option<Duration>) {
        self.live.set_lock(after);
    }
}

impl Drop for RemoteToken {
    fn drop(&mut self) {
        self.live.give_up(self.under_way.drain(..));
        self.live.give_back();
    }
}

impl fmt::Debug for RemoteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteToken(session {})", self.live.id)
    }
}

fn nothing_sent() -> TransportError {
    TransportError::Failed {
        reason: "no command is under way".to_owned(),
    }
}
