//! Arbitrary bytes never panic, and whatever is read is written as it was.

use crate::common;
use chancery_cvc::{
    AuthenticatedRequest, Certificate, Curve, DeviceChain, KeyParameters, PublicKey, Reference, TrustAnchors,
    der_to_plain, plain_to_der,
};
use proptest::prelude::*;

/// Feeds bytes to everything that takes bytes from outside.
fn feed(bytes: &[u8], anchors: &TrustAnchors) {
    if let Ok(certificate) = Certificate::parse(bytes) {
        assert_eq!(certificate.as_bytes(), bytes);
        assert_eq!(
            Certificate::parse_content(&certificate.content()).unwrap().body(),
            certificate.body()
        );
        let again = certificate.body().encode().unwrap();
        assert!(again.len() <= certificate.signed_bytes().len() + 16);
        drop(certificate.verify_signature(certificate.key()));
    }
    drop(Certificate::parse_content(bytes));
    if let Ok(request) = AuthenticatedRequest::parse(bytes) {
        assert_eq!(AuthenticatedRequest::parse(&request.to_bytes()).unwrap(), request);
        drop(request.verify_inner());
    }
    if let Ok(chain) = DeviceChain::parse(bytes) {
        drop(chain.verify(anchors, None));
    }
    if let Ok(parameters) = KeyParameters::parse(bytes) {
        assert_eq!(
            KeyParameters::parse(&parameters.encode().unwrap()).unwrap(),
            parameters
        );
    }
    if let Ok(reference) = Reference::from_bytes(bytes) {
        assert_eq!(reference.as_bytes(), bytes);
        assert_eq!(
            format!("{}{}", reference.holder(), reference.sequence()).as_bytes(),
            bytes
        );
    }
    drop(PublicKey::from_spki_der(bytes));
    for order_len in [0, 32, 66] {
        if let Ok(plain) = der_to_plain(bytes, order_len) {
            assert_eq!(plain_to_der(&plain).unwrap(), bytes);
        }
    }
    drop(plain_to_der(bytes));
}

fn real() -> Vec<Vec<u8>> {
    let mut all = vec![
        common::nitrokey_chain(),
        common::nitrokey_request(),
        common::data("roots/DESRCACC100001.hex"),
        common::data("roots/ESPICOHSMCA00002.hex"),
        KeyParameters::rsa(2048).encode().unwrap(),
        KeyParameters::ec(Curve::Secp256r1).encode().unwrap(),
        vec![0x30, 6, 2, 1, 5, 2, 1, 6],
    ];
    all.push(
        common::Pair::ec(Curve::Secp256r1)
            .public()
            .key()
            .to_spki_der()
            .unwrap(),
    );
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        feed(&bytes, &TrustAnchors::production().unwrap());
    }

    #[test]
    fn damaged_real_bytes(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6),
    ) {
        let mut bytes = which.get(&real()).clone();
        for (place, byte, kind) in damage {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        feed(&bytes, &TrustAnchors::production().unwrap());
    }

    #[test]
    fn plain_signatures_go_there_and_back(
        len in prop::sample::select(vec![24_usize, 32, 48, 64, 66]),
        bytes in prop::collection::vec(any::<u8>(), 132),
        zeros in 0_usize..24,
    ) {
        let mut plain = bytes[..2 * len].to_vec();
        plain[..zeros.min(len - 1)].fill(0);
        plain[len - 1] |= 1;
        plain[2 * len - 1] |= 1;
        let der = plain_to_der(&plain).unwrap();
        prop_assert_eq!(der_to_plain(&der, len).unwrap(), plain);
    }
}
