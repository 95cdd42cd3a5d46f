//! Where tokens are looked for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_iso7816::Transport;
use chancery_pcsc::{PcscError, Sharing};
use chancery_reader::socket::SocketError;
use chancery_vtoken::{AtRest, OpenError, TokenSummary, VirtualToken, inventory};
use time::OffsetDateTime;

use super::probe::{Probed, probe};
use super::readers::{self, HeldCard};
use super::sockets;
use super::watch::Clock;
use super::{Found, Intent, Presence, ReachError, Reached, Survey, TokenTransport, Watch, Way};

/// Where to look for tokens; nowhere, unless told.
#[derive(Clone, Default)]
pub struct Places {
    virtual_tokens: Option<(PathBuf, AtRest)>,
    sockets: Option<PathBuf>,
    readers: bool,
    sharing: Option<Sharing>,
    clock: Option<Clock>,
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

    /// The sockets, named after their tokens (`NAME.sock`), of processes that have plugged in virtual tokens.
    #[must_use]
    pub fn with_sockets(mut self, directory: impl Into<PathBuf>) -> Self {
        self.sockets = Some(directory.into());
        self
    }

    /// The readers of PC/SC. A machine without it gets a remark in the survey, and everything else works.
    #[must_use]
    pub const fn with_readers(mut self) -> Self {
        self.readers = true;
        self
    }

    /// Tokens in readers are taken so that no other program can even connect to them; a program that is connected already
    /// hinders it. Let go, such a token is reset.
    #[must_use]
    pub const fn exclusively(mut self) -> Self {
        self.sharing = Some(Sharing::Exclusive);
        self
    }

    /// A clock, so that resets by other programs are named with their time.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
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
            let found = inventory(directory)?;
            for summary in found.tokens {
                let token = VirtualToken::open(&directory.join(summary.name.as_str()), at_rest);
                survey
                    .tokens
                    .push(found_virtual(summary, token, self.sockets.as_deref()));
            }
            survey
                .tokens
                .extend(found.unreadable.into_iter().map(|token| Found {
                    way: Way::Virtual { name: token.name },
                    device: None,
                    label: None,
                    presence: Presence::Unusable { why: token.why },
                }));
        }
        if self.readers {
            readers::survey(&mut survey);
        }
        survey.drop_doubles();
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
        let (transport, atr): (Box<dyn Transport>, Vec<u8>) = match &found.way {
            Way::Virtual { name } => {
                let Some((directory, at_rest)) = &self.virtual_tokens else {
                    return Err(ReachError::Unusable {
                        what: found.called(),
                        why: "it is looked for in no directory".to_owned(),
                    });
                };
                let token = VirtualToken::open(&directory.join(name.as_str()), at_rest);
                let token = token.map_err(|error| open_error(found, error))?;
                let atr = token.atr().to_vec();
                (Box::new(token), atr)
            }
            Way::Plugged { socket, .. } => {
                let token = sockets::hold(socket).map_err(|error| socket_error(found, error))?;
                let atr = token.atr().to_vec();
                (Box::new(token), atr)
            }
            Way::Reader { reader, .. } => {
                let sharing = self.sharing.unwrap_or(Sharing::Shared);
                let card = HeldCard::take(reader, sharing).map_err(|error| reader_error(found, error))?;
                let atr = card.atr().to_vec();
                (Box::new(card), atr)
            }
        };
        let watch = Watch::new(self.clock.clone());
        Ok(Reached::new(found.clone(), TokenTransport::watched(transport, watch)).with_atr(atr))
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("virtual_tokens", &self.virtual_tokens)
            .field("sockets", &self.sockets)
            .field("readers", &self.readers)
            .field("sharing", &self.sharing)
            .finish_non_exhaustive()
    }
}

/// A virtual token as it is found: opened by this process if that is possible, otherwise through its socket.
fn found_virtual(
    summary: TokenSummary,
    token: Result<VirtualToken, OpenError>,
    sockets: Option<&Path>,
) -> Found {
    // What is written beside a token that is not open is a label, and good enough to find it by.
    let written = holder(&summary.device_id);
    let name = summary.name;
    let unusable = |why: String| (None, Presence::Unusable { why });
    let mut way = Way::Virtual { name: name.clone() };
    let (probed, presence) = match token {
        Ok(mut token) => match probe(&mut token) {
            Ok(probed) => (Some(probed), Presence::Ready),
            Err(error) => unusable(error.to_string()),
        },
        Err(OpenError::InUse { pid }) => {
            let socket = sockets.map(|directory| directory.join(format!("{name}.sock")));
            match socket.and_then(|socket| Some((sockets::look(&socket)?, socket))) {
                Some((seen, socket)) => {
                    way = Way::Plugged { name, socket };
                    seen
                }
                None => (
                    None,
                    Presence::InUse {
                        pid: Some(pid).filter(|pid| *pid != 0),
                    },
                ),
            }
        }
        Err(error) => unusable(error.to_string()),
    };
    let (device, label) = probed.map_or((None, None), |Probed { device, label }| (device, label));
    Found {
        way,
        device: device.or(written),
        label,
        presence,
    }
}

/// The device id in a holder reference.
fn holder(reference: &str) -> Option<String> {
    chancery_cvc::Reference::new(reference)
        .ok()
        .map(|name| name.holder().to_owned())
}

fn reader_error(found: &Found, error: PcscError) -> ReachError {
    match error {
        PcscError::InUse { .. } | PcscError::StillInUse { .. } => ReachError::InUse {
            what: found.called(),
            pid: None,
        },
        error => ReachError::Transport {
            what: found.called(),
            source: error.into(),
        },
    }
}

fn socket_error(found: &Found, error: SocketError) -> ReachError {
    match error {
        SocketError::Busy { pid } => ReachError::InUse {
            what: found.called(),
            pid: Some(pid).filter(|pid| *pid != 0),
        },
        error => ReachError::Unusable {
            what: found.called(),
            why: error.to_string(),
        },
    }
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
