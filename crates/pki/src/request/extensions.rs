//! The extensions a request asks for (RFC 2985 5.4.2).

use der::Decode;
use der::asn1::ObjectIdentifier;
use x509_cert::ext::Extension;

use super::{Ignored, MAX_NAMES, RequestError};
use crate::altname::AltName;
use crate::element::Element;
use crate::oid;

/// Takes the alternative names; what the profile decides and what is unknown but harmless is listed.
pub(super) fn read(
    extension_request: &Element<'_>,
    ignored: &mut Vec<Ignored>,
) -> Result<Vec<AltName>, RequestError> {
    let mut seen = Vec::new();
    let mut names = Vec::new();
    for element in extension_request.sequence().map_err(RequestError::Malformed)? {
        let extension = Extension::from_der(element.raw).map_err(RequestError::Malformed)?;
        let oid = extension.extn_id;
        if seen.contains(&oid) {
            return Err(RequestError::DuplicateExtension { oid });
        }
        seen.push(oid);
        if oid == oid::SUBJECT_ALT_NAME {
            names = alternative_names(extension.extn_value.as_bytes(), ignored)?;
        } else if let Some(what) = decided_by_profile(oid) {
            ignored.push(Ignored {
                oid,
                reason: format!("the profile decides the {what}"),
            });
        } else if extension.critical {
            return Err(RequestError::UnknownCriticalExtension { oid });
        } else {
            ignored.push(Ignored {
                oid,
                reason: "an extension that is not known here".to_owned(),
            });
        }
    }
    Ok(names)
}

fn alternative_names(value: &[u8], ignored: &mut Vec<Ignored>) -> Result<Vec<AltName>, RequestError> {
    let elements = AltName::elements(value)?;
    if elements.len() > MAX_NAMES {
        return Err(RequestError::TooManyNames {
            count: elements.len(),
            limit: MAX_NAMES,
        });
    }
    let mut names = Vec::with_capacity(elements.len());
    for element in &elements {
        let name = AltName::from_element(element)?;
        if names.contains(&name) {
            let reason = format!("{name} is there more than once and is taken once");
            ignored.push(Ignored {
                oid: oid::SUBJECT_ALT_NAME,
                reason,
            });
        } else {
            names.push(name);
        }
    }
    Ok(names)
}

fn decided_by_profile(oid: ObjectIdentifier) -> Option<&'static str> {
    match oid {
        oid::KEY_USAGE => Some("key usage"),
        oid::EXTENDED_KEY_USAGE => Some("extended key usage"),
        oid::BASIC_CONSTRAINTS => Some("basic constraints"),
        oid::SUBJECT_KEY_ID => Some("subject key identifier"),
        _ => None,
    }
}
