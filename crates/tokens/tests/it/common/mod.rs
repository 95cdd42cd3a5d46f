//! Tokens for tests, and links that break, lie or are reset by others.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_cvc::{Date, TrustAnchors};
use chancery_driver::{Card, Pin, Selected, SoPin};
use chancery_iso7816::{Transport, TransportError};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use zeroize::Zeroizing;

pub(crate) const PIN: &str = "648219";
pub(crate) const SO_PIN: &str = "3537363231383830";

/// A factory and its tokens.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    pub(crate) factory: Factory,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let factory = Factory::open_or_create(&dir.path().join("factory"), &at_rest, today()).unwrap();
        Self { dir, factory }
    }

    pub(crate) fn at_rest(&self) -> AtRest {
        AtRest::MachineSecret(self.dir.path().join("secret"))
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a token; its device id.
    pub(crate) fn make(&self, name: &str) -> String {
        let name = TokenName::new(name).unwrap();
        let summary = self.factory.create(&self.tokens(), &name, today()).unwrap();
        chancery_cvc::Reference::new(&summary.device_id)
            .unwrap()
            .holder()
            .to_owned()
    }

    pub(crate) fn open(&self, name: &str) -> VirtualToken {
        VirtualToken::open(&self.tokens().join(name), &self.at_rest()).unwrap()
    }

    pub(crate) fn select(&self, name: &str) -> Selected<VirtualToken> {
        Card::new(self.open(name)).select().unwrap()
    }

    pub(crate) fn anchors(&self) -> TrustAnchors {
        let mut anchors = TrustAnchors::production().unwrap();
        anchors.add_bytes(self.factory.root_certificate()).unwrap();
        anchors
    }
}

pub(crate) fn today() -> Date {
    Date::from_calendar_date(2026, time::Month::March, 1).unwrap()
}

pub(crate) fn pin() -> Pin {
    Pin::new(PIN).unwrap()
}

pub(crate) fn so_pin() -> SoPin {
    SoPin::from_hex(SO_PIN).unwrap()
}

/// Where a link breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The command does not arrive.
    Before(usize),
    /// The command arrives and its answer does not.
    After(usize),
    /// It holds.
    Never,
}

/// A link that breaks at a command, counted from 0, and counts.
pub(crate) struct Breaking<T> {
    inner: T,
    cut: Cut,
    pub(crate) sent: Arc<Mutex<usize>>,
    broken: bool,
}

impl<T> Breaking<T> {
    pub(crate) fn new(inner: T, cut: Cut) -> Self {
        Self {
            inner,
            cut,
            sent: Arc::default(),
            broken: false,
        }
    }
}

impl<T: Transport> Transport for Breaking<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let lost = || Err(TransportError::lost("pulled"));
        if self.broken {
            return lost();
        }
        let index = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            *sent += 1;
            *sent - 1
        };
        if self.cut == Cut::Before(index) {
            self.broken = true;
            return lost();
        }
        let answer = self.inner.transmit(command);
        if self.cut == Cut::After(index) {
            self.broken = true;
            return lost();
        }
        answer
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}

/// A link on which another program resets the card before chosen commands, as PC/SC tells it: the command is not sent.
pub(crate) struct Disturbed<T> {
    inner: T,
    at: Vec<usize>,
    sent: usize,
}

impl<T> Disturbed<T> {
    pub(crate) fn new(inner: T, at: &[usize]) -> Self {
        Self {
            inner,
            at: at.to_vec(),
            sent: 0,
        }
    }
}

impl<T: Transport> Transport for Disturbed<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let index = self.sent;
        self.sent += 1;
        if self.at.contains(&index) {
            self.inner.reset()?;
            return Err(TransportError::Reset {
                reason: "another program has reset the card".to_owned(),
            });
        }
        self.inner.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}

/// A card whose answers are made by a function of command and index.
pub(crate) struct Lying<F>(pub(crate) F, pub(crate) usize);

impl<F: FnMut(usize, &[u8]) -> Vec<u8> + Send> Transport for Lying<F> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let index = self.1;
        self.1 += 1;
        Ok(Zeroizing::new((self.0)(index, command)))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

/// A link that changes answers on their way.
pub(crate) struct Altered<T, F>(pub(crate) T, pub(crate) F);

impl<T: Transport, F: FnMut(&[u8], Vec<u8>) -> Vec<u8> + Send> Transport for Altered<T, F> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let answer = self.0.transmit(command)?;
        Ok(Zeroizing::new((self.1)(command, answer.to_vec())))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.0.reset()
    }
}
