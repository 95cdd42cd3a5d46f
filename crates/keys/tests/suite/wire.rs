//! A token far away: a virtual one behind a wire that delays, records, breaks, and lets others at the token.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use chancery_iso7816::{Transport, TransportError};
use chancery_keys::{Connect, ConnectError, Known, Mark, Token, VirtualConnect};
use chancery_vtoken::VirtualToken;
use zeroize::Zeroizing;

/// SELECT of the application, as another program at the reader sends it.
pub(crate) const SELECT: [u8; 17] = [
    0x00, 0xA4, 0x04, 0x00, 0x0B, 0xE8, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x02, 0x01, 0x00,
];

/// What happens in place of a command, or before it reaches the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The token is powered off and on.
    Reset,
    /// Another program selects the application.
    Select,
    /// Another program sends a plain command.
    Plain,
    /// The command never reaches the token, and whoever holds it says so.
    LoseCommand,
    /// The token carries it out, and its answer is lost.
    LoseAnswer,
    /// A byte of the answer is altered.
    Alter,
    /// Whoever holds the token does not let it through.
    Stop,
    /// The token is gone until [`Wire::mend`].
    Gone,
}

/// The far end, and what tests may do to it. Clones are the same.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Far>);

struct Far {
    connect: Mutex<VirtualConnect>,
    /// Commands until the fault.
    fault: Mutex<Option<(usize, Fault)>>,
    gone: AtomicBool,
    /// Commands wait before the token.
    held: (Mutex<bool>, Condvar),
    /// The token knows no secure messaging.
    deaf: AtomicBool,
    /// The token whose device certificates are shown instead.
    mask: Mutex<Option<Vec<u8>>>,
    window: AtomicUsize,
    tells: AtomicBool,
    /// One way, in milliseconds.
    delay: AtomicU64,
    /// Every command as it came, and every answer.
    seen: Mutex<Vec<(Vec<u8>, Vec<u8>)>>,
    most_under_way: AtomicUsize,
    authenticated: AtomicUsize,
    told: Mutex<Vec<Option<Duration>>>,
    known: Mutex<Option<Known>>,
}

impl Wire {
    pub(crate) fn to(connect: VirtualConnect) -> Self {
        Self(Arc::new(Far {
            connect: Mutex::new(connect),
            fault: Mutex::new(None),
            gone: AtomicBool::new(false),
            held: <_>::default(),
            deaf: AtomicBool::new(false),
            mask: Mutex::new(None),
            window: AtomicUsize::new(1),
            tells: AtomicBool::new(true),
            delay: AtomicU64::new(0),
            seen: Mutex::default(),
            most_under_way: AtomicUsize::new(0),
            authenticated: AtomicUsize::new(0),
            told: Mutex::default(),
            known: Mutex::default(),
        }))
    }

    /// So many commands may be under way, and whether the wire tells when an answer is there.
    pub(crate) fn with_window(self, window: usize, tells: bool) -> Self {
        self.0.window.store(window, Ordering::SeqCst);
        self.0.tells.store(tells, Ordering::SeqCst);
        self
    }

    pub(crate) fn set_delay(&self, each_way: Duration) {
        let milliseconds = u64::try_from(each_way.as_millis()).unwrap();
        self.0.delay.store(milliseconds, Ordering::SeqCst);
    }

    pub(crate) fn lead_to(&self, connect: VirtualConnect) {
        *self.0.connect.lock().unwrap() = connect;
    }

    /// The next but `commands` command meets this fault.
    pub(crate) fn fail_after(&self, commands: usize, fault: Fault) {
        *self.0.fault.lock().unwrap() = Some((commands, fault));
    }

    pub(crate) fn fault_is_over(&self) -> bool {
        self.0.fault.lock().unwrap().is_none()
    }

    pub(crate) fn mend(&self) {
        self.0.gone.store(false, Ordering::SeqCst);
    }

    /// Whether commands wait before the token, as while a cut line is awaited.
    pub(crate) fn hold(&self, held: bool) {
        *self.0.held.0.lock().unwrap() = held;
        self.0.held.1.notify_all();
    }

    pub(crate) fn without_secure_messaging(&self) {
        self.0.deaf.store(true, Ordering::SeqCst);
    }

    /// READ BINARY of the device certificates gives these.
    pub(crate) fn pretend(&self, chain: Vec<u8>) {
        *self.0.mask.lock().unwrap() = Some(chain);
    }

    /// Commands and answers, as they went over the wire.
    pub(crate) fn seen(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.0.seen.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.0.seen.lock().unwrap().clear();
    }

    pub(crate) fn headers(&self) -> Vec<[u8; 4]> {
        self.seen()
            .iter()
            .map(|(command, _)| *command.first_chunk().unwrap())
            .collect()
    }

    /// Commands with this instruction.
    pub(crate) fn count_of(&self, instruction: u8) -> usize {
        self.headers()
            .iter()
            .filter(|header| header[1] == instruction)
            .count()
    }

    /// SELECTs of an application, which cost a quorum.
    pub(crate) fn selections(&self) -> usize {
        self.headers()
            .iter()
            .filter(|[_, instruction, p1, _]| (*instruction, *p1) == (0xA4, 0x04))
            .count()
    }

    pub(crate) fn most_under_way(&self) -> usize {
        self.0.most_under_way.load(Ordering::SeqCst)
    }

    pub(crate) fn authenticated(&self) -> usize {
        self.0.authenticated.load(Ordering::SeqCst)
    }

    pub(crate) fn told(&self) -> Vec<Option<Duration>> {
        self.0.told.lock().unwrap().clone()
    }
}

impl Connect for Wire {
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError> {
        let to = self.0.connect.lock().unwrap().clone();
        let what = to.dir.display().to_string();
        if self.0.gone.load(Ordering::SeqCst) {
            return Err(ConnectError::NotFound { what });
        }
        let token = VirtualToken::open(&to.dir, &to.at_rest).map_err(|error| ConnectError::Failed {
            what,
            source: Box::new(error),
        })?;
        Ok(Box::new(Near::new(self.0.clone(), token)))
    }
}

type Answer = Result<Zeroizing<Vec<u8>>, TransportError>;

/// A command on its way, with the number of the connection it belongs to.
struct Command {
    due: Instant,
    era: u64,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Answers {
    here: Mutex<VecDeque<Answer>>,
    came: Condvar,
    ready: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

/// The near end.
struct Near {
    far: Arc<Far>,
    commands: Option<Sender<Command>>,
    answers: Arc<Answers>,
    /// Grows when what was under way is lost.
    era: Arc<AtomicU64>,
    under_way: usize,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Near {
    fn new(far: Arc<Far>, token: VirtualToken) -> Self {
        let (commands, inbox) = mpsc::channel();
        let (outbox, back) = mpsc::channel();
        let answers = Arc::new(Answers::default());
        let era = Arc::new(AtomicU64::new(0));
        let there = {
            let (far, era) = (Arc::clone(&far), Arc::clone(&era));
            std::thread::spawn(move || far_end(&far, token, &inbox, &outbox, &era))
        };
        let here = {
            let answers = Arc::clone(&answers);
            std::thread::spawn(move || way_back(&answers, &back))
        };
        Self {
            far,
            commands: Some(commands),
            answers,
            era,
            under_way: 0,
            threads: vec![there, here],
        }
    }

    fn arrived(&mut self, answer: Answer) -> Answer {
        self.under_way -= 1;
        if answer.is_err() {
            self.under_way = 0;
            self.era.fetch_add(1, Ordering::SeqCst);
        }
        answer
    }
}

/// Holds the token, and carries out what comes.
fn far_end(
    far: &Far,
    mut token: VirtualToken,
    inbox: &Receiver<Command>,
    outbox: &Sender<(Instant, Answer)>,
    era: &AtomicU64,
) {
    let mut lost = None;
    for Command { due, era: of, bytes } in inbox {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // What was under way when something was lost is lost with it.
        if lost == Some(of) || of < era.load(Ordering::SeqCst) {
            continue;
        }
        let answer = carry_out(far, &mut token, &bytes);
        if answer.is_err() {
            lost = Some(of);
        }
        let delay = Duration::from_millis(far.delay.load(Ordering::SeqCst));
        if outbox.send((Instant::now() + delay, answer)).is_err() {
            return;
        }
    }
}

fn carry_out(far: &Far, token: &mut VirtualToken, command: &[u8]) -> Answer {
    let held = far.held.0.lock().unwrap();
    drop(far.held.1.wait_while(held, |held| *held).unwrap());
    let fault = {
        let mut fault = far.fault.lock().unwrap();
        match &mut *fault {
            Some((0, _)) => fault.take().map(|(_, fault)| fault),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    };
    let failed = |reason: &str| {
        Err(TransportError::Failed {
            reason: reason.to_owned(),
        })
    };
    match fault {
        Some(Fault::Reset) => token.reset()?,
        Some(Fault::Select) => drop(token.transmit(&SELECT)?),
        Some(Fault::Plain) => drop(token.transmit(&[0x80, 0x54, 0x00, 0x00, 0x04])?),
        Some(Fault::LoseCommand) => return failed("the line was cut"),
        Some(Fault::Stop) => return Ok(Zeroizing::new(vec![0x69, 0x82])),
        Some(Fault::Gone) => far.gone.store(true, Ordering::SeqCst),
        _ => {}
    }
    if far.gone.load(Ordering::SeqCst) {
        return Err(TransportError::lost("the connector went away"));
    }
    let deaf = far.deaf.load(Ordering::SeqCst) && command.starts_with(&[0x00, 0x22, 0x41, 0xA4]);
    let mask = far.mask.lock().unwrap().clone();
    let mut answer = match mask.filter(|_| command.starts_with(&[0x00, 0xB1, 0x2F, 0x02])) {
        // It fits into the first answer.
        Some(chain) => Zeroizing::new([&chain[..], &[0x90, 0x00]].concat()),
        None if deaf => Zeroizing::new(vec![0x6A, 0x88]),
        None => token.transmit(command)?,
    };
    if fault == Some(Fault::LoseAnswer) {
        return failed("the line was cut");
    }
    if fault == Some(Fault::Alter) {
        let middle = answer.len() / 2;
        answer[middle] ^= 1;
    }
    far.seen.lock().unwrap().push((command.to_vec(), answer.to_vec()));
    Ok(answer)
}

fn way_back(answers: &Answers, back: &Receiver<(Instant, Answer)>) {
    for (due, answer) in back {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        answers.here.lock().unwrap().push_back(answer);
        answers.came.notify_all();
        let ready = answers.ready.lock().unwrap().clone();
        if let Some(ready) = ready {
            ready();
        }
    }
}

impl Transport for Near {
    fn transmit(&mut self, command: &[u8]) -> Answer {
        assert_eq!(self.under_way, 0, "a command between others and their answers");
        self.send(command)?;
        self.receive()
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        panic!("nobody resets a token far away")
    }

    fn window(&self) -> usize {
        self.far.window.load(Ordering::SeqCst)
    }

    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        let delay = Duration::from_millis(self.far.delay.load(Ordering::SeqCst));
        let command = Command {
            due: Instant::now() + delay,
            era: self.era.load(Ordering::SeqCst),
            bytes: command.to_vec(),
        };
        self.commands.as_ref().unwrap().send(command).unwrap();
        self.under_way += 1;
        self.far
            .most_under_way
            .fetch_max(self.under_way, Ordering::SeqCst);
        Ok(())
    }

    fn receive(&mut self) -> Answer {
        assert!(self.under_way > 0, "an answer to nothing");
        let answer = {
            let here = self.answers.here.lock().unwrap();
            let wait = self.answers.came.wait_while(here, |here| here.is_empty());
            wait.unwrap().pop_front().unwrap()
        };
        self.arrived(answer)
    }

    fn try_receive(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        assert!(self.under_way > 0, "an answer to nothing");
        let answer = self.answers.here.lock().unwrap().pop_front();
        answer.map(|answer| self.arrived(answer)).transpose()
    }

    fn on_ready(&mut self, ready: Arc<dyn Fn() + Send + Sync>) -> bool {
        let tells = self.far.tells.load(Ordering::SeqCst);
        if tells {
            *self.answers.ready.lock().unwrap() = Some(ready);
        }
        tells
    }
}

impl Token for Near {
    fn mark(&self) -> Option<Mark> {
        None
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn authenticated(&mut self) {
        self.far.authenticated.fetch_add(1, Ordering::SeqCst);
    }

    fn remember(&mut self, known: Known) {
        *self.far.known.lock().unwrap() = Some(known);
    }

    fn remembered(&mut self) -> Option<Known> {
        self.far.known.lock().unwrap().as_mut().map(Known::hand_out)
    }

    fn lock_in(&mut self, after: Option<Duration>) {
        self.far.told.lock().unwrap().push(after);
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.commands = None;
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}
