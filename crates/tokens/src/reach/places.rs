//! Where tokens are looked for.

use std::path::PathBuf;

use chancery_iso7816::Transport;
use chancery_vtoken::{AtRest, OpenError, TokenSummary, VirtualToken, list};

use super::probe::{Probed, probe};
use super::{Found, Intent, Presence, ReachError, Reached, Survey, TokenTransport, Way};

/// Where to look for tokens; nowhere, unless told.
#[derive(Clone, Debug, Default)]
pub struct Places {
    virtual_tokens: Option<(PathBuf, AtRest)>,
}

impl Places {
    /// Nowhere.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The virtual tokens in a directory, encrypted at rest as said.
    #[must_use]
    pub fn with_virtual_tokens(mut self, directory: impl Into<PathBuf>, at_rest: AtRest) -> Self {
        self.virtual_tokens = Some((directory.into(), at_rest));
        self
    }

    /// Looks around: every token with device id and label, where it says them.
    ///
    /// # Errors
    /// [`ReachError::List`] when the directory of virtual tokens cannot be read. What concerns one token or reader alone is
    /// said of it.
    pub fn survey(&self) -> Result<Survey, ReachError> {
        let mut survey = Survey::default();
        if let Some((directory, at_rest)) = &self.virtual_tokens {
            for summary in list(directory)? {
                let token = VirtualToken::open(&directory.join(summary.name.as_str()), at_rest);
                survey.tokens.push(found_virtual(summary, token));
            }
        }
        Ok(survey)
    }

    /// Looks around, chooses the token meant ([`Survey::choose`]) and takes it.
    ///
    /// # Errors
    /// [`ReachError`]: none or several are meant, another process holds it, or the way to it fails.
    pub fn reach(&self, wanted: Option<&str>, intent: Intent) -> Result<Reached, ReachError> {
        self.take(self.survey()?.choose(wanted, intent)?)
    }

    /// Takes a token that a survey found.
    ///
    /// # Errors
    /// As [`Self::reach`].
    pub fn take(&self, found: &Found) -> Result<Reached, ReachError> {
        match &found.presence {
            Presence::Ready => {}
            Presence::InUse { pid } => {
                return Err(ReachError::InUse {
                    what: found.called(),
                    pid: *pid,
                });
            }
            Presence::Unusable { why } => {
                return Err(ReachError::Unusable {
                    what: found.called(),
                    why: why.clone(),
                });
            }
        }
        let transport: Box<dyn Transport> = match &found.way {
            Way::Virtual { name } => {
                let Some((directory, at_rest)) = &self.virtual_tokens else {
                    return Err(ReachError::Unusable {
                        what: found.called(),
                        why: "it is looked for in no directory".to_owned(),
                    });
                };
                Box::new(
                    VirtualToken::open(&directory.join(name.as_str()), at_rest)
                        .map_err(|error| open_error(found, error))?,
                )
            }
            Way::Plugged { .. } | Way::Reader { .. } => {
                return Err(ReachError::Unusable {
                    what: found.called(),
                    why: "this way is not looked at".to_owned(),
                });
            }
        };
        Ok(Reached::new(found.clone(), TokenTransport::new(transport)))
    }
}

/// A virtual token as it is found, opened if that was possible.
fn found_virtual(summary: TokenSummary, token: Result<VirtualToken, OpenError>) -> Found {
    let written = holder(&summary.device_id);
    let (probed, presence) = match token {
        Ok(mut token) => match probe(&mut token) {
            Ok(probed) => (probed, Presence::Ready),
            Err(error) => (
                Probed {
                    device: None,
                    label: None,
                },
                Presence::Unusable {
                    why: error.to_string(),
                },
            ),
        },
        Err(error) => (
            Probed {
                device: None,
                label: None,
            },
            match error {
                OpenError::InUse { pid } => Presence::InUse {
                    pid: Some(pid).filter(|pid| *pid != 0),
                },
                other => Presence::Unusable {
                    why: other.to_string(),
                },
            },
        ),
    };
    Found {
        way: Way::Virtual { name: summary.name },
        // What is written beside a token that is not open is a label, and good enough to find it by.
        device: probed.device.or(written),
        label: probed.label,
        presence,
    }
}

/// The device id in a holder reference.
fn holder(reference: &str) -> Option<String> {
    chancery_cvc::Reference::new(reference)
        .ok()
        .map(|name| name.holder().to_owned())
}

fn open_error(found: &Found, error: OpenError) -> ReachError {
    match error {
        OpenError::InUse { pid } => ReachError::InUse {
            what: found.called(),
            pid: Some(pid).filter(|pid| *pid != 0),
        },
        source => ReachError::Open {
            what: found.called(),
            source,
        },
    }
}
