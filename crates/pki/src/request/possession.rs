//! Proof of possession: the request's own signature (RFC 2986 3).

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Choice as _, Sequence};
use openssl::pkey::PKey;
use openssl::x509::X509Req;
use spki::{AlgorithmIdentifier, AlgorithmIdentifierRef};

use super::RequestError;
use crate::algorithm::SignatureAlgorithm;
use crate::element::Element;
use crate::key::PublicKey;
use crate::oid;

/// Verifies the signature of a request over its exact bytes with the key that will be certified.
pub(super) fn verify(der: &[u8], algorithm: &Element<'_>, key: &PublicKey) -> Result<(), RequestError> {
    check_algorithm(algorithm)?;
    // The key comes from the bytes we certify, not from OpenSSL's own reading of the request.
    let verified = || -> Result<bool, openssl::error::ErrorStack> {
        let key = PKey::public_key_from_der(key.spki())?;
        X509Req::from_der(der)?.verify(&key)
    };
    if verified().unwrap_or(false) {
        Ok(())
    } else {
        Err(RequestError::Signature)
    }
}

fn check_algorithm(algorithm: &Element<'_>) -> Result<(), RequestError> {
    if SignatureAlgorithm::from_element(algorithm).is_some() {
        return Ok(());
    }
    let identifier: AlgorithmIdentifierRef<'_> = algorithm.decode().map_err(RequestError::Malformed)?;
    if identifier.oid == oid::RSA_PSS && pss_hashes_are_sound(identifier.parameters) {
        return Ok(());
    }
    Err(RequestError::SignatureAlgorithm { oid: identifier.oid })
}

/// `RSASSA-PSS-params` (RFC 4055 3.1); absent fields mean SHA-1, which is not sound.
#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_length: Option<u16>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

fn pss_hashes_are_sound(parameters: Option<AnyRef<'_>>) -> bool {
    let sound = |oid: ObjectIdentifier| [oid::SHA256, oid::SHA384, oid::SHA512].contains(&oid);
    let Some(Ok(parameters)) = parameters.map(|any| any.decode_as::<PssParameters<'_>>()) else {
        return false;
    };
    let hash = parameters.hash.is_some_and(|hash| sound(hash.oid));
    let mask_hash = parameters.mask.and_then(|mask| mask.parameters);
    let mask = mask_hash.is_some_and(|any| {
        AlgorithmIdentifierRef::can_decode(any_tag(&any))
            && any
                .decode_as::<AlgorithmIdentifier<AnyRef<'_>>>()
                .is_ok_and(|hash| sound(hash.oid))
    });
    // Salt length and trailer are OpenSSL's to check.
    let _ = (parameters.salt_length, parameters.trailer);
    hash && mask
}

fn any_tag(any: &AnyRef<'_>) -> der::Tag {
    any.header().tag()
}
