//! Telling what a file is, by its content alone.

use chancery_api::Receipt;
use chancery_cvc::PublicKey;
use chancery_iso7816::tlv::{Reader, Tag};
use chancery_schsm::KeyContainer;
use chancery_schsm::container::ContainerError;
use openssl::pkey::{PKeyRef, Public};
use openssl::x509::{X509, X509Req};
use serde::Serialize;

use crate::attestation::{self, Attestation, AttestationError};
use crate::receipt::{ReceiptError, parse_receipt, seems_receipt};
use crate::text;
use crate::transcript::{self, Transcript, TranscriptError};

/// Longest file looked at, in bytes.
pub const MAX_INPUT: usize = 1024 * 1024;

/// A file as it was recognised. Nothing in it has been verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Content of EF 2F02: certificates of a device and its issuer.
    Chain(Vec<u8>),
    /// An authenticated request, DO 67 or its content.
    Request(Vec<u8>),
    /// A wrapped key with what goes with it (`.bin`, `.wky`).
    Container(KeyContainer),
    /// A PKCS#10 request, an X.509 certificate or a bare public key.
    Subject(Subject),
    /// A file of the archive.
    Attestation(Box<Attestation>),
    /// A recorded secure channel.
    Transcript(Box<Transcript>),
    /// What shows that a quorum permitted a signature.
    Receipt(Box<Receipt>),
}

/// Something with a public key that evidence may be for.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    /// Its key; `None` for a kind of key no token has.
    pub key: Option<PublicKey>,
    /// For a PKCS#10 request, whether its signature is its key's.
    pub possession: Option<bool>,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// EF 2F02.
    Chain,
    /// Authenticated request.
    Request,
    /// Wrapped key.
    Container,
    /// PKCS#10.
    CertificationRequest,
    /// X.509.
    Certificate,
    /// `SubjectPublicKeyInfo`.
    PublicKey,
    /// File of the archive.
    Attestation,
    /// Recorded secure channel.
    Transcript,
    /// Receipt of a signature.
    Receipt,
}

/// Why a file was not recognised, or cannot be read as what it seems to be.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Longer than [`MAX_INPUT`].
    #[error("{length} bytes are over the limit of {MAX_INPUT}")]
    TooLong {
        /// Bytes given.
        length: usize,
    },
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// No kind of evidence starts like that.
    #[error(
        "neither a device chain, a key's request, a wrapped key, a PKCS#10 request, an X.509 certificate, a public key, \
         an attestation, a transcript nor a receipt"
    )]
    Unknown,
    /// Text that should be hexadecimal.
    #[error("not hexadecimal as tools write it: one letter case, no blanks, lines of one length")]
    Hexadecimal,
    /// Not one PEM block that can be read.
    #[error("the PEM block cannot be read")]
    Pem,
    /// More than one PEM block.
    #[error("more than one PEM block: give each in a file of its own")]
    SeveralPem,
    /// A PEM block of something else.
    #[error("a PEM block labelled {0:?} is no evidence")]
    Label(String),
    /// DER that is cut short or goes on after its end.
    #[error("{kind} cannot be read", kind = kind.name())]
    Der {
        /// What it seems to be.
        kind: Kind,
    },
    /// A container of a wrapped key.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A file of the archive.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// A recorded secure channel.
    #[error(transparent)]
    Transcript(#[from] TranscriptError),
    /// A receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
}

impl Input {
    /// Tells what a file is: binary, hexadecimal, PEM or JSON.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn recognise(bytes: &[u8]) -> Result<Self, InputError> {
        if bytes.len() > MAX_INPUT {
            return Err(InputError::TooLong { length: bytes.len() });
        }
        if bytes.is_empty() {
            return Err(InputError::Empty);
        }
        if bytes.first() == Some(&b'{') {
            return Self::json(bytes);
        }
        let Some(text) = text::as_text(bytes) else {
            return Self::binary(bytes);
        };
        if !text.contains(text::PEM_BEGIN) {
            return Self::binary(&text::hexadecimal(text)?);
        }
        let (label, der) = text::pem(text)?;
        match label {
            "CERTIFICATE" => certificate(&der),
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => certification_request(&der),
            "PUBLIC KEY" => public_key(&der),
            other => Err(InputError::Label(other.to_owned())),
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Chain(_) => Kind::Chain,
            Self::Request(_) => Kind::Request,
            Self::Container(_) => Kind::Container,
            Self::Subject(subject) => subject.kind,
            Self::Attestation(_) => Kind::Attestation,
            Self::Transcript(_) => Kind::Transcript,
            Self::Receipt(_) => Kind::Receipt,
        }
    }

    fn json(bytes: &[u8]) -> Result<Self, InputError> {
        // Every format says first what it is.
        let says = |format: &str| {
            let head = bytes.get(..64).unwrap_or(bytes);
            head.windows(format.len())
                .any(|window| window == format.as_bytes())
        };
        if says(attestation::FORMAT) {
            return Ok(Self::Attestation(Box::new(Attestation::parse(bytes)?)));
        }
        if says(transcript::FORMAT) {
            return Ok(Self::Transcript(Box::new(Transcript::parse(bytes)?)));
        }
        if seems_receipt(bytes) {
            return Ok(Self::Receipt(Box::new(parse_receipt(bytes)?)));
        }
        Err(InputError::Unknown)
    }

    fn binary(bytes: &[u8]) -> Result<Self, InputError> {
        match bytes {
            [] => Err(InputError::Empty),
            [0x67, ..] if tags(bytes).is_some_and(|tags| tags.len() > 1) => Ok(Self::Chain(bytes.to_vec())),
            [0x67, ..] => Ok(Self::Request(bytes.to_vec())),
            [0x7F, 0x21, ..] if tags(bytes).is_some_and(|tags| tags == REQUEST_CONTENT) => {
                Ok(Self::Request(bytes.to_vec()))
            }
            [0x7F, 0x21, ..] => Ok(Self::Chain(bytes.to_vec())),
            [0x30, ..] => Self::sequence(bytes),
            _ => Err(InputError::Unknown),
        }
    }

    fn sequence(der: &[u8]) -> Result<Self, InputError> {
        let mut outer = Reader::new(der);
        let content = match outer.expect(Tag(0x30)) {
            Ok(sequence) if outer.is_empty() => tags(sequence.value),
            _ => None,
        };
        match content.as_deref() {
            Some(tags) if tags.contains(&OCTET_STRING) => Ok(Self::Container(KeyContainer::parse(der)?)),
            Some([SEQUENCE, BIT_STRING]) => public_key(der),
            Some([SEQUENCE, SEQUENCE, BIT_STRING]) => {
                certificate(der).or_else(|_| certification_request(der))
            }
            _ => Err(InputError::Unknown),
        }
    }
}

impl Kind {
    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chain => "device chain",
            Self::Request => "authenticated request",
            Self::Container => "wrapped key",
            Self::CertificationRequest => "PKCS#10 request",
            Self::Certificate => "X.509 certificate",
            Self::PublicKey => "public key",
            Self::Attestation => "attestation",
            Self::Transcript => "transcript",
            Self::Receipt => "receipt",
        }
    }
}

fn certificate(der: &[u8]) -> Result<Input, InputError> {
    let kind = Kind::Certificate;
    let found = whole(der)
        .then(|| X509::from_der(der).ok())
        .flatten()
        .and_then(|found| found.public_key().ok())
        .ok_or(InputError::Der { kind })?;
    Ok(Input::Subject(Subject {
        kind,
        key: key_of(&found),
        possession: None,
    }))
}

fn certification_request(der: &[u8]) -> Result<Input, InputError> {
    let kind = Kind::CertificationRequest;
    let read = || {
        let request = X509Req::from_der(der).ok()?;
        let key = request.public_key().ok()?;
        let signed = request.verify(&key).unwrap_or(false);
        Some((key_of(&key), signed))
    };
    let (key, signed) = whole(der).then(read).flatten().ok_or(InputError::Der { kind })?;
    Ok(Input::Subject(Subject {
        kind,
        key,
        possession: Some(signed),
    }))
}

fn public_key(der: &[u8]) -> Result<Input, InputError> {
    let kind = Kind::PublicKey;
    let key = whole(der)
        .then(|| openssl::pkey::PKey::public_key_from_der(der).ok())
        .flatten()
        .ok_or(InputError::Der { kind })?;
    Ok(Input::Subject(Subject {
        kind,
        key: key_of(&key),
        possession: None,
    }))
}

fn key_of(key: &PKeyRef<Public>) -> Option<PublicKey> {
    PublicKey::from_spki_der(&key.public_key_to_der().ok()?).ok()
}

/// One data object and nothing after it: the crypto library ignores what follows.
fn whole(der: &[u8]) -> bool {
    let mut reader = Reader::new(der);
    reader.expect(SEQUENCE).is_ok() && reader.is_empty()
}

/// Tags of the data objects side by side; `None` when the bytes are not that.
fn tags(bytes: &[u8]) -> Option<Vec<Tag>> {
    let mut reader = Reader::new(bytes);
    let mut tags = Vec::new();
    while let Some(object) = reader.next().ok()? {
        tags.push(object.tag);
        if tags.len() > MAX_OBJECTS {
            return None;
        }
    }
    Some(tags)
}

const REQUEST_CONTENT: [Tag; 3] = [Tag(0x7F21), Tag(0x42), Tag(0x5F37)];
const SEQUENCE: Tag = Tag(0x30);
const BIT_STRING: Tag = Tag(0x03);
const OCTET_STRING: Tag = Tag(0x04);
const MAX_OBJECTS: usize = 16;
