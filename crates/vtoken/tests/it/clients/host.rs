//! What all hosts do with what they got.

use crate::support;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use openssl::sha::sha256;

use crate::clients::ber::{Object, objects, single};

/// Curves as hosts name them in a template: OpenSSL's number and field length.
pub(crate) fn p256_template() -> String {
    support::ec_parameters(Nid::X9_62_PRIME256V1)
}

/// Names in EF 2F02: device, issuer.
pub(crate) fn device_names(ef2f02: &[u8]) -> (String, String) {
    let certificates = objects(ef2f02);
    assert_eq!(certificates.len(), 2);
    let name = |object: &Object| {
        assert_eq!((object.tag, object.tags()), (0x7F21, vec![0x7F4E, 0x5F37]));
        object.child(0x7F4E).child(0x5F20).text()
    };
    let names = (name(&certificates[0]), name(&certificates[1]));
    assert!(names.0.len() >= 8);
    names
}

/// Checks a request's structure and inner signature; answers with its names (inner CAR, CHR, outer CAR) and key.
pub(crate) fn request(bytes: &[u8]) -> ([String; 3], PKey<Public>) {
    let outer = single(bytes, 0x67);
    assert_eq!(outer.tags(), [0x7F21, 0x42, 0x5F37]);
    assert_eq!(outer.child(0x5F37).value.len(), 64);
    let request = outer.child(0x7F21);
    assert_eq!(request.tags(), [0x7F4E, 0x5F37]);
    let body = request.child(0x7F4E);
    assert_eq!(body.tags(), [0x5F29, 0x42, 0x7F49, 0x5F20]);
    assert_eq!(body.child(0x5F29).value, [0]);
    let key = body.child(0x7F49);
    let names = [
        body.child(0x42).text(),
        body.child(0x5F20).text(),
        outer.child(0x42).text(),
    ];
    let signature = request.child(0x5F37).value;
    let key = if key.child(0x06).value[8] == 2 {
        assert_eq!(key.tags(), [0x06, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87]);
        let key = ec_key(&key);
        let (r, s) = signature.split_at(signature.len() / 2);
        let plain =
            EcdsaSig::from_private_components(BigNum::from_slice(r).unwrap(), BigNum::from_slice(s).unwrap());
        assert!(plain.unwrap().verify(&sha256(&body.raw), &key).unwrap());
        PKey::from_ec_key(key).unwrap()
    } else {
        assert_eq!(key.tags(), [0x06, 0x81, 0x82]);
        let number = |tag| BigNum::from_slice(&key.child(tag).value).unwrap();
        let key = PKey::from_rsa(Rsa::from_public_components(number(0x81), number(0x82)).unwrap()).unwrap();
        assert!(verifies(&key, &body.raw, &signature));
        key
    };
    (names, key)
}

/// The key in a template with public point, on whatever curve the parameters are.
fn ec_key(key: &Object) -> EcKey<Public> {
    let number = |tag| BigNum::from_slice(&key.child(tag).value).unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let mut group = EcGroup::from_components(number(0x81), number(0x82), number(0x83), &mut context).unwrap();
    let base = EcPoint::from_bytes(&group, &key.child(0x84).value, &mut context).unwrap();
    group.set_generator(base, number(0x85), number(0x87)).unwrap();
    let point = EcPoint::from_bytes(&group, &key.child(0x86).value, &mut context).unwrap();
    EcKey::from_public_key(&group, &point).unwrap()
}

/// Whether a DER or PKCS#1 v1.5 signature with SHA-256 is right.
pub(crate) fn verifies(key: &PKey<Public>, message: &[u8], signature: &[u8]) -> bool {
    let mut verifier = openssl::sign::Verifier::new(openssl::hash::MessageDigest::sha256(), key).unwrap();
    verifier.verify_oneshot(signature, message).unwrap()
}

/// The same for PSS with a salt as long as the hash.
pub(crate) fn verifies_pss(key: &PKey<Public>, message: &[u8], signature: &[u8]) -> bool {
    let mut verifier = openssl::sign::Verifier::new(openssl::hash::MessageDigest::sha256(), key).unwrap();
    verifier
        .set_rsa_padding(openssl::rsa::Padding::PKCS1_PSS)
        .unwrap();
    verifier
        .set_rsa_pss_saltlen(openssl::sign::RsaPssSaltlen::DIGEST_LENGTH)
        .unwrap();
    verifier.verify_oneshot(signature, message).unwrap()
}
