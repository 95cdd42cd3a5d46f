//! From what is written to a profile that makes sense.

use der::asn1::ObjectIdentifier;
use sha2::{Digest as _, Sha256};

use super::source::{Keys, Names, Source, Subject, Urls as UrlsSource};
use super::values::{self, KEY_ID_PLACEHOLDER, KeyUsageBit, Kind};
use super::{KeyRule, NamesRule, Profile, ProfileError, SubjectRule, Urls};
use crate::key::{RSA_MAX_BITS, RSA_MIN_BITS};
use crate::request::MAX_NAMES;
use crate::{name, oid};

const MAX_VALIDITY_DAYS: u32 = 36_525;
const MAX_BACKDATE_SECONDS: u32 = 7 * 86_400;
const MAX_URLS: usize = 8;
const MAX_URL_LENGTH: usize = 1024;

pub(super) fn profile(source: Source) -> Result<Profile, ProfileError> {
    let checks = Checks {
        profile: source.name.clone(),
    };
    checks.name(&source.name)?;
    let kind = Kind::from_word(&source.kind)
        .ok_or_else(|| checks.error("kind", "must be root, subordinate or leaf"))?;
    if source.description.len() > 200 || source.description.chars().any(char::is_control) {
        return Err(checks.error("description", "must be one line of at most 200 bytes"));
    }
    if !(1..=MAX_VALIDITY_DAYS).contains(&source.validity_days) {
        return Err(checks.error("validity_days", format!("must be 1 to {MAX_VALIDITY_DAYS}")));
    }
    if source.backdate_seconds > MAX_BACKDATE_SECONDS {
        return Err(checks.error(
            "backdate_seconds",
            format!("must be at most {MAX_BACKDATE_SECONDS}"),
        ));
    }
    if u64::from(source.backdate_seconds) >= u64::from(source.validity_days) * 86_400 {
        return Err(checks.error("backdate_seconds", "must be shorter than the validity"));
    }
    if source.path_length.is_some() && !kind.is_ca() {
        return Err(checks.error("path_length", "belongs to CA profiles only"));
    }
    let names = checks.names(kind, source.names)?;
    let mut profile = Profile {
        kind,
        key_usage: checks.key_usage(kind, &source.key_usage)?,
        extended_key_usage: checks.extended_key_usage(&source.extended_key_usage)?,
        keys: checks.keys(source.keys)?,
        subject: checks.subject(kind, &names, source.subject)?,
        urls: checks.urls(kind, source.urls)?,
        names,
        name: source.name,
        description: source.description,
        validity_days: source.validity_days,
        backdate_seconds: source.backdate_seconds,
        path_length: source.path_length,
        hash: [0; 32],
    };
    profile.hash = Sha256::digest(profile.canonical()).into();
    Ok(profile)
}

struct Checks {
    profile: String,
}

impl Checks {
    fn error(&self, key: &'static str, problem: impl Into<String>) -> ProfileError {
        ProfileError::Invalid {
            profile: self.profile.clone(),
            key,
            problem: problem.into(),
        }
    }

    /// Every word known to `find`, none twice.
    fn words<T: PartialEq>(
        &self,
        key: &'static str,
        words: &[String],
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ProfileError> {
        let mut found = Vec::with_capacity(words.len());
        for word in words {
            let value = find(word).ok_or_else(|| self.error(key, format!("{word:?} is not known")))?;
            if found.contains(&value) {
                return Err(self.error(key, format!("{word:?} is there twice")));
            }
            found.push(value);
        }
        Ok(found)
    }

    fn name(&self, name: &str) -> Result<(), ProfileError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(allowed) {
            return Err(self.error("name", "must be 1 to 32 lower-case letters, digits and hyphens"));
        }
        Ok(())
    }

    fn key_usage(&self, kind: Kind, words: &[String]) -> Result<Vec<KeyUsageBit>, ProfileError> {
        const KEY: &str = "key_usage";
        let mut bits = self.words(KEY, words, KeyUsageBit::from_word)?;
        bits.sort_unstable();
        if bits.is_empty() {
            return Err(self.error(KEY, "must name at least one use"));
        }
        let has = |bit| bits.contains(&bit);
        if kind.is_ca() && !has(KeyUsageBit::KeyCertSign) {
            return Err(self.error(KEY, "a CA profile needs key-cert-sign"));
        }
        if !kind.is_ca() && (has(KeyUsageBit::KeyCertSign) || has(KeyUsageBit::CrlSign)) {
            return Err(self.error(KEY, "key-cert-sign and crl-sign belong to CA profiles only"));
        }
        let only = has(KeyUsageBit::EncipherOnly) || has(KeyUsageBit::DecipherOnly);
        if only && !has(KeyUsageBit::KeyAgreement) {
            return Err(self.error(KEY, "encipher-only and decipher-only need key-agreement"));
        }
        Ok(bits)
    }

    fn extended_key_usage(&self, words: &[String]) -> Result<Vec<ObjectIdentifier>, ProfileError> {
        const KEY: &str = "extended_key_usage";
        let oids = self.words(KEY, words, values::extended_key_usage)?;
        if oids.contains(&oid::ANY_EXTENDED_KEY_USAGE) {
            return Err(self.error(KEY, "any use is the same as no list: leave the key out"));
        }
        Ok(oids)
    }

    fn keys(&self, keys: Keys) -> Result<KeyRule, ProfileError> {
        const KEY: &str = "keys.allowed";
        if keys.allowed.is_empty() {
            return Err(self.error(KEY, "must name at least one kind of key"));
        }
        let (mut curve_words, mut rsa, mut ed25519) = (Vec::new(), false, false);
        for word in keys.allowed {
            let seen = match word.as_str() {
                "rsa" => core::mem::replace(&mut rsa, true),
                "ed25519" => core::mem::replace(&mut ed25519, true),
                _ => {
                    curve_words.push(word);
                    continue;
                }
            };
            if seen {
                return Err(self.error(KEY, format!("{word:?} is there twice")));
            }
        }
        let mut curves = self.words(KEY, &curve_words, values::curve)?;
        curves.sort_unstable();
        if !rsa && (keys.rsa_min_bits.is_some() || keys.rsa_max_bits.is_some()) {
            return Err(self.error("keys.rsa_min_bits", "rsa is not among the allowed keys"));
        }
        let min = keys.rsa_min_bits.unwrap_or(RSA_MIN_BITS);
        let max = keys.rsa_max_bits.unwrap_or(4096);
        if rsa && !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&min) {
            let problem = format!("must be {RSA_MIN_BITS} to {RSA_MAX_BITS}");
            return Err(self.error("keys.rsa_min_bits", problem));
        }
        if rsa && !(min..=RSA_MAX_BITS).contains(&max) {
            let problem = format!("must be {min} (keys.rsa_min_bits) to {RSA_MAX_BITS}");
            return Err(self.error("keys.rsa_max_bits", problem));
        }
        Ok(KeyRule {
            curves,
            ed25519,
            rsa_bits: rsa.then_some((min, max)),
        })
    }

    fn subject(&self, kind: Kind, names: &NamesRule, subject: Subject) -> Result<SubjectRule, ProfileError> {
        let known = |word: &str| {
            name::known_labels()
                .find(|label| *label == word)
                .map(str::to_owned)
        };
        let mut allowed = self.words("subject.allowed", &subject.allowed, known)?;
        let mut required = self.words("subject.required", &subject.required, known)?;
        allowed.sort_unstable();
        required.sort_unstable();
        if let Some(missing) = required.iter().find(|label| !allowed.contains(label)) {
            return Err(self.error(
                "subject.required",
                format!("{missing:?} is not in subject.allowed"),
            ));
        }
        if subject.may_be_empty {
            if kind.is_ca() {
                return Err(self.error("subject.may_be_empty", "a CA needs a subject"));
            }
            if names.kinds.is_empty() {
                return Err(self.error("subject.may_be_empty", "needs names.from_request"));
            }
            if !required.is_empty() {
                return Err(self.error("subject.may_be_empty", "contradicts subject.required"));
            }
        } else if allowed.is_empty() {
            return Err(self.error("subject.allowed", "must name at least one attribute"));
        }
        Ok(SubjectRule {
            allowed,
            required,
            may_be_empty: subject.may_be_empty,
        })
    }

    fn names(&self, kind: Kind, names: Names) -> Result<NamesRule, ProfileError> {
        const KEY: &str = "names.from_request";
        let mut kinds = self.words(KEY, &names.from_request, values::name_kind)?;
        kinds.sort_unstable();
        if kind.is_ca() && !kinds.is_empty() {
            return Err(self.error(KEY, "a CA takes no alternative names"));
        }
        if names.required && kinds.is_empty() {
            return Err(self.error("names.required", "needs names.from_request"));
        }
        if names.wildcards && !kinds.contains(&crate::altname::AltNameKind::Dns) {
            return Err(self.error("names.wildcards", "needs dns in names.from_request"));
        }
        let max = names.max.unwrap_or(MAX_NAMES);
        if !(1..=MAX_NAMES).contains(&max) {
            return Err(self.error("names.max", format!("must be 1 to {MAX_NAMES}")));
        }
        Ok(NamesRule {
            kinds,
            required: names.required,
            max,
            wildcards: names.wildcards,
        })
    }

    fn urls(&self, kind: Kind, urls: UrlsSource) -> Result<Urls, ProfileError> {
        for (key, list) in [
            ("urls.crl", &urls.crl),
            ("urls.ca_issuers", &urls.ca_issuers),
            ("urls.ocsp", &urls.ocsp),
        ] {
            if kind == Kind::Root && !list.is_empty() {
                return Err(self.error(key, "a root certificate is not looked up by URL"));
            }
            if list.len() > MAX_URLS {
                return Err(self.error(key, format!("has at most {MAX_URLS} addresses")));
            }
            for url in list {
                self.url(key, url)?;
            }
        }
        Ok(Urls {
            crl: urls.crl,
            ca_issuers: urls.ca_issuers,
            ocsp: urls.ocsp,
        })
    }

    fn url(&self, key: &'static str, url: &str) -> Result<(), ProfileError> {
        let filled = url.replace(KEY_ID_PLACEHOLDER, "00");
        if filled.contains(['{', '}']) {
            return Err(self.error(
                key,
                format!("{url:?}: the only placeholder is {KEY_ID_PLACEHOLDER}"),
            ));
        }
        // Fetching a CRL over https would need that CRL first (RFC 5280 8).
        if !filled.starts_with("http://") || filled.len() > MAX_URL_LENGTH {
            return Err(self.error(key, format!("{url:?} must begin with http:// and be short")));
        }
        crate::altname::AltName::uri(&filled)
            .map(|_| ())
            .map_err(|error| self.error(key, error.to_string()))
    }
}
