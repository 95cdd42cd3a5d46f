//! A token in our hands.

use chancery_driver::{Card, Selected};

use super::{Found, ReachError, TokenTransport, Watch};

/// A token that was reached. This process holds it until this, or what was made of it, is dropped.
#[derive(Debug)]
pub struct Reached {
    found: Found,
    transport: TokenTransport,
    atr: Vec<u8>,
}

impl Reached {
    /// A token found as `found` says, reached through `transport`.
    #[must_use]
    pub const fn new(found: Found, transport: TokenTransport) -> Self {
        Self {
            found,
            transport,
            atr: Vec::new(),
        }
    }

    /// With the answer to reset it is shown with.
    pub(super) fn with_atr(mut self, atr: Vec<u8>) -> Self {
        self.atr = atr;
        self
    }

    /// Answer to reset (ISO/IEC 7816-3 8); empty when it is not known.
    #[must_use]
    pub fn atr(&self) -> &[u8] {
        &self.atr
    }

    /// What was found: way, device id, label.
    #[must_use]
    pub const fn found(&self) -> &Found {
        &self.found
    }

    /// What to call the token in a sentence.
    #[must_use]
    pub fn called(&self) -> String {
        self.found.called()
    }

    /// What other programs do to it from now on.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.transport.watch()
    }

    /// Puts another transport around the one to the token: a log, a limit.
    #[must_use]
    pub fn wrapped<T: chancery_iso7816::Transport + 'static>(
        self,
        wrap: impl FnOnce(Box<dyn chancery_iso7816::Transport>) -> T,
    ) -> Self {
        Self {
            found: self.found,
            transport: self.transport.wrapped(wrap),
            atr: self.atr,
        }
    }

    /// The bare way to it, nothing selected.
    #[must_use]
    pub fn into_transport(self) -> TokenTransport {
        self.transport
    }

    /// Selects its application and makes sure that it is still the device that was found. One READ beside the SELECT.
    ///
    /// # Errors
    /// [`ReachError::Card`], [`ReachError::OtherDevice`].
    pub fn select(self) -> Result<Selected<TokenTransport>, ReachError> {
        let what = self.found.called();
        let failed = |source| ReachError::Card {
            what: what.clone(),
            source,
        };
        let mut card = Card::new(self.transport)
            .select()
            .map_err(|error| failed(error.into_error()))?;
        if let Some(expected) = self.found.device {
            let chain = card.device_chain().map_err(failed)?;
            let there = chain.device_name().map(|name| name.holder().to_owned());
            if there.as_deref() != Some(expected.as_str()) {
                return Err(ReachError::OtherDevice {
                    expected,
                    found: there.unwrap_or_else(|| "a token without name".to_owned()),
                });
            }
        }
        Ok(card)
    }
}
