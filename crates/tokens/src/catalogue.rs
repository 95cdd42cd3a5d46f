//! The keys of a token by name, with as few commands as it takes.
//!
//! A first look lists everything (one command) and reads the description of each key (one command each). A second look by
//! somebody who has held the token exclusively since costs the list alone; otherwise descriptions are read again, because
//! another program may have rewritten one in place.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chancery_driver::{AppletAccess, Error, ObjectList, reading};
use chancery_schsm::{Fid, KeyId, PrivateKeyDescription, fid};

use crate::text::causes;

/// Longest description looked at, in bytes.
const MOST_BYTES: usize = 8 * 1024;

/// Whether other programs can have changed the token since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nobody else could: the token was held exclusively all the time, and what this program wrote was told to
    /// [`Catalogue::forget`].
    Kept,
    /// Somebody may have, or this is the first look.
    Lost,
}

/// What is known of a token's keys between two looks.
#[derive(Debug, Default)]
pub struct Catalogue {
    descriptions: BTreeMap<KeyId, Description>,
}

/// The keys of a token as one look found them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The keys by rising id, the device's own left out.
    pub keys: Vec<ListedKey>,
    /// Descriptions, certificates and requests of keys that are not there.
    pub orphans: Vec<Fid>,
    objects: ObjectList,
}

/// A key in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// Its id.
    pub id: KeyId,
    /// What C4xx says.
    pub description: Description,
    /// Whether the token lists a certificate or request; `None` when it lists none of any key, as some firmwares do.
    pub has_certificate: Option<bool>,
}

/// What a description file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    /// A description.
    Known(PrivateKeyDescription),
    /// There is no such file, or it is empty.
    Missing,
    /// Something that is no description, or cannot be read.
    Odd {
        /// What is wrong with it.
        why: String,
    },
}

/// What a person calls a key.
///
/// `7` is the key with that id, `label:k1` the one with that label, `id:0A10` the one with that CKA_ID, anything else a
/// label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// Its id on the token.
    Id(KeyId),
    /// Its label.
    Label(String),
    /// Its CKA_ID.
    CkaId(Vec<u8>),
}

/// A key that cannot be found by its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The token has none of that name.
    #[error("the token has no key {wanted}; it has {}", shown(.present))]
    NotFound {
        /// The name.
        wanted: KeyName,
        /// What there is.
        present: Vec<String>,
    },
    /// Several have that name.
    #[error("{} keys are called {wanted}: {}; say which by its id", .ids.len(), shown(&.ids.iter().map(KeyId::to_string).collect::<Vec<_>>()))]
    Ambiguous {
        /// The name.
        wanted: KeyName,
        /// Their ids.
        ids: Vec<KeyId>,
    },
}

/// A name that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyNameError {
    /// A number outside 1 to 255.
    #[error("key ids go from 1 to 255, and {0} is none; label:{0} means a label")]
    Number(String),
    /// Not hexadecimal digits in pairs.
    #[error("{0:?} is no CKA_ID in hexadecimal digits")]
    Digits(String),
    /// Nothing.
    #[error("a key has to be named: by id, label:TEXT or id:HEX")]
    Empty,
}

impl Catalogue {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists the keys: one command, and one for each description that has to be read.
    ///
    /// # Errors
    /// The list cannot be had, or the link is gone. A description that cannot be read is [`Description::Odd`].
    pub fn look(&mut self, card: &mut impl AppletAccess, hold: Hold) -> Result<Listing, Error> {
        if hold == Hold::Lost {
            self.descriptions.clear();
        }
        let objects = reading::objects(card)?;
        let ids = objects.keys();
        self.descriptions.retain(|id, _| ids.contains(id));
        // A firmware that lists no description at all may have them none the less.
        let lists_descriptions = objects.with_prefix(fid::prefix::PRKD).any(|low| low != 0);
        let lists_certificates = objects.with_prefix(fid::prefix::CERTIFICATE).any(|low| low != 0);
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            let listed = !lists_descriptions || objects.contains(fid::prkd(id));
            let known = match self.descriptions.get(&id) {
                // One that is listed now and was not, or the other way round, is not what it was.
                Some(known) if !lists_descriptions || listed == (*known != Description::Missing) => {
                    known.clone()
                }
                _ if !listed => Description::Missing,
                _ => read_description(card, id)?,
            };
            self.descriptions.insert(id, known.clone());
            keys.push(ListedKey {
                id,
                description: known,
                has_certificate: lists_certificates.then(|| objects.contains(fid::certificate(id))),
            });
        }
        Ok(Listing {
            keys,
            orphans: orphans(&objects),
            objects,
        })
    }

    /// Forgets what is known of a key, because this program changed it.
    pub fn forget(&mut self, id: KeyId) {
        self.descriptions.remove(&id);
    }
}

/// Reads the description of a key, whatever stands there. One command, unless the file is odd.
///
/// # Errors
/// The link is gone or the token was reset.
pub fn read_description(card: &mut impl AppletAccess, id: KeyId) -> Result<Description, Error> {
    let content = match reading::read(card, fid::prkd(id), MOST_BYTES) {
        Ok(content) => content,
        Err(error @ (Error::Link { .. } | Error::NotSelected { .. })) => return Err(error),
        Err(error) => {
            return Ok(Description::Odd {
                why: error.to_string(),
            });
        }
    };
    Ok(match content {
        None => Description::Missing,
        Some(content) if content.bytes.is_empty() => Description::Missing,
        Some(content) => Description::parse(&content.bytes),
    })
}

impl Description {
    /// Reads the content of a description file; what follows the description is ignored.
    #[must_use]
    pub fn parse(content: &[u8]) -> Self {
        match PrivateKeyDescription::parse(content) {
            Ok(description) => Self::Known(description),
            Err(error) => Self::Odd { why: causes(&error) },
        }
    }

    /// The description, where there is one.
    #[must_use]
    pub const fn known(&self) -> Option<&PrivateKeyDescription> {
        match self {
            Self::Known(description) => Some(description),
            Self::Missing | Self::Odd { .. } => None,
        }
    }

    /// The label; empty when there is none.
    #[must_use]
    pub fn label(&self) -> &str {
        self.known().map_or("", |description| &description.label)
    }
}

impl Listing {
    /// Everything the token listed.
    #[must_use]
    pub const fn objects(&self) -> &ObjectList {
        &self.objects
    }

    /// The key a person means.
    ///
    /// # Errors
    /// [`FindError`]: none, or several.
    pub fn find(&self, wanted: &KeyName) -> Result<&ListedKey, FindError> {
        let fitting: Vec<&ListedKey> = self
            .keys
            .iter()
            .filter(|key| match wanted {
                KeyName::Id(id) => key.id == *id,
                KeyName::Label(label) => key
                    .description
                    .known()
                    .is_some_and(|description| description.label == *label),
                KeyName::CkaId(id) => key
                    .description
                    .known()
                    .is_some_and(|description| description.id == *id),
            })
            .collect();
        match fitting.as_slice() {
            [only] => Ok(only),
            [] => Err(FindError::NotFound {
                wanted: wanted.clone(),
                present: self.keys.iter().map(ListedKey::called).collect(),
            }),
            several => Err(FindError::Ambiguous {
                wanted: wanted.clone(),
                ids: several.iter().map(|key| key.id).collect(),
            }),
        }
    }
}

impl ListedKey {
    /// What to call the key in a sentence: its id, and its label when it has one.
    #[must_use]
    pub fn called(&self) -> String {
        match self.description.label() {
            "" => self.id.to_string(),
            label => format!("{} {label:?}", self.id),
        }
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        if let Some(label) = text.strip_prefix("label:") {
            return Ok(Self::Label(label.to_owned()));
        }
        if let Some(digits) = text.strip_prefix("id:") {
            return match hex::decode(digits) {
                Ok(id) if !id.is_empty() => Ok(Self::CkaId(id)),
                _ => Err(KeyNameError::Digits(digits.to_owned())),
            };
        }
        if text.is_empty() {
            return Err(KeyNameError::Empty);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse::<u8>() {
                Ok(number @ 1..) => Ok(Self::Id(KeyId(number))),
                _ => Err(KeyNameError::Number(text.to_owned())),
            };
        }
        Ok(Self::Label(text.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Label(label) => write!(f, "{label:?}"),
            Self::CkaId(id) => write!(f, "with id {}", hex::encode(id)),
        }
    }
}

fn orphans(objects: &ObjectList) -> Vec<Fid> {
    let mut orphans: Vec<Fid> = objects
        .iter()
        .filter(|file| {
            [fid::prefix::PRKD, fid::prefix::CERTIFICATE].contains(&file.prefix())
                // 00 belongs to the device's own key on some tokens.
                && file.low() != 0
                && !objects.has_key(KeyId(file.low()))
        })
        .collect();
    orphans.sort_unstable();
    orphans.dedup();
    orphans
}

fn shown(items: &[String]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.join(", ")
}
