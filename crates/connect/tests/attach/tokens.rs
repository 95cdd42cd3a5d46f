//! Tokens to attach: one that is only a record of what reached it, and a virtual one.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use chancery_connect::{TakeError, Taken};
use chancery_cvc::{Date, TrustAnchors};
use chancery_iso7816::{Transport, TransportError};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use zeroize::Zeroizing;

/// A card that answers and remembers. Clones are the same card.
#[derive(Clone, Default)]
pub(crate) struct FakeCard(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    seen: Vec<Vec<u8>>,
    resets: usize,
    held: usize,
    gone: bool,
    /// How many commands are answered before the next has to wait; without it, all.
    answered: Option<usize>,
}

impl FakeCard {
    /// A source of it.
    pub(crate) fn source(&self) -> impl Fn() -> Result<Taken, TakeError> + Send + Sync + 'static {
        let card = self.clone();
        move || {
            let mut state = card.0.0.lock().unwrap();
            if state.gone {
                return Err(TransportError::lost("pulled").into());
            }
            state.held += 1;
            Ok(Taken {
                transport: Box::new(Handle(card.clone())),
                atr: vec![0x3B, 0x80, 0x80, 0x01, 0x01],
                called: "the fake card".to_owned(),
                device: None,
            })
        }
    }

    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        self.0.0.lock().unwrap().seen.clone()
    }

    pub(crate) fn resets(&self) -> usize {
        self.0.0.lock().unwrap().resets
    }

    /// Whether somebody holds it.
    pub(crate) fn is_held(&self) -> bool {
        self.0.0.lock().unwrap().held > 0
    }

    /// Pulled, or put in again.
    pub(crate) fn set_gone(&self, gone: bool) {
        self.0.0.lock().unwrap().gone = gone;
    }

    /// So many commands of all are answered; further ones wait until this is raised.
    pub(crate) fn answer_only(&self, commands: usize) {
        self.0.0.lock().unwrap().answered = Some(commands);
        self.0.1.notify_all();
    }
}

struct Handle(FakeCard);

impl Transport for Handle {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let (state, changed) = &*self.0.0;
        let mut state = state.lock().unwrap();
        state.seen.push(command.to_vec());
        changed.notify_all();
        let state = changed
            .wait_timeout_while(state, Duration::from_secs(30), |state| {
                state.answered.is_some_and(|answered| state.seen.len() > answered)
            })
            .unwrap()
            .0;
        if state.gone {
            return Err(TransportError::lost("pulled"));
        }
        let answer: &[u8] = match command {
            [_, 0x84, ..] => &[1, 2, 3, 4, 5, 6, 7, 8, 0x90, 0],
            [_, 0x86, ..] => &[0x7C, 0, 0x90, 0],
            [0x0C | 0x8C, ..] => &[0x99, 2, 0x90, 0, 0x90, 0],
            _ => &[0x90, 0],
        };
        Ok(Zeroizing::new(answer.to_vec()))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.0.0.0.lock().unwrap().resets += 1;
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.0.0.lock().unwrap().held -= 1;
    }
}

/// A virtual token of a factory of its own.
pub(crate) struct Virtual {
    dir: tempfile::TempDir,
    factory: Factory,
}

impl Virtual {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let today = Date::from_calendar_date(2026, time::Month::March, 1).unwrap();
        let factory = Factory::open_or_create(&dir.path().join("factory"), &at_rest, today).unwrap();
        let name = TokenName::new("hsm").unwrap();
        factory.create(&dir.path().join("tokens"), &name, today).unwrap();
        Self { dir, factory }
    }

    pub(crate) fn source(&self) -> impl Fn() -> Result<Taken, TakeError> + Send + Sync + 'static {
        let path = self.dir.path().to_owned();
        move || {
            let at_rest = AtRest::MachineSecret(path.join("secret"));
            let token = VirtualToken::open(&path.join("tokens/hsm"), &at_rest).unwrap();
            Ok(Taken {
                atr: token.atr().to_vec(),
                transport: Box::new(token),
                called: "the virtual token".to_owned(),
                device: None,
            })
        }
    }

    /// The token's own places, for a source that looks for it.
    pub(crate) fn places(&self) -> chancery_tokens::reach::Places {
        chancery_tokens::reach::Places::new().with_virtual_tokens(
            self.dir.path().join("tokens"),
            AtRest::MachineSecret(self.dir.path().join("secret")),
        )
    }

    pub(crate) fn anchors(&self) -> TrustAnchors {
        let mut anchors = TrustAnchors::production().unwrap();
        anchors.add_bytes(self.factory.root_certificate()).unwrap();
        anchors
    }
}
