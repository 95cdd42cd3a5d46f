//! Subject alternative names (RFC 5280 4.2.1.6).

use core::fmt;
use core::net::IpAddr;

use der::asn1::{Ia5String, OctetString};
use thiserror::Error;
use x509_cert::ext::pkix::name::GeneralName;

use crate::element::{Element, context};

/// The types of names a profile can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AltNameKind {
    /// A host name.
    Dns,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An e-mail address.
    Email,
    /// An absolute URI.
    Uri,
}

/// A checked subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AltName {
    /// dNSName: letters, digits and hyphens, perhaps `*` as the whole first label.
    Dns(String),
    /// iPAddress.
    Ip(IpAddr),
    /// rfc822Name.
    Email(String),
    /// uniformResourceIdentifier.
    Uri(String),
}

/// Why an alternative name is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AltNameError {
    /// The extension is not a DER `GeneralNames`.
    #[error("the alternative names are not readable")]
    Malformed(#[source] der::Error),
    /// A list without names.
    #[error("the list of alternative names is empty")]
    Empty,
    /// A type of name that no profile takes.
    #[error("alternative names of type {kind} are not supported")]
    Unsupported {
        /// The type's name in RFC 5280.
        kind: &'static str,
    },
    /// A value that breaks the rules of its type.
    #[error("{value:?} is not a valid {kind}: {problem}")]
    Invalid {
        /// The type of name.
        kind: AltNameKind,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl AltNameError {
    /// What can be done about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "make the request again with a current tool",
            Self::Empty => "list at least one name or leave the extension out",
            Self::Unsupported { .. } => "use DNS names, IP addresses, e-mail addresses or URIs",
            Self::Invalid { .. } => "correct the name",
        }
    }
}

impl AltName {
    /// A DNS name.
    ///
    /// # Errors
    /// [`AltNameError::Invalid`] when the name breaks RFC 1123 2.1 or has a wildcard elsewhere than as the
    /// whole first label.
    pub fn dns(value: &str) -> Result<Self, AltNameError> {
        check_dns(value).map_err(|problem| Self::invalid(AltNameKind::Dns, value, problem))?;
        Ok(Self::Dns(value.to_owned()))
    }

    /// An e-mail address.
    ///
    /// # Errors
    /// [`AltNameError::Invalid`] when it is not `local@domain` in ASCII.
    pub fn email(value: &str) -> Result<Self, AltNameError> {
        check_email(value).map_err(|problem| Self::invalid(AltNameKind::Email, value, problem))?;
        Ok(Self::Email(value.to_owned()))
    }

    /// A URI.
    ///
    /// # Errors
    /// [`AltNameError::Invalid`] when it has no scheme or characters that must be escaped.
    pub fn uri(value: &str) -> Result<Self, AltNameError> {
        check_uri(value).map_err(|problem| Self::invalid(AltNameKind::Uri, value, problem))?;
        Ok(Self::Uri(value.to_owned()))
    }

    /// The name's type.
    #[must_use]
    pub fn kind(&self) -> AltNameKind {
        match self {
            Self::Dns(_) => AltNameKind::Dns,
            Self::Ip(_) => AltNameKind::Ip,
            Self::Email(_) => AltNameKind::Email,
            Self::Uri(_) => AltNameKind::Uri,
        }
    }

    /// Whether it stands for all hosts below a domain.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Dns(name) if name.starts_with("*."))
    }

    /// Reads one `GeneralName`.
    pub(crate) fn from_element(element: &Element<'_>) -> Result<Self, AltNameError> {
        let unsupported = |kind| Err(AltNameError::Unsupported { kind });
        match element.tag {
            tag if tag == context(1, false) => Self::email(ia5(AltNameKind::Email, element.value)?),
            tag if tag == context(2, false) => Self::dns(ia5(AltNameKind::Dns, element.value)?),
            tag if tag == context(6, false) => Self::uri(ia5(AltNameKind::Uri, element.value)?),
            tag if tag == context(7, false) => match element.value.len() {
                4 => Ok(Self::Ip(IpAddr::from(
                    <[u8; 4]>::try_from(element.value).unwrap_or_default(),
                ))),
                16 => Ok(Self::Ip(IpAddr::from(
                    <[u8; 16]>::try_from(element.value).unwrap_or_default(),
                ))),
                _ => Err(Self::invalid(
                    AltNameKind::Ip,
                    &hex::encode(element.value),
                    "an address has 4 or 16 octets",
                )),
            },
            tag if tag == context(0, true) => unsupported("otherName"),
            tag if tag == context(3, true) => unsupported("x400Address"),
            tag if tag == context(4, true) => unsupported("directoryName"),
            tag if tag == context(5, true) => unsupported("ediPartyName"),
            tag if tag == context(8, false) => unsupported("registeredID"),
            tag => Err(AltNameError::Malformed(tag.unexpected_error(None).into())),
        }
    }

    /// The elements of a DER `GeneralNames`, not yet checked one by one.
    pub(crate) fn elements(general_names: &[u8]) -> Result<Vec<Element<'_>>, AltNameError> {
        let elements = Element::parse(general_names)
            .and_then(|names| names.sequence())
            .map_err(AltNameError::Malformed)?;
        if elements.is_empty() {
            Err(AltNameError::Empty)
        } else {
            Ok(elements)
        }
    }

    pub(crate) fn to_general_name(&self) -> der::Result<GeneralName> {
        Ok(match self {
            Self::Dns(name) => GeneralName::DnsName(Ia5String::new(name)?),
            Self::Email(address) => GeneralName::Rfc822Name(Ia5String::new(address)?),
            Self::Uri(uri) => GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?),
            Self::Ip(IpAddr::V4(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
            Self::Ip(IpAddr::V6(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        })
    }

    fn invalid(kind: AltNameKind, value: &str, problem: &'static str) -> AltNameError {
        AltNameError::Invalid {
            kind,
            value: value.to_owned(),
            problem,
        }
    }
}

impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Ip(address) => write!(f, "IP:{address}"),
            Self::Email(address) => write!(f, "email:{address}"),
            Self::Uri(uri) => write!(f, "URI:{uri}"),
        }
    }
}

impl fmt::Display for AltNameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS name",
            Self::Ip => "IP address",
            Self::Email => "e-mail address",
            Self::Uri => "URI",
        })
    }
}

fn ia5(kind: AltNameKind, value: &[u8]) -> Result<&str, AltNameError> {
    match core::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => Err(AltName::invalid(
            kind,
            &String::from_utf8_lossy(value),
            "only ASCII characters are allowed",
        )),
    }
}

pub(crate) fn check_dns(name: &str) -> Result<(), &'static str> {
    let (wildcard, rest) = name.strip_prefix("*.").map_or((false, name), |rest| (true, rest));
    if name.len() > 253 {
        return Err("a name has at most 253 characters");
    }
    let labels: Vec<&str> = rest.split('.').collect();
    for label in &labels {
        check_label(label)?;
    }
    if wildcard && labels.len() < 2 {
        return Err("a wildcard needs at least two labels after it");
    }
    match labels.last() {
        Some(last) if last.bytes().all(|b| b.is_ascii_digit()) => {
            Err("the last label is a number; write an address as an IP address")
        }
        _ => Ok(()),
    }
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("a label is empty");
    }
    if label.len() > 63 {
        return Err("a label has at most 63 characters");
    }
    if label.contains('*') {
        return Err("a wildcard must be the whole first label");
    }
    if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err("only letters, digits, hyphens and dots are allowed");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("a label must not begin or end with a hyphen");
    }
    Ok(())
}

fn check_email(address: &str) -> Result<(), &'static str> {
    let (local, domain) = address.rsplit_once('@').ok_or("there is no @")?;
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    if local.is_empty() || local.len() > 64 {
        return Err("the part before the @ has 1 to 64 characters");
    }
    if !local
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(atom))
    {
        return Err("the part before the @ has characters that are not allowed");
    }
    if domain.starts_with("*.") {
        return Err("a wildcard is not allowed");
    }
    check_dns(domain)
}

fn check_uri(uri: &str) -> Result<(), &'static str> {
    let (scheme, rest) = uri.split_once(':').ok_or("there is no scheme")?;
    let scheme_char = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    if !scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()) || !scheme.bytes().all(scheme_char) {
        return Err("the scheme is not valid");
    }
    if rest.is_empty() || rest == "//" {
        return Err("nothing follows the scheme");
    }
    if !rest
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b))
    {
        return Err("there are characters that must be escaped");
    }
    if matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") && !has_host(rest) {
        return Err("there is no host");
    }
    Ok(())
}

fn has_host(rest: &str) -> bool {
    rest.strip_prefix("//")
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names() {
        for name in [
            "example.com",
            "localhost",
            "*.example.com",
            "xn--bcher-kva.example",
            "a-b.c1",
        ] {
            assert!(AltName::dns(name).is_ok(), "{name}");
        }
        for address in ["a.b+c@example.com", "x@localhost"] {
            assert!(AltName::email(address).is_ok(), "{address}");
        }
        for uri in [
            "https://example.com/a?b#c",
            "urn:uuid:1",
            "spiffe://example.org/x",
        ] {
            assert!(AltName::uri(uri).is_ok(), "{uri}");
        }
    }

    #[test]
    fn bad_names() {
        let long_label = format!("{}.com", "a".repeat(64));
        let long_name = ["a".repeat(60).as_str(); 5].join(".");
        for name in [
            "",
            ".",
            "a..b",
            "a.",
            "-a.com",
            "a-.com",
            "a_b.com",
            "a b.com",
            "*",
            "*.com",
            "a.*.com",
            "*a.example.com",
            "10.0.0.1",
            "example.com/x",
            "ä.com",
            &long_label,
            &long_name,
        ] {
            assert!(
                matches!(AltName::dns(name), Err(AltNameError::Invalid { .. })),
                "{name}"
            );
        }
        for address in [
            "",
            "a",
            "@b.c",
            "a@",
            "a@b@c d",
            "a..b@c.d",
            "a b@c.d",
            "a@*.example.com",
            "a@-b",
        ] {
            assert!(AltName::email(address).is_err(), "{address}");
        }
        for uri in [
            "",
            "x",
            ":x",
            "http:",
            "http://",
            "http:///x",
            "1a:b",
            "a:b c",
            "a:<b>",
        ] {
            assert!(AltName::uri(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn addresses_have_four_or_sixteen_octets() {
        let parse = |der: &[u8]| AltName::from_element(&Element::parse(der).unwrap());
        assert_eq!(
            parse(&[0x87, 4, 10, 0, 0, 1]),
            Ok(AltName::Ip(IpAddr::from([10, 0, 0, 1])))
        );
        assert!(matches!(
            parse(&[0x87, 5, 10, 0, 0, 1, 0]),
            Err(AltNameError::Invalid { .. })
        ));
        assert!(matches!(
            parse(&[0x88, 1, 0x2A]),
            Err(AltNameError::Unsupported { kind: "registeredID" })
        ));
        assert!(matches!(
            parse(&[0x82, 1, 0xE4]),
            Err(AltNameError::Invalid { .. })
        ));
    }
}
