//! Signers as objects, and what they can do.

use chancery_api::{Base64, Hash32};
use cryptoki_sys as ck;

use crate::{
    attribute::Attributes,
    mechanism::{Offer, SignatureKind},
    public_key::{CertificateParts, PublicKey},
    slot::{Object, ObjectId},
    token::describe_certificate,
};

/// Bytes of a key's hash that are its `CKA_ID`.
const ID_LENGTH: usize = 20;

/// The objects of a signer: private key, public key, certificate.
pub(super) fn of_key(
    name: &str,
    public: &PublicKey,
    hash: Hash32,
    certificate: Option<&Base64>,
) -> Vec<Object> {
    let id = cka_id(hash);
    let parts = certificate.and_then(|certificate| CertificateParts::read(&certificate.0));
    let subject = parts.as_ref().map_or(&[][..], |parts| parts.subject);
    let mut objects = vec![
        private_key(name, public, hash, subject),
        public_key(name, public, hash, subject),
    ];
    if let Some(parts) = parts {
        let number = number(Hash32::of(parts.whole), CERTIFICATE);
        objects.push(describe_certificate(number, name, &id, &parts, false));
    }
    objects
}

/// Number of a signer's private key.
pub(super) fn private_id(key: Hash32) -> ObjectId {
    number(key, PRIVATE_KEY)
}

/// What keys of these kinds do: nothing that could sign anything but a digest that is known here, and without `prehashed`
/// nothing but a message that was hashed here.
pub(super) fn mechanisms<'a>(keys: impl Iterator<Item = &'a PublicKey>, prehashed: bool) -> Vec<Offer> {
    let (mut rsa, mut ec) = (false, false);
    for key in keys {
        match key {
            PublicKey::Rsa { .. } => rsa = true,
            PublicKey::Ec { .. } => ec = true,
        }
    }
    const SIGN: ck::CK_FLAGS = ck::CKF_HW | ck::CKF_SIGN;
    const EC: ck::CK_FLAGS = ck::CKF_EC_F_P | ck::CKF_EC_NAMEDCURVE | ck::CKF_EC_UNCOMPRESS;
    let mut offers = Vec::new();
    if rsa {
        // Programs that try the first one have their message hashed here.
        let kinds = [
            ck::CKM_SHA256_RSA_PKCS,
            ck::CKM_SHA384_RSA_PKCS,
            ck::CKM_SHA512_RSA_PKCS,
            ck::CKM_RSA_PKCS_PSS,
            ck::CKM_SHA256_RSA_PKCS_PSS,
            ck::CKM_SHA384_RSA_PKCS_PSS,
            ck::CKM_SHA512_RSA_PKCS_PSS,
            ck::CKM_RSA_PKCS,
        ];
        offers.extend(kinds.map(|kind| Offer {
            kind,
            least: 1024,
            most: 4096,
            flags: SIGN,
        }));
    }
    if ec {
        let kinds = [
            ck::CKM_ECDSA_SHA256,
            ck::CKM_ECDSA_SHA384,
            ck::CKM_ECDSA_SHA512,
            ck::CKM_ECDSA,
        ];
        offers.extend(kinds.map(|kind| Offer {
            kind,
            least: 192,
            most: 521,
            flags: SIGN | EC,
        }));
    }
    if !prehashed {
        offers.retain(|offer| SignatureKind::of(offer.kind).is_some_and(|kind| kind.hashed_by.is_some()));
    }
    offers
}

const PRIVATE_KEY: u64 = 1;
const PUBLIC_KEY: u64 = 2;
const CERTIFICATE: u64 = 3;

/// The same number for the same thing, in every process.
fn number(hash: Hash32, class: u64) -> ObjectId {
    let mut bytes = [0; 8];
    for (byte, from) in bytes.iter_mut().zip(hash.0) {
        *byte = from;
    }
    ObjectId(u64::from_be_bytes(bytes) & !3 | class)
}

fn cka_id(hash: Hash32) -> Vec<u8> {
    hash.0.into_iter().take(ID_LENGTH).collect()
}

fn private_key(name: &str, public: &PublicKey, hash: Hash32, subject: &[u8]) -> Object {
    let mut attributes = key(ck::CKO_PRIVATE_KEY, name, public, hash)
        .flag(ck::CKA_PRIVATE, true)
        .flag(ck::CKA_SENSITIVE, true)
        .flag(ck::CKA_EXTRACTABLE, false)
        .flag(ck::CKA_ALWAYS_SENSITIVE, true)
        .flag(ck::CKA_NEVER_EXTRACTABLE, true)
        .flag(ck::CKA_SIGN, true)
        .flag(ck::CKA_SIGN_RECOVER, false)
        .flag(ck::CKA_DECRYPT, false)
        .flag(ck::CKA_UNWRAP, false)
        .flag(ck::CKA_DERIVE, false)
        // Custodians are asked whenever they have to be; a program need not do anything for it.
        .flag(ck::CKA_ALWAYS_AUTHENTICATE, false)
        .flag(ck::CKA_WRAP_WITH_TRUSTED, false)
        .bytes(ck::CKA_SUBJECT, subject);
    let secrets = match public {
        PublicKey::Rsa { .. } => &[
            ck::CKA_PRIVATE_EXPONENT,
            ck::CKA_PRIME_1,
            ck::CKA_PRIME_2,
            ck::CKA_EXPONENT_1,
            ck::CKA_EXPONENT_2,
            ck::CKA_COEFFICIENT,
        ][..],
        PublicKey::Ec { .. } => &[ck::CKA_VALUE][..],
    };
    for secret in secrets {
        attributes = attributes.sensitive(*secret);
    }
    Object {
        id: private_id(hash),
        attributes,
        key_bits: public.bits(),
    }
}

fn public_key(name: &str, public: &PublicKey, hash: Hash32, subject: &[u8]) -> Object {
    let attributes = key(ck::CKO_PUBLIC_KEY, name, public, hash)
        .flag(ck::CKA_PRIVATE, false)
        .flag(ck::CKA_ENCRYPT, false)
        .flag(ck::CKA_VERIFY, true)
        .flag(ck::CKA_VERIFY_RECOVER, false)
        .flag(ck::CKA_WRAP, false)
        .flag(ck::CKA_DERIVE, false)
        .flag(ck::CKA_TRUSTED, false)
        .bytes(ck::CKA_SUBJECT, subject);
    Object {
        id: number(hash, PUBLIC_KEY),
        attributes,
        key_bits: public.bits(),
    }
}

/// Attributes both keys have.
fn key(class: ck::CK_OBJECT_CLASS, name: &str, public: &PublicKey, hash: Hash32) -> Attributes {
    let attributes = Attributes::new()
        .number(ck::CKA_CLASS, class)
        .flag(ck::CKA_TOKEN, true)
        .flag(ck::CKA_MODIFIABLE, false)
        .flag(ck::CKA_COPYABLE, false)
        .flag(ck::CKA_DESTROYABLE, false)
        .flag(ck::CKA_LOCAL, true)
        .bytes(ck::CKA_LABEL, name.as_bytes())
        .bytes(ck::CKA_ID, cka_id(hash))
        .bytes(ck::CKA_START_DATE, [])
        .bytes(ck::CKA_END_DATE, [])
        .bytes(ck::CKA_PUBLIC_KEY_INFO, public.to_spki());
    match public {
        PublicKey::Rsa { modulus, exponent } => attributes
            .number(ck::CKA_KEY_TYPE, ck::CKK_RSA)
            .number(ck::CKA_KEY_GEN_MECHANISM, ck::CKM_RSA_PKCS_KEY_PAIR_GEN)
            .number(
                ck::CKA_MODULUS_BITS,
                ck::CK_ULONG::try_from(public.bits()).unwrap_or(0),
            )
            .bytes(ck::CKA_MODULUS, modulus.as_slice())
            .bytes(ck::CKA_PUBLIC_EXPONENT, exponent.as_slice()),
        // The point is no attribute of a private key by the standard; programs ask for it all the same.
        PublicKey::Ec { curve, .. } => attributes
            .number(ck::CKA_KEY_TYPE, ck::CKK_EC)
            .number(ck::CKA_KEY_GEN_MECHANISM, ck::CKM_EC_KEY_PAIR_GEN)
            .bytes(ck::CKA_EC_PARAMS, curve.oid)
            .bytes(ck::CKA_EC_POINT, public.ec_point().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_offered_that_signs_what_is_not_known_to_be_a_digest() {
        let rsa = PublicKey::Rsa {
            modulus: vec![0x9A; 256],
            exponent: vec![1, 0, 1],
        };
        let offers = mechanisms([&rsa].into_iter(), true);
        let offered = |kind| offers.iter().any(|offer| offer.kind == kind);
        assert!(offered(ck::CKM_RSA_PKCS) && offered(ck::CKM_SHA256_RSA_PKCS_PSS));
        for kind in [
            ck::CKM_RSA_X_509,
            ck::CKM_MD5_RSA_PKCS,
            ck::CKM_SHA1_RSA_PKCS,
            ck::CKM_SHA224_RSA_PKCS,
            ck::CKM_ECDSA,
            ck::CKM_ECDSA_SHA1,
        ] {
            assert!(!offered(kind), "{kind:#x}");
        }
        let kinds: Vec<_> = mechanisms([&rsa].into_iter(), false)
            .iter()
            .map(|offer| offer.kind)
            .collect();
        let hashed_here = [
            ck::CKM_SHA256_RSA_PKCS,
            ck::CKM_SHA384_RSA_PKCS,
            ck::CKM_SHA512_RSA_PKCS,
            ck::CKM_SHA256_RSA_PKCS_PSS,
            ck::CKM_SHA384_RSA_PKCS_PSS,
            ck::CKM_SHA512_RSA_PKCS_PSS,
        ];
        assert_eq!(kinds, hashed_here);
    }

    #[test]
    fn the_objects_of_a_key_share_its_id_and_keep_their_numbers() {
        let rsa = PublicKey::Rsa {
            modulus: vec![0x9A; 256],
            exponent: vec![1, 0, 1],
        };
        let hash = Hash32::of(&rsa.to_spki());
        let objects = of_key("firmware", &rsa, hash, None);
        let [private, public] = &objects[..] else {
            panic!("two objects");
        };
        assert_eq!(
            private.attributes.get_bytes(ck::CKA_ID),
            public.attributes.get_bytes(ck::CKA_ID)
        );
        assert_ne!(private.id, public.id);
        assert!(private.is_private() && !public.is_private());
        assert_eq!(private.id, private_id(hash));
        assert_eq!(objects, of_key("firmware", &rsa, hash, None));
    }
}
