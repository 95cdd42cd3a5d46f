//! Attributes of the objects of a token (PKCS#11 3.1, 4.4 to 4.9).

use std::ops::RangeInclusive;

use chancery_schsm::{
    DataDescription, KeyId, KeyType, PrivateKeyDescription,
    pkcs15::{KeyAccess, KeyUsage},
};
use cryptoki_sys as ck;
use sha1::{Digest as _, Sha1};

use super::objects::KeyFiles;
use crate::{
    attribute::Attributes,
    mechanism::Offer,
    public_key::{CertificateParts, PublicKey},
    slot::{Object, ObjectId},
};

/// Length of a user's PIN, in bytes.
pub(super) const PIN_LENGTH: RangeInclusive<usize> = 6..=16;

/// What a SmartCard-HSM does, with what is done here.
pub(super) fn mechanisms() -> Vec<Offer> {
    const SIGN: ck::CK_FLAGS = ck::CKF_HW | ck::CKF_SIGN;
    const EC: ck::CK_FLAGS = ck::CKF_EC_F_P | ck::CKF_EC_NAMEDCURVE | ck::CKF_EC_UNCOMPRESS;
    let rsa = |kind, flags| Offer {
        kind,
        least: 1024,
        most: 4096,
        flags,
    };
    let ec = |kind, flags| Offer {
        kind,
        least: 192,
        most: 521,
        flags: flags | EC,
    };
    let mut offers = vec![
        rsa(
            ck::CKM_RSA_PKCS_KEY_PAIR_GEN,
            ck::CKF_HW | ck::CKF_GENERATE_KEY_PAIR,
        ),
        rsa(ck::CKM_RSA_PKCS, SIGN | ck::CKF_DECRYPT),
        rsa(ck::CKM_RSA_X_509, SIGN | ck::CKF_DECRYPT),
        rsa(ck::CKM_RSA_PKCS_OAEP, ck::CKF_HW | ck::CKF_DECRYPT),
    ];
    let hashed = [
        ck::CKM_SHA1_RSA_PKCS,
        ck::CKM_SHA224_RSA_PKCS,
        ck::CKM_SHA256_RSA_PKCS,
        ck::CKM_SHA384_RSA_PKCS,
        ck::CKM_SHA512_RSA_PKCS,
        ck::CKM_RSA_PKCS_PSS,
        ck::CKM_SHA1_RSA_PKCS_PSS,
        ck::CKM_SHA224_RSA_PKCS_PSS,
        ck::CKM_SHA256_RSA_PKCS_PSS,
        ck::CKM_SHA384_RSA_PKCS_PSS,
        ck::CKM_SHA512_RSA_PKCS_PSS,
    ];
    offers.extend(hashed.map(|kind| rsa(kind, SIGN)));
    offers.push(ec(
        ck::CKM_EC_KEY_PAIR_GEN,
        ck::CKF_HW | ck::CKF_GENERATE_KEY_PAIR,
    ));
    let ecdsa = [
        ck::CKM_ECDSA,
        ck::CKM_ECDSA_SHA1,
        ck::CKM_ECDSA_SHA224,
        ck::CKM_ECDSA_SHA256,
        ck::CKM_ECDSA_SHA384,
        ck::CKM_ECDSA_SHA512,
    ];
    offers.extend(ecdsa.map(|kind| ec(kind, SIGN)));
    offers.push(ec(ck::CKM_ECDH1_DERIVE, ck::CKF_HW | ck::CKF_DERIVE));
    offers
}

/// The description of a key that has none.
pub(super) fn undescribed(id: KeyId, key: &PublicKey) -> PrivateKeyDescription {
    let label = format!("Key {id}");
    let bits = u16::try_from(key.bits()).unwrap_or(0);
    match key {
        PublicKey::Rsa { .. } => PrivateKeyDescription::rsa(id, &label, &[id.0], bits),
        PublicKey::Ec { .. } => PrivateKeyDescription::ec(id, &label, &[id.0], bits),
    }
}

pub(super) fn private_key(id: ObjectId, files: &KeyFiles) -> Object {
    let description = &files.description;
    let public = files.public_key();
    let access = description.access.unwrap_or_default();
    // Other software may have described a key without saying what it is for.
    let usage = match description.usage {
        usage if usage != KeyUsage::default() => usage,
        _ => KeyUsage::SIGN | KeyUsage::DECRYPT | KeyUsage::DERIVE,
    };
    let is_rsa = description.key_type == KeyType::Rsa;
    let mut attributes = key(ck::CKO_PRIVATE_KEY, files)
        .flag(ck::CKA_PRIVATE, true)
        .flag(ck::CKA_SENSITIVE, true)
        // The description is what some program wrote: it proves nothing about the key.
        .flag(ck::CKA_EXTRACTABLE, access.contains(KeyAccess::EXTRACTABLE))
        .flag(
            ck::CKA_ALWAYS_SENSITIVE,
            access.contains(KeyAccess::ALWAYS_SENSITIVE),
        )
        .flag(
            ck::CKA_NEVER_EXTRACTABLE,
            access.contains(KeyAccess::NEVER_EXTRACTABLE),
        )
        .flag(ck::CKA_LOCAL, access.contains(KeyAccess::LOCAL))
        .flag(
            ck::CKA_SIGN,
            usage.contains(KeyUsage::SIGN) || usage.contains(KeyUsage::SIGN_RECOVER),
        )
        .flag(ck::CKA_SIGN_RECOVER, false)
        .flag(ck::CKA_DECRYPT, is_rsa && usage.contains(KeyUsage::DECRYPT))
        .flag(ck::CKA_UNWRAP, false)
        .flag(ck::CKA_DERIVE, !is_rsa && usage.contains(KeyUsage::DERIVE))
        .flag(ck::CKA_ALWAYS_AUTHENTICATE, false)
        .flag(ck::CKA_WRAP_WITH_TRUSTED, false);
    let secrets = if is_rsa {
        &[
            ck::CKA_PRIVATE_EXPONENT,
            ck::CKA_PRIME_1,
            ck::CKA_PRIME_2,
            ck::CKA_EXPONENT_1,
            ck::CKA_EXPONENT_2,
            ck::CKA_COEFFICIENT,
        ][..]
    } else {
        &[ck::CKA_VALUE][..]
    };
    for secret in secrets {
        attributes = attributes.sensitive(*secret);
    }
    if let Some(public) = &public {
        attributes = match public {
            PublicKey::Rsa { modulus, exponent } => attributes
                .bytes(ck::CKA_MODULUS, modulus.as_slice())
                .bytes(ck::CKA_PUBLIC_EXPONENT, exponent.as_slice()),
            // The point is no attribute of a private key by the standard; programs ask for it all the same.
            PublicKey::Ec { curve, .. } => attributes
                .bytes(ck::CKA_EC_PARAMS, curve.oid)
                .bytes(ck::CKA_EC_POINT, public.ec_point().unwrap_or_default()),
        };
        attributes.set(ck::CKA_PUBLIC_KEY_INFO, public.to_spki());
    }
    let certificate = files.certificate.as_deref().and_then(CertificateParts::read);
    let subject = certificate
        .map(|parts| parts.subject.to_vec())
        .or_else(|| description.subject.clone());
    attributes.set(ck::CKA_SUBJECT, subject.unwrap_or_default());
    Object {
        id,
        attributes,
        key_bits: bits(files, public.as_ref()),
    }
}

pub(super) fn public_key(id: ObjectId, files: &KeyFiles, public: &PublicKey) -> Object {
    let attributes = key(ck::CKO_PUBLIC_KEY, files)
        .flag(ck::CKA_PRIVATE, false)
        .flag(ck::CKA_ENCRYPT, matches!(public, PublicKey::Rsa { .. }))
        .flag(ck::CKA_VERIFY, true)
        .flag(ck::CKA_VERIFY_RECOVER, false)
        .flag(ck::CKA_WRAP, false)
        .flag(ck::CKA_DERIVE, false)
        .flag(ck::CKA_TRUSTED, false)
        .flag(
            ck::CKA_LOCAL,
            files
                .description
                .access
                .unwrap_or_default()
                .contains(KeyAccess::LOCAL),
        )
        .bytes(ck::CKA_SUBJECT, [])
        .bytes(ck::CKA_PUBLIC_KEY_INFO, public.to_spki());
    let attributes = match public {
        PublicKey::Rsa { modulus, exponent } => attributes
            .bytes(ck::CKA_MODULUS, modulus.as_slice())
            .bytes(ck::CKA_PUBLIC_EXPONENT, exponent.as_slice()),
        PublicKey::Ec { curve, .. } => attributes
            .bytes(ck::CKA_EC_PARAMS, curve.oid)
            .bytes(ck::CKA_EC_POINT, public.ec_point().unwrap_or_default()),
    };
    Object {
        id,
        attributes,
        key_bits: public.bits(),
    }
}

/// A certificate as an object, for other kinds of slots, too.
pub(crate) fn certificate(
    id: ObjectId,
    label: &str,
    cka_id: &[u8],
    parts: &CertificateParts<'_>,
    is_authority: bool,
) -> Object {
    let check: [u8; 20] = Sha1::digest(parts.whole).into();
    let category = if is_authority {
        ck::CK_CERTIFICATE_CATEGORY_AUTHORITY
    } else {
        ck::CK_CERTIFICATE_CATEGORY_TOKEN_USER
    };
    let attributes = stored(ck::CKO_CERTIFICATE, label)
        .flag(ck::CKA_PRIVATE, false)
        .bytes(ck::CKA_ID, cka_id)
        .number(ck::CKA_CERTIFICATE_TYPE, ck::CKC_X_509)
        .flag(ck::CKA_TRUSTED, false)
        .number(ck::CKA_CERTIFICATE_CATEGORY, category)
        .bytes(ck::CKA_CHECK_VALUE, &check[..3])
        .bytes(ck::CKA_SUBJECT, parts.subject)
        .bytes(ck::CKA_ISSUER, parts.issuer)
        .bytes(ck::CKA_SERIAL_NUMBER, parts.serial)
        .bytes(ck::CKA_PUBLIC_KEY_INFO, parts.public_key)
        .bytes(ck::CKA_VALUE, parts.whole)
        .bytes(ck::CKA_START_DATE, [])
        .bytes(ck::CKA_END_DATE, []);
    Object {
        id,
        attributes,
        key_bits: 0,
    }
}

pub(super) fn data(id: ObjectId, description: &DataDescription, value: Vec<u8>, private: bool) -> Object {
    let attributes = stored(ck::CKO_DATA, &description.label)
        .flag(ck::CKA_PRIVATE, private)
        .bytes(ck::CKA_APPLICATION, description.application.as_bytes())
        .bytes(ck::CKA_OBJECT_ID, [])
        .bytes(ck::CKA_VALUE, value);
    Object {
        id,
        attributes,
        key_bits: 0,
    }
}

/// Attributes every object on a token has.
fn stored(class: ck::CK_OBJECT_CLASS, label: &str) -> Attributes {
    Attributes::new()
        .number(ck::CKA_CLASS, class)
        .flag(ck::CKA_TOKEN, true)
        .flag(ck::CKA_MODIFIABLE, true)
        .flag(ck::CKA_COPYABLE, false)
        .flag(ck::CKA_DESTROYABLE, true)
        .bytes(ck::CKA_LABEL, label.as_bytes())
}

/// Attributes every key has.
fn key(class: ck::CK_OBJECT_CLASS, files: &KeyFiles) -> Attributes {
    let description = &files.description;
    let is_rsa = description.key_type == KeyType::Rsa;
    let kind = if is_rsa { ck::CKK_RSA } else { ck::CKK_EC };
    let made_by = if is_rsa {
        ck::CKM_RSA_PKCS_KEY_PAIR_GEN
    } else {
        ck::CKM_EC_KEY_PAIR_GEN
    };
    let local = description.access.unwrap_or_default().contains(KeyAccess::LOCAL);
    let attributes = stored(class, &description.label)
        .number(ck::CKA_KEY_TYPE, kind)
        .bytes(ck::CKA_ID, description.id.as_slice())
        .bytes(ck::CKA_START_DATE, [])
        .bytes(ck::CKA_END_DATE, [])
        .number(
            ck::CKA_KEY_GEN_MECHANISM,
            if local {
                made_by
            } else {
                ck::CK_UNAVAILABLE_INFORMATION
            },
        );
    if is_rsa {
        let bits = bits(files, files.public_key().as_ref());
        attributes.number(ck::CKA_MODULUS_BITS, ck::CK_ULONG::try_from(bits).unwrap_or(0))
    } else {
        attributes
    }
}

fn bits(files: &KeyFiles, public: Option<&PublicKey>) -> usize {
    match (public, files.description.key_size) {
        (Some(public), _) => public.bits(),
        // Some tools count the bytes of P-521.
        (None, 528) => 521,
        (None, bits) => usize::from(bits),
    }
}
