//! A second look at bytes before they are signed (RFC 5280, RFC 8410, RFC 8813).
//!
//! The linter reads the encoded bytes with its own reader and shares no structure with the builder, so that a
//! mistake there cannot hide itself here. It takes no decision: whoever signs refuses bytes with a finding of
//! severity [`Severity::Error`].

mod extensions;
mod fields;
mod names;

use core::fmt;

use der::Tag;

use crate::element::{Element, context, exactly};
use crate::issuer::Issuer;
use crate::profile::Profile;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Allowed, but worth a look.
    Warning,
    /// Must not be signed.
    Error,
}

/// Something the linter found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable name of the check, such as `serial-sign`.
    pub code: &'static str,
    /// What was found, one sentence.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity} {}: {}", self.code, self.message)
    }
}

/// Checks DER `TBSCertificate` bytes against the standards, their profile and their issuer (nothing for a
/// self-signed root). An empty list means nothing was found.
#[must_use]
pub fn lint(tbs: &[u8], profile: &Profile, issuer: Option<&Issuer>) -> Vec<Finding> {
    let mut report = Report(Vec::new());
    match Parts::read(tbs) {
        Ok(parts) => parts.check(profile, issuer, &mut report),
        Err(error) => report.error("structure", format!("not a TBSCertificate of version 3: {error}")),
    }
    report.0
}

/// Checks a whole certificate: the outer structure, that the algorithm is the same inside and outside
/// (RFC 5280 4.1.1.2), and everything [`lint`] checks. The signature is not verified.
#[must_use]
pub fn lint_certificate(certificate: &[u8], profile: &Profile, issuer: Option<&Issuer>) -> Vec<Finding> {
    let outer = || -> der::Result<[Element<'_>; 3]> { exactly(Element::parse(certificate)?.sequence()?) };
    let mut report = Report(Vec::new());
    let [tbs, algorithm, signature] = match outer() {
        Ok(parts) => parts,
        Err(error) => {
            report.error("structure", format!("not a certificate: {error}"));
            return report.0;
        }
    };
    match Parts::read(tbs.raw) {
        Ok(parts) => {
            if parts.algorithm.raw != algorithm.raw {
                report.error(
                    "algorithm-differs",
                    "the signature algorithm differs inside and outside",
                );
            }
            parts.check(profile, issuer, &mut report);
        }
        Err(error) => report.error("structure", format!("not a TBSCertificate of version 3: {error}")),
    }
    if signature.tag != Tag::BitString || signature.value.len() < 2 || signature.value.first() != Some(&0) {
        report.error("signature", "the signature is not a BIT STRING of whole octets");
    }
    report.0
}

/// Collects findings.
struct Report(Vec<Finding>);

impl Report {
    fn error(&mut self, code: &'static str, message: impl Into<String>) {
        self.0.push(Finding {
            severity: Severity::Error,
            code,
            message: message.into(),
        });
    }

    fn warning(&mut self, code: &'static str, message: impl Into<String>) {
        self.0.push(Finding {
            severity: Severity::Warning,
            code,
            message: message.into(),
        });
    }

    fn require(&mut self, holds: bool, code: &'static str, message: &str) {
        if !holds {
            self.error(code, message);
        }
    }
}

/// The fields of the TBSCertificate by position.
struct Parts<'a> {
    version: Element<'a>,
    serial: Element<'a>,
    algorithm: Element<'a>,
    issuer: Element<'a>,
    validity: Element<'a>,
    subject: Element<'a>,
    public_key: Element<'a>,
    extensions: Vec<ExtensionParts<'a>>,
}

/// One extension: identifier content octets, criticality, value.
struct ExtensionParts<'a> {
    oid: Element<'a>,
    critical: bool,
    explicit_false: bool,
    value: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(tbs: &'a [u8]) -> der::Result<Self> {
        let fields = exactly(Element::parse(tbs)?.sequence()?)?;
        let [
            version,
            serial,
            algorithm,
            issuer,
            validity,
            subject,
            public_key,
            extensions,
        ] = fields;
        extensions.expect(context(3, true))?;
        let [list] = exactly(extensions.children()?)?;
        let extensions = list
            .sequence()?
            .iter()
            .map(ExtensionParts::read)
            .collect::<der::Result<_>>()?;
        Ok(Self {
            version,
            serial,
            algorithm,
            issuer,
            validity,
            subject,
            public_key,
            extensions,
        })
    }

    fn check(&self, profile: &Profile, issuer: Option<&Issuer>, report: &mut Report) {
        self.check_fields(profile, issuer, report);
        self.check_extensions(profile, issuer, report);
    }
}

impl<'a> ExtensionParts<'a> {
    fn read(element: &Element<'a>) -> der::Result<Self> {
        let parts = element.sequence()?;
        let (oid, flag, value) = match parts.as_slice() {
            [oid, value] => (*oid, None, *value),
            [oid, flag, value] => (*oid, Some(*flag.expect(Tag::Boolean)?), *value),
            _ => return Err(Tag::Sequence.length_error().into()),
        };
        oid.expect(Tag::ObjectIdentifier)?;
        value.expect(Tag::OctetString)?;
        let critical = flag.is_some_and(|flag| flag.value == [0xFF]);
        Ok(Self {
            oid,
            critical,
            explicit_false: flag.is_some() && !critical,
            value: value.value,
        })
    }
}
