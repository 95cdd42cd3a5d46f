//! What a token is to be, without its PINs.

use chancery_driver::{AppletAccess, Error, Initialize, Pin, Quorum, SoPin};
use chancery_driver::{Selected, keystore};
use chancery_iso7816::Transport;
use chancery_schsm::InitializeOptions;
use serde::{Deserialize, Serialize};

use super::InitialiseError;

/// What a token is to be. Stored in journals: fields are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// Option word.
    pub options: u16,
    /// Whether it gets a user PIN (or transport PIN).
    pub with_pin: bool,
    /// Tries of the user PIN.
    pub retry: u8,
    /// Shares of the single DKEK; 0 for a random one that never leaves.
    pub dkek_shares: Option<u8>,
    /// Places for key domains.
    pub domains: Option<u8>,
    /// Shares of each key domain made at once, from domain 0 on; at most `domains` of them.
    pub domain_shares: Vec<u8>,
    /// Custodians that must answer, and custodians in all.
    pub quorum: Option<(u8, u8)>,
    /// Label.
    pub label: Option<String>,
}

/// A blueprint and what the token was before. Stored in journals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What it is to be.
    pub blueprint: Blueprint,
    /// What stood on it when the work began.
    pub before: Before,
}

/// What stands on a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Ids of its keys.
    pub keys: Vec<u8>,
    /// Its files, those of keys included.
    pub files: Vec<u16>,
    /// Its label.
    pub label: Option<String>,
}

impl Before {
    /// Looks at a token.
    ///
    /// # Errors
    /// A command failed.
    pub fn of<T: Transport>(card: &mut Selected<T>) -> Result<Self, Error> {
        Self::see(card, |card| card.enumerate())
    }

    fn see<C: AppletAccess>(
        card: &mut C,
        enumerate: impl FnOnce(&mut C) -> Result<chancery_driver::ObjectList, Error>,
    ) -> Result<Self, Error> {
        let objects = enumerate(card)?;
        let label = match keystore::token_info(card) {
            Ok(info) => info.map(|info| info.label),
            Err(error @ Error::Link { .. }) => return Err(error),
            // A label that cannot be read is lost with the rest.
            Err(_) => None,
        };
        let mut files: Vec<u16> = objects
            .iter()
            .filter(|fid| !fid.is_key())
            .map(|fid| fid.0)
            .collect();
        files.sort_unstable();
        files.dedup();
        Ok(Self {
            keys: objects.keys().into_iter().map(|id| id.0).collect(),
            files,
            label,
        })
    }

    /// Whether nothing would be lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.files.is_empty()
    }
}

impl Blueprint {
    /// Most places for key domains.
    pub const MOST_DOMAINS: u8 = 16;

    /// The command's values, with the PINs.
    #[must_use]
    pub fn setup(&self, user_pin: Option<Pin>, so_pin: SoPin) -> Initialize {
        Initialize {
            options: InitializeOptions(self.options),
            user_pin,
            so_pin,
            retry: self.retry,
            dkek_shares: self.dkek_shares,
            quorum: self.quorum.map(|(required, total)| Quorum { required, total }),
            domains: self.domains,
        }
    }

    /// The rules that need no PIN.
    ///
    /// # Errors
    /// [`InitialiseError::Rule`] naming the rule.
    pub fn check(&self) -> Result<(), InitialiseError> {
        let refuse = |rule: &str| {
            Err(InitialiseError::Rule {
                rule: rule.to_owned(),
            })
        };
        if self.dkek_shares.is_some() && self.domains.is_some() {
            return refuse("either one DKEK or key domains: what both together mean differs between devices");
        }
        let places = self.domains.unwrap_or(0);
        if self.domains == Some(0) || places > Self::MOST_DOMAINS {
            return refuse("a token has 1 to 16 places for key domains");
        }
        if self.domain_shares.len() > usize::from(places) {
            return refuse("more key domains are to be made than there are places for");
        }
        if !self.domain_shares.is_empty() && !self.opens_by_pin() {
            return refuse(
                "key domains are made by whoever can open the token: set it up with places for them, and make them later",
            );
        }
        if self.domain_shares.contains(&0) {
            return refuse("a key domain has at least one share");
        }
        if self
            .label
            .as_ref()
            .is_some_and(|label| label.len() > keystore::MAX_LABEL)
        {
            return refuse("a label has at most 64 bytes");
        }
        if self.has(InitializeOptions::TRANSPORT_PIN) && !self.with_pin {
            return refuse("a transport PIN needs a PIN");
        }
        if self.has(InitializeOptions::RESET_WITHOUT_NEW_PIN)
            && !self.has(InitializeOptions::RESET_RETRY_COUNTER)
        {
            return refuse("giving tries back without a new PIN needs unblocking to be allowed");
        }
        Ok(())
    }

    /// Whether an option is set.
    #[must_use]
    pub fn has(&self, option: InitializeOptions) -> bool {
        InitializeOptions(self.options).contains(option)
    }

    /// Whether the user PIN alone opens the token from the start.
    pub(super) fn opens_by_pin(&self) -> bool {
        let quorum_rules = self.quorum.is_some() && !self.has(InitializeOptions::PIN_AND_PUBLIC_KEYS);
        self.with_pin && !self.has(InitializeOptions::TRANSPORT_PIN) && !quorum_rules
    }
}
