//! Checks of the fields before the extensions (RFC 5280 4.1.2).

use der::{Decode, Tag};
use time::{Duration, OffsetDateTime};
use x509_cert::name::Name;

use super::{Parts, Report};
use crate::algorithm::SignatureAlgorithm;
use crate::element::{Element, exactly};
use crate::instant;
use crate::issuer::Issuer;
use crate::key::{KeyKind, Shape};
use crate::name;
use crate::profile::{Kind, Profile};

impl Parts<'_> {
    pub(super) fn check_fields(&self, profile: &Profile, issuer: Option<&Issuer>, report: &mut Report) {
        report.require(self.version.value == [2, 1, 2], "version", "the version is not 3");
        check_serial(&self.serial, report);
        self.check_algorithm(issuer, report);
        self.check_issuer(profile, issuer, report);
        self.check_validity(profile, issuer, report);
        self.check_subject(profile, report);
        self.check_public_key(profile, report);
    }

    fn check_algorithm(&self, issuer: Option<&Issuer>, report: &mut Report) {
        let Some(algorithm) = SignatureAlgorithm::from_element(&self.algorithm) else {
            report.error(
                "algorithm",
                "the signature algorithm is not known or has wrong parameters",
            );
            return;
        };
        let signer = match issuer {
            Some(issuer) => Some(issuer.key().kind()),
            None => Shape::read(self.public_key.raw).ok().map(|shape| shape.kind),
        };
        if signer.map(SignatureAlgorithm::for_key) != Some(algorithm) {
            report.error(
                "algorithm-key",
                format!("{algorithm} is not what the issuer's key signs with"),
            );
        }
    }

    fn check_issuer(&self, profile: &Profile, issuer: Option<&Issuer>, report: &mut Report) {
        report.require(
            !self.issuer.value.is_empty(),
            "issuer-empty",
            "the issuer is empty",
        );
        let expected = issuer.map_or(self.subject.raw, Issuer::name_der);
        report.require(
            self.issuer.raw == expected,
            "issuer",
            "the issuer is not the CA's subject, byte for byte",
        );
        let self_signed = profile.kind() == Kind::Root;
        report.require(
            self_signed == issuer.is_none(),
            "profile-kind",
            "the kind of the profile does not fit the issuer",
        );
    }

    fn check_validity(&self, profile: &Profile, issuer: Option<&Issuer>, report: &mut Report) {
        let times = self.validity.sequence().and_then(exactly::<2>);
        let Ok([not_before, not_after]) = times else {
            report.error("validity", "the validity does not have two times");
            return;
        };
        let (Some(begin), Some(end)) = (check_time(&not_before, report), check_time(&not_after, report))
        else {
            return;
        };
        if end <= begin {
            report.error("validity-order", "the validity ends before it begins");
            return;
        }
        let allowed = Duration::days(i64::from(profile.validity_days()));
        let length = end - begin + Duration::SECOND;
        let cut_by_issuer = issuer.is_some_and(|issuer| end == issuer.not_after());
        if length > allowed || (length < allowed && !cut_by_issuer) {
            report.error(
                "validity-length",
                format!("the validity is not {} days", profile.validity_days()),
            );
        }
        if issuer.is_some_and(|issuer| end > issuer.not_after()) {
            report.error(
                "validity-issuer",
                "the certificate is valid longer than its issuer",
            );
        }
    }

    fn check_subject(&self, profile: &Profile, report: &mut Report) {
        let rule = &profile.subject;
        if self.subject.raw == [0x30, 0] {
            report.require(rule.may_be_empty, "subject-empty", "the subject is empty");
            return;
        }
        match name::read(self.subject.raw) {
            Ok((_, attributes)) => {
                let labels: Vec<&str> = attributes.iter().map(|a| a.label.as_str()).collect();
                for label in labels
                    .iter()
                    .filter(|label| !rule.allowed.iter().any(|a| a == *label))
                {
                    report.error("subject-attribute", format!("the profile does not allow {label}"));
                }
                for label in rule
                    .required
                    .iter()
                    .filter(|label| !labels.contains(&label.as_str()))
                {
                    report.error("subject-attribute", format!("the profile requires {label}"));
                }
                if labels.iter().filter(|label| **label == "CN").count() > 1 {
                    report.warning("subject-cn", "the subject has more than one common name");
                }
            }
            Err(error) => {
                let shown =
                    Name::from_der(self.subject.raw).map_or_else(|_| String::new(), |n| n.to_string());
                report.error(
                    "subject",
                    format!("the subject {shown:?} is not acceptable: {error}"),
                );
            }
        }
    }

    fn check_public_key(&self, profile: &Profile, report: &mut Report) {
        let shape = match Shape::read(self.public_key.raw) {
            Ok(shape) => shape,
            Err(error) => {
                report.error("key", format!("the public key is not acceptable: {error}"));
                return;
            }
        };
        if !profile.allows_key(shape.kind) {
            report.error(
                "key-kind",
                format!("the profile does not allow a key of kind {}", shape.kind),
            );
        }
        let right_length = match shape.kind {
            KeyKind::Ec(curve) => {
                shape.bits.first() == Some(&4) && shape.bits.len() == 1 + 2 * curve.field_octets()
            }
            KeyKind::Ed25519 => shape.bits.len() == 32,
            KeyKind::Rsa { .. } => true,
        };
        report.require(
            right_length,
            "key-length",
            "the public key does not have the length of its kind",
        );
    }
}

fn check_serial(serial: &Element<'_>, report: &mut Report) {
    report.require(
        serial.tag == Tag::Integer,
        "serial",
        "the serial number is not an INTEGER",
    );
    match serial.value {
        [] | [0] => report.error("serial-zero", "the serial number is zero"),
        [first, ..] if first & 0x80 != 0 => report.error("serial-sign", "the serial number is negative"),
        [0, second, ..] if second & 0x80 == 0 => {
            report.error(
                "serial-der",
                "the serial number has a superfluous leading zero octet",
            );
        }
        value if value.len() > 20 => report.error("serial-length", "the serial number has over 20 octets"),
        value if value.len() < 8 => {
            report.warning(
                "serial-entropy",
                "the serial number is too short to hold 64 random bits",
            );
        }
        _ => {}
    }
}

/// UTCTime until 2049, GeneralizedTime from 2050, both with seconds and Z (RFC 5280 4.1.2.5).
fn check_time(element: &Element<'_>, report: &mut Report) -> Option<OffsetDateTime> {
    let right_length = match element.tag {
        Tag::UtcTime => element.value.len() == 13,
        Tag::GeneralizedTime => element.value.len() == 15,
        _ => false,
    };
    let moment = instant::from_element(element)
        .ok()
        .filter(|_| right_length && element.value.ends_with(b"Z"));
    let Some(moment) = moment else {
        report.error(
            "time",
            "a time is not a UTCTime or GeneralizedTime with seconds and Z",
        );
        return None;
    };
    let expected = if moment.year() < 2050 {
        Tag::UtcTime
    } else {
        Tag::GeneralizedTime
    };
    if element.tag != expected {
        report.error(
            "time-encoding",
            format!("the year {} has the wrong type of time", moment.year()),
        );
    }
    Some(moment)
}
