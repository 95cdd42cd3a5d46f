//! The canonical form a profile's hash is taken over.
//!
//! Stored hashes depend on it. Lines of `key=length:value`, lists with their count, in this order; sets are
//! sorted by `validate`. A new field goes to the end, and only when it differs from its default.

use super::values::{curve_word, name_kind_word};
use super::{KeyRule, NamesRule, Profile, SubjectRule, Urls};

impl Profile {
    /// Canonical bytes; equal exactly for profiles with equal rules.
    pub(super) fn canonical(&self) -> Vec<u8> {
        // Taken apart completely, so that a new field cannot be forgotten here.
        let Self {
            name,
            kind,
            description,
            validity_days,
            backdate_seconds,
            key_usage,
            extended_key_usage,
            path_length,
            keys:
                KeyRule {
                    curves,
                    ed25519,
                    rsa_bits,
                },
            subject:
                SubjectRule {
                    allowed,
                    required,
                    may_be_empty,
                },
            names:
                NamesRule {
                    kinds,
                    required: names_required,
                    max,
                    wildcards,
                },
            urls: Urls {
                crl,
                ca_issuers,
                ocsp,
            },
            // What this is the preimage of.
            hash: _,
        } = self;
        let (rsa_min, rsa_max) = rsa_bits.unwrap_or_default();
        let mut form = Form(b"CHANCERY-PROFILE-v1\n".to_vec());
        form.value("name", name);
        form.value("kind", kind);
        form.value("description", description);
        form.value("validity_days", validity_days);
        form.value("backdate_seconds", backdate_seconds);
        form.list("key_usage", key_usage.iter().map(|bit| bit.word().to_owned()));
        form.list(
            "extended_key_usage",
            extended_key_usage.iter().map(ToString::to_string),
        );
        form.list("path_length", path_length.iter().map(ToString::to_string));
        form.list("keys.curves", curves.iter().map(|curve| curve_word(*curve)));
        form.value("keys.ed25519", ed25519);
        form.value("keys.rsa_min_bits", rsa_min);
        form.value("keys.rsa_max_bits", rsa_max);
        form.list("subject.allowed", allowed.iter().cloned());
        form.list("subject.required", required.iter().cloned());
        form.value("subject.may_be_empty", may_be_empty);
        form.list(
            "names.from_request",
            kinds.iter().map(|kind| name_kind_word(*kind).to_owned()),
        );
        form.value("names.required", names_required);
        form.value("names.max", max);
        form.value("names.wildcards", wildcards);
        form.list("urls.crl", crl.iter().cloned());
        form.list("urls.ca_issuers", ca_issuers.iter().cloned());
        form.list("urls.ocsp", ocsp.iter().cloned());
        form.0
    }
}

struct Form(Vec<u8>);

impl Form {
    fn value(&mut self, key: &str, value: impl ToString) {
        let value = value.to_string();
        self.0
            .extend_from_slice(format!("{key}={}:{value}\n", value.len()).as_bytes());
    }

    fn list(&mut self, key: &str, values: impl ExactSizeIterator<Item = String>) {
        self.value(key, values.len());
        for value in values {
            self.value(key, value);
        }
    }
}
