//! Certificates and requests: a body and its signature.

use chancery_iso7816::tlv::{Reader, Tlv, Writer};
use time::Date;

use crate::MAX_OBJECT_LEN;
use crate::body::CertificateBody;
use crate::error::{ParseError, SignatureError};
use crate::key::{CvKey, PublicKey};
use crate::reference::Reference;
use crate::role::{Role, RoleKind};
use crate::tags;

/// A certificate or request, DO 7F21, as it was found: nothing about it has been verified (reference: BSI TR-03110-3
/// C.1, C.2). The bytes are kept, so that what was signed is what is verified, whatever its lengths look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    raw: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
    body: CertificateBody,
}

impl Certificate {
    /// Reads a whole DO 7F21; nothing may follow it.
    ///
    /// # Errors
    /// [`ParseError`] when the bytes are not that.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(bytes);
        let object = reader
            .expect(tags::CERTIFICATE)
            .map_err(ParseError::structure(NAME))?;
        reader.finish().map_err(ParseError::structure(NAME))?;
        Self::parse_object(&object)
    }

    /// Reads the content of a DO 7F21, a DO 7F4E and a DO 5F37, as PERFORM SECURITY OPERATION takes it.
    ///
    /// # Errors
    /// [`ParseError`] when the bytes are not that.
    pub fn parse_content(content: &[u8]) -> Result<Self, ParseError> {
        let mut out = Writer::new();
        out.tlv(tags::CERTIFICATE, content);
        Self::parse(&out.finish())
    }

    pub(crate) fn parse_object(object: &Tlv<'_>) -> Result<Self, ParseError> {
        let len = object.raw.len();
        if len > MAX_OBJECT_LEN {
            return Err(ParseError::TooLong {
                object: NAME,
                len,
                limit: MAX_OBJECT_LEN,
            });
        }
        let mut fields = object.children();
        let body = fields.expect(tags::BODY).map_err(ParseError::structure(NAME))?;
        let signature = fields
            .expect(tags::SIGNATURE)
            .map_err(ParseError::structure(NAME))?;
        fields.finish().map_err(ParseError::structure(NAME))?;
        Ok(Self {
            raw: object.raw.to_vec(),
            signed: body.raw.to_vec(),
            signature: signature.value.to_vec(),
            body: CertificateBody::parse(&body)?,
        })
    }

    /// The whole DO 7F21 as it was read.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The content of the DO 7F21 as it was read.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        Reader::new(&self.raw)
            .peek()
            .ok()
            .flatten()
            .map(|object| object.value.to_vec())
            .unwrap_or_default()
    }

    /// The signed bytes: the whole DO 7F4E as it was read.
    #[must_use]
    pub fn signed_bytes(&self) -> &[u8] {
        &self.signed
    }

    /// The plain signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What it says.
    #[must_use]
    pub fn body(&self) -> &CertificateBody {
        &self.body
    }

    /// Name of the key that signed this (certification authority reference).
    #[must_use]
    pub fn car(&self) -> &Reference {
        self.body.car()
    }

    /// Name of the key this is about (certificate holder reference).
    #[must_use]
    pub fn chr(&self) -> &Reference {
        self.body.chr()
    }

    /// What the holder may do; `None` in requests.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        self.body.role()
    }

    /// Place in a chain; `None` in requests.
    #[must_use]
    pub fn role_kind(&self) -> Option<RoleKind> {
        self.body.role().map(Role::kind)
    }

    /// First day of validity; `None` in requests.
    #[must_use]
    pub fn effective(&self) -> Option<Date> {
        self.body.effective()
    }

    /// Last day of validity; `None` in requests.
    #[must_use]
    pub fn expires(&self) -> Option<Date> {
        self.body.expires()
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.body.key().key()
    }

    /// The public key with its algorithm.
    #[must_use]
    pub fn key(&self) -> &CvKey {
        self.body.key()
    }

    /// Checks the signature with the key of the issuer, domain parameters included. Names, roles and dates are not
    /// looked at; [`TrustedCertificate::certify`](crate::TrustedCertificate::certify) does that.
    ///
    /// # Errors
    /// [`SignatureError`]: the signature proves nothing.
    pub fn verify_signature(&self, issuer: &CvKey) -> Result<(), SignatureError> {
        issuer.verify(&self.signed, &self.signature)
    }
}

const NAME: &str = "certificate";
