//! Arbitrary and damaged bytes.

use std::sync::LazyLock;

use chancery_pki::{
    CertificationRequest, DistinguishedName, Issuer, Profile, PublicKey, RevocationList, RevocationReason,
    Revoked, ToBeSigned, describe, lint, lint_certificate, pem, prepare_crl, prepare_leaf, verify_signature,
};
use proptest::prelude::*;
use time::Duration;

use crate::support::{RequestBuilder, TestCa, now, p256, request, serial};

struct Samples {
    ca: TestCa,
    request: Vec<u8>,
    leaf: Vec<u8>,
    tbs: Vec<u8>,
    crl: Vec<u8>,
    profile: Profile,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let ca = TestCa::new(p256());
    let profile = Profile::by_name("server").unwrap();
    let tbs = prepare_leaf(&profile, &request(&["example.com"]), &ca.issuer, serial(9), now()).unwrap();
    let revoked = Revoked {
        serial: serial(9),
        revoked_at: now(),
        reason: RevocationReason::Superseded,
    };
    let crl = prepare_crl(&ca.issuer, 1, now(), now() + Duration::days(1), &[revoked]).unwrap();
    Samples {
        request: RequestBuilder::new(p256()).build(),
        leaf: ca.finish(&tbs),
        tbs: tbs.as_der().to_vec(),
        crl: ca.sign(crl.as_der()),
        ca,
        profile,
    }
});

/// Everything that reads bytes; the results do not matter.
fn read_all(bytes: &[u8]) {
    let samples = &*SAMPLES;
    let _ = CertificationRequest::parse(bytes);
    let _ = PublicKey::from_spki(bytes);
    let _ = DistinguishedName::from_der(bytes);
    let _ = Issuer::from_certificate(bytes);
    let _ = describe(bytes);
    let _ = RevocationList::parse(bytes);
    let _ = ToBeSigned::from_der(bytes);
    let _ = verify_signature(bytes, samples.ca.issuer.key());
    let _ = pem::decode(&[pem::REQUEST], bytes);
    let _ = lint(bytes, &samples.profile, Some(&samples.ca.issuer));
    let _ = lint_certificate(bytes, &samples.profile, None);
    let text = String::from_utf8_lossy(bytes);
    let _ = text.parse::<DistinguishedName>();
    let _ = Profile::from_toml(&text);
}

/// Changes, removes or inserts a byte at a place given as a fraction.
fn damage(bytes: &[u8], place: usize, value: u8, how: u8) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    let place = place % damaged.len();
    match how % 4 {
        0 => damaged[place] = value,
        1 => damaged[place] ^= 1 << (value % 8),
        2 => drop(damaged.remove(place)),
        _ => damaged.insert(place, value),
    }
    damaged
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn arbitrary_names_never_panic(text in "(CN|O|C|2\\.5\\.4\\.3)=[#\\\\+,= a-f\"0-9ä]{0,20}") {
        if let Ok(name) = text.parse::<DistinguishedName>() {
            prop_assert_eq!(DistinguishedName::from_der(name.as_der()).unwrap(), name);
        }
    }

    #[test]
    fn damaged_samples_never_panic(place: usize, value: u8, how: u8) {
        let samples = &*SAMPLES;
        for sample in [&samples.request, &samples.leaf, &samples.tbs, &samples.crl, &samples.ca.certificate] {
            read_all(&damage(sample, place, value, how));
        }
    }

    #[test]
    fn damaged_requests_are_refused(place: usize, value: u8, how: u8) {
        let original = &SAMPLES.request;
        let damaged = damage(original, place, value, how);
        if damaged != *original {
            prop_assert!(CertificationRequest::parse(&damaged).is_err());
        }
    }

    #[test]
    fn damaged_certificates_do_not_verify(place: usize, value: u8, how: u8) {
        let samples = &*SAMPLES;
        let damaged = damage(&samples.leaf, place, value, how);
        if damaged != samples.leaf {
            prop_assert!(verify_signature(&damaged, samples.ca.issuer.key()).is_err());
        }
    }
}
