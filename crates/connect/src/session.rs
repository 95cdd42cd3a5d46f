//! One session between a token in our hands and a server.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::SecretText;
use chancery_ram::client::{Action, CardDid, End, Event, PostId, Reply, Session, Unreached};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::tally::Tally;
use crate::worker::Worker;
use crate::{Happened, Server};

/// How long a stop may take: the command at work, the last POST.
const STOP: Duration = Duration::from_secs(12);

/// What a session needs beside its token.
pub(crate) struct Running<'a> {
    pub(crate) server: &'a Server,
    pub(crate) ticket: Option<Arc<SecretText>>,
    pub(crate) worker: &'a Worker,
    pub(crate) tell: &'a (dyn Fn(Happened) + Send + Sync),
    pub(crate) tally: Tally,
}

/// What there is to react to.
enum Input {
    Replied(PostId, Result<Reply, Unreached>),
    Card(CardDid),
    Time,
    Stop,
    GiveUp,
}

impl Running<'_> {
    /// Runs it to its end.
    pub(crate) async fn run(&mut self, mut session: Session, stop: &mut watch::Receiver<bool>) -> End {
        let origin = Instant::now();
        let mut posts = JoinSet::new();
        let mut card: Option<oneshot::Receiver<CardDid>> = None;
        let mut give_up = None;
        loop {
            while let Some(action) = session.poll(origin.elapsed()) {
                match action {
                    Action::Post(post) => {
                        let (server, ticket) = (self.server.clone(), self.ticket.clone());
                        posts.spawn(async move { (post.id, server.post(&post, ticket.as_deref()).await) });
                    }
                    Action::Card(work) => card = Some(self.worker.submit(work)),
                    Action::Tell(event) => self.told(event),
                    Action::End(end) => return end,
                }
            }
            let deadline = session.deadline().map(|at| origin + at);
            let input = tokio::select! {
                Some(answered) = posts.join_next() => match answered {
                    Ok((id, outcome)) => Input::Replied(id, outcome),
                    // A POST whose task failed; its session does not hear of it and repeats nothing.
                    Err(_) => Input::Time,
                },
                did = answer_of(&mut card) => Input::Card(did),
                () = until(deadline) => Input::Time,
                () = asked_to_stop(stop), if give_up.is_none() => Input::Stop,
                () = until(give_up), if give_up.is_some() => Input::GiveUp,
            };
            match input {
                Input::Replied(id, outcome) => session.replied(id, outcome, origin.elapsed()),
                Input::Card(did) => {
                    card = None;
                    session.card_did(did);
                }
                Input::Time => {}
                Input::Stop => {
                    give_up = Some(Instant::now() + STOP);
                    session.stop();
                }
                Input::GiveUp => return End::Stopped,
            }
        }
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::Refused(refusal) => {
                if let Some(count) = self.tally.count(&refusal) {
                    (self.tell)(Happened::Refused { refusal, count });
                }
            }
            event => (self.tell)(Happened::Session(event)),
        }
    }
}

/// What the card did; never, while it does nothing.
async fn answer_of(card: &mut Option<oneshot::Receiver<CardDid>>) -> CardDid {
    match card {
        Some(did) => did.await.unwrap_or_else(|_| CardDid::Failed {
            reason: "the thread of the token has ended".to_owned(),
        }),
        None => future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => future::pending().await,
    }
}

/// Waits until it is asked to stop.
pub(crate) async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    // Without anybody who could ask, nobody asks.
    if stop.wait_for(|stop| *stop).await.is_err() {
        future::pending::<()>().await;
    }
}
