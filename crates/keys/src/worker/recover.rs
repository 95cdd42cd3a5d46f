//! What to do when a command got no answer: a lost token is given up, a lost channel to a remote one is replaced.

use chancery_driver::Error;
use chancery_driver::secure::ChannelError;
use chancery_iso7816::TransportError;

use super::Worker;
use super::held::{Held, RESET};
use super::way::{Way, one_line};
use crate::HsmError;

/// How often a new channel is tried when the exchanges that open it are lost.
pub(super) const TRIES: usize = 3;

impl Worker {
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

    /// As [`Self::failed`], without looking at a token that answered.
    pub(super) fn broken(&mut self, doing: &'static str, error: Error) -> HsmError {
        match &error {
            Error::Link { source, .. } if !matches!(source, TransportError::TooLong { .. }) => {
                self.unanswered_command(doing, source)
            }
            _ => HsmError::Token {
                hsm: self.shared.name.clone(),
                doing,
                source: Box::new(error),
            },
        }
    }

    fn unanswered_command(&mut self, doing: &'static str, source: &TransportError) -> HsmError {
        let remote = self.way.as_ref().is_some_and(Way::is_remote);
        if source.is_lost() || !remote || self.recovering {
            return self.lose(source.to_string());
        }
        let stopped = self.way.as_ref().is_some_and(Way::was_stopped);
        self.recovering = true;
        let recovered = self.recover();
        self.recovering = false;
        match recovered {
            Ok(()) if stopped => HsmError::NotLetThrough {
                hsm: self.shared.name.clone(),
                doing,
            },
            Ok(()) => self.channel_lost(doing),
            Err(error) => error,
        }
    }

    pub(super) fn channel_lost(&self, doing: &'static str) -> HsmError {
        HsmError::ChannelLost {
            hsm: self.shared.name.clone(),
            doing,
        }
    }

    /// A lost channel is not a lost quorum: another one is opened without SELECT, and the token asked for its count.
    fn recover(&mut self) -> Result<(), HsmError> {
        let Some(way) = self.way.clone() else {
            return Err(self.shared.not_open());
        };
        let because = way.lost().unwrap_or_else(|| "there was none".to_owned());
        tracing::warn!(
            hsm = self.shared.name,
            because,
            "the secure channel is lost and opened again"
        );
        let mut tries = 1..=TRIES;
        loop {
            let last = tries.next().is_none_or(|number| number == TRIES);
            return match way.reopen() {
                Ok(()) => self.check(),
                Err(ChannelError::NotTheDevice) => Err(self.lose(OTHER.to_owned())),
                // Chip authentication is refused where the application is not selected: the token was reset.
                Err(ChannelError::Refused { .. } | ChannelError::Link(TransportError::Reset { .. })) => {
                    self.locked_by(RESET)
                }
                Err(ChannelError::Link(TransportError::Failed { .. })) if !last => continue,
                Err(ChannelError::Link(source)) => Err(self.lose(source.to_string())),
                Err(other) => Err(self.lose(one_line(&other))),
            };
        }
    }

    /// Runs something that only looks, or can be done twice, once more when a channel was lost in it.
    pub(super) fn twice<T>(
        &mut self,
        mut act: impl FnMut(&mut Self) -> Result<T, HsmError>,
    ) -> Result<T, HsmError> {
        match act(self) {
            Err(HsmError::ChannelLost { .. }) => act(self),
            other => other,
        }
    }
}

/// What is told of an HSM in whose place something else answers.
pub(super) const OTHER: &str = "another token answers in its place";
