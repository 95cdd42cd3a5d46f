//! Work on an open token that survives a reset by another program, where that is safe.

use chancery_driver::{Authenticated, Card, Error, Firmware, Pin, PinStatus, Selected};
use chancery_iso7816::TransportError;

use super::{ForeignReset, Reached, TokenTransport, Watch};

/// A token that is open for work of many steps.
///
/// Another program can reset the card between two commands. A step that may be taken twice is then taken again, on the same
/// device, opened with the same PIN; a step that may not is an error that says so, and the work stops where it is.
pub struct Session {
    card: State,
    device: Option<String>,
    called: String,
    watch: Watch,
    pin: Option<Pin>,
}

/// What is known of the card.
enum State {
    Selected(Selected<TokenTransport>),
    Open(Authenticated<TokenTransport>),
    /// The last attempt to select it failed.
    Lost(Card<TokenTransport>),
    /// While it changes from one of the others to another.
    Moving,
}

/// Why a step was not taken, or is not known to have been.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Another program reset the card within a step that cannot be taken twice.
    #[error("{reset} during {step}: it may be half done")]
    Interrupted {
        /// What was being done.
        step: String,
        /// What was noticed.
        reset: ForeignReset,
        /// What the card command saw.
        #[source]
        source: Box<Error>,
    },
    /// The card was reset again and again.
    #[error("{reset}, again and again")]
    Hopeless {
        /// What was noticed last.
        reset: ForeignReset,
    },
    /// After a reset another device stands where the token was.
    #[error("{found} stands where {expected} was: the token was exchanged meanwhile")]
    OtherDevice {
        /// The device worked on.
        expected: String,
        /// The device that is there.
        found: String,
    },
    /// The step needs an open token, and this one is not.
    #[error("{called} is not open")]
    Locked {
        /// The token.
        called: String,
    },
    /// A card command failed.
    #[error(transparent)]
    Card(Box<Error>),
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self::Card(Box::new(error))
    }
}

/// Resets by others within one step after which it is given up.
const PATIENCE: usize = 3;

impl Session {
    /// Selects the application of a token that was reached, and makes sure of the device.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn select(reached: Reached) -> Result<Self, SessionError> {
        let watch = reached.watch();
        let called = reached.called();
        let device = reached.found().device.clone();
        let mut session = Self {
            card: State::Lost(Card::new(reached.into_transport())),
            device,
            called,
            watch,
            pin: None,
        };
        session.recover()?;
        Ok(session)
    }

    /// Opens the token by its user PIN, which is kept, wiped when this is dropped, to open it again after a reset by others.
    ///
    /// # Errors
    /// [`SessionError::Card`]: the PIN is wrong, and others. A wrong PIN is not tried twice.
    pub fn unlock(&mut self, pin: Pin) -> Result<(), SessionError> {
        match std::mem::replace(&mut self.card, State::Moving) {
            State::Selected(card) => match card.verify_pin(&pin) {
                Ok(open) => {
                    self.card = State::Open(open);
                    self.pin = Some(pin);
                    Ok(())
                }
                Err(failed) => {
                    self.card = State::Selected(failed.card);
                    Err(failed.error.into())
                }
            },
            other => {
                self.card = other;
                Err(SessionError::Locked {
                    called: self.called.clone(),
                })
            }
        }
    }

    /// State of the user PIN, which costs no try, and the firmware; before the token is opened.
    ///
    /// # Errors
    /// [`SessionError::Card`], [`SessionError::Locked`] once it is open.
    pub fn pin_status(&mut self) -> Result<(PinStatus, Firmware), SessionError> {
        match &mut self.card {
            State::Selected(card) => Ok((card.pin_status()?, card.firmware())),
            _ => Err(SessionError::Locked {
                called: self.called.clone(),
            }),
        }
    }

    /// What to call the token in a sentence.
    #[must_use]
    pub fn called(&self) -> &str {
        &self.called
    }

    /// Resets by others that were noticed, oldest first.
    #[must_use]
    pub fn resets(&self) -> Vec<ForeignReset> {
        self.watch.resets()
    }

    /// Takes a step that may be taken twice: it only looks, or writes what may be written again. After a reset by others the
    /// token is opened again and the step taken from its beginning.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn repeatable<R>(
        &mut self,
        mut step: impl FnMut(&mut Authenticated<TokenTransport>) -> Result<R, Error>,
    ) -> Result<R, SessionError> {
        let mut last = None;
        for _ in 0..=PATIENCE {
            let error = match step(self.open()?) {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let Some(reset) = self.foreign_reset(&error) else {
                return Err(error.into());
            };
            last = Some(reset);
            self.recover()?;
        }
        Err(SessionError::Hopeless {
            reset: last.unwrap_or_else(|| self.watch.note("unknown")),
        })
    }

    /// Takes a step that must not be taken twice. After a reset by others within it the token is open again, so that it can
    /// be looked at.
    ///
    /// # Errors
    /// [`SessionError::Interrupted`] and others.
    pub fn once<R>(
        &mut self,
        name: &str,
        step: impl FnOnce(&mut Authenticated<TokenTransport>) -> Result<R, Error>,
    ) -> Result<R, SessionError> {
        let error = match step(self.open()?) {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        let Some(reset) = self.foreign_reset(&error) else {
            return Err(error.into());
        };
        self.recover()?;
        Err(SessionError::Interrupted {
            step: name.to_owned(),
            reset,
            source: Box::new(error),
        })
    }

    /// Whether a failure means that the card was reset, or its application deselected, by somebody else.
    fn foreign_reset(&mut self, error: &Error) -> Option<ForeignReset> {
        match error {
            Error::Link {
                source: TransportError::Reset { .. },
                ..
            } => self.watch.resets().pop(),
            Error::NotSelected { .. } => Some(self.watch.note("the application is not selected any more")),
            // The token was open before this step. A command that is never permitted is told apart by the PIN's status.
            Error::NotAuthenticated { .. } => match self.open().map(Authenticated::pin_status) {
                Ok(Ok(PinStatus::NotVerified { .. })) => {
                    Some(self.watch.note("the token is not open any more"))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn open(&mut self) -> Result<&mut Authenticated<TokenTransport>, SessionError> {
        match &mut self.card {
            State::Open(card) => Ok(card),
            _ => Err(SessionError::Locked {
                called: self.called.clone(),
            }),
        }
    }

    /// Selects the application again, makes sure that it is still the same device, and opens it as it was open before.
    fn recover(&mut self) -> Result<(), SessionError> {
        let card = match std::mem::replace(&mut self.card, State::Moving) {
            State::Selected(card) => card.disconnect(),
            State::Open(card) => card.disconnect(),
            State::Lost(card) => card,
            State::Moving => {
                return Err(SessionError::Locked {
                    called: self.called.clone(),
                });
            }
        };
        let mut card = match card.select() {
            Ok(card) => card,
            Err(failed) => {
                self.card = State::Lost(failed.card);
                return Err(failed.error.into());
            }
        };
        let there = card
            .device_chain()
            .map(|chain| chain.device_name().map(|name| name.holder().to_owned()));
        let there = match there {
            Ok(there) => there,
            Err(error) => {
                self.card = State::Selected(card);
                return Err(error.into());
            }
        };
        if self.device.is_some() && there != self.device {
            self.card = State::Selected(card);
            return Err(SessionError::OtherDevice {
                expected: self.device.clone().unwrap_or_default(),
                found: there.unwrap_or_else(|| "a token without name".to_owned()),
            });
        }
        self.card = State::Selected(card);
        match self.pin.take() {
            Some(pin) => self.unlock(pin),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.called)
    }
}
