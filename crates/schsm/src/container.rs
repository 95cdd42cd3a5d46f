//! Container files of wrapped keys: `.bin` of sc-hsm-tool, `.wky` of the Smart Card Shell.
//!
//! Both are one `SEQUENCE` of the blob in an `OCTET STRING`, the PKCS#15 description as it stands in C4xx and the
//! content of CExx, an X.509 certificate or an authenticated request. The last two are there when the token had them.
//! Writers put them in this order; readers take any, and each part at most once.

use chancery_iso7816::tlv::{Reader, Tag, Tlv, TlvError, Writer};
use thiserror::Error;

use crate::blob;

/// Longest container that is looked at, in bytes: the longest blob, a description, and a certificate with room to spare.
pub const MAX_LENGTH: usize = 64 * 1024;

const SEQUENCE: Tag = Tag(0x30);
const BIT_STRING: Tag = Tag(0x03);
const OCTET_STRING: Tag = Tag(0x04);
const EC_KEY: Tag = Tag(0xA0);
const AES_KEY: Tag = Tag(0xA8);
const REQUEST: Tag = Tag(0x67);
const CARD_VERIFIABLE: Tag = Tag(0x7F21);

/// A wrapped key with what goes with it. Nothing in it is secret without the key encryption key.
///
/// What was read is written again byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyContainer {
    blob: Vec<u8>,
    description: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    order: Vec<Part>,
}

/// Parts of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The wrapped key.
    Blob,
    /// PKCS#15 description.
    Description,
    /// Certificate or authenticated request.
    Certificate,
}

/// Why bytes are no container.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContainerError {
    /// Longer than [`MAX_LENGTH`].
    #[error("container of {length} bytes is over the limit of {MAX_LENGTH}")]
    TooLong {
        /// Bytes given.
        length: usize,
    },
    /// Not the data objects that make a container, or bytes follow them.
    #[error("not a container of a wrapped key")]
    Tlv(#[from] TlvError),
    /// A length in more bytes than it takes, which no writer of containers does.
    #[error("length of data object {tag} in the container has superfluous bytes")]
    Length {
        /// Tag of the data object.
        tag: Tag,
    },
    /// A part that stands there twice.
    #[error("the container holds more than one {0}")]
    Twice(Part),
    /// No blob, which is what a container is for.
    #[error("the container holds no wrapped key")]
    NoBlob,
    /// A blob longer than any key takes.
    #[error(
        "wrapped key of {length} bytes in the container is over the limit of {}",
        blob::MAX_LENGTH
    )]
    Blob {
        /// Its length in bytes.
        length: usize,
    },
    /// A data object that is no part of a container.
    #[error(
        "data object {tag} in the container is neither a wrapped key nor a description nor a certificate"
    )]
    Unknown {
        /// Its tag.
        tag: Tag,
    },
}

impl KeyContainer {
    /// A container in the order that sc-hsm-tool and the Smart Card Shell write.
    ///
    /// # Errors
    /// A part is not of its kind, or longer than it may be.
    pub fn new(
        blob: &[u8],
        description: Option<&[u8]>,
        certificate: Option<&[u8]>,
    ) -> Result<Self, ContainerError> {
        let mut parts = Writer::new();
        parts.tlv(OCTET_STRING, blob);
        for part in [description, certificate].into_iter().flatten() {
            parts.raw(part);
        }
        let container = Self::parse(&sequence(&parts.finish()))?;
        // A description given as certificate would come out as one.
        let (description, certificate) = (description.map(<[u8]>::to_vec), certificate.map(<[u8]>::to_vec));
        if container.description == description && container.certificate == certificate {
            return Ok(container);
        }
        let misplaced = container
            .description
            .or(container.certificate)
            .unwrap_or_default();
        let tag = Reader::new(&misplaced)
            .next()?
            .map_or(Tag(0), |object| object.tag);
        Err(ContainerError::Unknown { tag })
    }

    /// Reads a container.
    ///
    /// # Errors
    /// [`ContainerError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ContainerError> {
        let length = bytes.len();
        if length > MAX_LENGTH {
            return Err(ContainerError::TooLong { length });
        }
        let mut outer = Reader::new(bytes);
        let all = outer.expect(SEQUENCE)?;
        outer.finish()?;
        minimal(&all)?;
        let mut container = Self {
            blob: Vec::new(),
            description: None,
            certificate: None,
            order: Vec::with_capacity(3),
        };
        let mut objects = all.children();
        while let Some(object) = objects.next()? {
            let part = kind(&object)?;
            if container.order.contains(&part) {
                return Err(ContainerError::Twice(part));
            }
            container.order.push(part);
            match part {
                Part::Blob => {
                    minimal(&object)?;
                    if object.value.len() > blob::MAX_LENGTH {
                        return Err(ContainerError::Blob {
                            length: object.value.len(),
                        });
                    }
                    container.blob = object.value.to_vec();
                }
                Part::Description => container.description = Some(object.raw.to_vec()),
                Part::Certificate => container.certificate = Some(object.raw.to_vec()),
            }
        }
        if container.blob.is_empty() {
            return Err(ContainerError::NoBlob);
        }
        Ok(container)
    }

    /// The container as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut parts = Writer::new();
        for part in &self.order {
            match part {
                Part::Blob => parts.tlv(OCTET_STRING, &self.blob),
                Part::Description => parts.raw(self.description.as_deref().unwrap_or_default()),
                Part::Certificate => parts.raw(self.certificate.as_deref().unwrap_or_default()),
            };
        }
        sequence(&parts.finish())
    }

    /// The key under the key encryption key, as WRAP gives it and UNWRAP takes it.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// PKCS#15 description as it stands in C4xx; for [`PrivateKeyDescription::parse`](crate::PrivateKeyDescription::parse).
    #[must_use]
    pub fn description(&self) -> Option<&[u8]> {
        self.description.as_deref()
    }

    /// X.509 or card verifiable certificate, or authenticated request, as it stands in CExx.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// The parts in their order.
    #[must_use]
    pub fn order(&self) -> &[Part] {
        &self.order
    }
}

impl std::fmt::Debug for KeyContainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "KeyContainer({:?}, blob of {} bytes)",
            self.order,
            self.blob.len()
        )
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Blob => "wrapped key",
            Self::Description => "description",
            Self::Certificate => "certificate or request",
        })
    }
}

/// Which part this is. `30` starts both the description of an RSA key and an X.509 certificate, which alone ends with
/// its signature, a bit string.
fn kind(object: &Tlv<'_>) -> Result<Part, ContainerError> {
    match object.tag {
        OCTET_STRING => Ok(Part::Blob),
        EC_KEY | AES_KEY => Ok(Part::Description),
        REQUEST | CARD_VERIFIABLE => Ok(Part::Certificate),
        SEQUENCE => {
            let mut last = None;
            let mut fields = object.children();
            while let Some(field) = fields.next()? {
                last = Some(field.tag);
            }
            Ok(if last == Some(BIT_STRING) {
                Part::Certificate
            } else {
                Part::Description
            })
        }
        tag => Err(ContainerError::Unknown { tag }),
    }
}

/// Refuses a header that is not written in the fewest bytes: it would come out shorter.
fn minimal(object: &Tlv<'_>) -> Result<(), ContainerError> {
    let mut again = Writer::new();
    again.tlv(object.tag, object.value);
    if again.finish() == object.raw {
        Ok(())
    } else {
        Err(ContainerError::Length { tag: object.tag })
    }
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.tlv(SEQUENCE, content);
    out.finish()
}
