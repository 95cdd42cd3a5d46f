//! The line between center and HSMs, and what goes wrong on it.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender},
    },
    time::Duration,
};

use chancery_center::TokenSource;
use chancery_iso7816::{Transport, TransportError};
use chancery_keys::{Connect, ConnectError, Mark, StartOptions, Token, VirtualConnect};
use chancery_vtoken::AtRest;
use zeroize::Zeroizing;

/// INS of SIGN.
const SIGN: u8 = 0x68;

/// What tests see of the line to the HSMs, and do to it.
#[derive(Default)]
pub struct Line {
    /// While set, every token is gone, as when the plug is pulled.
    pub unplugged: AtomicBool,
    /// SIGN commands that reached a token.
    pub signs: AtomicU64,
    /// All commands that reached a token.
    pub commands: AtomicU64,
    /// SIGN commands that reached a token, as they were.
    pub signed: Mutex<Vec<Vec<u8>>>,
    /// While set, a challenge expires as soon as it is drawn. Counts from the next connection on.
    pub impatient: AtomicBool,
    /// HSMs that are gone.
    gone: Mutex<BTreeSet<String>>,
    cut: Mutex<Option<Cut>>,
    hold: Mutex<Option<Hold>>,
    /// HSMs whose commands are kept back.
    stalled: Mutex<BTreeSet<String>>,
    moved: Condvar,
}

/// All tokens are lost at a command.
#[derive(Clone, Copy)]
struct Cut {
    /// Commands still let through before.
    left: u64,
    /// Whether the command at which it happens reaches the token; its answer is lost.
    delivered: bool,
}

/// The next SIGN waits, on its way to the token.
struct Hold {
    reached: SyncSender<()>,
    go: Receiver<()>,
}

impl Line {
    pub fn unplug(&self, hsm: &str) {
        self.gone.lock().expect("not poisoned").insert(hsm.to_owned());
    }

    /// Keeps back every command to an HSM until [`Line::let_go`], as when the network is cut.
    pub fn stall(&self, hsm: &str) {
        self.stalled.lock().expect("not poisoned").insert(hsm.to_owned());
    }

    /// Nothing is kept back any more.
    pub fn let_go(&self) {
        self.stalled.lock().expect("not poisoned").clear();
        self.moved.notify_all();
    }

    /// Everything is whole again.
    pub fn mend(&self) {
        self.let_go();
        self.unplugged.store(false, Ordering::Relaxed);
        self.gone.lock().expect("not poisoned").clear();
        *self.cut.lock().expect("not poisoned") = None;
    }

    /// Loses all tokens at a command to come; `left` are let through before.
    pub fn cut_after(&self, left: u64, delivered: bool) {
        *self.cut.lock().expect("not poisoned") = Some(Cut { left, delivered });
    }

    /// Keeps the next SIGN back: tells when it is on its way, and waits to be told to go on.
    pub fn hold_sign(&self, reached: SyncSender<()>, go: Receiver<()>) {
        *self.hold.lock().expect("not poisoned") = Some(Hold { reached, go });
    }

    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// A command on its way: whether the token is out of reach now, and whether the command reaches it all the same.
    fn pass(&self, hsm: &str, command: &[u8]) -> (bool, bool) {
        let stalled = self.stalled.lock().expect("not poisoned");
        let stalled = self.moved.wait_while(stalled, |stalled| stalled.contains(hsm));
        drop(stalled.expect("not poisoned"));
        let is_sign = command.get(1) == Some(&SIGN);
        if is_sign && let Some(hold) = self.hold.lock().expect("not poisoned").take() {
            hold.reached.send(()).expect("somebody waits for it");
            hold.go.recv().expect("somebody says when to go on");
        }
        let (lost, delivered) = self.lost(hsm);
        if !lost || delivered {
            self.commands.fetch_add(1, Ordering::Relaxed);
            if is_sign {
                self.signs.fetch_add(1, Ordering::Relaxed);
                self.signed.lock().expect("not poisoned").push(command.to_vec());
            }
        }
        (lost, delivered)
    }

    /// Whether the token is out of reach now; the second value is whether the command reaches it all the same.
    fn lost(&self, hsm: &str) -> (bool, bool) {
        let mut cut = self.cut.lock().expect("not poisoned");
        if let Some(plan) = cut.as_mut() {
            if plan.left == 0 {
                let delivered = plan.delivered;
                *cut = None;
                self.unplugged.store(true, Ordering::Relaxed);
                return (true, delivered);
            }
            plan.left -= 1;
        }
        let gone = self.gone.lock().expect("not poisoned").contains(hsm);
        (gone || self.unplugged.load(Ordering::Relaxed), false)
    }
}

struct Plug {
    token: Box<dyn Token>,
    hsm: String,
    line: Arc<Line>,
}

impl Transport for Plug {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let (lost, delivered) = self.line.pass(&self.hsm, command);
        if lost && !delivered {
            return Err(TransportError::lost("the plug was pulled"));
        }
        let answer = self.token.transmit(command);
        if lost {
            return Err(TransportError::lost("the plug was pulled before the answer came"));
        }
        answer
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

impl Token for Plug {
    fn mark(&self) -> Option<Mark> {
        self.token.mark()
    }
}

struct Plugged {
    connect: VirtualConnect,
    hsm: String,
    line: Arc<Line>,
}

impl Connect for Plugged {
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError> {
        Ok(Box::new(Plug {
            token: self.connect.connect()?,
            hsm: self.hsm.clone(),
            line: Arc::clone(&self.line),
        }))
    }
}

/// Virtual tokens at the end of a line.
pub struct Tokens {
    pub directory: PathBuf,
    pub at_rest: AtRest,
    pub line: Arc<Line>,
}

impl TokenSource for Tokens {
    fn at(&self, locator: &str) -> Option<Arc<dyn Connect>> {
        let name = locator.strip_prefix("virtual:")?;
        let connect = VirtualConnect {
            dir: self.directory.join(name),
            at_rest: self.at_rest.clone(),
        };
        Some(Arc::new(Plugged {
            connect,
            hsm: name.to_owned(),
            line: Arc::clone(&self.line),
        }))
    }

    fn limits(&self) -> StartOptions {
        let mut limits = StartOptions::default();
        if self.line.impatient.load(Ordering::Relaxed) {
            limits.challenge_expiry = Duration::ZERO;
        }
        limits
    }
}
