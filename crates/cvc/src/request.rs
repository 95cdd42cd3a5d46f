//! Authenticated requests: a key request signed once more by somebody known.

use chancery_iso7816::tlv::{Reader, Writer};

use crate::MAX_OBJECT_LEN;
use crate::body::BuildError;
use crate::certificate::Certificate;
use crate::error::{ParseError, SignatureError};
use crate::key::CvKey;
use crate::reference::Reference;
use crate::tags;

/// A request (inner signature by the new key) with the name and signature of who vouches for it, DO 67, as it was
/// found: nothing about it has been verified (reference: BSI TR-03110-3 C.2). A SmartCard-HSM answers a key generation
/// with it; the outer signer is the device key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedRequest {
    content: Vec<u8>,
    signed: Vec<u8>,
    request: Certificate,
    outer_car: Reference,
    outer_signature: Vec<u8>,
}

impl AuthenticatedRequest {
    /// Reads a whole DO 67, or its bare content (DO 7F21, DO 42, DO 5F37) as registration of a custodian takes it;
    /// nothing may follow.
    ///
    /// # Errors
    /// [`ParseError`] when the bytes are not that.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let len = bytes.len();
        if len > MAX_OBJECT_LEN {
            return Err(ParseError::TooLong {
                object: NAME,
                len,
                limit: MAX_OBJECT_LEN,
            });
        }
        let structure = |error| ParseError::structure(NAME)(error);
        let mut reader = Reader::new(bytes);
        if let Some(wrapper) = reader.optional(tags::AUTHENTICATION).map_err(structure)? {
            reader.finish().map_err(structure)?;
            return Self::parse_content(wrapper.children(), wrapper.value);
        }
        Self::parse_content(reader, bytes)
    }

    /// Puts a request together with the signature of who vouches for it. `sign` gets the bytes of request and name
    /// and answers with the plain signature of the key named `outer_car`.
    ///
    /// # Errors
    /// [`BuildError::Sign`] with the error of `sign`, [`BuildError::Result`] when the whole becomes too large.
    pub fn build<E>(
        request: &Certificate,
        outer_car: &Reference,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Self, BuildError<E>> {
        let mut out = Writer::new();
        out.raw(request.as_bytes()).tlv(tags::CAR, outer_car.as_bytes());
        let mut content = out.finish();
        let signature = sign(&content).map_err(BuildError::Sign)?;
        let mut out = Writer::new();
        out.tlv(tags::SIGNATURE, &signature);
        content.extend(out.finish());
        Ok(Self::parse(&content)?)
    }

    /// The whole DO 67, its own length minimal, its content as it was read.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.tlv(tags::AUTHENTICATION, &self.content);
        out.finish()
    }

    /// The content of the DO 67 as it was read.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The request inside.
    #[must_use]
    pub fn request(&self) -> &Certificate {
        &self.request
    }

    /// Name of the key that made the outer signature; for a device its certificate's holder reference.
    #[must_use]
    pub fn outer_car(&self) -> &Reference {
        &self.outer_car
    }

    /// The bytes under the outer signature: the whole DO 7F21 and the whole DO 42.
    #[must_use]
    pub fn outer_signed_bytes(&self) -> &[u8] {
        &self.signed
    }

    /// The outer plain signature.
    #[must_use]
    pub fn outer_signature(&self) -> &[u8] {
        &self.outer_signature
    }

    /// Checks the inner signature: whoever made the request has the private key.
    ///
    /// # Errors
    /// [`SignatureError`]: the signature proves nothing.
    pub fn verify_inner(&self) -> Result<(), SignatureError> {
        self.request.verify_signature(self.request.key())
    }

    /// Checks the outer signature with the key of who vouches, domain parameters included. Whose key that is, is for
    /// the caller to know; [`AuthenticatedRequest::verify`] does all of it.
    ///
    /// # Errors
    /// [`SignatureError`]: the signature proves nothing.
    pub fn verify_outer(&self, signer: &CvKey) -> Result<(), SignatureError> {
        signer.verify(&self.signed, &self.outer_signature)
    }

    fn parse_content(mut fields: Reader<'_>, content: &[u8]) -> Result<Self, ParseError> {
        let structure = |error| ParseError::structure(NAME)(error);
        let request = fields.expect(tags::CERTIFICATE).map_err(structure)?;
        let car = fields.expect(tags::CAR).map_err(structure)?;
        let signature = fields.expect(tags::SIGNATURE).map_err(structure)?;
        fields.finish().map_err(structure)?;
        Ok(Self {
            content: content.to_vec(),
            signed: [request.raw, car.raw].concat(),
            request: Certificate::parse_object(&request)?,
            outer_car: Reference::from_bytes(car.value).map_err(|source| ParseError::Reference {
                object: "outer authority reference",
                source,
            })?,
            outer_signature: signature.value.to_vec(),
        })
    }
}

const NAME: &str = "authenticated request";
