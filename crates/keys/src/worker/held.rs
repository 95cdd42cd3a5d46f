//! The token in the thread's hands: connecting, noticing what others did to it, losing it, giving it back.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_cvc::{DeviceChain, DeviceIdentity, TrustAnchors};
use chancery_driver::{Authenticated, Card, Error, PinStatus, QuorumMemory, Selected};
use chancery_iso7816::{Transport, TransportError};
use chancery_schsm::{PkaStatus, fid};
use zeroize::Zeroizing;

use super::Worker;
use crate::{Connect, HsmError, Identity, Inspection, Mark, State, Token};

/// The driver's typestate, as far as it matters here.
pub(super) enum Held {
    /// Selected and locked.
    Selected(Selected<SharedToken>),
    /// Opened by its custodians.
    Open(Authenticated<SharedToken>),
    /// Lost.
    Gone,
}

impl Held {
    fn into_card(self) -> Option<Card<SharedToken>> {
        match self {
            Self::Selected(card) => Some(card.disconnect()),
            Self::Open(card) => Some(card.disconnect()),
            Self::Gone => None,
        }
    }
}

/// A token the driver sends commands to while the thread can still ask what is no command. The lock is never
/// contended: both are on the same thread.
#[derive(Clone)]
pub(super) struct SharedToken(Arc<Mutex<Box<dyn Token>>>);

impl SharedToken {
    fn new(token: Box<dyn Token>) -> Self {
        Self(Arc::new(Mutex::new(token)))
    }

    fn lock(&self) -> MutexGuard<'_, Box<dyn Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for SharedToken {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.lock().transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.lock().reset()
    }
}

/// A token just connected, its identity proven.
pub(super) struct Attached {
    pub(super) card: Selected<SharedToken>,
    pub(super) token: SharedToken,
    pub(super) device: DeviceIdentity,
    pub(super) chain: Vec<u8>,
}

/// Connects, selects, reads the chain and verifies it.
pub(super) fn attach(hsm: &str, connect: &dyn Connect, anchors: &TrustAnchors) -> Result<Attached, HsmError> {
    let token = connect.connect().map_err(|source| HsmError::Connect {
        hsm: hsm.to_owned(),
        source,
    })?;
    let token = SharedToken::new(token);
    let failed = |error| HsmError::Token {
        hsm: hsm.to_owned(),
        doing: "be selected",
        source: Box::new(error),
    };
    let mut card = Card::new(token.clone())
        .select()
        .map_err(|refused| failed(refused.into_error()))?;
    let chain = card
        .read_file(fid::DEVICE_CERTIFICATES)
        .map_err(failed)?
        .unwrap_or_default();
    let refused = |source| HsmError::Chain {
        hsm: hsm.to_owned(),
        source,
    };
    let device = DeviceChain::parse(&chain)
        .map_err(|error| refused(Box::new(error)))?
        .verify(anchors, None)
        .map_err(|error| refused(Box::new(error)))?;
    Ok(Attached {
        card,
        token,
        device,
        chain,
    })
}

impl Attached {
    pub(super) fn identity(&self, hsm: &str) -> Result<Identity, HsmError> {
        let key = self.device.device_key();
        let device_key = match key.point() {
            Some(point) => point.to_vec(),
            None => key.to_spki_der().map_err(|error| HsmError::Chain {
                hsm: hsm.to_owned(),
                source: Box::new(error),
            })?,
        };
        Ok(Identity {
            device: self.device.name().to_string(),
            device_key,
            chain: self.chain.clone(),
            genuineness: self.device.genuine(),
        })
    }
}

/// Sends something that either state permits; failures go through the named method and end the function.
macro_rules! ask {
    ($worker:ident.$failed:ident, $doing:literal, $card:ident => $call:expr) => {{
        let result = match &mut $worker.card {
            $crate::worker::held::Held::Selected($card) => $call,
            $crate::worker::held::Held::Open($card) => $call,
            $crate::worker::held::Held::Gone => return Err($worker.shared.not_open()),
        };
        match result {
            Ok(value) => value,
            Err(error) => return Err($worker.$failed($doing, error)),
        }
    }};
}
pub(super) use ask;

/// A count, which nobody has where the application is not selected: some devices refuse the question then, others do not
/// know the command.
fn unless_unselected(count: Result<Option<PkaStatus>, Error>) -> Result<Option<PkaStatus>, Error> {
    match count {
        Err(Error::NotSelected { .. }) => Ok(None),
        other => other,
    }
}

/// What is told of an HSM whose custodians' answers do not count any more.
const RESET: &str = "the token was reset or selected by something else";

impl Worker {
    pub(super) fn mark(&self) -> Option<Mark> {
        self.token.as_ref().and_then(|token| token.lock().mark())
    }

    /// What a failed command means. A lost link loses the HSM; a refusal that an open token does not give makes the
    /// token be looked at.
    pub(super) fn failed(&mut self, doing: &'static str, error: Error) -> HsmError {
        let locked = error.is_locked() || matches!(error, Error::NotOffered { .. });
        if locked && matches!(self.card, Held::Open(_)) {
            match self.check() {
                Err(worse) => return worse,
                Ok(()) if !matches!(self.card, Held::Open(_)) => return self.shared.not_open(),
                Ok(()) => {}
            }
        }
        self.broken(doing, error)
    }

    /// As [`Self::failed`], without looking at the token.
    pub(super) fn broken(&mut self, doing: &'static str, error: Error) -> HsmError {
        match &error {
            Error::Link { source, .. } if !matches!(source, TransportError::TooLong { .. }) => {
                self.lose(source.to_string())
            }
            _ => HsmError::Token {
                hsm: self.shared.name.clone(),
                doing,
                source: Box::new(error),
            },
        }
    }

    /// Lets go of a token that is out of reach, or not the one it was.
    pub(super) fn lose(&mut self, because: String) -> HsmError {
        self.card = Held::Gone;
        self.token = None;
        self.status = None;
        self.shared.lose(because);
        self.shared.not_open()
    }

    /// Compares the token's count of custodians with the one last read. When answers are gone, something else has
    /// reached the token: it is selected afresh, and the cause stays with the state.
    pub(super) fn check(&mut self) -> Result<(), HsmError> {
        let now = ask!(self.broken, "tell its state", card => unless_unselected(card.pka_status()));
        let holds = match (self.status, now) {
            (Some(before), Some(now)) => {
                (before.total, before.required) == (now.total, now.required)
                    && now.missing <= before.missing
                    && now.authenticated >= before.authenticated
            }
            (Some(_), None) => false,
            (None, _) => true,
        };
        // A cause that is known stays known as long as nothing changes.
        let because = self.shared.locked_because();
        if holds && now.is_some() {
            return self.settle(now, because);
        }
        if holds {
            // Without a quorum there is nothing to lose, and nothing that would show whether it is still selected.
            self.select_again()?;
            return self.look(because);
        }
        tracing::warn!(
            hsm = self.shared.name,
            "the answers of custodians are gone: {RESET}"
        );
        self.select_again()?;
        self.look(Some(RESET.to_owned()))
    }

    /// Reads the count and takes over the state it means.
    pub(super) fn look(&mut self, because: Option<String>) -> Result<(), HsmError> {
        let status = ask!(self.broken, "tell its state", card => card.pka_status());
        self.settle(status, because)
    }

    /// Takes over the state a count means.
    pub(super) fn settle(
        &mut self,
        status: Option<PkaStatus>,
        because: Option<String>,
    ) -> Result<(), HsmError> {
        self.status = status;
        let Some(count) = status else {
            let pin = ask!(self.broken, "tell its state", card => card.pin_status());
            self.initialised = pin != PinStatus::Absent;
            let state = if self.initialised {
                State::Locked
            } else {
                State::NotInitialised
            };
            self.shared.set(state, because);
            return Ok(());
        };
        self.initialised = true;
        if count.is_satisfied() {
            return self.open();
        }
        let state = match count {
            PkaStatus { missing: 1.., .. } => State::Unregistered {
                missing: count.missing,
            },
            PkaStatus { authenticated: 0, .. } => State::Locked,
            _ => State::Quorum {
                have: count.authenticated,
                need: count.required,
            },
        };
        self.shared.set(state, because);
        Ok(())
    }

    /// Goes on to the open state once the token says that enough custodians have answered.
    fn open(&mut self) -> Result<(), HsmError> {
        match mem::replace(&mut self.card, Held::Gone) {
            Held::Selected(card) => match card.into_authenticated_by_quorum() {
                Ok(card) => {
                    self.card = Held::Open(card);
                    let since_ms = self.shared.now_ms();
                    self.shared.set(State::Unlocked { since_ms }, None);
                    Ok(())
                }
                Err(refused) => {
                    self.card = Held::Selected(refused.card);
                    Err(self.quorum_failed("be opened", refused.error))
                }
            },
            other => {
                self.card = other;
                Ok(())
            }
        }
    }

    /// SELECT: whatever was open is not any more. The token must still be the same device.
    pub(super) fn select_again(&mut self) -> Result<(), HsmError> {
        let Some(card) = mem::replace(&mut self.card, Held::Gone).into_card() else {
            return Err(self.shared.not_open());
        };
        self.memory.selected_again();
        match card.select() {
            Ok(card) => self.card = Held::Selected(card),
            Err(refused) => {
                let error = refused.into_error();
                let because = match &error {
                    Error::Link { source, .. } => source.to_string(),
                    other => format!("it cannot be selected: {other}"),
                };
                return Err(self.lose(because));
            }
        }
        let chain = ask!(self.broken, "show who it is", card => card.read_file(fid::DEVICE_CERTIFICATES));
        if chain.as_deref() == Some(&self.chain) {
            return Ok(());
        }
        Err(self.lose("another token answers in its place".to_owned()))
    }

    /// Connects the token again after a loss.
    pub(super) fn reconnect(&mut self) -> Result<Inspection, HsmError> {
        if !matches!(self.card, Held::Gone) {
            return self.inspect();
        }
        let hsm = &self.shared.name;
        let attached = attach(hsm, &*self.connect, &self.anchors)?;
        if attached.device.name() != self.device.name()
            || attached.device.device_key() != self.device.device_key()
        {
            return Err(HsmError::OtherDevice {
                hsm: hsm.clone(),
                found: attached.device.name().to_string(),
                expected: self.device.name().to_string(),
            });
        }
        let was = match self.shared.state() {
            State::Lost { because, .. } => Some(format!("it was lost ({because}) and connected again")),
            _ => None,
        };
        self.chain = attached.chain;
        self.memory = QuorumMemory::default();
        self.token = Some(attached.token);
        self.card = Held::Selected(attached.card);
        self.look(was)?;
        self.inspect()
    }

    /// Locks the token and gives it back.
    pub(super) fn let_go(&mut self) {
        if let Some(card) = mem::replace(&mut self.card, Held::Gone).into_card()
            && let Err(refused) = card.select()
        {
            tracing::warn!(hsm = self.shared.name, error = %refused.error, "could not lock the token before giving it back");
        }
        self.token = None;
    }
}
