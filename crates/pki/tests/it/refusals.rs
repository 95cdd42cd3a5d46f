//! Every reason to refuse a request, each with a request made for it.

use chancery_pki::{AltNameError, MAX_NAMES, MAX_REQUEST_BYTES, pem};
use chancery_pki::{CertificationRequest, Curve, KeyError, NameError, RequestError};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;

use crate::support::{
    RequestBuilder, attribute, bit_string, dns_names, ec_key, extension, extension_request, name, oid, p256,
    rsa, seq, sign, tlv,
};

fn refused(der: &[u8]) -> RequestError {
    let error = CertificationRequest::parse(der).unwrap_err();
    assert!(!error.remedy().is_empty());
    error
}

fn refused_key(builder: &RequestBuilder) -> KeyError {
    match refused(&builder.build()) {
        RequestError::Key(error) => error,
        other => panic!("{other:?}"),
    }
}

fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let positive = |bytes: &[u8]| tlv(2, &[&[0][..usize::from(bytes[0] & 0x80 != 0)], bytes].concat());
    let key = seq(&[&positive(modulus), &positive(exponent)]);
    seq(&[&seq(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &bit_string(&key)])
}

fn ec_spki(curve: &str, point: &[u8]) -> Vec<u8> {
    seq(&[
        &seq(&[&oid("1.2.840.10045.2.1"), &oid(curve)]),
        &bit_string(point),
    ])
}

const P256: &str = "1.2.840.10045.3.1.7";

#[test]
fn good_request_is_accepted_as_der_and_pem() {
    let der = RequestBuilder::new(p256()).build();
    let from_der = CertificationRequest::parse(&der).unwrap();
    let text = pem::encode(pem::REQUEST, &der).unwrap();
    assert_eq!(CertificationRequest::parse(text.as_bytes()).unwrap(), from_der);
    let text = text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    assert_eq!(CertificationRequest::parse(text.as_bytes()).unwrap(), from_der);
    assert_eq!(from_der.names()[0].to_string(), "DNS:example.com");
    assert_eq!(from_der.subject().to_string(), "CN=example.com");
    assert_eq!(from_der.ignored(), []);
}

#[test]
fn bad_signature() {
    let builder = RequestBuilder::new(p256());
    let other = p256();
    let signature = sign(&other, Some(MessageDigest::sha256()), &builder.info());
    let algorithm = seq(&[&oid("1.2.840.10045.4.3.2")]);
    let der = seq(&[&builder.info(), &algorithm, &bit_string(&signature)]);
    assert_eq!(refused(&der), RequestError::Signature);
}

#[test]
fn sha1_signature() {
    let builder = RequestBuilder::new(rsa(2048));
    let signature = sign(&builder.key, Some(MessageDigest::sha1()), &builder.info());
    let algorithm = seq(&[&oid("1.2.840.113549.1.1.5"), &[5, 0]]);
    let der = seq(&[&builder.info(), &algorithm, &bit_string(&signature)]);
    assert!(matches!(refused(&der), RequestError::SignatureAlgorithm { .. }));
    // RSASSA-PSS without parameters means SHA-1
    let algorithm = seq(&[&oid("1.2.840.113549.1.1.10"), &seq(&[])]);
    let der = seq(&[&builder.info(), &algorithm, &bit_string(&signature)]);
    assert!(matches!(refused(&der), RequestError::SignatureAlgorithm { .. }));
}

#[test]
fn trailing_bytes() {
    let mut der = RequestBuilder::new(p256()).build();
    let text = pem::encode(pem::REQUEST, &der).unwrap();
    der.push(0);
    assert_eq!(refused(&der), RequestError::TrailingBytes { count: 1 });
    let text = format!("{text}more");
    assert!(matches!(
        refused(text.as_bytes()),
        RequestError::Pem(pem::PemError::TrailingBytes { count: 5 })
    ));
}

#[test]
fn over_64_kib() {
    let padded = |length| {
        let padding = attribute("1.2.3.4", &[&tlv(4, &vec![0; length])]);
        RequestBuilder::new(p256()).attributes(&[padding]).build()
    };
    CertificationRequest::parse(&padded(65_000)).unwrap();
    let der = padded(66_000);
    let error = refused(&der);
    assert_eq!(
        error,
        RequestError::TooLong {
            length: der.len(),
            limit: MAX_REQUEST_BYTES
        }
    );
    assert!(error.to_string().contains("65536"), "the error names the limit");
}

#[test]
fn over_100_names() {
    let names: Vec<String> = (0..=MAX_NAMES).map(|n| format!("n{n}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let build = |names: &[&str]| {
        RequestBuilder::new(p256())
            .extensions(&[&dns_names(names)])
            .build()
    };
    assert_eq!(
        CertificationRequest::parse(&build(&names[..100]))
            .unwrap()
            .names()
            .len(),
        100
    );
    let error = refused(&build(&names));
    assert_eq!(
        error,
        RequestError::TooManyNames {
            count: 101,
            limit: 100
        }
    );
    assert!(
        error.to_string().contains("at most 100"),
        "the error names the limit"
    );
}

#[test]
fn two_extension_requests() {
    let one = extension_request(&[&dns_names(&["a.example"])]);
    let two = extension_request(&[&dns_names(&["b.example"])]);
    for attributes in [[one.clone(), two], [one.clone(), one.clone()]] {
        let der = RequestBuilder::new(p256()).attributes(&attributes).build();
        assert_eq!(refused(&der), RequestError::DuplicateExtensionRequest);
    }
    let names = seq(&[&dns_names(&["a.example"])]);
    for values in [&[][..], &[names.as_slice(), names.as_slice()][..]] {
        let attributes = [attribute(crate::support::EXTENSION_REQUEST, values)];
        let der = RequestBuilder::new(p256()).attributes(&attributes).build();
        assert_eq!(refused(&der), RequestError::ExtensionRequestValues);
    }
}

#[test]
fn duplicate_extension() {
    let names = dns_names(&["a.example"]);
    let der = RequestBuilder::new(p256()).extensions(&[&names, &names]).build();
    assert!(matches!(refused(&der), RequestError::DuplicateExtension { .. }));
}

#[test]
fn unknown_critical_extension() {
    let unknown = extension("1.2.3.4", true, &[5, 0]);
    let der = RequestBuilder::new(p256())
        .extensions(&[&dns_names(&["a.example"]), &unknown])
        .build();
    let oid = "1.2.3.4".parse().unwrap();
    assert_eq!(refused(&der), RequestError::UnknownCriticalExtension { oid });
}

#[test]
fn unknown_attribute_and_extension_are_listed() {
    let extensions = extension_request(&[
        &extension("1.2.3.4", false, &[5, 0]),
        &extension("2.5.29.19", true, &seq(&[&[1, 1, 0xFF]])),
        &extension("2.5.29.15", true, &[3, 2, 1, 6]),
        &dns_names(&["a.example", "a.example"]),
    ]);
    let challenge = attribute("1.2.840.113549.1.9.7", &[&tlv(0x0C, b"hunter2")]);
    let der = RequestBuilder::new(p256())
        .attributes(&[challenge, extensions])
        .build();
    let request = CertificationRequest::parse(&der).unwrap();
    let ignored: Vec<String> = request
        .ignored()
        .iter()
        .map(|ignored| ignored.oid.to_string())
        .collect();
    assert_eq!(
        ignored,
        [
            "1.2.840.113549.1.9.7",
            "1.2.3.4",
            "2.5.29.19",
            "2.5.29.15",
            "2.5.29.17"
        ]
    );
    assert!(
        request
            .ignored()
            .iter()
            .all(|ignored| !ignored.reason.contains("hunter2"))
    );
    assert_eq!(request.names().len(), 1);
}

#[test]
fn empty_subject_without_names() {
    let der = RequestBuilder::new(p256())
        .subject(vec![0x30, 0])
        .attributes(&[])
        .build();
    assert_eq!(refused(&der), RequestError::NoSubject);
    let empty_list = extension(crate::support::SUBJECT_ALT_NAME, false, &seq(&[]));
    let der = RequestBuilder::new(p256())
        .subject(vec![0x30, 0])
        .extensions(&[&empty_list])
        .build();
    assert_eq!(refused(&der), RequestError::AltName(AltNameError::Empty));
}

#[test]
fn bad_names() {
    let underscore = RequestBuilder::new(p256())
        .extensions(&[&dns_names(&["a_b.example"])])
        .build();
    assert!(matches!(
        refused(&underscore),
        RequestError::AltName(AltNameError::Invalid { .. })
    ));
    let other_name = tlv(0x30, &tlv(0xA0, &seq(&[&oid("1.2.3")])));
    let other_name = extension(crate::support::SUBJECT_ALT_NAME, false, &other_name);
    let der = RequestBuilder::new(p256()).extensions(&[&other_name]).build();
    let expected = AltNameError::Unsupported { kind: "otherName" };
    assert_eq!(refused(&der), RequestError::AltName(expected));
    let teletex = seq(&[&tlv(0x31, &seq(&[&oid("2.5.4.3"), &tlv(0x14, b"x")]))]);
    let der = RequestBuilder::new(p256()).subject(teletex).build();
    assert!(matches!(
        refused(&der),
        RequestError::Subject(NameError::StringType { .. })
    ));
}

#[test]
fn wrong_version() {
    let builder = RequestBuilder::new(p256());
    let info = seq(&[&[2, 1, 1], &builder.subject, &builder.spki, &tlv(0xA0, &[])]);
    let signature = sign(&builder.key, Some(MessageDigest::sha256()), &info);
    let der = seq(&[
        &info,
        &seq(&[&oid("1.2.840.10045.4.3.2")]),
        &bit_string(&signature),
    ]);
    assert_eq!(refused(&der), RequestError::Version);
}

#[test]
fn rsa_1024() {
    let expected = KeyError::RsaTooSmall {
        bits: 1024,
        limit: 2048,
    };
    assert_eq!(refused_key(&RequestBuilder::new(rsa(1024))), expected);
}

#[test]
fn rsa_2047() {
    let mut modulus = vec![0xFF; 256];
    modulus[0] = 0x7F;
    let builder = RequestBuilder::new(rsa(2048)).spki(rsa_spki(&modulus, &[1, 0, 1]));
    assert_eq!(
        refused_key(&builder),
        KeyError::RsaTooSmall {
            bits: 2047,
            limit: 2048
        }
    );
}

#[test]
fn rsa_over_8192() {
    let builder = RequestBuilder::new(rsa(2048)).spki(rsa_spki(&[0xFF; 1025], &[1, 0, 1]));
    assert_eq!(
        refused_key(&builder),
        KeyError::RsaTooLarge {
            bits: 8200,
            limit: 8192
        }
    );
}

#[test]
fn rsa_exponent_3() {
    let exponent = BigNum::from_u32(3).unwrap();
    let key = PKey::from_rsa(Rsa::generate_with_e(2048, &exponent).unwrap()).unwrap();
    assert_eq!(
        refused_key(&RequestBuilder::new(key)),
        KeyError::RsaExponentTooSmall { exponent: 3 }
    );
}

#[test]
fn rsa_exponent_even_or_huge() {
    let key = rsa(2048);
    let modulus = key.rsa().unwrap().n().to_vec();
    let builder = RequestBuilder::new(key).spki(rsa_spki(&modulus, &[1, 0, 2]));
    assert_eq!(refused_key(&builder), KeyError::RsaExponentEven);
    let builder = builder.spki(rsa_spki(&modulus, &[1; 9]));
    assert_eq!(refused_key(&builder), KeyError::RsaExponentTooLarge);
}

#[test]
fn rsa_modulus_with_small_factor() {
    let mut modulus = BigNum::from_slice(&rsa(2048).rsa().unwrap().n().to_vec()).unwrap();
    modulus.mul_word(751).unwrap();
    let builder = RequestBuilder::new(rsa(2048)).spki(rsa_spki(&modulus.to_vec(), &[1, 0, 1]));
    assert_eq!(refused_key(&builder), KeyError::RsaSmallFactor { factor: 751 });
}

/// A prime of 1024 or 1025 bits as the faulty generator made them: `k * M + (65537^a mod M)`.
fn roca_prime(context: &mut BigNumContext) -> BigNum {
    let mut product = BigNum::from_u32(1).unwrap();
    for n in (2..168u32).filter(|n| (2..*n).all(|d| n % d != 0)) {
        product.mul_word(n).unwrap();
    }
    let generator = BigNum::from_u32(65_537).unwrap();
    loop {
        let mut power = BigNum::new().unwrap();
        power.rand(60, openssl::bn::MsbOption::ONE, false).unwrap();
        let mut prime = BigNum::new().unwrap();
        prime.mod_exp(&generator, &power, &product, context).unwrap();
        let mut factor = BigNum::new().unwrap();
        factor
            .rand(1025 - product.num_bits(), openssl::bn::MsbOption::TWO_ONES, false)
            .unwrap();
        let mut multiple = BigNum::new().unwrap();
        multiple.checked_mul(&factor, &product, context).unwrap();
        let candidate = &multiple + &prime;
        if candidate.is_prime(20, context).unwrap() {
            return candidate;
        }
    }
}

/// A working RSA key from two such primes.
fn roca_key() -> PKey<Private> {
    let mut context = BigNumContext::new().unwrap();
    let exponent = BigNum::from_u32(65_537).unwrap();
    let one = BigNum::from_u32(1).unwrap();
    loop {
        let (p, q) = (roca_prime(&mut context), roca_prime(&mut context));
        let modulus = &p * &q;
        let order = &(&p - &one) * &(&q - &one);
        let mut d = BigNum::new().unwrap();
        if modulus.num_bits() < 2048 || d.mod_inverse(&exponent, &order, &mut context).is_err() {
            continue;
        }
        let (dp, dq) = (&d % &(&p - &one), &d % &(&q - &one));
        let mut qi = BigNum::new().unwrap();
        qi.mod_inverse(&q, &p, &mut context).unwrap();
        let exponent = exponent.to_owned().unwrap();
        let key = Rsa::from_private_components(modulus, exponent, d, p, q, dp, dq, qi).unwrap();
        assert!(key.check_key().unwrap());
        return PKey::from_rsa(key).unwrap();
    }
}

#[test]
fn roca_key_is_refused_although_it_signs() {
    assert_eq!(refused_key(&RequestBuilder::new(roca_key())), KeyError::Roca);
}

#[test]
fn curve_not_allowed() {
    for curve in [Nid::SECP224R1, Nid::BRAINPOOL_P320R1, Nid::SECP521R1] {
        let builder = RequestBuilder::new(ec_key(curve));
        if curve == Nid::SECP521R1 {
            CertificationRequest::parse(&builder.build()).unwrap();
        } else {
            assert!(matches!(refused_key(&builder), KeyError::CurveNotAllowed { .. }));
        }
    }
}

#[test]
fn explicit_curve_parameters() {
    let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    group.set_asn1_flag(Asn1Flag::EXPLICIT_CURVE);
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    assert_eq!(refused_key(&RequestBuilder::new(key)), KeyError::ExplicitCurve);
}

#[test]
fn points_that_are_no_keys() {
    let key = p256();
    let good = key.public_key_to_der().unwrap();
    let mut point = good[good.len() - 65..].to_vec();
    let builder = RequestBuilder::new(key);
    let builder = builder.spki(ec_spki(P256, &[0]));
    assert_eq!(refused_key(&builder), KeyError::PointAtInfinity);
    let mut compressed = point[..33].to_vec();
    compressed[0] = 2;
    let builder = builder.spki(ec_spki(P256, &compressed));
    assert_eq!(refused_key(&builder), KeyError::PointNotUncompressed);
    point[64] ^= 1;
    let off_curve = KeyError::PointOffCurve { curve: Curve::P256 };
    let builder = builder.spki(ec_spki(P256, &point));
    assert_eq!(refused_key(&builder), off_curve);
    point.pop();
    let builder = builder.spki(ec_spki(P256, &point));
    assert_eq!(refused_key(&builder), off_curve);
}

#[test]
fn unsupported_key_algorithm() {
    let key = PKey::generate_x25519().unwrap().public_key_to_der().unwrap();
    let builder = RequestBuilder::new(p256()).spki(key);
    assert!(matches!(
        refused_key(&builder),
        KeyError::UnsupportedAlgorithm { .. }
    ));
}

#[test]
fn not_a_request() {
    for bytes in [
        &b""[..],
        b"hello",
        b"-----BEGIN CERTIFICATE REQUEST-----",
        &[0x30, 0x80, 0, 0],
        &[0x30, 0],
    ] {
        let error = refused(bytes);
        assert!(
            matches!(error, RequestError::Malformed(_) | RequestError::Pem(_)),
            "{error:?}"
        );
    }
    let unsorted = [attribute("2.5.4.3", &[&[5, 0]])];
    let set_in_name = seq(&[&tlv(0x31, &unsorted.concat())]);
    let der = RequestBuilder::new(p256()).subject(set_in_name).build();
    assert!(matches!(
        refused(&der),
        RequestError::Subject(NameError::StringType { .. })
    ));
    assert!(name("CN=x").common_name().is_some());
}
