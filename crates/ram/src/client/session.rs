//! One session.

mod exchange;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use self::exchange::LOCK_GRACE;
use super::act::{Action, CardDid, CardWork};
use super::card::CardState;
use super::close::{Closing, Step};
use super::cookies::Cookies;
use super::event::{End, Event};
use super::post::{PostId, PostKind, Reply, SessionSecret, Unreached};
use super::run::Run;
use crate::message::{CommandObject, CommandTemplate, Initiation};
use crate::policy::{Policy, Shape};

/// How long a card stays powered over a cut, and how long a session can be resumed.
pub const RESUME: Duration = Duration::from_secs(60);

/// How far a template may be ahead of the one at work, and how many answers are kept.
const AHEAD: u64 = 4;

/// One session of a card with a server.
pub struct Session {
    policy: Policy,
    phase: Phase,
    actions: VecDeque<Action>,
    card: CardState,
    /// What the card is doing.
    work: Option<Work>,
    run: Option<Run>,
    /// Templates that came and were not begun.
    waiting: BTreeMap<u64, CommandTemplate>,
    /// The last one that was begun.
    begun: u64,
    /// Answers as they were posted.
    kept: BTreeMap<u64, Zeroizing<Vec<u8>>>,
    open: BTreeMap<PostId, Posted>,
    posts: u64,
    server: Server,
    cut: Option<Cut>,
    /// POSTs that were not answered and will be repeated, and when.
    failed: Vec<Posted>,
    retry_at: Option<Duration>,
    lock_at: Option<Duration>,
    locked_for: Duration,
    /// The last error that the server reported.
    reported: Option<String>,
}

enum Phase {
    New,
    Starting,
    Open,
    Closing(Closing),
    Ended,
}

/// Why the card works.
enum Work {
    /// Reset at the beginning.
    First,
    /// A command of the server's.
    Command(Shape),
    /// A reset of the server's.
    Asked,
    /// Reset at the lock time.
    Lock,
    /// Reset at the end.
    Last,
}

enum Server {
    Unknown,
    Foreign(Cookies),
    Own(SessionSecret),
}

/// What a POST said, to say it again.
struct Posted {
    kind: PostKind,
    body: Zeroizing<Vec<u8>>,
}

/// The server was not reached.
struct Cut {
    since: Duration,
    pause: Duration,
    why: String,
}

impl Session {
    /// A session under this policy. Nothing has happened yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            phase: Phase::New,
            actions: VecDeque::new(),
            card: CardState::default(),
            work: None,
            run: None,
            waiting: BTreeMap::new(),
            begun: 0,
            kept: BTreeMap::new(),
            open: BTreeMap::new(),
            posts: 0,
            server: Server::Unknown,
            cut: None,
            failed: Vec::new(),
            retry_at: None,
            lock_at: None,
            locked_for: Duration::ZERO,
            reported: None,
        }
    }

    /// The next thing to do. To be asked until it gives nothing, after anything was reported and at the [deadline](Self::deadline).
    pub fn poll(&mut self, now: Duration) -> Option<Action> {
        if self.actions.is_empty() {
            self.keep_time(now);
            self.go_on(now);
        }
        self.actions.pop_front()
    }

    /// When to ask again although nothing was reported.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if !matches!(self.phase, Phase::Open) {
            return None;
        }
        let overdue = self.cut.as_ref().map(|cut| cut.since + RESUME);
        // While the card works nothing else can be done with it.
        let lock = self.lock_due().filter(|_| self.work.is_none());
        [overdue, self.retry_at, lock].into_iter().flatten().min()
    }

    /// A POST was answered, or was not. Answers to POSTs that are not open are ignored.
    pub fn replied(&mut self, id: PostId, outcome: Result<Reply, Unreached>, now: Duration) {
        let Some(posted) = self.open.remove(&id) else {
            return;
        };
        match &mut self.phase {
            Phase::Open => match outcome {
                Ok(reply) => self.answered(posted, &reply, now),
                Err(Unreached { why }) => self.unreached(posted, why, now),
            },
            Phase::Closing(closing) if closing.farewell == Some(id) => closing.farewell = None,
            _ => {}
        }
    }

    /// The card did what it was to do.
    pub fn card_did(&mut self, did: CardDid) {
        let Some(work) = self.work.take() else {
            return;
        };
        if let Phase::Closing(closing) = &mut self.phase {
            if matches!(work, Work::Last) {
                closing.reset = Step::Done;
            }
            return;
        }
        match (work, did) {
            (_, CardDid::Failed { reason }) => self.card_lost(reason),
            (Work::First, CardDid::Reset(atr)) => self.begin(atr),
            (Work::Command(shape), CardDid::Answered(answer)) => self.command_answered(&shape, answer),
            // Wrong length: what a card says that cannot take it.
            (Work::Command(_), CardDid::TooLong) => self.result(Zeroizing::new(vec![0x67, 0x00])),
            (Work::Asked, CardDid::Reset(atr)) => {
                self.card = CardState::default();
                if let Some(run) = &mut self.run {
                    run.reset(atr);
                }
            }
            (Work::Lock, CardDid::Reset(_)) => {
                self.card = CardState::default();
                self.tell(Event::LockedInTime);
            }
            _ => self.card_lost("it did something else than it was to do".to_owned()),
        }
    }

    /// Ends the session: the card is reset, the server is told.
    pub fn stop(&mut self) {
        self.leave(End::Stopped, "the agent was stopped");
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    fn begin(&mut self, atr: Vec<u8>) {
        let initiation = Initiation {
            atr,
            max_command: None,
            max_response: None,
        };
        match initiation.encode() {
            Ok(body) => {
                self.phase = Phase::Open;
                self.post(PostKind::Initiation, body);
            }
            Err(error) => self.card_lost(format!("its answer to reset: {error}")),
        }
    }

    // The card

    fn command_answered(&mut self, shape: &Shape, answer: Zeroizing<Vec<u8>>) {
        if answer.len() < 2 {
            return self.card_lost("it answered without a status".to_owned());
        }
        self.card.answered(shape, &answer);
        self.result(answer);
    }

    fn result(&mut self, answer: Zeroizing<Vec<u8>>) {
        let fits = self.run.as_mut().is_none_or(|run| run.answered(answer));
        if !fits {
            self.card_lost("its answers are longer than one message can be".to_owned());
        }
    }

    fn card_lost(&mut self, why: String) {
        self.leave(End::CardLost { why: why.clone() }, &why);
    }

    // Going on

    fn keep_time(&mut self, now: Duration) {
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        if let Some(cut) = self.cut.take_if(|cut| cut.since + RESUME <= now) {
            return self.close(End::Unreachable { why: cut.why }, None);
        }
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            for posted in std::mem::take(&mut self.failed) {
                self.post(posted.kind, posted.body);
            }
        }
    }

    fn go_on(&mut self, now: Duration) {
        match &mut self.phase {
            Phase::New => {
                self.phase = Phase::Starting;
                self.have_reset(Work::First);
            }
            Phase::Open => {
                while matches!(self.phase, Phase::Open) && self.work.is_none() && self.take_step(now) {}
            }
            Phase::Closing(closing) => {
                if self.work.is_some() {
                    return;
                }
                if closing.reset == Step::Needed {
                    closing.reset = Step::UnderWay;
                    return self.have_reset(Work::Last);
                }
                if closing.is_over() {
                    let end = closing.end.clone();
                    self.phase = Phase::Ended;
                    self.actions.push_back(Action::End(end));
                }
            }
            Phase::Starting | Phase::Ended => {}
        }
    }

    /// Takes one step with a card that is idle. `false` when there is none to take.
    fn take_step(&mut self, now: Duration) -> bool {
        if self.lock_due().is_some_and(|due| due <= now) {
            self.locked_for = self.lock_at.take().unwrap_or_default();
            self.have_reset(Work::Lock);
            return true;
        }
        let Some(run) = &mut self.run else {
            return self.begin_next();
        };
        match run.next() {
            Some(CommandObject::Command(command)) => match self.policy.judge(&command, self.card.channel) {
                Ok(shape) => {
                    self.work = Some(Work::Command(shape));
                    self.actions.push_back(Action::Card(CardWork::Transmit(command)));
                }
                Err(refusal) => {
                    let answer = Zeroizing::new(refusal.answer().to_vec());
                    self.tell(Event::Refused(refusal));
                    self.result(answer);
                }
            },
            Some(CommandObject::Reset) => self.have_reset(Work::Asked),
            Some(CommandObject::Notify { id, text, seconds }) => {
                if id < 0 {
                    self.reported = Some(text.clone());
                }
                self.tell(Event::Notified { id, text, seconds });
            }
            Some(CommandObject::Close { .. }) => {
                let body = self.run.take().and_then(|run| run.finish().ok());
                let end = self.over();
                self.close(end, body);
            }
            None => self.finish_run(),
        }
        true
    }

    /// How a session has gone that the server ended in order.
    pub(super) fn over(&mut self) -> End {
        self.reported
            .take()
            .map_or(End::Completed, |why| End::Failed { why })
    }

    fn begin_next(&mut self) -> bool {
        let Some(template) = self.waiting.remove(&(self.begun + 1)) else {
            return false;
        };
        self.begun += 1;
        self.run = Some(Run::new(self.begun, template));
        // The next one is to be here when the card has done this one.
        let next = self.begun + 1;
        if self.is_own() && !self.waiting.contains_key(&next) {
            self.post(PostKind::Fetch(next), Zeroizing::default());
        }
        true
    }

    fn finish_run(&mut self) {
        let Some(run) = self.run.take() else {
            return;
        };
        let number = run.number;
        match run.finish() {
            Ok(body) => {
                self.kept.insert(number, body.clone());
                while self.kept.len() > usize::try_from(AHEAD).unwrap_or(usize::MAX) {
                    self.kept.pop_first();
                }
                self.post(PostKind::Answer(number), body);
            }
            Err(error) => self.card_lost(format!("its answers cannot be sent: {error}")),
        }
    }

    fn have_reset(&mut self, why: Work) {
        self.work = Some(why);
        self.actions.push_back(Action::Card(CardWork::Reset));
    }

    // The end

    /// Ends the session from our side and says so to the server, if it is there.
    fn leave(&mut self, end: End, reason: &str) {
        let connected = matches!(self.phase, Phase::Open)
            && !matches!(self.server, Server::Unknown)
            && self.cut.is_none();
        let run = self.run.take();
        let farewell = connected
            .then(|| run.unwrap_or_else(|| Run::new(self.begun, CommandTemplate::default())))
            .and_then(|run| run.close(reason).ok());
        self.close(end, farewell);
    }

    fn close(&mut self, end: End, farewell: Option<Zeroizing<Vec<u8>>>) {
        match self.phase {
            Phase::Closing(_) | Phase::Ended => return,
            // Nothing was done with the card.
            Phase::New => {
                self.phase = Phase::Ended;
                self.actions.push_back(Action::End(end));
                return;
            }
            Phase::Starting | Phase::Open => {}
        }
        self.run = None;
        self.waiting.clear();
        self.failed.clear();
        self.retry_at = None;
        let mut closing = Closing::new(end);
        closing.farewell = farewell.map(|body| self.post(PostKind::Farewell, body));
        self.phase = Phase::Closing(closing);
    }

    fn tell(&mut self, event: Event) {
        self.actions.push_back(Action::Tell(event));
    }

    fn is_own(&self) -> bool {
        matches!(self.server, Server::Own(_))
    }

    fn is_resumable(&self) -> bool {
        self.is_own() && self.card.proven
    }

    fn lock_due(&self) -> Option<Duration> {
        let grace = if self.cut.is_some() {
            Duration::ZERO
        } else {
            LOCK_GRACE
        };
        self.lock_at.map(|at| at + grace)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session(template {})", self.begun)
    }
}
