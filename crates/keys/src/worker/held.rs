//! The token in the thread's hands: noticing what others did to it, losing it, giving it back.

use std::mem;
use std::sync::Arc;

use chancery_driver::secure::ChannelError;
use chancery_driver::{Authenticated, Card, Error, PinStatus, QuorumMemory, Selected};
use chancery_iso7816::Transport;
use chancery_schsm::{PkaStatus, fid};

use super::Worker;
use super::attach::{Attached, attach};
use super::recover::{OTHER, TRIES};
use super::way::Way;
use crate::{HsmError, Inspection, Mark, State};

/// The driver's typestate, as far as it matters here.
pub(super) enum Held {
    /// Selected and locked.
    Selected(Selected<Way>),
    /// Opened by its custodians.
    Open(Authenticated<Way>),
    /// Lost.
    Gone,
}

impl Held {
    fn into_card(self) -> Option<Card<Way>> {
        match self {
            Self::Selected(card) => Some(card.disconnect()),
            Self::Open(card) => Some(card.disconnect()),
            Self::Gone => None,
        }
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

/// Custodians whose answers count.
pub(super) fn counted(status: Option<PkaStatus>) -> u8 {
    status.map_or(0, |status| status.authenticated)
}

/// What is told of an HSM whose application is not selected any more.
pub(super) const RESET: &str = "the token was reset: its power was cut, or another program reset it";
/// What is told of an HSM whose application is selected, while its custodians' answers do not count any more.
const SELECTED: &str = "the token was reset or its application selected by something else, most likely another program at its reader";

impl Worker {
    pub(super) fn mark(&self) -> Option<Mark> {
        self.way.as_ref().and_then(Way::mark)
    }

    /// Lets go of a token that is out of reach, or not the one it was.
    pub(super) fn lose(&mut self, because: String) -> HsmError {
        self.card = Held::Gone;
        self.way = None;
        self.status = None;
        self.lock_at = None;
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
        self.locked_by(if now.is_some() { SELECTED } else { RESET })
    }

    /// Takes the token over again after something else locked it.
    pub(super) fn locked_by(&mut self, because: &'static str) -> Result<(), HsmError> {
        let hsm = &self.shared.name;
        if self.status.is_some_and(|status| status.authenticated > 0) {
            tracing::warn!(hsm, because, "the answers of custodians are gone");
            self.shared.locked_by(because);
        }
        self.select_again()?;
        self.look(Some(because.to_owned()))
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
        if counted(status) < counted(self.status) {
            self.shared.begin_era();
        }
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
        self.lock_at = None;
        if counted(self.status) > 0 {
            self.shared.begin_era();
        }
        self.card = Held::Selected(self.select(card)?);
        if self.way.as_ref().is_some_and(Way::is_remote) {
            // The channel that was opened after SELECT proves the device.
            return Ok(());
        }
        let chain = ask!(self.broken, "show who it is", card => card.read_file(fid::DEVICE_CERTIFICATES));
        if chain.as_deref() == Some(&self.chain) {
            return Ok(());
        }
        Err(self.lose(OTHER.to_owned()))
    }

    /// SELECT, through another channel when one is lost with it.
    fn select(&mut self, mut card: Card<Way>) -> Result<Selected<Way>, HsmError> {
        let mut left = TRIES;
        loop {
            let refused = match card.select() {
                Ok(card) => return Ok(card),
                Err(refused) => refused,
            };
            left -= 1;
            let because = match &refused.error {
                Error::Link { source, .. } => source.to_string(),
                other => format!("it cannot be selected: {other}"),
            };
            let way = self.way.as_ref().filter(|way| way.is_remote());
            let (Some(way), false) = (way, refused.error.is_link_loss() || left == 0) else {
                return Err(self.lose(because));
            };
            if matches!(way.reopen(), Err(ChannelError::NotTheDevice)) {
                return Err(self.lose(OTHER.to_owned()));
            }
            card = refused.card;
        }
    }

    /// Connects the token again after a loss.
    pub(super) fn reconnect(&mut self) -> Result<Inspection, HsmError> {
        if !matches!(self.card, Held::Gone) {
            return self.twice(Self::inspect);
        }
        let hsm = &self.shared.name;
        let attached = attach(hsm, &*self.connect, &self.anchors, Arc::clone(&self.ready))?;
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
        self.take_over(attached);
        self.look(was)?;
        self.twice(Self::inspect)
    }

    /// Holds a token that was just connected.
    pub(super) fn take_over(&mut self, attached: Attached) {
        let Attached {
            card,
            way,
            device,
            chain,
            tells,
        } = attached;
        self.window = way.window();
        self.tells = tells;
        self.device = device;
        self.chain = chain;
        self.memory = QuorumMemory::default();
        self.way = Some(way);
        self.card = Held::Selected(card);
    }

    /// Locks the token and gives it back.
    pub(super) fn let_go(&mut self) {
        if let Some(way) = &self.way {
            way.leave();
        }
        if let Some(card) = mem::replace(&mut self.card, Held::Gone).into_card()
            && let Err(refused) = card.select()
        {
            tracing::warn!(hsm = self.shared.name, error = %refused.error, "could not lock the token before giving it back");
        }
        self.way = None;
    }
}
