//! Certificates of devices, issuers and roots built here: what is sound verifies, and each fault is refused by its name.

use crate::common::{self, Pair, Scheme, chain, day, name, validity};
use chancery_cvc::{
    AnchorError, AuthenticatedRequest, Certificate, CertificateBody, ChainError, Curve, DeviceIdentity,
    Genuineness, PublicKey, RoleKind, SignatureError, TrustAnchors, VirtualCode,
};

#[test]
fn a_virtual_device_and_its_key_verify() {
    let scheme = Scheme::new();
    let device = scheme
        .chain()
        .verify(&scheme.anchors(), Some(day("2025-01-01")))
        .unwrap();
    assert_eq!(device.genuine(), Genuineness::Virtual);
    assert_eq!(device.display_path(), "/UTCHRK7Q2ZX/UTCHIK7Q2ZX/UTCHDABC234");
    assert_eq!(device.serial(), "UTCHDABC234");
    assert_eq!(device.device_key(), scheme.device_key.public().key());
    assert_eq!(device.date_remarks(), []);
    let late = scheme
        .chain()
        .verify(&scheme.anchors(), Some(day("2034-05-17")))
        .unwrap();
    assert_eq!(late.date_remarks().len(), 3);

    for key in [Pair::ec(Curve::Secp256r1), Pair::ec(Curve::BrainpoolP512r1)] {
        let request = scheme.request(&key);
        assert_eq!(AuthenticatedRequest::parse(&request.to_bytes()).unwrap(), request);
        let attested = request.verify(&device).unwrap();
        assert_eq!(attested.public_key(), key.public().key());
        assert_eq!(attested.device(), device.name());
        assert_eq!(attested.genuine(), Genuineness::Virtual);
    }
}

#[test]
fn certificates_have_the_shape_of_real_ones() {
    let scheme = Scheme::new();
    // Only algorithm and point in 7F49, role and six-byte dates: as long as a real device's, but for the names.
    let real = common::nitrokey_chain();
    let body = scheme.device.signed_bytes();
    let more = "UTCHIK7Q2ZX00001".len() - "DEDINK0400001".len();
    assert_eq!(body.len(), real[4..4 + 0x9D + 4].len() + more);
    assert_eq!(body[..9], [0x7F, 0x4E, 0x81, 0xA0, 0x5F, 0x29, 0x01, 0x00, 0x42]);
    let tail =
        hex::decode("7f4c10060b2b0601040181c31f0301015301005f25060204000501075f2406030400050106").unwrap();
    assert!(body.ends_with(&tail), "{}", hex::encode(body));
    assert!(matches!(scheme.device.public_key(), PublicKey::EcPointOnly(_)));
    assert!(matches!(scheme.issuer.public_key(), PublicKey::EcPointOnly(_)));
    assert!(matches!(scheme.root.public_key(), PublicKey::Ec(_)));
    for certificate in [&scheme.root, &scheme.issuer, &scheme.device] {
        assert_eq!(&Certificate::parse(certificate.as_bytes()).unwrap(), certificate);
    }
}

#[test]
fn another_issuers_signature_is_refused() {
    let scheme = Scheme::new();
    let other = Pair::ec(Curve::BrainpoolP256r1);
    let forged = other.certificate(CertificateBody::device(
        scheme.issuer.chr(),
        scheme.device.chr(),
        &other.public(),
        validity(),
    ));
    assert!(matches!(
        chain(&[&forged, &scheme.issuer]).verify(&scheme.anchors(), None),
        Err(ChainError::Signature { holder, source: SignatureError::Wrong, .. }) if &holder == scheme.device.chr()
    ));
    let forged = other.certificate(CertificateBody::issuer(
        scheme.root.chr(),
        scheme.issuer.chr(),
        &scheme.issuer_key.public(),
        validity(),
    ));
    assert!(matches!(
        chain(&[&scheme.device, &forged]).verify(&scheme.anchors(), None),
        Err(ChainError::Signature { holder, .. }) if &holder == scheme.issuer.chr()
    ));
}

#[test]
fn another_issuers_name_is_refused() {
    let scheme = Scheme::new();
    let stray = scheme.issuer_key.certificate(CertificateBody::device(
        &name("UTCHIAAAAAA00001"),
        scheme.device.chr(),
        &scheme.device_key.public(),
        validity(),
    ));
    assert!(matches!(
        chain(&[&stray, &scheme.issuer]).verify(&scheme.anchors(), None),
        Err(ChainError::UnknownIssuer { car, .. }) if car == name("UTCHIAAAAAA00001")
    ));
    let anchors = scheme.anchors();
    let issuer = anchors
        .find(scheme.root.chr())
        .unwrap()
        .certify(&scheme.issuer)
        .unwrap();
    assert!(matches!(
        issuer.certify(&stray),
        Err(ChainError::WrongIssuer { .. })
    ));
    assert!(matches!(
        issuer.certify(&scheme.issuer),
        Err(ChainError::WrongIssuer { .. })
    ));
}

#[test]
fn wrong_roles_are_refused() {
    let scheme = Scheme::new();
    let anchors = scheme.anchors();
    let second = VirtualCode::parse("ZZZZZZ").unwrap().device_name().unwrap();
    let key = Pair::ec(Curve::BrainpoolP256r1);

    // A device certifies another device.
    let below = scheme.device_key.certificate(CertificateBody::device(
        scheme.device.chr(),
        &second,
        &key.public(),
        validity(),
    ));
    assert!(matches!(
        chain(&[&below, &scheme.device, &scheme.issuer]).verify(&anchors, None),
        Err(ChainError::WrongRole {
            found: RoleKind::Device,
            issuer: RoleKind::Device,
            ..
        })
    ));
    // A virtual root certifies a device itself.
    let direct = scheme.root_key.certificate(CertificateBody::device(
        scheme.root.chr(),
        &second,
        &key.public(),
        validity(),
    ));
    assert!(matches!(
        chain(&[&direct]).verify(&anchors, None),
        Err(ChainError::WrongRole {
            found: RoleKind::Device,
            issuer: RoleKind::Root,
            ..
        })
    ));
    // An issuer certifies an issuer.
    let issuer = scheme.issuer_key.certificate(CertificateBody::issuer(
        scheme.issuer.chr(),
        &name("UTCHIK7Q2ZX00002"),
        &key.public(),
        validity(),
    ));
    let trusted = anchors
        .find(scheme.root.chr())
        .unwrap()
        .certify(&scheme.issuer)
        .unwrap();
    assert!(matches!(
        trusted.certify(&issuer),
        Err(ChainError::WrongRole {
            found: RoleKind::Issuer,
            issuer: RoleKind::Issuer,
            ..
        })
    ));
    // An issuer shows itself as a device.
    assert!(matches!(
        chain(&[&scheme.issuer]).verify(&anchors, None),
        Err(ChainError::NotADevice {
            found: RoleKind::Issuer,
            ..
        })
    ));
    assert!(matches!(
        DeviceIdentity::new(trusted.clone(), None),
        Err(ChainError::NotADevice { .. })
    ));
    // A request in place of a certificate.
    let body =
        CertificateBody::key_request(scheme.issuer.chr(), &second, scheme.issuer_key.public()).unwrap();
    let request = scheme.issuer_key.certificate(body);
    assert!(matches!(
        trusted.certify(&request),
        Err(ChainError::NotACertificate { .. })
    ));
}

#[test]
fn names_of_virtual_tokens_are_kept_apart() {
    let code = VirtualCode::parse("K7Q2ZX").unwrap();
    let root = code.root_name().unwrap();
    let issuer = code.issuer_name().unwrap();
    let device = VirtualCode::parse("ABC234").unwrap().device_name().unwrap();
    let verify = |names: [&str; 3]| {
        let names = names.map(name);
        let keys = [(); 3].map(|()| Pair::ec(Curve::BrainpoolP256r1));
        let scheme = Scheme::with(keys, [&names[0], &names[1], &names[2]]);
        scheme.chain().verify(&scheme.anchors(), None)
    };
    let (root, issuer, device) = (root.as_str(), issuer.as_str(), device.as_str());
    assert_eq!(
        verify([root, issuer, device]).unwrap().genuine(),
        Genuineness::Virtual
    );
    for wrong in [
        "UTCHIK7Q2ZY00001",
        "UTCHIK7Q2ZX00002",
        "UTCHDK7Q2ZX00000",
        "UTCHIABC23400001",
        "DEDINK0400001",
        "UTCHIK7Q2Z100001",
    ] {
        assert!(
            matches!(verify([root, wrong, device]), Err(ChainError::VirtualName { holder, .. }) if holder == name(wrong)),
            "{wrong}"
        );
    }
    for wrong in [
        "DENK040414400000",
        "UTCHDABC23400001",
        "UTCHDABC2300000",
        "UTCHIABC23400001",
        "UTCHDabc23400000",
    ] {
        assert!(
            matches!(verify([root, issuer, wrong]), Err(ChainError::VirtualName { holder, .. }) if holder == name(wrong)),
            "{wrong}"
        );
    }
    for wrong in [
        ["UTMYROOT00001", issuer, device],
        ["UTMYROOT00001", "UTMYISS00001", device],
    ] {
        assert!(
            matches!(verify(wrong), Err(ChainError::ReservedName { .. })),
            "{wrong:?}"
        );
    }
    assert_eq!(
        verify(["UTMYROOT00001", "UTMYISS00001", "UTMYDEV00000"])
            .unwrap()
            .genuine(),
        Genuineness::Other
    );
}

#[test]
fn roots_are_checked_before_they_are_trusted() {
    let scheme = Scheme::new();
    let mut anchors = TrustAnchors::production().unwrap();
    assert!(matches!(
        anchors.add(scheme.issuer.clone()),
        Err(AnchorError::NotARoot {
            found: Some(RoleKind::Issuer),
            ..
        })
    ));
    let root = |text: &str| {
        let key = Pair::ec(Curve::BrainpoolP256r1);
        key.certificate(CertificateBody::root(&name(text), key.public(), validity()).unwrap())
    };
    // Names of known roots cannot be taken, trusted or not.
    for taken in ["DESRCACC100001", "UTSRCACC100001"] {
        assert!(
            matches!(anchors.add(root(taken)), Err(AnchorError::NameTaken { .. })),
            "{taken}"
        );
    }
    for wrong in ["UTCHRK7Q2ZX00002", "UTCHIK7Q2ZX00001", "UTCHR100001"] {
        assert!(
            matches!(anchors.add(root(wrong)), Err(AnchorError::VirtualName { .. })),
            "{wrong}"
        );
    }
    anchors
        .add(scheme.root.clone())
        .unwrap()
        .add(scheme.root.clone())
        .unwrap();
    assert_eq!(anchors.iter().count(), 2);
    assert!(matches!(
        anchors.add(root("UTCHRK7Q2ZX00001")),
        Err(AnchorError::NameTaken { .. })
    ));

    let mut bytes = root("UTMYROOT00001").as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(
        anchors.add_bytes(&bytes),
        Err(AnchorError::Signature { .. })
    ));
    assert!(matches!(
        anchors.add_bytes(&bytes[1..]),
        Err(AnchorError::Parse(_))
    ));
}
