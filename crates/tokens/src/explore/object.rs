//! What a file holds, by what stands in it.

use chancery_cvc::{AuthenticatedRequest, Certificate, PublicKey};
use chancery_driver::KeyCertificate;
use chancery_iso7816::tlv::Reader;
use chancery_schsm::PrivateKeyDescription;
use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef};
use serde::Serialize;

use crate::key::{described, name_of};

/// A certificate or request as it is shown; nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateView {
    /// `request`, `x509`, `cvc` or `unknown`.
    pub kind: &'static str,
    /// Subject, or holder reference.
    pub subject: String,
    /// Issuer, or authority reference.
    pub issuer: String,
    /// Algorithm of its public key.
    pub algorithm: Option<String>,
    /// Last day or moment it is good for.
    pub not_after: Option<String>,
    /// Length in bytes.
    pub length: usize,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "holds", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Content {
    /// A certificate or request.
    Certificate(CertificateView),
    /// The description of a key.
    KeyDescription {
        /// Label.
        label: String,
        /// CKA_ID, hexadecimal.
        cka_id: String,
        /// Kind and size.
        algorithm: String,
    },
    /// Other data objects.
    Tlv {
        /// Tags of the outermost data objects.
        tags: Vec<String>,
        /// Length of the file in bytes.
        length: usize,
    },
    /// Printable text.
    Text {
        /// The beginning of it.
        text: String,
        /// Length of the file in bytes.
        length: usize,
    },
    /// Any other bytes.
    Bytes {
        /// Length of the file in bytes.
        length: usize,
    },
    /// The file is empty.
    Empty,
    /// The file is not there.
    Missing,
    /// The file cannot be read.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// Characters of a text that are shown.
const SHOWN: usize = 60;

/// Recognises what a file holds.
#[must_use]
pub fn content(bytes: &[u8]) -> Content {
    if bytes.is_empty() {
        return Content::Empty;
    }
    let length = bytes.len();
    if let Ok(description) = PrivateKeyDescription::parse(bytes) {
        return Content::KeyDescription {
            label: description.label,
            cka_id: hex::encode(&description.id),
            algorithm: described(description.key_type, description.key_size),
        };
    }
    let mut objects = Reader::new(bytes);
    if let Ok(Some(first)) = objects.next() {
        let recognised = CertificateView::of(&KeyCertificate::recognise(first.raw.to_vec()));
        if recognised.kind != UNKNOWN && recognised.algorithm.is_some() {
            return Content::Certificate(recognised);
        }
        let mut tags = vec![first.tag.to_string()];
        while let Ok(Some(next)) = objects.next() {
            tags.push(next.tag.to_string());
        }
        if objects.is_empty() && tags.len() <= SHOWN {
            return Content::Tlv { tags, length };
        }
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => Content::Text {
            text: text.chars().take(SHOWN).collect(),
            length,
        },
        _ => Content::Bytes { length },
    }
}

const UNKNOWN: &str = "unknown";

impl CertificateView {
    /// What stands in CExx.
    #[must_use]
    pub fn of(certificate: &KeyCertificate) -> Self {
        let length = certificate.bytes().len();
        let view = match certificate {
            KeyCertificate::Request(bytes) => AuthenticatedRequest::parse(bytes)
                .ok()
                .map(|request| Self::of_request(&request)),
            KeyCertificate::Cvc(bytes) => Certificate::parse(bytes).ok().map(|parsed| Self::of_cvc(&parsed)),
            KeyCertificate::X509(der) => X509::from_der(der).ok().map(|parsed| Self::of_x509(&parsed)),
            _ => None,
        };
        view.map_or_else(
            || Self {
                kind: UNKNOWN,
                subject: String::new(),
                issuer: String::new(),
                algorithm: None,
                not_after: None,
                length,
            },
            |view| Self { length, ..view },
        )
    }

    /// A key's authenticated request.
    #[must_use]
    pub fn of_request(request: &AuthenticatedRequest) -> Self {
        let inner = request.request();
        Self {
            kind: "request",
            subject: inner.chr().to_string(),
            issuer: request.outer_car().to_string(),
            algorithm: Some(name_of(inner.public_key())),
            not_after: None,
            length: request.to_bytes().len(),
        }
    }

    /// A card verifiable certificate.
    #[must_use]
    pub fn of_cvc(certificate: &Certificate) -> Self {
        Self {
            kind: "cvc",
            subject: certificate.chr().to_string(),
            issuer: certificate.car().to_string(),
            algorithm: Some(match certificate.public_key() {
                PublicKey::EcPointOnly(_) => "EC, curve of its issuer".to_owned(),
                key => name_of(key),
            }),
            not_after: certificate.expires().map(|date| date.to_string()),
            length: certificate.as_bytes().len(),
        }
    }

    fn of_x509(certificate: &X509) -> Self {
        let key = KeyCertificate::X509(certificate.to_der().unwrap_or_default()).public_key();
        Self {
            kind: "x509",
            subject: name(certificate.subject_name()),
            issuer: name(certificate.issuer_name()),
            algorithm: Some(key.map_or_else(|| "other than EC and RSA".to_owned(), |key| name_of(&key))),
            not_after: Some(certificate.not_after().to_string()),
            length: 0,
        }
    }
}

/// `CN=k1, O=..`, in the order of the certificate.
fn name(name: &X509NameRef) -> String {
    name.entries()
        .map(|entry| {
            let value = entry.data().to_string().unwrap_or_default();
            let kind = match entry.object().nid() {
                Nid::UNDEF => entry.object().to_string(),
                nid => nid.short_name().unwrap_or("?").to_owned(),
            };
            format!("{kind}={value}")
        })
        .collect::<Vec<_>>()
        .join(", ")
}
