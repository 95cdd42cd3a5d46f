//! An installation with HSMs and custodians, and a line to a token that tests can cut, watch and hold.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use chancery_cvc::{Reference, TrustAnchors};
use chancery_driver::{Authenticated, Card, Initialize, Pin, SoPin, custodian};
use chancery_iso7816::recording::{Log, Recording};
use chancery_iso7816::{Transport, TransportError};
use chancery_keys::{
    Connect, ConnectError, GenerateSpec, GeneratedKey, Hsm, Initialise, KeyAlgorithm, Mark, StartOptions,
    State, Token, VirtualConnect,
};
use chancery_schsm::{InitializeOptions, KekShare, KeyId};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use tempfile::TempDir;
use time::macros::date;
use zeroize::Zeroizing;

use crate::wire::Wire;

/// Key id of CA keys in these tests.
pub(crate) const KEY: u8 = 1;
/// What the clock shows when nobody moves it.
pub(crate) const NOW: i64 = 1_795_000_000_000;
/// SIGN.
pub(crate) const SIGN: u8 = 0x68;

pub(crate) struct Installation {
    dir: TempDir,
    factory: Factory,
    pub(crate) anchors: Arc<TrustAnchors>,
    pub(crate) now: Arc<AtomicI64>,
}

/// A custodian's own token, open.
pub(crate) struct Custodian {
    token: Authenticated<VirtualToken>,
    pub(crate) chain: Vec<u8>,
    pub(crate) request: Vec<u8>,
    pub(crate) chr: String,
}

/// An HSM and the line to it.
pub(crate) struct Bench {
    pub(crate) hsm: Hsm,
    pub(crate) line: Line,
}

/// An HSM and the wire to it.
pub(crate) struct Far {
    pub(crate) hsm: Hsm,
    pub(crate) wire: Wire,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let factory =
            Factory::open_or_create(&dir.path().join("factory"), &at_rest, date!(2026 - 11 - 21)).unwrap();
        let mut anchors = TrustAnchors::none();
        anchors.add_bytes(factory.root_certificate()).unwrap();
        Self {
            dir,
            factory,
            anchors: Arc::new(anchors),
            now: Arc::new(AtomicI64::new(NOW)),
        }
    }

    pub(crate) fn at_rest(&self) -> AtRest {
        AtRest::MachineSecret(self.dir.path().join("secret"))
    }

    /// Makes a token and tells how to reach it.
    pub(crate) fn token(&self, name: &str) -> VirtualConnect {
        let tokens = self.dir.path().join("tokens");
        let name = TokenName::new(name).unwrap();
        self.factory
            .create(&tokens, &name, date!(2026 - 11 - 21))
            .unwrap();
        VirtualConnect::new(tokens.join(name.as_str()), self.at_rest())
    }

    /// Where all tokens are.
    pub(crate) fn token_dir(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    pub(crate) fn clock(&self) -> Arc<dyn Fn() -> i64 + Send + Sync> {
        let now = Arc::clone(&self.now);
        Arc::new(move || now.load(Ordering::SeqCst))
    }

    pub(crate) fn start(&self, name: &str, line: &Line, options: StartOptions) -> Hsm {
        let connect = Arc::new(line.clone());
        Hsm::start_with(name, connect, Arc::clone(&self.anchors), self.clock(), options).unwrap()
    }

    /// An HSM on a new token behind a wire.
    pub(crate) fn far(&self, name: &str, wire: impl FnOnce(Wire) -> Wire, options: StartOptions) -> Far {
        let wire = wire(Wire::to(self.token(name)));
        let anchors = Arc::clone(&self.anchors);
        let hsm = Hsm::start_with(name, Arc::new(wire.clone()), anchors, self.clock(), options).unwrap();
        Far { hsm, wire }
    }

    /// As [`Self::open_hsm`], behind a wire.
    pub(crate) async fn open_far(
        &self,
        wire: impl FnOnce(Wire) -> Wire,
        options: StartOptions,
    ) -> (Far, [Custodian; 3], GeneratedKey) {
        let mut custodians = self.custodians();
        let far = self.far("hsm-a", wire, options);
        set_up(&far.hsm, &custodians).await;
        unlock(&far.hsm, &mut custodians).await;
        let key = far.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
        far.wire.forget();
        (far, custodians, key)
    }

    /// An HSM on a new token.
    pub(crate) fn hsm(&self, name: &str) -> Bench {
        self.hsm_with(name, StartOptions::default())
    }

    pub(crate) fn hsm_with(&self, name: &str, options: StartOptions) -> Bench {
        let line = Line::to(self.token(name));
        Bench {
            hsm: self.start(name, &line, options),
            line,
        }
    }

    /// A custodian with a token of his own: PIN, and a key generated for nothing else.
    pub(crate) fn custodian(&self, name: &str) -> Custodian {
        let connect = self.token(name);
        let token = VirtualToken::open(&connect.dir, &connect.at_rest).unwrap();
        let mut token = Card::new(token).select().unwrap();
        let pin = Pin::new("648219").unwrap();
        token
            .initialize(&Initialize {
                options: InitializeOptions::RESET_RETRY_COUNTER,
                user_pin: Some(pin.clone()),
                so_pin: so_pin(),
                retry: 3,
                dkek_shares: None,
                quorum: None,
                domains: None,
            })
            .unwrap();
        let mut token = token.verify_pin(&pin).unwrap();
        let registration = custodian::custodian_request(&mut token, KeyId(1), &self.anchors).unwrap();
        Custodian {
            chain: token
                .read_file(chancery_schsm::fid::DEVICE_CERTIFICATES)
                .unwrap()
                .unwrap(),
            request: registration.request().to_bytes(),
            chr: registration.custodian().to_string(),
            token,
        }
    }

    pub(crate) fn custodians(&self) -> [Custodian; 3] {
        ["ann", "bob", "cem"].map(|name| self.custodian(name))
    }

    /// Two HSMs of one key domain that know the same three custodians, locked.
    pub(crate) async fn two_hsms(&self) -> (Bench, Bench, [Custodian; 3]) {
        let custodians = self.custodians();
        let (a, b) = (self.hsm("hsm-a"), self.hsm("hsm-b"));
        for bench in [&a, &b] {
            set_up(&bench.hsm, &custodians).await;
        }
        (a, b, custodians)
    }

    /// One HSM, open, with a P-256 key.
    pub(crate) async fn open_hsm(&self) -> (Bench, [Custodian; 3], GeneratedKey) {
        let mut custodians = self.custodians();
        let bench = self.hsm("hsm-a");
        set_up(&bench.hsm, &custodians).await;
        unlock(&bench.hsm, &mut custodians).await;
        let key = bench.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
        (bench, custodians, key)
    }
}

impl Custodian {
    /// The answer to a challenge of this HSM.
    pub(crate) fn answer(&mut self, hsm: &Hsm, challenge: [u8; 8]) -> Vec<u8> {
        self.answer_for(&hsm.identity().device, challenge)
    }

    pub(crate) fn answer_for(&mut self, device: &str, challenge: [u8; 8]) -> Vec<u8> {
        let target = Reference::new(device).unwrap();
        let challenge = chancery_driver::Challenge(challenge);
        custodian::answer(&mut self.token, KeyId(1), &target, challenge)
            .unwrap()
            .to_vec()
    }
}

pub(crate) fn so_pin() -> SoPin {
    SoPin::from_hex("3537363231383830").unwrap()
}

pub(crate) fn shares() -> Vec<KekShare> {
    vec![KekShare::new([0x11; 32]), KekShare::new([0x2E; 32])]
}

pub(crate) fn parameters() -> Initialise {
    Initialise {
        so_pin: so_pin(),
        required: 2,
        total: 3,
        shares: shares(),
    }
}

pub(crate) fn spec(algorithm: KeyAlgorithm) -> GenerateSpec {
    GenerateSpec {
        key_id: KEY,
        algorithm,
        chr: None,
        label: "root".to_owned(),
    }
}

pub(crate) async fn set_up(hsm: &Hsm, custodians: &[Custodian]) {
    hsm.initialise(parameters()).await.unwrap();
    for custodian in custodians {
        hsm.register(custodian.chain.clone(), custodian.request.clone())
            .await
            .unwrap();
    }
}

/// One custodian answers.
pub(crate) async fn one_answers(hsm: &Hsm, custodian: &mut Custodian) -> State {
    let challenge = hsm.challenge(&custodian.chr).await.unwrap();
    let signature = custodian.answer(hsm, challenge.challenge);
    hsm.answer(&challenge.session, &signature).await.unwrap()
}

/// The first two answer.
pub(crate) async fn unlock(hsm: &Hsm, custodians: &mut [Custodian]) {
    let mut state = hsm.state();
    for custodian in custodians.iter_mut().take(2) {
        state = one_answers(hsm, custodian).await;
    }
    assert!(matches!(state, State::Unlocked { .. }), "{state}");
}

/// A way to a token that tests can interfere with. Clones are the same line.
#[derive(Clone)]
pub(crate) struct Line {
    to: Arc<Mutex<VirtualConnect>>,
    control: Arc<Control>,
}

/// Where a cut line loses the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The command never reaches the token.
    Command,
    /// The token carried it out, and its answer is lost.
    Answer,
}

struct Control {
    /// Exchanges until the line is cut.
    left: AtomicUsize,
    lose_answer: AtomicBool,
    reset: AtomicBool,
    falsify: AtomicBool,
    panic: AtomicBool,
    log: Mutex<Log>,
    held: Mutex<Hold>,
    changed: Condvar,
}

#[derive(Default)]
struct Hold {
    /// Commands stop here.
    on: bool,
    /// A command has come here.
    reached: bool,
}

impl Line {
    pub(crate) fn to(connect: VirtualConnect) -> Self {
        Self {
            to: Arc::new(Mutex::new(connect)),
            control: Arc::new(Control {
                left: AtomicUsize::new(usize::MAX),
                lose_answer: AtomicBool::new(false),
                reset: AtomicBool::new(false),
                falsify: AtomicBool::new(false),
                panic: AtomicBool::new(false),
                log: Mutex::default(),
                held: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// From the next but `exchanges` command on the token is gone, until [`Line::mend`].
    pub(crate) fn cut_after(&self, exchanges: usize, loss: Loss) {
        self.control
            .lose_answer
            .store(loss == Loss::Answer, Ordering::SeqCst);
        self.control.left.store(exchanges, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.control.lose_answer.store(false, Ordering::SeqCst);
        self.control.left.store(usize::MAX, Ordering::SeqCst);
    }

    /// Something else powers the token off and on before the next command.
    pub(crate) fn reset_once(&self) {
        self.control.reset.store(true, Ordering::SeqCst);
    }

    /// Signatures come with a wrong last byte.
    pub(crate) fn falsify(&self) {
        self.control.falsify.store(true, Ordering::SeqCst);
    }

    /// The next command makes the transport panic.
    pub(crate) fn panic_once(&self) {
        self.control.panic.store(true, Ordering::SeqCst);
    }

    /// Leads to another token from the next connection on.
    pub(crate) fn lead_to(&self, connect: VirtualConnect) {
        *self.to.lock().unwrap() = connect;
    }

    /// What went over the line since it was last connected.
    pub(crate) fn log(&self) -> Log {
        self.control.log.lock().unwrap().clone()
    }

    /// Stops the next command on its way to the token.
    pub(crate) fn hold(&self) {
        *self.control.held.lock().unwrap() = Hold {
            on: true,
            reached: false,
        };
    }

    /// Waits until a command has been stopped.
    pub(crate) fn wait_until_held(&self) {
        let held = self.control.held.lock().unwrap();
        drop(
            self.control
                .changed
                .wait_while(held, |held| !held.reached)
                .unwrap(),
        );
    }

    pub(crate) fn release(&self) {
        self.control.held.lock().unwrap().on = false;
        self.control.changed.notify_all();
    }

    /// The directory of the token.
    pub(crate) fn dir(&self) -> PathBuf {
        self.to.lock().unwrap().dir.clone()
    }
}

impl Connect for Line {
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError> {
        let to = self.to.lock().unwrap().clone();
        if self.control.left.load(Ordering::SeqCst) == 0 {
            return Err(ConnectError::NotFound {
                what: to.dir.display().to_string(),
            });
        }
        let token = VirtualToken::open(&to.dir, &to.at_rest).map_err(|error| match error {
            chancery_vtoken::OpenError::InUse { pid } => ConnectError::InUse {
                what: to.dir.display().to_string(),
                pid,
            },
            other => ConnectError::Failed {
                what: to.dir.display().to_string(),
                source: Box::new(other),
            },
        })?;
        let token = Recording::new(token);
        *self.control.log.lock().unwrap() = token.log();
        Ok(Box::new(Plugged {
            token,
            control: Arc::clone(&self.control),
        }))
    }
}

struct Plugged {
    token: Recording<VirtualToken>,
    control: Arc<Control>,
}

impl Transport for Plugged {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let control = &self.control;
        let mut held = control.held.lock().unwrap();
        if held.on {
            held.reached = true;
            control.changed.notify_all();
            held = control.changed.wait_while(held, |held| held.on).unwrap();
        }
        drop(held);
        assert!(
            !control.panic.swap(false, Ordering::SeqCst),
            "a defect made by the test"
        );
        if control.reset.swap(false, Ordering::SeqCst) {
            self.token.reset()?;
        }
        let left = control.left.load(Ordering::SeqCst);
        if left == 0 {
            if control.lose_answer.swap(false, Ordering::SeqCst) {
                drop(self.token.transmit(command));
            }
            return Err(TransportError::lost("pulled by the test"));
        }
        if left != usize::MAX {
            control.left.store(left - 1, Ordering::SeqCst);
        }
        let mut answer = self.token.transmit(command)?;
        if command.get(1) == Some(&SIGN) && control.falsify.load(Ordering::SeqCst) {
            let last = answer.len() - 3;
            answer[last] ^= 1;
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

impl Token for Plugged {
    fn mark(&self) -> Option<Mark> {
        None
    }
}
