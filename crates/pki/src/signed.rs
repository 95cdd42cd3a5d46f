//! The outer structure of certificates and CRLs: to-be-signed bytes, algorithm, signature (RFC 5280 4.1, 5.1).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Encode, Sequence, Tag};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Verifier;
use spki::AlgorithmIdentifierRef;
use thiserror::Error;

use crate::algorithm::{Digest, SignatureAlgorithm};
use crate::element::{Element, context, exactly};
use crate::key::{Curve, KeyKind, PublicKey};

/// Why bytes and signature do not make a certificate or CRL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AssembleError {
    /// The to-be-signed bytes are neither a certificate's nor a CRL's.
    #[error("the to-be-signed bytes are not readable")]
    Malformed(#[source] der::Error),
    /// The algorithm inside differs (RFC 5280 4.1.1.2).
    #[error("the signature algorithm {given} is not the one named inside the to-be-signed bytes")]
    AlgorithmDiffers {
        /// The algorithm given.
        given: SignatureAlgorithm,
    },
    /// Bytes that cannot be a signature of the algorithm, for example plain `r || s` instead of DER.
    #[error("the signature does not have the form of {algorithm}")]
    SignatureForm {
        /// The algorithm given.
        algorithm: SignatureAlgorithm,
    },
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Neither a certificate nor a CRL in DER.
    #[error("the signed object is not readable")]
    Malformed(#[source] der::Error),
    /// Unknown algorithm, or not the same inside and outside (RFC 5280 4.1.1.2).
    #[error("the signature algorithm is not known or not the same inside and outside")]
    Algorithm,
    /// The algorithm does not belong to the issuer's key.
    #[error("{algorithm} does not belong to a key of kind {key}")]
    KeyKind {
        /// Algorithm of the signature.
        algorithm: SignatureAlgorithm,
        /// Kind of the issuer's key.
        key: KeyKind,
    },
    /// The signature is wrong.
    #[error("the signature was not made by the issuer's key over these bytes")]
    Signature,
}

/// Joins to-be-signed bytes and signature to a certificate or CRL in DER.
///
/// `signature` is what X.509 carries: a DER `Ecdsa-Sig-Value` for ECDSA, the plain octets for RSA and Ed25519.
///
/// # Errors
/// [`AssembleError`]; the signature's value is not verified, see [`verify_signature`].
pub fn assemble(
    tbs: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
) -> Result<Vec<u8>, AssembleError> {
    let malformed = AssembleError::Malformed;
    let element = Element::parse(tbs).map_err(malformed)?;
    let inner = inner_algorithm(&element).map_err(malformed)?;
    if SignatureAlgorithm::from_element(&inner) != Some(algorithm) {
        return Err(AssembleError::AlgorithmDiffers { given: algorithm });
    }
    if !has_form(algorithm, signature) {
        return Err(AssembleError::SignatureForm { algorithm });
    }
    let tbs = AnyRef::from_der(tbs).map_err(malformed)?;
    let signature = BitStringRef::from_bytes(signature).map_err(malformed)?;
    SignedDer {
        tbs,
        algorithm: algorithm.identifier(),
        signature,
    }
    .to_der()
    .map_err(malformed)
}

/// Verifies the signature of a certificate or CRL (DER) with the key of its issuer.
///
/// # Errors
/// [`VerifyError`]; names and validity are not looked at.
pub fn verify_signature(der: &[u8], issuer_key: &PublicKey) -> Result<(), VerifyError> {
    let signed = Signed::parse(der).map_err(VerifyError::Malformed)?;
    let inner = inner_algorithm(&signed.tbs).map_err(VerifyError::Malformed)?;
    let algorithm = SignatureAlgorithm::from_element(&signed.algorithm).ok_or(VerifyError::Algorithm)?;
    if inner.raw != signed.algorithm.raw {
        return Err(VerifyError::Algorithm);
    }
    let key = issuer_key.kind();
    if !algorithm.fits(key) {
        return Err(VerifyError::KeyKind { algorithm, key });
    }
    let valid = match fast_verifier(algorithm, key) {
        Some(verifier) => {
            let public_key = UnparsedPublicKey::new(verifier, issuer_key.key_bits());
            public_key.verify(signed.tbs.raw, signed.signature).is_ok()
        }
        None => verify_with_openssl(algorithm, issuer_key, &signed).unwrap_or(false),
    };
    if valid {
        Ok(())
    } else {
        Err(VerifyError::Signature)
    }
}

/// The three parts of a signed object.
pub(crate) struct Signed<'a> {
    pub(crate) tbs: Element<'a>,
    pub(crate) algorithm: Element<'a>,
    pub(crate) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> der::Result<Self> {
        let [tbs, algorithm, signature] = exactly(Element::parse(der)?.sequence()?)?;
        Ok(Self {
            tbs,
            algorithm,
            signature: signature.octets_of_bit_string()?,
        })
    }
}

#[derive(Sequence)]
struct SignedDer<'a> {
    tbs: AnyRef<'a>,
    algorithm: AlgorithmIdentifierRef<'a>,
    signature: BitStringRef<'a>,
}

/// The `signature` field: third in a certificate with `[0]` version, second in a CRL of version 2.
fn inner_algorithm<'a>(tbs: &Element<'a>) -> der::Result<Element<'a>> {
    let fields = tbs.sequence()?;
    let position = match fields.first().map(|field| field.tag) {
        Some(tag) if tag == context(0, true) => 2,
        _ => 1,
    };
    fields
        .get(position)
        .copied()
        .ok_or_else(|| Tag::Sequence.length_error().into())
}

fn has_form(algorithm: SignatureAlgorithm, signature: &[u8]) -> bool {
    match algorithm {
        SignatureAlgorithm::EcdsaSha256
        | SignatureAlgorithm::EcdsaSha384
        | SignatureAlgorithm::EcdsaSha512 => {
            let numbers = Element::parse(signature)
                .and_then(|e| e.sequence())
                .and_then(exactly::<2>);
            numbers.is_ok_and(|numbers| numbers.iter().all(|n| n.tag == Tag::Integer))
        }
        SignatureAlgorithm::Ed25519 => signature.len() == 64,
        _ => signature.len() >= 256,
    }
}

fn fast_verifier(algorithm: SignatureAlgorithm, key: KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
    match (algorithm, key) {
        (SignatureAlgorithm::EcdsaSha256, KeyKind::Ec(Curve::P256)) => Some(&ECDSA_P256_SHA256_ASN1),
        (SignatureAlgorithm::EcdsaSha384, KeyKind::Ec(Curve::P384)) => Some(&ECDSA_P384_SHA384_ASN1),
        (SignatureAlgorithm::EcdsaSha512, KeyKind::Ec(Curve::P521)) => Some(&ECDSA_P521_SHA512_ASN1),
        (SignatureAlgorithm::RsaPkcs1Sha256, _) => Some(&RSA_PKCS1_2048_8192_SHA256),
        (SignatureAlgorithm::Ed25519, _) => Some(&ED25519),
        _ => None,
    }
}

fn verify_with_openssl(
    algorithm: SignatureAlgorithm,
    key: &PublicKey,
    signed: &Signed<'_>,
) -> Result<bool, openssl::error::ErrorStack> {
    let key = PKey::public_key_from_der(key.spki())?;
    let digest = match algorithm.digest() {
        Some(Digest::Sha256) => MessageDigest::sha256(),
        Some(Digest::Sha384) => MessageDigest::sha384(),
        Some(Digest::Sha512) => MessageDigest::sha512(),
        None => return Ok(false),
    };
    Verifier::new(digest, &key)?.verify_oneshot(signed.signature, signed.tbs.raw)
}
