//! What is there.

use std::fmt;
use std::path::PathBuf;

use chancery_vtoken::TokenName;

/// How a token is reached. Information for people: a token is never chosen by it, a virtual token's own name excepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A virtual token that lies in the data directory and that this process opens itself.
    Virtual {
        /// Its name.
        name: TokenName,
    },
    /// A virtual token that another process has plugged in and shares through a socket.
    Plugged {
        /// Its name.
        name: TokenName,
        /// The socket.
        socket: PathBuf,
    },
    /// A token in a reader of PC/SC.
    Reader {
        /// The reader, as PC/SC names it.
        reader: String,
        /// Its name as a virtual token, when it is the one of this data directory that is plugged in there.
        name: Option<TokenName>,
    },
}

impl Way {
    /// Name of the virtual token, if it is known to be one of this data directory.
    #[must_use]
    pub const fn virtual_name(&self) -> Option<&TokenName> {
        match self {
            Self::Virtual { name } | Self::Plugged { name, .. } => Some(name),
            Self::Reader { name, .. } => name.as_ref(),
        }
    }

    /// One word for the kind of way: `virtual`, `plugged` or `pcsc`.
    #[must_use]
    pub const fn transport(&self) -> &'static str {
        match self {
            Self::Virtual { .. } => "virtual",
            Self::Plugged { .. } => "plugged",
            Self::Reader { .. } => "pcsc",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Virtual { name } => write!(f, "virtual token {name}"),
            Self::Plugged { name, .. } => write!(f, "plugged virtual token {name}"),
            Self::Reader { reader, .. } => write!(f, "reader {reader}"),
        }
    }
}

/// Whether a token can be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It can.
    Ready,
    /// Another process holds it.
    InUse {
        /// The process; `None` when it is not known.
        pid: Option<u32>,
    },
    /// It is there and cannot be used.
    Unusable {
        /// Why.
        why: String,
    },
}

/// A token that was found. What it says about itself is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How it is reached.
    pub way: Way,
    /// Device id: the name in its device certificate without the sequence digits; `None` when it could not be read.
    pub device: Option<String>,
    /// Label (EF 2F03); `None` when it has none or it could not be read.
    pub label: Option<String>,
    /// Whether it can be used now.
    pub presence: Presence,
}

impl Found {
    /// Device id, or the way when that is not known: what to call the token in a sentence.
    #[must_use]
    pub fn called(&self) -> String {
        match (&self.device, &self.label) {
            (Some(device), Some(label)) if !label.is_empty() => format!("{device} ({label:?}, {})", self.way),
            (Some(device), _) => format!("{device} ({})", self.way),
            (None, _) => self.way.to_string(),
        }
    }
}

/// What a look around found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The tokens.
    pub tokens: Vec<Found>,
    /// What could not be looked at and why, in sentences for people: a machine without PC/SC, a reader that fails.
    pub remarks: Vec<String>,
}

impl Survey {
    /// A virtual token that is plugged into a reader is found twice: through the process that has it, and in the reader. Only
    /// the better way stays, the one that can be used and needs fewest others.
    pub(super) fn drop_doubles(&mut self) {
        let rank = |token: &Found| match (&token.presence, &token.way) {
            (Presence::Ready, Way::Virtual { .. }) => 0,
            (Presence::Ready, Way::Plugged { .. }) => 1,
            (Presence::Ready, Way::Reader { .. }) => 2,
            _ => 3,
        };
        let all = std::mem::take(&mut self.tokens);
        for token in all {
            let same = self.tokens.iter_mut().find(|known| {
                token.device.is_some() && known.device == token.device && known.is_other_way_than(&token)
            });
            match same {
                Some(known) => {
                    let name = known
                        .way
                        .virtual_name()
                        .or_else(|| token.way.virtual_name())
                        .cloned();
                    if rank(&token) < rank(known) {
                        *known = token;
                    }
                    if let Way::Reader { name: none, .. } = &mut known.way {
                        *none = name;
                    }
                }
                None => self.tokens.push(token),
            }
        }
    }
}

impl Found {
    /// Whether one is the virtual token of this data directory and the other what a reader shows of it. Two of one kind that
    /// claim to be one device are two, and whoever names that device is told so.
    fn is_other_way_than(&self, other: &Self) -> bool {
        self.way.virtual_name().is_some() != other.way.virtual_name().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(way: Way, presence: Presence) -> Found {
        Found {
            way,
            device: Some("UTCHDAAAAAA".to_owned()),
            label: None,
            presence,
        }
    }

    #[test]
    fn a_plugged_token_is_found_once_and_two_of_one_name_in_readers_twice() {
        let lying = || Way::Virtual {
            name: TokenName::new("a").unwrap(),
        };
        let reader = |reader: &str| Way::Reader {
            reader: reader.to_owned(),
            name: None,
        };
        let mut survey = Survey {
            tokens: vec![
                token(lying(), Presence::InUse { pid: Some(7) }),
                token(reader("r0"), Presence::Ready),
            ],
            remarks: Vec::new(),
        };
        survey.drop_doubles();
        let [only] = survey.tokens.as_slice() else {
            panic!("{survey:?}");
        };
        assert!(only.is_ready() && matches!(&only.way, Way::Reader { reader, .. } if reader == "r0"));
        assert_eq!(only.way.virtual_name().unwrap().as_str(), "a");

        let mut survey = Survey {
            tokens: vec![
                token(reader("r0"), Presence::Ready),
                token(reader("r1"), Presence::Ready),
            ],
            remarks: Vec::new(),
        };
        survey.drop_doubles();
        assert_eq!(survey.tokens.len(), 2);
    }
}
