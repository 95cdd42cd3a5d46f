//! Checks of the extensions (RFC 5280 4.2).

use der::asn1::ObjectIdentifier;
use der::{Decode, Tag};

use super::{ExtensionParts, Parts, Report};
use crate::element::{Element, context};
use crate::issuer::Issuer;
use crate::key::{KeyKind, Shape};
use crate::oid;
use crate::profile::{KeyUsageBit, Profile};

/// Extensions we issue: identifier, name, whether they must be critical (nothing: see the check).
const KNOWN: [(ObjectIdentifier, &str, Option<bool>); 8] = [
    (oid::BASIC_CONSTRAINTS, "basic constraints", Some(true)),
    (oid::KEY_USAGE, "key usage", Some(true)),
    (oid::EXTENDED_KEY_USAGE, "extended key usage", Some(false)),
    (oid::SUBJECT_KEY_ID, "subject key identifier", Some(false)),
    (oid::AUTHORITY_KEY_ID, "authority key identifier", Some(false)),
    (oid::SUBJECT_ALT_NAME, "subject alternative name", None),
    (
        oid::CRL_DISTRIBUTION_POINTS,
        "CRL distribution points",
        Some(false),
    ),
    (
        oid::AUTHORITY_INFO_ACCESS,
        "authority information access",
        Some(false),
    ),
];

impl<'a> Parts<'a> {
    pub(super) fn check_extensions(&self, profile: &Profile, issuer: Option<&Issuer>, report: &mut Report) {
        self.check_list(report);
        self.check_basic_constraints(profile, report);
        self.check_key_usage(profile, report);
        self.check_extended_key_usage(profile, report);
        self.check_key_ids(issuer, report);
        self.check_alt_names(profile, report);
        self.check_urls(profile, issuer, report);
    }

    pub(super) fn find(&self, oid: ObjectIdentifier) -> Option<&ExtensionParts<'a>> {
        self.extensions
            .iter()
            .find(|extension| extension.oid.value == oid.as_bytes())
    }

    fn check_list(&self, report: &mut Report) {
        for (position, extension) in self.extensions.iter().enumerate() {
            let Some((_, name, critical)) = KNOWN.iter().find(|row| row.0.as_bytes() == extension.oid.value)
            else {
                report.error(
                    "extension-unknown",
                    "there is an extension that no profile contains",
                );
                continue;
            };
            if self
                .extensions
                .iter()
                .take(position)
                .any(|other| other.oid.value == extension.oid.value)
            {
                report.error(
                    "extension-duplicate",
                    format!("the extension {name} is there twice"),
                );
            }
            if critical.is_some_and(|critical| critical != extension.critical) {
                report.error(
                    "extension-criticality",
                    format!("the extension {name} has the wrong criticality"),
                );
            }
            if extension.explicit_false {
                report.error(
                    "extension-der",
                    format!("the extension {name} writes out a default value"),
                );
            }
        }
    }

    fn check_basic_constraints(&self, profile: &Profile, report: &mut Report) {
        let Some(extension) = self.find(oid::BASIC_CONSTRAINTS) else {
            report.error("basic-constraints", "there are no basic constraints");
            return;
        };
        let mut expected = Vec::new();
        if profile.kind().is_ca() {
            expected.extend_from_slice(&[1, 1, 0xFF]);
        }
        let mut path_length = profile
            .path_length
            .map(|length| vec![2, 1, length])
            .unwrap_or_default();
        if profile.path_length.is_some_and(|length| length > 0x7F) {
            path_length.insert(2, 0);
            path_length[1] = 2;
        }
        expected.append(&mut path_length);
        let found = Element::parse(extension.value)
            .ok()
            .filter(|element| element.tag == Tag::Sequence);
        report.require(
            found.is_some_and(|element| element.value == expected),
            "basic-constraints",
            "CA flag or path length are not the profile's",
        );
    }

    fn check_key_usage(&self, profile: &Profile, report: &mut Report) {
        let Some(extension) = self.find(oid::KEY_USAGE) else {
            report.error("key-usage", "there is no key usage");
            return;
        };
        let Some(bits) = read_key_usage(extension.value) else {
            report.error("key-usage-der", "the key usage is empty or not in DER form");
            return;
        };
        report.require(
            bits == profile.key_usage,
            "key-usage",
            "the key usage is not the profile's",
        );
        let has = |bit| bits.contains(&bit);
        report.require(
            has(KeyUsageBit::KeyCertSign) == profile.kind().is_ca(),
            "key-usage-ca",
            "signing certificates and being a CA must come together",
        );
        let enciphers = has(KeyUsageBit::KeyEncipherment) || has(KeyUsageBit::DataEncipherment);
        match Shape::read(self.public_key.raw).map(|shape| shape.kind) {
            // RFC 8813 3
            Ok(KeyKind::Ec(_)) if enciphers => {
                report.error("key-usage-key", "an EC key cannot encipher keys or data");
            }
            // RFC 8410 5
            Ok(KeyKind::Ed25519) if enciphers || has(KeyUsageBit::KeyAgreement) => {
                report.error("key-usage-key", "an Ed25519 key can only sign");
            }
            Ok(KeyKind::Rsa { .. }) if has(KeyUsageBit::KeyAgreement) => {
                report.error("key-usage-key", "an RSA key cannot agree on keys");
            }
            _ => {}
        }
    }

    fn check_extended_key_usage(&self, profile: &Profile, report: &mut Report) {
        let found = match self.find(oid::EXTENDED_KEY_USAGE) {
            Some(extension) => match Vec::<ObjectIdentifier>::from_der(extension.value) {
                Ok(oids) if !oids.is_empty() => oids,
                _ => {
                    report.error(
                        "extended-key-usage",
                        "the extended key usage is empty or not readable",
                    );
                    return;
                }
            },
            None => Vec::new(),
        };
        report.require(
            found == profile.extended_key_usage,
            "extended-key-usage",
            "the extended key usage is not the profile's",
        );
    }

    fn check_key_ids(&self, issuer: Option<&Issuer>, report: &mut Report) {
        let own = Shape::read(self.public_key.raw).ok().map(|shape| shape.key_id());
        let subject = self
            .find(oid::SUBJECT_KEY_ID)
            .and_then(|extension| Element::parse(extension.value).ok());
        report.require(
            subject.is_some_and(|e| e.tag == Tag::OctetString && own.is_some_and(|own| e.value == own)),
            "subject-key-id",
            "the subject key identifier is missing or not the SHA-1 of the key",
        );
        let expected = issuer
            .map(Issuer::key_id)
            .or_else(|| own.as_ref().map(<[u8; 20]>::as_slice));
        let authority = self.find(oid::AUTHORITY_KEY_ID).and_then(|extension| {
            let fields = Element::parse(extension.value).ok()?.sequence().ok()?;
            fields
                .first()
                .filter(|field| field.tag == context(0, false))
                .map(|field| field.value)
        });
        report.require(
            authority.is_some() && authority == expected,
            "authority-key-id",
            "the authority key identifier is missing or not the issuer's",
        );
    }

    fn check_urls(&self, profile: &Profile, issuer: Option<&Issuer>, report: &mut Report) {
        let key_id = issuer.map(Issuer::key_id).unwrap_or_default();
        let rule = &profile.urls;
        let expected = Profile::urls_for(&rule.crl, key_id);
        let found = self
            .find(oid::CRL_DISTRIBUTION_POINTS)
            .map(|extension| uris_within(extension.value));
        report.require(
            found.unwrap_or_default() == expected,
            "crl-distribution-points",
            "the CRL addresses are not the profile's",
        );
        let mut expected = Profile::urls_for(&rule.ocsp, key_id);
        expected.extend(Profile::urls_for(&rule.ca_issuers, key_id));
        let found = self
            .find(oid::AUTHORITY_INFO_ACCESS)
            .map(|extension| uris_within(extension.value));
        report.require(
            found.unwrap_or_default() == expected,
            "authority-info-access",
            "the addresses of OCSP and issuer are not the profile's",
        );
    }
}

/// The bits of a minimal, non-empty BIT STRING of named bits (X.690 11.2.2).
fn read_key_usage(value: &[u8]) -> Option<Vec<KeyUsageBit>> {
    let element = Element::parse(value)
        .ok()
        .filter(|element| element.tag == Tag::BitString)?;
    let (unused, octets) = element.value.split_first()?;
    let last = octets.last()?;
    if *last == 0 || last.trailing_zeros() != u32::from(*unused) {
        return None;
    }
    let is_set = |bit: &KeyUsageBit| {
        let position = bit.position();
        octets
            .get(position / 8)
            .is_some_and(|octet| octet & (0x80 >> (position % 8)) != 0)
    };
    Some(KeyUsageBit::ALL.into_iter().filter(is_set).collect())
}

/// Every `[6]` string at any depth, in order.
fn uris_within(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![bytes];
    while let Some(bytes) = open.pop() {
        let elements = Element::parse_all(bytes).unwrap_or_default();
        for element in elements.iter().filter(|element| element.tag == context(6, false)) {
            found.push(String::from_utf8_lossy(element.value).into_owned());
        }
        open.extend(
            elements
                .iter()
                .rev()
                .filter(|e| e.tag.is_constructed())
                .map(|e| e.value),
        );
    }
    found
}
