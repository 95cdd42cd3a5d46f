//! Distinguished names (RFC 5280 4.1.2.4) and their text form (RFC 4514).

use core::fmt;
use core::str::FromStr;

use der::asn1::{Any, Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use der::{Decode, Encode, Tag, Tagged};
use thiserror::Error;
use x509_cert::name::Name;

/// Most attributes a name may have.
pub(crate) const MAX_ATTRIBUTES: usize = 100;

/// A distinguished name with its exact DER bytes, checked: every value is a printable text of a known string
/// type and within the length limits of RFC 5280 appendix A.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DistinguishedName {
    der: Vec<u8>,
    attributes: Vec<Attribute>,
    text: String,
}

/// One attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attribute {
    /// Short name (`CN`) or dotted identifier.
    pub(crate) label: String,
    pub(crate) value: String,
}

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Not a DER `Name`.
    #[error("the name is not readable")]
    Malformed(#[source] der::Error),
    /// BER that is not DER, such as an unsorted set.
    #[error("the name is not in DER form")]
    NotDer,
    /// Text that is not an RFC 4514 name.
    #[error("{text:?} is not a name such as CN=example,O=Example Ltd,C=DE")]
    Text {
        /// The text.
        text: String,
    },
    /// A string type other than UTF8String, PrintableString or, for e-mail and DC, IA5String.
    #[error("the value of {attribute} has a string type that is not allowed for it")]
    StringType {
        /// Short name or identifier of the attribute.
        attribute: String,
    },
    /// A value of no characters.
    #[error("the value of {attribute} is empty")]
    EmptyValue {
        /// Short name or identifier of the attribute.
        attribute: String,
    },
    /// A value over the limit of RFC 5280 appendix A.1.
    #[error("the value of {attribute} has {length} characters, at most {limit} are allowed")]
    TooLong {
        /// Short name or identifier of the attribute.
        attribute: String,
        /// Length in characters.
        length: usize,
        /// The limit in characters.
        limit: usize,
    },
    /// Control characters in a value.
    #[error("the value of {attribute} contains control characters")]
    ControlCharacter {
        /// Short name or identifier of the attribute.
        attribute: String,
    },
    /// A country that is not two capital letters.
    #[error("the country must be two capital letters (ISO 3166)")]
    Country,
    /// Too many attributes.
    #[error("the name has {count} attributes, at most {limit} are accepted")]
    TooManyAttributes {
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

impl NameError {
    /// What can be done about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::NotDer => "make the name again with a current tool",
            Self::Text { .. } => {
                "separate attributes by commas and escape special characters with a backslash"
            }
            Self::StringType { .. } => "write the name in UTF-8 (openssl: string_mask = utf8only)",
            Self::EmptyValue { .. } => "leave the attribute out or give it a value",
            Self::TooLong { .. } => "shorten the value",
            Self::ControlCharacter { .. } => "remove the control characters",
            Self::Country => "write the country as two capital letters, such as DE",
            Self::TooManyAttributes { .. } => "shorten the name",
        }
    }
}

impl DistinguishedName {
    /// Reads a DER `Name`, which must be in DER form and hold sensible text.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn from_der(der: &[u8]) -> Result<Self, NameError> {
        let (name, attributes) = read(der)?;
        Ok(Self {
            der: der.to_vec(),
            attributes,
            text: name.to_string(),
        })
    }

    /// The empty name.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            der: vec![0x30, 0],
            attributes: Vec::new(),
            text: String::new(),
        }
    }

    /// DER bytes.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Whether the name has no attributes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The last (most specific) common name.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        common_name(&self.attributes)
    }

    pub(crate) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }
}

impl FromStr for DistinguishedName {
    type Err = NameError;

    /// Reads an RFC 4514 name, most specific attribute first: `CN=Root,O=Example Ltd,C=DE`. Blanks after a
    /// separating comma are allowed.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let malformed = || NameError::Text {
            text: text.to_owned(),
        };
        if text.trim().is_empty() {
            return Err(malformed());
        }
        let name = Name::from_str(&without_blanks_after_commas(text.trim())).map_err(|_| malformed())?;
        Self::from_der(&name.to_der().map_err(NameError::Malformed)?)
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn without_blanks_after_commas(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let (mut escaped, mut after_comma) = (false, false);
    for c in text.chars() {
        if after_comma && c == ' ' {
            continue;
        }
        after_comma = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        result.push(c);
    }
    result
}

fn check(oid: ObjectIdentifier, value: &Any) -> Result<Attribute, NameError> {
    let rule = RULES.iter().find(|rule| rule.oid == oid);
    let label = rule.map_or_else(|| oid.to_string(), |rule| rule.label.to_owned());
    let string_type = || NameError::StringType {
        attribute: label.clone(),
    };
    let text = match (value.tag(), rule.map(|rule| rule.strings)) {
        (Tag::PrintableString, Some(Strings::Printable | Strings::Directory) | None) => {
            PrintableStringRef::try_from(value)
                .map_err(|_| string_type())?
                .as_str()
        }
        (Tag::Utf8String, Some(Strings::Directory) | None) => Utf8StringRef::try_from(value)
            .map_err(|_| string_type())?
            .as_str(),
        (Tag::Ia5String, Some(Strings::Ia5) | None) => {
            Ia5StringRef::try_from(value).map_err(|_| string_type())?.as_str()
        }
        _ => return Err(string_type()),
    };
    let length = text.chars().count();
    let limit = rule.map_or(DEFAULT_LIMIT, |rule| rule.limit);
    if length == 0 {
        return Err(NameError::EmptyValue { attribute: label });
    }
    if length > limit {
        return Err(NameError::TooLong {
            attribute: label,
            length,
            limit,
        });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::ControlCharacter { attribute: label });
    }
    if label == "C" && !(length == 2 && text.chars().all(|c| c.is_ascii_uppercase())) {
        return Err(NameError::Country);
    }
    Ok(Attribute {
        value: text.to_owned(),
        label,
    })
}

/// Reads and checks a DER `Name` without making its text, which costs more than all the rest.
pub(crate) fn read(der: &[u8]) -> Result<(Name, Vec<Attribute>), NameError> {
    let name = Name::from_der(der).map_err(NameError::Malformed)?;
    if name.to_der().map_err(NameError::Malformed)? != der {
        return Err(NameError::NotDer);
    }
    let count = name.iter().count();
    if count > MAX_ATTRIBUTES {
        return Err(NameError::TooManyAttributes {
            count,
            limit: MAX_ATTRIBUTES,
        });
    }
    let attributes = name
        .iter()
        .map(|attribute| check(attribute.oid, &attribute.value))
        .collect::<Result<_, _>>()?;
    Ok((name, attributes))
}

/// The last (most specific) common name among attributes.
pub(crate) fn common_name(attributes: &[Attribute]) -> Option<&str> {
    attributes
        .iter()
        .rev()
        .find(|a| a.label == "CN")
        .map(|a| a.value.as_str())
}

/// The short names a profile may use.
pub(crate) fn known_labels() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.label)
}

struct Rule {
    label: &'static str,
    oid: ObjectIdentifier,
    limit: usize,
    strings: Strings,
}

#[derive(Clone, Copy)]
enum Strings {
    /// UTF8String or PrintableString.
    Directory,
    Printable,
    Ia5,
}

const fn rule(label: &'static str, oid: &str, limit: usize, strings: Strings) -> Rule {
    Rule {
        label,
        oid: ObjectIdentifier::new_unwrap(oid),
        limit,
        strings,
    }
}

/// Attribute types with their limits in characters (RFC 5280 appendix A.1, RFC 4519).
const RULES: [Rule; 17] = [
    rule("CN", "2.5.4.3", 64, Strings::Directory),
    rule("SN", "2.5.4.4", 64, Strings::Directory),
    rule("serialNumber", "2.5.4.5", 64, Strings::Printable),
    rule("C", "2.5.4.6", 2, Strings::Printable),
    rule("L", "2.5.4.7", 128, Strings::Directory),
    rule("ST", "2.5.4.8", 128, Strings::Directory),
    rule("street", "2.5.4.9", 128, Strings::Directory),
    rule("O", "2.5.4.10", 64, Strings::Directory),
    rule("OU", "2.5.4.11", 64, Strings::Directory),
    rule("title", "2.5.4.12", 64, Strings::Directory),
    rule("postalCode", "2.5.4.17", 40, Strings::Directory),
    rule("givenName", "2.5.4.42", 64, Strings::Directory),
    rule("pseudonym", "2.5.4.65", 128, Strings::Directory),
    rule("organizationIdentifier", "2.5.4.97", 256, Strings::Directory),
    rule("UID", "0.9.2342.19200300.100.1.1", 256, Strings::Directory),
    rule("DC", "0.9.2342.19200300.100.1.25", 63, Strings::Ia5),
    rule("emailAddress", "1.2.840.113549.1.9.1", 255, Strings::Ia5),
];
const DEFAULT_LIMIT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_there_and_back() {
        for text in [
            "CN=Root,O=Example Ltd,C=DE",
            r"CN=a\,b\+c,OU=x",
            "CN=Jürgen Groß,O=Straße 1",
        ] {
            assert_eq!(text.parse::<DistinguishedName>().unwrap().to_string(), text);
        }
        let spaced: DistinguishedName = r"CN=a\, b, O=c".parse().unwrap();
        assert_eq!(spaced.to_string(), r"CN=a\, b,O=c");
        assert_eq!(spaced.common_name(), Some("a, b"));
    }

    #[test]
    fn bad_names_have_their_own_errors() {
        let parse = |text: &str| text.parse::<DistinguishedName>().unwrap_err();
        assert!(matches!(parse("Example"), NameError::Text { .. }));
        assert!(matches!(parse(" "), NameError::Text { .. }));
        assert!(matches!(parse("XYZZY=1"), NameError::Text { .. }));
        assert_eq!(
            parse("C=Germany"),
            NameError::TooLong {
                attribute: "C".into(),
                length: 7,
                limit: 2
            }
        );
        assert_eq!(parse("C=de"), NameError::Country);
        assert_eq!(
            parse(r"CN=a\00b"),
            NameError::ControlCharacter {
                attribute: "CN".into()
            }
        );
        assert_eq!(
            parse("CN="),
            NameError::EmptyValue {
                attribute: "CN".into()
            }
        );
        assert!(matches!(
            parse(&format!("CN={}", "x".repeat(65))),
            NameError::TooLong { limit: 64, .. }
        ));
        // BMPString and an unsorted set of two attributes
        let bmp = hex::decode("300d310b300906035504031e020041").unwrap();
        assert_eq!(
            DistinguishedName::from_der(&bmp),
            Err(NameError::StringType {
                attribute: "CN".into()
            })
        );
        let unsorted = hex::decode("30163114300806035504030c0162300806035504030c0161").unwrap();
        assert_eq!(DistinguishedName::from_der(&unsorted), Err(NameError::NotDer));
        assert!(DistinguishedName::from_der(&[0x30, 0]).unwrap().is_empty());
    }
}
