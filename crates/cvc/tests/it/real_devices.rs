//! Data read off real devices, and the published roots.

use crate::common::{Numbers, data, day, name, nitrokey_chain, nitrokey_request};
use chancery_cvc::{
    AttestError, AuthenticatedRequest, Certificate, ChainError, Curve, DateProblem, DeviceChain, Genuineness,
    ParseError, RoleKind, RoleScheme, SignatureAlgorithm, TrustAnchors,
};

const ROOTS: [(&str, Curve, [&str; 2]); 5] = [
    (
        "DESRCACC100001",
        Curve::BrainpoolP256r1,
        ["2012-11-09", "2032-11-08"],
    ),
    (
        "UTSRCACC100001",
        Curve::BrainpoolP256r1,
        ["2012-11-09", "2032-11-08"],
    ),
    (
        "DESCHSMCVCA00001",
        Curve::BrainpoolP256r1,
        ["2017-07-31", "2030-07-31"],
    ),
    ("ESPICOHSMCA00001", Curve::Secp256r1, ["2022-08-18", "2023-08-18"]),
    ("ESPICOHSMCA00002", Curve::Secp256k1, ["2025-04-06", "2038-03-26"]),
];

fn root(name: &str) -> Vec<u8> {
    data(&format!("roots/{name}.hex"))
}

fn all_anchors() -> TrustAnchors {
    let mut anchors = TrustAnchors::none();
    for (name, ..) in ROOTS {
        anchors.add_bytes(&root(name)).unwrap();
    }
    anchors
}

#[test]
fn every_root_is_read_verified_and_written_again() {
    for (text, curve, dates) in ROOTS {
        let bytes = root(text);
        let certificate = Certificate::parse(&bytes).unwrap();
        assert_eq!(certificate.chr(), &name(text));
        assert_eq!(certificate.car(), &name(text));
        assert_eq!(certificate.public_key().domain().unwrap().curve(), Some(curve));
        assert_eq!(certificate.key().algorithm(), SignatureAlgorithm::EcdsaSha256);
        assert_eq!(certificate.role_kind(), Some(RoleKind::Root));
        assert_eq!(
            [certificate.effective(), certificate.expires()],
            dates.map(|date| Some(day(date)))
        );
        certificate.verify_signature(certificate.key()).unwrap();
        assert_eq!(certificate.body().encode().unwrap(), certificate.signed_bytes());
        let signature = certificate.signature().to_vec();
        let again = certificate
            .body()
            .clone()
            .sign(|_| Ok::<_, std::fmt::Error>(signature))
            .unwrap();
        assert_eq!(again.as_bytes(), bytes, "{text}");
    }
}

#[test]
fn built_in_roots_are_the_published_ones() {
    let mut anchors = TrustAnchors::production().unwrap();
    let names = |anchors: &TrustAnchors| -> Vec<String> {
        anchors
            .iter()
            .map(|root| format!("{} {}", root.name(), root.genuine()))
            .collect()
    };
    assert_eq!(names(&anchors), ["DESRCACC100001 production device"]);
    anchors.add_test_root().unwrap().add_pico_roots().unwrap();
    assert_eq!(
        names(&anchors),
        [
            "DESRCACC100001 production device",
            "UTSRCACC100001 test device",
            "ESPICOHSMCA00001 other device",
            "ESPICOHSMCA00002 other device"
        ]
    );
    for anchor in anchors.iter() {
        assert_eq!(anchor.certificate().as_bytes(), root(anchor.name().as_str()));
    }
}

#[test]
fn pico_roots_have_the_terminal_scheme() {
    let certificate = Certificate::parse(&root("ESPICOHSMCA00002")).unwrap();
    let role = certificate.role().unwrap();
    assert_eq!(role.scheme(), &RoleScheme::AuthenticationTerminal);
    assert_eq!(role.bits(), [0xC0, 0, 0, 0, 4]);
}

#[test]
fn nitrokey_hsm_2_is_genuine() {
    let chain = DeviceChain::parse(&nitrokey_chain()).unwrap();
    assert_eq!(chain.device_name(), Some(&name("DENK040414400000")));
    assert_eq!(chain.issuer_certificate().unwrap().chr(), &name("DEDINK0400001"));
    assert_eq!(
        chain.issuer_certificate().unwrap().body().extensions(),
        Some(&[][..])
    );
    for certificate in chain.certificates() {
        assert_eq!(certificate.body().encode().unwrap(), certificate.signed_bytes());
        assert_eq!(
            Certificate::parse_content(&certificate.content()).unwrap(),
            *certificate
        );
    }
    let device = chain
        .verify(&TrustAnchors::production().unwrap(), Some(day("2026-06-01")))
        .unwrap();
    assert_eq!(device.serial(), "DENK0404144");
    assert_eq!(device.display_path(), "/DESRCACC1/DEDINK04/DENK0404144");
    assert_eq!(device.genuine(), Genuineness::Production);
    assert_eq!(
        device.device_key().domain().unwrap().curve(),
        Some(Curve::BrainpoolP256r1)
    );
    assert_eq!(device.date_remarks(), []);
}

#[test]
fn nitrokey_hsm_2_attests_its_key() {
    let device = DeviceChain::parse(&nitrokey_chain())
        .unwrap()
        .verify(&TrustAnchors::production().unwrap(), None)
        .unwrap();
    let bytes = nitrokey_request();
    let request = AuthenticatedRequest::parse(&bytes).unwrap();
    assert_eq!(request.to_bytes(), bytes);
    assert_eq!(AuthenticatedRequest::parse(request.content()).unwrap(), request);
    assert_eq!(
        request.request().body().encode().unwrap(),
        request.request().signed_bytes()
    );
    request.verify_inner().unwrap();
    request.verify_outer(device.key()).unwrap();
    let key = request.verify(&device).unwrap();
    assert_eq!(key.chr(), &name("DENK040414400001"));
    assert_eq!(key.car(), &name("UTCA00001"));
    assert_eq!(key.device(), &name("DENK040414400000"));
    assert_eq!(key.genuine(), Genuineness::Production);
    assert_eq!(key.public_key().domain().unwrap().curve(), Some(Curve::Secp256k1));
    assert_eq!(key.public_key(), request.request().public_key());
}

#[test]
fn a_device_of_2016_is_genuine_and_out_of_date() {
    let chain = DeviceChain::parse(&data("vectors/smartcardhsm-2016-ef2f02.hex")).unwrap();
    let device = chain
        .verify(&TrustAnchors::production().unwrap(), Some(day("2024-01-28")))
        .unwrap();
    assert_eq!(device.serial(), "DECM0104448");
    assert_eq!(device.genuine(), Genuineness::Production);
    let remarks: Vec<String> = device.date_remarks().iter().map(ToString::to_string).collect();
    assert_eq!(
        remarks,
        [
            "the certificate of DEDICM0100002 expired on 2024-01-27",
            "the certificate of DECM010444800000 expired on 2024-01-27"
        ]
    );
    let on_the_last_day = chain
        .verify(&TrustAnchors::production().unwrap(), Some(day("2024-01-27")))
        .unwrap();
    assert_eq!(on_the_last_day.date_remarks(), []);
    let too_early = chain
        .verify(&TrustAnchors::production().unwrap(), Some(day("2016-03-30")))
        .unwrap();
    assert!(matches!(
        too_early.date_remarks().last().unwrap().problem,
        DateProblem::NotYetValid { .. }
    ));
}

#[test]
fn one_devices_request_does_not_pass_for_anothers() {
    let device = DeviceChain::parse(&data("vectors/smartcardhsm-2016-ef2f02.hex"))
        .unwrap()
        .verify(&TrustAnchors::production().unwrap(), None)
        .unwrap();
    let request = AuthenticatedRequest::parse(&nitrokey_request()).unwrap();
    assert!(matches!(
        request.verify(&device),
        Err(AttestError::OtherDevice { .. })
    ));
    assert!(request.verify_outer(device.key()).is_err());
}

#[test]
fn without_the_right_root_nothing_verifies() {
    let chain = DeviceChain::parse(&nitrokey_chain()).unwrap();
    let mut anchors = TrustAnchors::none();
    assert!(matches!(
        chain.verify(&anchors, None),
        Err(ChainError::UnknownIssuer { .. })
    ));
    anchors.add_test_root().unwrap().add_pico_roots().unwrap();
    assert!(matches!(
        chain.verify(&anchors, None),
        Err(ChainError::UnknownIssuer { holder, car })
            if holder == name("DEDINK0400001") && car == name("DESRCACC100001")
    ));
    let device_alone = DeviceChain::parse(chain.device_certificate().unwrap().as_bytes()).unwrap();
    assert!(matches!(
        device_alone.verify(&TrustAnchors::production().unwrap(), None),
        Err(ChainError::UnknownIssuer { car, .. }) if car == name("DEDINK0400001")
    ));
}

#[test]
fn odd_chains_are_read() {
    let chain = DeviceChain::parse(&[]).unwrap();
    assert_eq!(chain.device_name(), None);
    assert!(matches!(
        chain.verify(&all_anchors(), None),
        Err(ChainError::NoDeviceCertificate)
    ));

    // Open firmware: a request, then one self-signed certificate.
    let odd = DeviceChain::parse(&[nitrokey_request(), root("ESPICOHSMCA00001")].concat()).unwrap();
    assert!(odd.request().is_some());
    assert_eq!(odd.device_name(), Some(&name("ESPICOHSMCA00001")));
    assert!(matches!(
        odd.verify(&all_anchors(), None),
        Err(ChainError::WrongRole {
            found: RoleKind::Root,
            issuer: RoleKind::Root,
            ..
        })
    ));

    // Issuer first, device last, root in between.
    let chain = DeviceChain::parse(&nitrokey_chain()).unwrap();
    let [device, issuer] = chain.certificates() else {
        panic!("two certificates")
    };
    let turned = [issuer.as_bytes(), &root("DESRCACC100001"), device.as_bytes()].concat();
    let device = DeviceChain::parse(&turned)
        .unwrap()
        .verify(&all_anchors(), None)
        .unwrap();
    assert_eq!(device.serial(), "DENK0404144");

    let four = [turned, root("UTSRCACC100001")].concat();
    assert!(matches!(
        DeviceChain::parse(&four),
        Err(ParseError::TooManyObjects { limit: 3 })
    ));
}

#[test]
fn longer_lengths_than_needed_are_read_and_the_signed_bytes_kept() {
    let bytes = root("DESRCACC100001");
    // 7F21 82 01B4 becomes 7F21 83 0001B4; the signed part stays.
    let outer = [&bytes[..2], &[0x83, 0x00], &bytes[3..]].concat();
    let certificate = Certificate::parse(&outer).unwrap();
    certificate.verify_signature(certificate.key()).unwrap();
    assert_eq!(certificate.as_bytes(), outer);
    // The same inside is another certificate: those bytes were not signed.
    let inner = [
        &bytes[..2],
        &[0x82, 0x01, 0xB5],
        &bytes[5..7],
        &[0x83, 0x00],
        &bytes[8..],
    ]
    .concat();
    let certificate = Certificate::parse(&inner).unwrap();
    assert!(certificate.verify_signature(certificate.key()).is_err());
}

/// Whether bytes pass for the genuine device's chain or request.
struct Judge {
    anchors: TrustAnchors,
    request: AuthenticatedRequest,
    device: chancery_cvc::DeviceIdentity,
}

impl Judge {
    fn new() -> Self {
        let anchors = all_anchors();
        let device = DeviceChain::parse(&nitrokey_chain())
            .unwrap()
            .verify(&anchors, None)
            .unwrap();
        Self {
            anchors,
            request: AuthenticatedRequest::parse(&nitrokey_request()).unwrap(),
            device,
        }
    }

    fn takes_chain(&self, bytes: &[u8]) -> bool {
        DeviceChain::parse(bytes).is_ok_and(|chain| {
            chain
                .verify(&self.anchors, None)
                .is_ok_and(|device| self.request.verify(&device).is_ok())
        })
    }

    fn takes_request(&self, bytes: &[u8]) -> bool {
        AuthenticatedRequest::parse(bytes).is_ok_and(|request| request.verify(&self.device).is_ok())
    }
}

fn changed(good: &[u8], at: usize, by: u8) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes[at] ^= by;
    bytes
}

fn dropped(good: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes.remove(at);
    bytes
}

fn added(good: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes.insert(at, byte);
    bytes
}

#[test]
fn of_1000_damaged_copies_none_is_authentic() {
    let judge = Judge::new();
    let (chain, request) = (nitrokey_chain(), nitrokey_request());
    assert!(judge.takes_chain(&chain) && judge.takes_request(&request));
    let mut numbers = Numbers(20_240_517);
    for round in 0..1000 {
        let of_request = numbers.below(2) == 1;
        let good = if of_request { &request } else { &chain };
        let bad = match numbers.below(3) {
            0 => changed(
                good,
                numbers.below(good.len()),
                u8::try_from(1 + numbers.below(255)).unwrap(),
            ),
            1 => dropped(good, numbers.below(good.len())),
            _ => added(good, numbers.below(good.len() + 1), numbers.byte()),
        };
        let taken = if of_request {
            judge.takes_request(&bad)
        } else {
            judge.takes_chain(&bad)
        };
        assert!(!taken, "round {round}: {}", hex::encode(bad));
    }
}

#[test]
fn damage_at_any_single_place_is_noticed() {
    let judge = Judge::new();
    for of_request in [false, true] {
        let good = if of_request {
            nitrokey_request()
        } else {
            nitrokey_chain()
        };
        let takes = |bytes: &[u8]| {
            if of_request {
                judge.takes_request(bytes)
            } else {
                judge.takes_chain(bytes)
            }
        };
        assert!(takes(&good));
        for at in 0..good.len() {
            let bit = 1 << (at % 8);
            for bad in [
                changed(&good, at, bit),
                dropped(&good, at),
                added(&good, at, 0),
                added(&good, at, 0x81),
            ] {
                assert!(!takes(&bad), "byte {at}: {}", hex::encode(bad));
            }
            assert!(!takes(good.get(..at).unwrap()), "cut after {at}");
        }
    }
}
