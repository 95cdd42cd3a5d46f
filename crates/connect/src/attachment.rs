//! One token that is attached.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use chancery_api::SecretText;
use chancery_ram::client::{End, Pauses, Session};
use chancery_ram::policy::Policy;
use tokio::sync::watch;

use crate::session::{Running, asked_to_stop};
use crate::tally::Tally;
use crate::worker::Worker;
use crate::{AttachError, Happened, Server, TokenSource};

/// A token, its ticket, and what the server may do with it.
#[derive(Clone)]
pub struct Attachment {
    source: Arc<dyn TokenSource>,
    ticket: Option<Arc<SecretText>>,
    policy: Policy,
    permanent: bool,
}

impl Attachment {
    /// A token for whoever has the server, to look at.
    pub fn new(source: impl TokenSource + 'static) -> Self {
        Self {
            source: Arc::new(source),
            ticket: None,
            policy: Policy::new(),
            permanent: false,
        }
    }

    /// With the ticket that the server gave out for it.
    #[must_use]
    pub fn with_ticket(mut self, ticket: SecretText) -> Self {
        self.ticket = Some(Arc::new(ticket));
        self
    }

    /// With what the server may do.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Attached again and again, with growing pauses, until it is asked to stop.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }

    /// Attaches the token. It is held until this ends; after that it was reset, or is gone. What happens is told.
    ///
    /// # Errors
    /// [`AttachError`] when the token was not taken, or the session ended otherwise than in order; never of an attachment
    /// that is [permanent](Self::permanent).
    pub async fn run(
        &self,
        server: &Server,
        mut stop: watch::Receiver<bool>,
        tell: &(dyn Fn(Happened) + Send + Sync),
    ) -> Result<(), AttachError> {
        let mut pauses = Pauses::new();
        let mut held: Option<Worker> = None;
        loop {
            let began = Instant::now();
            let end = match self.hold(held.take(), &mut stop, tell).await {
                Ok(None) => return Ok(()),
                Ok(Some(worker)) => {
                    let mut running = Running {
                        server,
                        ticket: self.ticket.clone(),
                        worker: &worker,
                        tell,
                        tally: Tally::default(),
                    };
                    let end = running.run(Session::new(self.policy.clone()), &mut stop).await;
                    let refused = running.tally.total;
                    let keep = self.permanent && !matches!(end, End::CardLost { .. } | End::Stopped);
                    if keep {
                        held = Some(worker);
                    } else {
                        worker.release().await;
                    }
                    tell(Happened::Ended {
                        end: end.clone(),
                        refused,
                    });
                    if end == End::Stopped || end.is_orderly() && !self.permanent {
                        return Ok(());
                    }
                    if !self.permanent {
                        return Err(AttachError::Session(end));
                    }
                    end
                }
                Err(why) if !self.permanent => return Err(why.into()),
                Err(why) => {
                    let end = End::CardLost { why: why.to_string() };
                    tell(Happened::NotTaken { why });
                    end
                }
            };
            let pause = pauses.after(&end, began.elapsed());
            tell(Happened::Waiting { pause });
            let stopped = tokio::select! {
                () = tokio::time::sleep(pause) => false,
                () = asked_to_stop(&mut stop) => true,
            };
            if stopped {
                if let Some(worker) = held {
                    worker.release().await;
                }
                return Ok(());
            }
        }
    }

    /// The token that is held, or taken now; `None` when it was asked to stop meanwhile.
    async fn hold(
        &self,
        held: Option<Worker>,
        stop: &mut watch::Receiver<bool>,
        tell: &(dyn Fn(Happened) + Send + Sync),
    ) -> Result<Option<Worker>, crate::TakeError> {
        if let Some(worker) = held {
            return Ok(Some(worker));
        }
        let worker = tokio::select! {
            worker = Worker::start(Arc::clone(&self.source)) => worker?,
            () = asked_to_stop(stop) => return Ok(None),
        };
        tell(Happened::Holding {
            called: worker.called.clone(),
            device: worker.device.clone(),
        });
        Ok(Some(worker))
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("policy", &self.policy)
            .field("permanent", &self.permanent)
            .finish_non_exhaustive()
    }
}
