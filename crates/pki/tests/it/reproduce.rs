//! The same inputs give the same bytes, and edited bytes are found out.

use chancery_pki::{
    AssembleError, Field, Inputs, Issuer, IssuerError, Mismatch, PrepareError, Profile, SignatureAlgorithm,
    ToBeSigned, VerifyError, assemble, prepare_leaf, verify_signature,
};
use time::Duration;

use crate::support::{
    TestCa, bit_string, ec_key, extension, now, p256, parts, public, request, seq, serial, tlv,
};

#[test]
fn same_inputs_same_bytes() {
    let ca = TestCa::new(p256());
    let profile = Profile::by_name("server").unwrap();
    let request = request(&["example.com", "www.example.com"]);
    let one = prepare_leaf(&profile, &request, &ca.issuer, serial(9), now()).unwrap();
    let nanoseconds_later = now() + Duration::nanoseconds(999);
    let two = prepare_leaf(&profile, &request, &ca.issuer, serial(9), nanoseconds_later).unwrap();
    assert_eq!(one, two);
    assert_eq!(ToBeSigned::from_der(one.as_der()).unwrap(), one);
    let inputs = Inputs::Request {
        profile: &profile,
        request: &request,
        issuer: &ca.issuer,
    };
    one.reproduces(&inputs).unwrap();
}

/// Replaces the field of a TBSCertificate at a position.
fn with_field(tbs: &[u8], position: usize, field: &[u8]) -> Vec<u8> {
    let mut fields = parts(tbs);
    fields[position] = field.to_vec();
    tlv(0x30, &fields.concat())
}

#[test]
fn every_edited_field_is_named() {
    let ca = TestCa::new(p256());
    let profile = Profile::by_name("server").unwrap();
    let request = request(&["example.com"]);
    let inputs = Inputs::Request {
        profile: &profile,
        request: &request,
        issuer: &ca.issuer,
    };
    let tbs = inputs.prepare(serial(9), now()).unwrap();
    let fields = parts(tbs.as_der());
    let times = parts(&fields[4]);
    let longer = seq(&[&times[0], b"\x17\x0d370115074959Z"]);
    let other_name = crate::support::name("CN=other");
    let other_key = public(&p256());
    let mut extensions = parts(&parts(&fields[7])[0]);
    extensions.push(extension("2.5.29.19", true, &seq(&[&[1, 1, 0xFF]])));
    let added = tlv(0xA3, &tlv(0x30, &extensions.concat()));
    extensions.pop();
    extensions.swap(0, 1);
    let swapped = tlv(0xA3, &tlv(0x30, &extensions.concat()));
    extensions.swap(0, 1);
    extensions.pop();
    let removed = tlv(0xA3, &tlv(0x30, &extensions.concat()));
    let san = Field::Extension("2.5.29.17".parse().unwrap());
    let constraints = Field::Extension("2.5.29.19".parse().unwrap());
    let cases: [(usize, &[u8], Field); 8] = [
        (
            2,
            &SignatureAlgorithm::EcdsaSha384.to_der().unwrap(),
            Field::Algorithm,
        ),
        (3, other_name.as_der(), Field::Issuer),
        (4, &longer, Field::Validity),
        (5, other_name.as_der(), Field::Subject),
        (6, other_key.spki(), Field::PublicKey),
        (7, &added, constraints),
        (7, &swapped, Field::Structure),
        (7, &removed, san),
    ];
    for (position, field, expected) in cases {
        let edited = ToBeSigned::from_der(&with_field(tbs.as_der(), position, field)).unwrap();
        assert_eq!(
            edited.reproduces(&inputs),
            Err(Mismatch::Field { field: expected }),
            "{expected}"
        );
    }
    // A serial number is free: the caller compares it with its record.
    let renumbered = ToBeSigned::from_der(&with_field(tbs.as_der(), 1, &[2, 1, 5])).unwrap();
    assert_eq!(renumbered.reproduces(&inputs), Ok(()));
    assert_ne!(renumbered.serial(), tbs.serial());
}

#[test]
fn other_inputs_do_not_reproduce() {
    let ca = TestCa::new(p256());
    let profile = Profile::by_name("server").unwrap();
    let one = request(&["example.com"]);
    let tbs = prepare_leaf(&profile, &one, &ca.issuer, serial(9), now()).unwrap();
    let other = request(&["example.com"]);
    let inputs = Inputs::Request {
        profile: &profile,
        request: &other,
        issuer: &ca.issuer,
    };
    assert_eq!(
        tbs.reproduces(&inputs),
        Err(Mismatch::Field {
            field: Field::PublicKey
        })
    );
    let client = Profile::by_name("client").unwrap();
    let inputs = Inputs::Request {
        profile: &client,
        request: &one,
        issuer: &ca.issuer,
    };
    assert!(matches!(
        tbs.reproduces(&inputs),
        Err(Mismatch::Inputs(PrepareError::NameKind { .. }))
    ));
}

#[test]
fn assemble_and_verify_refuse_what_does_not_belong_together() {
    let ca = TestCa::new(p256());
    let profile = Profile::by_name("server").unwrap();
    let tbs = prepare_leaf(&profile, &request(&["a.example"]), &ca.issuer, serial(9), now()).unwrap();
    let plain = [7; 64];
    let algorithm = SignatureAlgorithm::EcdsaSha256;
    assert_eq!(
        assemble(tbs.as_der(), algorithm, &plain),
        Err(AssembleError::SignatureForm { algorithm }),
        "plain r || s"
    );
    let given = SignatureAlgorithm::EcdsaSha384;
    assert_eq!(
        assemble(tbs.as_der(), given, &plain),
        Err(AssembleError::AlgorithmDiffers { given })
    );
    let other = TestCa::new(p256());
    let leaf = ca.finish(&tbs);
    assert_eq!(
        verify_signature(&leaf, other.issuer.key()),
        Err(VerifyError::Signature)
    );
    let ed25519 = public(&openssl::pkey::PKey::generate_ed25519().unwrap());
    assert!(matches!(
        verify_signature(&leaf, &ed25519),
        Err(VerifyError::KeyKind { .. })
    ));
    let outer = parts(&leaf);
    let wrong = seq(&[&outer[0], &given.to_der().unwrap(), &outer[2]]);
    assert_eq!(
        verify_signature(&wrong, ca.issuer.key()),
        Err(VerifyError::Algorithm)
    );
    let garbled = seq(&[&outer[0], &outer[1], &bit_string(&[0x30, 6, 2, 1, 1, 2, 1, 1])]);
    assert_eq!(
        verify_signature(&garbled, ca.issuer.key()),
        Err(VerifyError::Signature)
    );
}

#[test]
fn every_kind_of_ca_key_signs_and_verifies() {
    use openssl::nid::Nid;
    for curve in [
        Nid::SECP384R1,
        Nid::SECP521R1,
        Nid::BRAINPOOL_P256R1,
        Nid::BRAINPOOL_P384R1,
        Nid::BRAINPOOL_P512R1,
    ] {
        TestCa::new(ec_key(curve));
    }
}

#[test]
fn a_leaf_is_not_an_issuer() {
    let ca = TestCa::new(p256());
    let profile = Profile::by_name("server").unwrap();
    let tbs = prepare_leaf(&profile, &request(&["a.example"]), &ca.issuer, serial(9), now()).unwrap();
    assert_eq!(
        Issuer::from_certificate(&ca.finish(&tbs)),
        Err(IssuerError::NotCa)
    );
}

#[test]
fn rules_of_the_profile_are_kept() {
    let ca = TestCa::new(p256());
    let server = Profile::by_name("server").unwrap();
    let prepare = |profile: &Profile, names: &[&str]| {
        prepare_leaf(profile, &request(names), &ca.issuer, serial(9), now()).unwrap_err()
    };
    let text = include_str!("../../profiles/server.toml");
    let without_wildcards = Profile::from_toml(&text.replace("wildcards = true", "")).unwrap();
    assert!(matches!(
        prepare(&without_wildcards, &["*.example.com"]),
        PrepareError::Wildcard { .. }
    ));
    let two = Profile::from_toml(&text.replace("max = 100", "max = 2")).unwrap();
    let error = prepare(&two, &["a.example", "b.example", "c.example"]);
    assert!(matches!(
        error,
        PrepareError::TooManyNames {
            count: 3,
            limit: 2,
            ..
        }
    ));
    let p384_only = Profile::from_toml(&text.replace("\"p256\", ", "")).unwrap();
    assert!(matches!(
        prepare(&p384_only, &["a.example"]),
        PrepareError::KeyNotAllowed { .. }
    ));
    let no_cn = Profile::from_toml(&text.replace("\"CN\", ", "")).unwrap();
    assert!(matches!(
        prepare(&no_cn, &["a.example"]),
        PrepareError::SubjectAttribute { .. }
    ));
    let audit = Profile::by_name("audit").unwrap();
    assert!(matches!(
        prepare(&audit, &["a.example"]),
        PrepareError::NameKind { .. }
    ));
    let root = Profile::by_name("root").unwrap();
    assert!(matches!(
        prepare(&root, &["a.example"]),
        PrepareError::ProfileKind { .. }
    ));
    let late = ca.issuer.not_after() + Duration::SECOND;
    let result = prepare_leaf(&server, &request(&["a.example"]), &ca.issuer, serial(9), late);
    assert!(matches!(result, Err(PrepareError::IssuerNotValid { .. })));

    let subordinate = include_str!("../../profiles/root.toml").replace("\"root\"", "\"subordinate\"");
    let subordinate = Profile::from_toml(&subordinate).unwrap();
    let (subject, key) = (crate::support::name("CN=Below"), public(&p256()));
    let inputs = Inputs::Key {
        profile: &subordinate,
        subject: &subject,
        names: &[],
        key: &key,
        issuer: &ca.issuer,
    };
    assert_eq!(inputs.prepare(serial(9), now()), Err(PrepareError::PathLength));
}
