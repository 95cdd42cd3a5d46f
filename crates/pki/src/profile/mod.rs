//! Certificate profiles: what a certificate may be, as data.
//!
//! A profile is TOML text, checked completely at load: [`Profile::from_toml`] refuses unknown keys and
//! contradictions (a leaf that may sign certificates, a required attribute that is not allowed) and its
//! errors name the key. The profiles `root`, `server`, `client` and `audit` are built in and are the best
//! examples of the format.

mod canonical;
mod source;
mod validate;
mod values;

use thiserror::Error;

use crate::altname::AltNameKind;
use crate::key::{Curve, KeyKind};

pub(crate) use values::key_usage_bits;
pub use values::{KeyUsageBit, Kind};

use der::asn1::ObjectIdentifier;

/// Most bytes of TOML text.
pub(crate) const MAX_PROFILE_BYTES: usize = 64 * 1024;

/// A checked certificate profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) description: String,
    pub(crate) validity_days: u32,
    pub(crate) backdate_seconds: u32,
    pub(crate) key_usage: Vec<KeyUsageBit>,
    pub(crate) extended_key_usage: Vec<ObjectIdentifier>,
    pub(crate) path_length: Option<u8>,
    pub(crate) keys: KeyRule,
    pub(crate) subject: SubjectRule,
    pub(crate) names: NamesRule,
    pub(crate) urls: Urls,
    /// SHA-256 over the canonical form of all of the above, made once: it is asked for with every certificate.
    pub(crate) hash: [u8; 32],
}

/// Which keys may be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRule {
    pub(crate) curves: Vec<Curve>,
    pub(crate) ed25519: bool,
    /// Smallest and largest modulus in bits.
    pub(crate) rsa_bits: Option<(u32, u32)>,
}

/// Which attributes the subject may and must have, by short name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectRule {
    pub(crate) allowed: Vec<String>,
    pub(crate) required: Vec<String>,
    pub(crate) may_be_empty: bool,
}

/// Which alternative names are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamesRule {
    pub(crate) kinds: Vec<AltNameKind>,
    pub(crate) required: bool,
    pub(crate) max: usize,
    pub(crate) wildcards: bool,
}

/// URL templates; `{issuer_key_id}` stands for the issuer's key identifier in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Urls {
    pub(crate) crl: Vec<String>,
    pub(crate) ca_issuers: Vec<String>,
    pub(crate) ocsp: Vec<String>,
}

/// Why a profile is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// More text than a profile can need.
    #[error("the profile has {length} bytes, at most {limit} are read")]
    TooLong {
        /// Length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not TOML, an unknown or missing key, or a value of the wrong type.
    #[error("profile line {line}, {key}: {problem}")]
    Syntax {
        /// Line in the text, from 1.
        line: usize,
        /// The key or the text of the line.
        key: String,
        /// What the TOML reader found.
        problem: String,
    },
    /// A value that is not allowed, or that contradicts another.
    #[error("profile {profile}, {key}: {problem}")]
    Invalid {
        /// Name of the profile.
        profile: String,
        /// The key, with its table.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// No built-in profile has the name.
    #[error("there is no profile {name:?}; built in are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
}

impl Profile {
    /// Names of the built-in profiles.
    pub const BUILT_IN: [&'static str; 4] = ["root", "server", "client", "audit"];

    /// Reads and checks a profile.
    ///
    /// # Errors
    /// [`ProfileError`] names the key.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        if text.len() > MAX_PROFILE_BYTES {
            return Err(ProfileError::TooLong {
                length: text.len(),
                limit: MAX_PROFILE_BYTES,
            });
        }
        validate::profile(source::read(text)?)
    }

    /// A built-in profile.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`] lists the names there are.
    pub fn by_name(name: &str) -> Result<Self, ProfileError> {
        let text = match name {
            "root" => include_str!("../../profiles/root.toml"),
            "server" => include_str!("../../profiles/server.toml"),
            "client" => include_str!("../../profiles/client.toml"),
            "audit" => include_str!("../../profiles/audit.toml"),
            _ => {
                let known = Self::BUILT_IN.join(", ");
                return Err(ProfileError::Unknown {
                    name: name.to_owned(),
                    known,
                });
            }
        };
        Self::from_toml(text)
    }

    /// SHA-256 over the profile's canonical form: equal for equal rules, however the TOML text was written.
    ///
    /// Stored with approvals: the canonical form must stay the same for all time.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Name, unique among the profiles of an installation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the certificate is for, one line.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Root, subordinate CA or leaf.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Length of the validity period in days, backdating included.
    #[must_use]
    pub fn validity_days(&self) -> u32 {
        self.validity_days
    }

    /// How many seconds before the time of preparation a certificate becomes valid.
    #[must_use]
    pub fn backdate_seconds(&self) -> u32 {
        self.backdate_seconds
    }

    /// Whether keys of this kind and size may be certified.
    #[must_use]
    pub fn allows_key(&self, kind: KeyKind) -> bool {
        match kind {
            KeyKind::Ec(curve) => self.keys.curves.contains(&curve),
            KeyKind::Rsa { bits } => self
                .keys
                .rsa_bits
                .is_some_and(|(min, max)| (min..=max).contains(&bits)),
            KeyKind::Ed25519 => self.keys.ed25519,
        }
    }

    /// The allowed keys in words.
    pub(crate) fn allowed_keys_text(&self) -> String {
        let mut words: Vec<String> = self
            .keys
            .curves
            .iter()
            .map(|c| KeyKind::Ec(*c).to_string())
            .collect();
        if let Some((min, max)) = self.keys.rsa_bits {
            words.push(format!("RSA {min} to {max} bits"));
        }
        if self.keys.ed25519 {
            words.push(KeyKind::Ed25519.to_string());
        }
        words.join(", ")
    }

    /// URL templates filled in for an issuer.
    pub(crate) fn urls_for(templates: &[String], issuer_key_id: &[u8]) -> Vec<String> {
        let key_id = hex::encode(issuer_key_id);
        templates
            .iter()
            .map(|template| template.replace(values::KEY_ID_PLACEHOLDER, &key_id))
            .collect()
    }
}
