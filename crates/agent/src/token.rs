//! A person's token in this process's hands, however it is plugged in, and the virtual ones of a data directory.

use std::path::{Path, PathBuf};

use chancery_cvc::TrustAnchors;
use chancery_driver::{Authenticated, Card, Initialize, Pin, PinStatus, Selected, SoPin};
use chancery_iso7816::Transport;
use chancery_schsm::InitializeOptions;
use chancery_vtoken::{AtRest, Factory, OpenError, TokenName, TokenSummary, VirtualToken, list};

use crate::{AgentError, PinSource};

/// The way to a token: in this process, through a socket, or in a reader.
pub type Way = Box<dyn Transport>;

/// Where tokens are kept here, and how they are encrypted at rest.
#[derive(Debug)]
pub struct LocalTokens {
    directory: PathBuf,
    at_rest: AtRest,
    anchors: TrustAnchors,
}

impl LocalTokens {
    /// Tokens under `directory`. Their scheme root, when there is one, and the production root are trusted.
    ///
    /// # Errors
    /// When a root certificate cannot be read.
    pub fn new(directory: &Path, at_rest: AtRest, factory: Option<&Factory>) -> Result<Self, AgentError> {
        let chain = |why: String| AgentError::Chain {
            what: "the scheme root".to_owned(),
            why,
        };
        let mut anchors = TrustAnchors::production().map_err(|error| chain(error.to_string()))?;
        if let Some(factory) = factory {
            anchors
                .add_bytes(factory.root_certificate())
                .map_err(|error| chain(error.to_string()))?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            at_rest,
            anchors,
        })
    }

    /// Roots under which a device counts here.
    #[must_use]
    pub const fn anchors(&self) -> &TrustAnchors {
        &self.anchors
    }

    /// All tokens here.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<TokenSummary>, AgentError> {
        Ok(list(&self.directory)?)
    }

    /// The token with this device certificate. Its description finds it, its certificates prove it.
    ///
    /// # Errors
    /// [`AgentError::NoToken`] when it is not here, [`AgentError::OtherToken`] when another stands in its place.
    pub fn by_device(&self, device: &str) -> Result<OwnToken, AgentError> {
        let found = self.list()?.into_iter().find(|token| token.device_id == device);
        let summary = found.ok_or_else(|| AgentError::NoToken {
            what: device.to_owned(),
        })?;
        let mut token = self.open(summary.name.as_str())?;
        let found = token.device(&self.anchors)?;
        if found == device {
            Ok(token)
        } else {
            Err(AgentError::OtherToken {
                name: token.name,
                label: device.to_owned(),
                device: found,
            })
        }
    }

    /// Opens a token by name and selects its application. One process at a time holds a token.
    ///
    /// # Errors
    /// [`AgentError::NoToken`], [`AgentError::Open`] with the process that holds it, or what the card answered.
    pub fn open(&self, name: &str) -> Result<OwnToken, AgentError> {
        let missing = || AgentError::NoToken {
            what: name.to_owned(),
        };
        let token_name = TokenName::new(name).map_err(|_| missing())?;
        let token =
            VirtualToken::open(&self.directory.join(name), &self.at_rest).map_err(|source| match source {
                OpenError::NotFound(_) => missing(),
                source => AgentError::Open {
                    name: token_name.to_string(),
                    source,
                },
            })?;
        OwnToken::select(name, Box::new(token))
    }
}

/// A token in this process's hands.
pub struct OwnToken {
    pub(crate) name: String,
    pub(crate) card: Selected<Way>,
}

impl OwnToken {
    /// Selects the application of a token that was reached by whatever way. Who gives the way holds the token until this is dropped.
    ///
    /// # Errors
    /// [`AgentError::Card`].
    pub fn select(name: &str, way: Way) -> Result<Self, AgentError> {
        let card = Card::new(way)
            .select()
            .map_err(|failed| AgentError::card(name)(failed.into_error()))?;
        Ok(Self {
            name: name.to_owned(),
            card,
        })
    }

    /// CHR of its device certificate, whose chain holds under `anchors`.
    ///
    /// # Errors
    /// [`AgentError::Card`].
    pub fn device(&mut self, anchors: &TrustAnchors) -> Result<String, AgentError> {
        let identity = self.card.device_identity(anchors);
        Ok(identity.map_err(AgentError::card(&self.name))?.name().to_string())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has a user PIN, which a token has once it was initialised for a person.
    ///
    /// # Errors
    /// [`AgentError::Card`].
    pub fn has_pin(&mut self) -> Result<bool, AgentError> {
        let status = self.card.pin_status().map_err(AgentError::card(&self.name))?;
        Ok(!matches!(status, PinStatus::Absent | PinStatus::QuorumOpen))
    }

    /// Number of keys it holds; what a token that has none is may be decided anew.
    ///
    /// # Errors
    /// [`AgentError::Card`].
    pub fn key_count(&mut self) -> Result<usize, AgentError> {
        let objects = self.card.enumerate().map_err(AgentError::card(&self.name))?;
        Ok(objects.keys().len())
    }

    /// The card.
    pub const fn card(&mut self) -> &mut Selected<Way> {
        &mut self.card
    }

    /// Asks for the PIN and presents it to the token.
    ///
    /// # Errors
    /// [`AgentError::NoPin`], or [`AgentError::Card`] with the tries left.
    pub fn unlock(self, pins: &PinSource) -> Result<UnlockedToken, AgentError> {
        let pin: Pin = pins.user_pin(&self.name)?;
        self.unlock_with(&pin)
    }

    /// Presents a PIN to the token.
    ///
    /// # Errors
    /// [`AgentError::Card`] with the tries left.
    pub fn unlock_with(self, pin: &Pin) -> Result<UnlockedToken, AgentError> {
        let card = self
            .card
            .verify_pin(pin)
            .map_err(|failed| AgentError::card(&self.name)(failed.into_error()))?;
        Ok(UnlockedToken {
            name: self.name,
            card,
        })
    }
}

/// A token whose PIN was presented.
pub struct UnlockedToken {
    pub(crate) name: String,
    pub(crate) card: Authenticated<Way>,
}

/// Initialises a person's token: a user PIN with three tries, an SO-PIN, no key domain, so that its keys never leave it.
///
/// # Errors
/// When the token refuses, e.g. because it was initialised with another SO-PIN.
pub fn initialise(token: &mut OwnToken, user_pin: Pin, so_pin: SoPin) -> Result<(), AgentError> {
    let setup = Initialize {
        options: InitializeOptions(0x0001),
        user_pin: Some(user_pin),
        so_pin,
        retry: 3,
        dkek_shares: None,
        quorum: None,
        domains: None,
    };
    let name = token.name.clone();
    token.card.initialize(&setup).map_err(AgentError::card(&name))
}
