//! Keys of every kind in certificates and requests built here, and keys that have no place there.

use crate::common::{Pair, Scheme, chain, name, validity};
use chancery_cvc::{
    AuthenticatedRequest, Certificate, CertificateBody, ChainError, Curve, CvKey, Genuineness, KeyError,
    PublicKey, SignatureAlgorithm, SignatureError,
};

#[test]
fn every_curve_and_hash_signs_itself() {
    use SignatureAlgorithm as A;
    for curve in Curve::ALL {
        let pair = Pair::ec(curve);
        let body =
            CertificateBody::key_request(&name("UTCA00001"), &name("UTDUMMY00000"), pair.public()).unwrap();
        let request = pair.certificate(body);
        assert_eq!(request.public_key().domain().unwrap().curve(), Some(curve));
        assert_eq!(request.signature().len(), 2 * curve.field_len());
        request.verify_signature(request.key()).unwrap();
    }
    for algorithm in [
        A::EcdsaSha1,
        A::EcdsaSha224,
        A::EcdsaSha256,
        A::EcdsaSha384,
        A::EcdsaSha512,
    ] {
        for curve in [Curve::Secp192r1, Curve::BrainpoolP384r1, Curve::Secp521r1] {
            let pair = Pair::ec_with(curve, algorithm);
            pair.public()
                .verify(b"message", &pair.sign(b"message").unwrap())
                .unwrap();
            assert!(matches!(
                pair.public().verify(b"another", &pair.sign(b"message").unwrap()),
                Err(SignatureError::Wrong)
            ));
        }
    }
}

#[test]
fn rsa_keys_certify_and_are_certified() {
    use SignatureAlgorithm as A;
    for algorithm in [
        A::RsaV15Sha1,
        A::RsaV15Sha256,
        A::RsaPssSha1,
        A::RsaPssSha256,
        A::RsaV15Sha512,
        A::RsaPssSha512,
    ] {
        let keys = [(); 3].map(|()| Pair::rsa(2048, algorithm));
        let names = [
            &name("UTRSAROOT00001"),
            &name("UTRSAISS00001"),
            &name("UTRSADEV00000"),
        ];
        let scheme = Scheme::with(keys, names);
        let device = scheme.chain().verify(&scheme.anchors(), None).unwrap();
        assert_eq!(device.genuine(), Genuineness::Other);
        let request = scheme.request(&Pair::rsa(1024, A::RsaV15Sha256));
        assert!(
            matches!(request.verify(&device).unwrap().public_key(), PublicKey::Rsa(key) if key.bits() == 1024)
        );
        let mut wrong = scheme.device.signature().to_vec();
        wrong[100] ^= 1;
        assert!(matches!(
            scheme.issuer.key().verify(scheme.device.signed_bytes(), &wrong),
            Err(SignatureError::Wrong)
        ));
        assert!(matches!(
            scheme
                .issuer
                .key()
                .verify(scheme.device.signed_bytes(), &wrong[1..]),
            Err(SignatureError::Length {
                found: 255,
                expected: 256
            })
        ));
    }
}

#[test]
fn an_ec_device_under_an_rsa_issuer_has_no_curve() {
    let rsa = || Pair::rsa(2048, SignatureAlgorithm::RsaV15Sha256);
    let names = [
        &name("UTRSAROOT00001"),
        &name("UTRSAISS00001"),
        &name("UTRSADEV00000"),
    ];
    let keys = [rsa(), rsa(), Pair::ec(Curve::Secp256r1)];
    let scheme = Scheme::with(keys, names);
    assert!(matches!(
        scheme.chain().verify(&scheme.anchors(), None),
        Err(ChainError::Key {
            source: KeyError::IssuerHasNoDomain,
            ..
        })
    ));
}

#[test]
fn points_off_the_curve_are_refused() {
    let scheme = Scheme::new();
    let mut point = scheme.device_key.public().key().point().unwrap().to_vec();
    *point.last_mut().unwrap() ^= 1;
    let key = CvKey::new(SignatureAlgorithm::EcdsaSha256, PublicKey::EcPointOnly(point)).unwrap();
    let device = scheme.issuer_key.certificate(CertificateBody::device(
        scheme.issuer.chr(),
        scheme.device.chr(),
        &key,
        validity(),
    ));
    assert!(matches!(
        chain(&[&device, &scheme.issuer]).verify(&scheme.anchors(), None),
        Err(ChainError::Key {
            source: KeyError::NotOnCurve { .. },
            ..
        })
    ));
    // A point of another curve, and one in a root with its domain.
    let foreign = Pair::ec(Curve::Secp256r1);
    let device = scheme.issuer_key.certificate(CertificateBody::device(
        scheme.issuer.chr(),
        scheme.device.chr(),
        &foreign.public(),
        validity(),
    ));
    assert!(matches!(
        chain(&[&device, &scheme.issuer]).verify(&scheme.anchors(), None),
        Err(ChainError::Key {
            source: KeyError::NotOnCurve { .. },
            ..
        })
    ));
    let mut root = scheme.root.as_bytes().to_vec();
    let point = scheme.root.public_key().point().unwrap();
    let at = root
        .windows(point.len())
        .position(|window| window == point)
        .unwrap();
    root[at + point.len() - 1] ^= 1;
    let refused = Certificate::parse(&root).unwrap_err();
    assert!(matches!(
        refused,
        chancery_cvc::ParseError::Key(KeyError::NotOnCurve { .. })
    ));
    assert!(matches!(
        CvKey::new(SignatureAlgorithm::RsaV15Sha256, foreign.public().key().clone()),
        Err(KeyError::AlgorithmMismatch)
    ));
}

#[test]
fn a_key_on_an_unnamed_curve_works_and_has_no_place_in_x509() {
    use openssl::bn::{BigNum, BigNumContext};
    use openssl::ec::{EcGroup, EcKey, EcPoint};
    // P-256 with another base point: a sound group without a name.
    let known = Curve::Secp256r1.parameters().unwrap();
    let mut context = BigNumContext::new().unwrap();
    let number = |bytes: &[u8]| BigNum::from_slice(bytes).unwrap();
    let (p, a, b) = (number(known.prime()), number(known.a()), number(known.b()));
    let mut group = EcGroup::from_components(p, a, b, &mut context).unwrap();
    let base = EcPoint::from_bytes(&group, known.generator(), &mut context).unwrap();
    let mut generator = EcPoint::new(&group).unwrap();
    generator
        .mul2(&group, &base, &BigNum::from_u32(5).unwrap(), &mut context)
        .unwrap();
    group
        .set_generator(generator, number(known.order()), BigNum::from_u32(1).unwrap())
        .unwrap();
    let pair = Pair::Ec(EcKey::generate(&group).unwrap(), SignatureAlgorithm::EcdsaSha256);
    let scheme = Scheme::new();
    let request = AuthenticatedRequest::parse(&scheme.request(&pair).to_bytes()).unwrap();
    let device = scheme.chain().verify(&scheme.anchors(), None).unwrap();
    let attested = request.verify(&device).unwrap();
    assert_eq!(attested.public_key().domain().unwrap().curve(), None);
    assert!(matches!(
        attested.public_key().to_spki_der(),
        Err(KeyError::Unsupported { .. })
    ));
}
