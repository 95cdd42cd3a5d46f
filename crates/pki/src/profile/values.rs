//! The words a profile is written with.

use core::fmt;

use der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

use crate::altname::AltNameKind;
use crate::key::Curve;

/// What kind of certificate a profile makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A self-signed CA certificate.
    Root,
    /// A CA certificate signed by another CA.
    Subordinate,
    /// A certificate of an end entity.
    Leaf,
}

/// A bit of the key usage extension (RFC 5280 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyUsageBit {
    /// Bit 0.
    DigitalSignature,
    /// Bit 1, also called contentCommitment.
    NonRepudiation,
    /// Bit 2.
    KeyEncipherment,
    /// Bit 3.
    DataEncipherment,
    /// Bit 4.
    KeyAgreement,
    /// Bit 5.
    KeyCertSign,
    /// Bit 6.
    CrlSign,
    /// Bit 7.
    EncipherOnly,
    /// Bit 8.
    DecipherOnly,
}

impl Kind {
    /// Whether certificates of this kind may sign certificates.
    #[must_use]
    pub fn is_ca(self) -> bool {
        matches!(self, Self::Root | Self::Subordinate)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Subordinate => "subordinate",
            Self::Leaf => "leaf",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Root, Self::Subordinate, Self::Leaf]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl KeyUsageBit {
    pub(crate) const ALL: [Self; 9] = [
        Self::DigitalSignature,
        Self::NonRepudiation,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
        Self::KeyCertSign,
        Self::CrlSign,
        Self::EncipherOnly,
        Self::DecipherOnly,
    ];

    /// The word used in profiles.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digital-signature",
            Self::NonRepudiation => "non-repudiation",
            Self::KeyEncipherment => "key-encipherment",
            Self::DataEncipherment => "data-encipherment",
            Self::KeyAgreement => "key-agreement",
            Self::KeyCertSign => "key-cert-sign",
            Self::CrlSign => "crl-sign",
            Self::EncipherOnly => "encipher-only",
            Self::DecipherOnly => "decipher-only",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bit| bit.word() == word)
    }

    /// Number of the bit in the BIT STRING.
    pub(crate) fn position(self) -> usize {
        Self::ALL.iter().position(|bit| *bit == self).unwrap_or_default()
    }

    fn flag(self) -> KeyUsages {
        match self {
            Self::DigitalSignature => KeyUsages::DigitalSignature,
            Self::NonRepudiation => KeyUsages::NonRepudiation,
            Self::KeyEncipherment => KeyUsages::KeyEncipherment,
            Self::DataEncipherment => KeyUsages::DataEncipherment,
            Self::KeyAgreement => KeyUsages::KeyAgreement,
            Self::KeyCertSign => KeyUsages::KeyCertSign,
            Self::CrlSign => KeyUsages::CRLSign,
            Self::EncipherOnly => KeyUsages::EncipherOnly,
            Self::DecipherOnly => KeyUsages::DecipherOnly,
        }
    }
}

/// The extension value for a set of bits.
pub(crate) fn key_usage_bits(bits: &[KeyUsageBit]) -> KeyUsage {
    let mut flags = der::flagset::FlagSet::<KeyUsages>::default();
    for bit in bits {
        flags |= bit.flag();
    }
    KeyUsage(flags)
}

pub(super) fn curve_word(curve: Curve) -> String {
    CURVES
        .iter()
        .find(|(_, c)| *c == curve)
        .map_or_else(String::new, |(word, _)| (*word).to_owned())
}

pub(super) fn curve(word: &str) -> Option<Curve> {
    CURVES.iter().find(|(w, _)| *w == word).map(|(_, curve)| *curve)
}

pub(super) fn name_kind_word(kind: AltNameKind) -> &'static str {
    match kind {
        AltNameKind::Dns => "dns",
        AltNameKind::Ip => "ip",
        AltNameKind::Email => "email",
        AltNameKind::Uri => "uri",
    }
}

pub(super) fn name_kind(word: &str) -> Option<AltNameKind> {
    [
        AltNameKind::Dns,
        AltNameKind::Ip,
        AltNameKind::Email,
        AltNameKind::Uri,
    ]
    .into_iter()
    .find(|kind| name_kind_word(*kind) == word)
}

/// An extended key usage by word or dotted identifier.
pub(super) fn extended_key_usage(word: &str) -> Option<ObjectIdentifier> {
    let known = EXTENDED_KEY_USAGES
        .iter()
        .find(|(w, _)| *w == word)
        .map(|(_, oid)| *oid);
    known.or_else(|| ObjectIdentifier::new(word).ok())
}

pub(super) const KEY_ID_PLACEHOLDER: &str = "{issuer_key_id}";

const CURVES: [(&str, Curve); 7] = [
    ("p256", Curve::P256),
    ("p384", Curve::P384),
    ("p521", Curve::P521),
    ("brainpoolp256r1", Curve::BrainpoolP256r1),
    ("brainpoolp384r1", Curve::BrainpoolP384r1),
    ("brainpoolp512r1", Curve::BrainpoolP512r1),
    ("secp256k1", Curve::Secp256k1),
];

const EXTENDED_KEY_USAGES: [(&str, ObjectIdentifier); 7] = [
    ("server-auth", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1")),
    ("client-auth", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2")),
    ("code-signing", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3")),
    (
        "email-protection",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"),
    ),
    ("time-stamping", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8")),
    ("ocsp-signing", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9")),
    (
        "document-signing",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36"),
    ),
];
