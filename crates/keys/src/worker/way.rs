//! The way to a token: plain to one of this machine, through a secure channel to a remote one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chancery_cvc::DeviceIdentity;
use chancery_driver::Limits;
use chancery_driver::secure::{ChannelError, ChannelLost, SecureChannel, Suspended};
use chancery_iso7816::{StatusWord, Transport, TransportError};
use zeroize::Zeroizing;

use crate::{Known, Mark, Token};

/// SELECT of an application by name: CLA INS P1 P2.
const SELECT: [u8; 4] = [0x00, 0xA4, 0x04, 0x00];
/// SW1-SW2 of success.
const DONE: [u8; 2] = [0x90, 0x00];

/// What an agent answers, outside of the channel, in place of a token whose owner does not allow a command. A token itself says
/// this only inside.
const STOPPED: StatusWord = StatusWord::SECURITY_STATUS_NOT_SATISFIED;

/// A token the driver sends commands to while the thread can still ask what is no command. The locks are never
/// contended: both are on the same thread.
///
/// Once the device of a remote token is known, nothing goes out in plain any more but what makes a new channel, and SELECT of
/// the application where no channel can be had without. Each SELECT is followed by a new channel.
#[derive(Clone)]
pub(super) struct Way {
    token: Held,
    remote: bool,
    secured: Arc<Mutex<Secured>>,
}

#[derive(Default)]
struct Secured {
    /// The device at the other end; `None` until it is known.
    device: Option<DeviceIdentity>,
    channel: Option<SecureChannel<Held>>,
    /// Whether the token is being given back: no channel is opened any more.
    leaving: bool,
}

/// The token itself.
#[derive(Clone)]
struct Held(Arc<Mutex<Box<dyn Token>>>);

impl Way {
    pub(super) fn new(token: Box<dyn Token>) -> Self {
        Self {
            remote: token.is_remote(),
            token: Held(Arc::new(Mutex::new(token))),
            secured: Arc::default(),
        }
    }

    pub(super) const fn is_remote(&self) -> bool {
        self.remote
    }

    pub(super) fn limits(&self) -> Limits {
        let limits = Limits::default();
        if self.remote {
            limits.within_channel()
        } else {
            limits
        }
    }

    pub(super) fn mark(&self) -> Option<Mark> {
        held(&self.token.0).mark()
    }

    pub(super) fn remembered(&self) -> Option<Known> {
        held(&self.token.0).remembered()
    }

    pub(super) fn remember(&self, known: Known) {
        held(&self.token.0).remember(known);
    }

    /// Puts the channel aside; nothing goes out any more.
    pub(super) fn suspend(&self) -> Option<Suspended> {
        let channel = held(&self.secured).channel.take()?;
        let (token, suspended) = channel.suspend();
        drop(token);
        suspended
    }

    /// Goes on through a channel to this device that was put aside, for ever.
    pub(super) fn resume(&self, device: &DeviceIdentity, suspended: Suspended) {
        let mut secured = held(&self.secured);
        secured.device = Some(device.clone());
        secured.channel = Some(SecureChannel::resume(self.token.clone(), suspended));
    }

    /// Goes on in plain, to find out which device this is.
    pub(super) fn begin_anew(&self) {
        *held(&self.secured) = Secured::default();
    }

    pub(super) fn lock_in(&self, after: Option<Duration>) {
        held(&self.token.0).lock_in(after);
    }

    /// Goes on through a secure channel to this device, for ever.
    pub(super) fn secure(&self, device: &DeviceIdentity) -> Result<(), ChannelError> {
        let mut secured = held(&self.secured);
        secured.device = Some(device.clone());
        self.open(&mut secured)
    }

    /// Opens another channel to the application as it is selected. Neither PIN nor quorum is lost by that.
    pub(super) fn reopen(&self) -> Result<(), ChannelError> {
        self.open(&mut held(&self.secured))
    }

    /// How the channel was lost; `None` while there is one, or none is needed.
    pub(super) fn lost(&self) -> Option<String> {
        let secured = held(&self.secured);
        let lost = secured.channel.as_ref()?.lost()?;
        Some(one_line(lost))
    }

    /// Whether the last command was answered on the way, with the status word of an agent that lets not everything through.
    pub(super) fn was_stopped(&self) -> bool {
        let secured = held(&self.secured);
        let lost = secured.channel.as_ref().and_then(SecureChannel::lost);
        matches!(lost, Some(ChannelLost::Closed { status }) if *status == STOPPED)
    }

    /// The next SELECT is the last command.
    pub(super) fn leave(&self) {
        held(&self.secured).leaving = true;
    }

    /// The token itself, if this is the last way to it.
    pub(super) fn into_token(self) -> Option<Box<dyn Token>> {
        let Self { token, secured, .. } = self;
        drop(secured);
        let token = Arc::into_inner(token.0)?;
        Some(token.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn open(&self, secured: &mut Secured) -> Result<(), ChannelError> {
        let Some(device) = &secured.device else {
            return Ok(());
        };
        if let Some(channel) = secured.channel.take() {
            drop(channel.into_inner());
        }
        let channel = SecureChannel::open(self.token.clone(), device).map_err(|failed| failed.error)?;
        secured.channel = Some(channel);
        held(&self.token.0).authenticated();
        Ok(())
    }

    /// One command to a remote token.
    fn protected(&self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let mut secured = held(&self.secured);
        let selects = command.starts_with(&SELECT);
        let known = secured.device.is_some();
        let channel = secured
            .channel
            .as_mut()
            .filter(|channel| channel.lost().is_none());
        let answer = match channel {
            Some(channel) => channel.transmit(command)?,
            None if !known || selects => self.token.clone().transmit(command)?,
            None => return Err(no_channel()),
        };
        if selects && answer.ends_with(&DONE) && !secured.leaving {
            self.open(&mut secured).map_err(|error| match error {
                ChannelError::Link(source) => source,
                other => TransportError::Failed {
                    reason: one_line(&other),
                },
            })?;
        }
        Ok(answer)
    }

    fn ahead<R>(
        &mut self,
        act: impl FnOnce(&mut dyn Transport) -> Result<R, TransportError>,
    ) -> Result<R, TransportError> {
        if !self.remote {
            return act(&mut self.token);
        }
        match &mut held(&self.secured).channel {
            Some(channel) => act(channel),
            None => Err(no_channel()),
        }
    }
}

impl Transport for Way {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if self.remote {
            self.protected(command)
        } else {
            self.token.transmit(command)
        }
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        held(&self.secured).channel = None;
        self.token.reset()
    }

    fn window(&self) -> usize {
        self.token.window()
    }

    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        self.ahead(|way| way.send(command))
    }

    fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.ahead(|way| way.receive())
    }

    fn try_receive(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        self.ahead(|way| way.try_receive())
    }

    fn on_ready(&mut self, ready: Arc<dyn Fn() + Send + Sync>) -> bool {
        self.token.on_ready(ready)
    }
}

impl Transport for Held {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        held(&self.0).transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        held(&self.0).reset()
    }

    fn window(&self) -> usize {
        held(&self.0).window()
    }

    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        held(&self.0).send(command)
    }

    fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        held(&self.0).receive()
    }

    fn try_receive(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        held(&self.0).try_receive()
    }

    fn on_ready(&mut self, ready: Arc<dyn Fn() + Send + Sync>) -> bool {
        held(&self.0).on_ready(ready)
    }
}

fn no_channel() -> TransportError {
    TransportError::Failed {
        reason: "there is no secure channel, and nothing goes to a remote token without".to_owned(),
    }
}

/// An error with its causes.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Nothing panics while it holds one of these locks; were it otherwise, the values are still whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
