//! Requests built here: who proves a key's origin, and who signs what it says.

use crate::common::{Pair, Scheme, name, validity};
use chancery_cvc::{
    AttestError, AuthenticatedRequest, BuildError, Certificate, CertificateBody, Curve, KeyError,
    SignatureError,
};

#[test]
fn requests_that_prove_nothing_are_refused() {
    let scheme = Scheme::new();
    let device = scheme.chain().verify(&scheme.anchors(), None).unwrap();
    let key = Pair::ec(Curve::Secp256r1);
    let good = scheme.request(&key);
    let build = |request: &Certificate, car: &str, signer: &Pair| {
        AuthenticatedRequest::build(request, &name(car), |message| signer.sign(message)).unwrap()
    };
    let other = build(good.request(), "UTCHDAAAAAA00000", &scheme.device_key);
    assert!(matches!(
        other.verify(&device),
        Err(AttestError::OtherDevice { .. })
    ));
    let forged = build(
        good.request(),
        device.name().as_str(),
        &Pair::ec(Curve::BrainpoolP256r1),
    );
    assert!(matches!(
        forged.verify(&device),
        Err(AttestError::Outer(SignatureError::Wrong))
    ));
    // The device vouches, but whoever asked does not have the private key.
    let bytes = good.request().as_bytes();
    let at = bytes.len() - 1;
    let mut stolen = bytes.to_vec();
    stolen[at] ^= 1;
    let stolen = build(
        &Certificate::parse(&stolen).unwrap(),
        device.name().as_str(),
        &scheme.device_key,
    );
    assert!(matches!(
        stolen.verify(&device),
        Err(AttestError::Inner(SignatureError::Wrong))
    ));
    good.verify(&device).unwrap();
}

#[test]
fn whoever_signs_is_believed_only_after_a_look() {
    let key = Pair::ec(Curve::Secp256r1);
    let body =
        || CertificateBody::key_request(&name("UTCA00001"), &name("UTDUMMY00000"), key.public()).unwrap();
    assert!(matches!(
        body().sign(|_| Err("token gone")),
        Err(BuildError::Sign("token gone"))
    ));
    let der = |message: &[u8]| chancery_cvc::plain_to_der(&key.sign(message).unwrap());
    assert!(matches!(
        body().sign(der),
        Err(BuildError::SelfSignature(SignatureError::Length { .. }))
    ));
    let other = Pair::ec(Curve::Secp256r1);
    assert!(matches!(
        body().sign(|message| other.sign(message)),
        Err(BuildError::SelfSignature(SignatureError::Wrong))
    ));
    let zeros = |_: &[u8]| Ok::<_, std::fmt::Error>(vec![0; 64]);
    assert!(matches!(
        body().sign(zeros),
        Err(BuildError::SelfSignature(SignatureError::Wrong))
    ));
    assert!(matches!(
        CertificateBody::root(&name("UTMYROOT00001"), key.public().without_domain(), validity()),
        Err(KeyError::NoDomain)
    ));
    let huge = body().with_extensions(&[0; 9000]);
    assert!(matches!(
        huge.sign(|message| key.sign(message)),
        Err(BuildError::Result(_))
    ));
}
