//! A profile as it is written in TOML, before any check of its values.

use serde::Deserialize;

use super::ProfileError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) validity_days: u32,
    #[serde(default)]
    pub(super) backdate_seconds: u32,
    pub(super) key_usage: Vec<String>,
    #[serde(default)]
    pub(super) extended_key_usage: Vec<String>,
    pub(super) path_length: Option<u8>,
    pub(super) keys: Keys,
    pub(super) subject: Subject,
    #[serde(default)]
    pub(super) names: Names,
    #[serde(default)]
    pub(super) urls: Urls,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) allowed: Vec<String>,
    pub(super) rsa_min_bits: Option<u32>,
    pub(super) rsa_max_bits: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    pub(super) allowed: Vec<String>,
    #[serde(default)]
    pub(super) required: Vec<String>,
    #[serde(default)]
    pub(super) may_be_empty: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) from_request: Vec<String>,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) max: Option<usize>,
    #[serde(default)]
    pub(super) wildcards: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Urls {
    pub(super) crl: Vec<String>,
    pub(super) ca_issuers: Vec<String>,
    pub(super) ocsp: Vec<String>,
}

pub(super) fn read(text: &str) -> Result<Source, ProfileError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count();
        let line_text = text.lines().nth(line).unwrap_or_default();
        let key = line_text
            .split_once('=')
            .map_or(line_text, |(key, _)| key)
            .trim()
            .to_owned();
        ProfileError::Syntax {
            line: line + 1,
            key,
            problem: error.message().to_owned(),
        }
    })
}
