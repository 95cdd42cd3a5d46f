//! The thread that owns a token.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use chancery_iso7816::{Transport as _, TransportError};
use chancery_ram::client::{CardDid, CardWork};
use tokio::sync::oneshot;

use crate::{TakeError, Taken, TokenSource};

/// A token that a thread of its own holds until this is dropped.
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
    released: oneshot::Receiver<()>,
    pub(crate) called: String,
    pub(crate) device: Option<String>,
}

struct Job {
    work: CardWork,
    done: oneshot::Sender<CardDid>,
}

/// How long the end of a token's thread is waited for.
const RELEASE: Duration = Duration::from_secs(10);

impl Worker {
    /// Takes the token.
    pub(crate) async fn start(source: Arc<dyn TokenSource>) -> Result<Self, TakeError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (taken_to, taken) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let no_thread = |why: String| TakeError::Thread { why };
        thread::Builder::new()
            .name("token".to_owned())
            .spawn(move || {
                let mut token = match source.take() {
                    Ok(token) => token,
                    Err(error) => {
                        // Who does not wait for it any more does not want to know.
                        let _ = taken_to.send(Err(error));
                        return;
                    }
                };
                if taken_to
                    .send(Ok((token.called.clone(), token.device.clone())))
                    .is_ok()
                {
                    while let Ok(job) = queue.recv() {
                        let did = token.carry_out(&job.work);
                        let _ = job.done.send(did);
                    }
                }
                drop(token);
                let _ = release.send(());
            })
            .map_err(|error| no_thread(error.to_string()))?;
        let (called, device) = taken
            .await
            .unwrap_or_else(|_| Err(no_thread("it ended at once".to_owned())))?;
        Ok(Self {
            jobs,
            released,
            called,
            device,
        })
    }

    /// Has the token do something. What is said when nobody waits for it any more is lost; it is done nevertheless.
    pub(crate) fn submit(&self, work: CardWork) -> oneshot::Receiver<CardDid> {
        let (done, did) = oneshot::channel();
        // A thread that has ended drops what is sent, and the receiver learns of it.
        let _ = self.jobs.send(Job { work, done });
        did
    }

    /// Gives the token back; waits a little for a command that is under way.
    pub(crate) async fn release(self) {
        drop(self.jobs);
        let _ = tokio::time::timeout(RELEASE, self.released).await;
    }
}

impl Taken {
    fn carry_out(&mut self, work: &CardWork) -> CardDid {
        let failed = |error: TransportError| CardDid::Failed {
            reason: error.to_string(),
        };
        match work {
            CardWork::Transmit(command) => match self.transport.transmit(command) {
                Ok(answer) => CardDid::Answered(answer),
                Err(TransportError::TooLong { .. }) => CardDid::TooLong,
                Err(error) => failed(error),
            },
            CardWork::Reset => match self.transport.reset() {
                Ok(()) => CardDid::Reset(self.atr.clone()),
                Err(error) => failed(error),
            },
        }
    }
}
