//! Each check of the linter finds what it is there for.

use chancery_pki::{Profile, Severity, lint, lint_certificate, prepare_leaf};

use crate::support::{
    SUBJECT_ALT_NAME, TestCa, bit_string, extension, name, now, oid, p256, parts, public, request, seq,
    serial, tlv,
};

struct Sample {
    ca: TestCa,
    profile: Profile,
    fields: Vec<Vec<u8>>,
}

impl Sample {
    fn new() -> Self {
        let ca = TestCa::new(p256());
        let profile = Profile::by_name("server").unwrap();
        let tbs = prepare_leaf(&profile, &request(&["example.com"]), &ca.issuer, serial(9), now()).unwrap();
        Self {
            fields: parts(tbs.as_der()),
            ca,
            profile,
        }
    }

    fn codes(&self, fields: &[Vec<u8>]) -> Vec<&'static str> {
        let findings = lint(&tlv(0x30, &fields.concat()), &self.profile, Some(&self.ca.issuer));
        findings.iter().map(|finding| finding.code).collect()
    }

    fn with_field(&self, position: usize, field: &[u8]) -> Vec<&'static str> {
        let mut fields = self.fields.clone();
        fields[position] = field.to_vec();
        self.codes(&fields)
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        parts(&parts(&self.fields[7])[0])
    }

    fn with_extensions(&self, extensions: &[Vec<u8>]) -> Vec<&'static str> {
        self.with_field(7, &tlv(0xA3, &tlv(0x30, &extensions.concat())))
    }

    /// Replaces or removes the extension.
    fn with_extension(&self, id: &str, replacement: Option<Vec<u8>>) -> Vec<&'static str> {
        let id = oid(id);
        let mut extensions = self.extensions();
        let position = extensions.iter().position(|e| parts(e)[0] == id).unwrap();
        match replacement {
            Some(replacement) => extensions[position] = replacement,
            None => drop(extensions.remove(position)),
        }
        self.with_extensions(&extensions)
    }
}

#[test]
fn fields() {
    let sample = Sample::new();
    assert_eq!(sample.codes(&sample.fields), [""; 0]);
    let twenty_one = tlv(2, &[&[0][..], &[0xFF; 20]].concat());
    let (other, wrong_attribute, other_key) = (name("CN=other"), name("CN=x,UID=y"), public(&p256()));
    let cases: [(usize, &[u8], &str); 17] = [
        (0, &tlv(0xA0, &[2, 1, 1]), "version"),
        (1, &[2, 1, 0], "serial-zero"),
        (1, &[2, 1, 0x80], "serial-sign"),
        (1, &[2, 2, 0, 1], "serial-der"),
        (1, &[2, 1, 1], "serial-entropy"),
        (1, &twenty_one, "serial-length"),
        (2, &seq(&[&oid("1.2.840.10045.4.3.2"), &[5, 0]]), "algorithm"),
        (2, &seq(&[&oid("1.2.840.10045.4.3.3")]), "algorithm-key"),
        (3, &[0x30, 0], "issuer-empty"),
        (3, other.as_der(), "issuer"),
        (
            4,
            &seq(&[b"\x17\x0d270115075000Z", b"\x17\x0d270115074959Z"]),
            "validity-order",
        ),
        (
            4,
            &seq(&[b"\x17\x0d270115075000Z", b"\x17\x0d270415075000Z"]),
            "validity-length",
        ),
        (
            4,
            &seq(&[b"\x17\x0d270115075000Z", b"\x18\x0f20270415074959Z"]),
            "time-encoding",
        ),
        (
            4,
            &seq(&[b"\x17\x0b2701150750Z", b"\x17\x0d270415074959Z"]),
            "time",
        ),
        (5, wrong_attribute.as_der(), "subject-attribute"),
        (
            5,
            &seq(&[&tlv(0x31, &seq(&[&oid("2.5.4.3"), &tlv(0x0C, b"a\x01b")]))]),
            "subject",
        ),
        (6, other_key.spki(), "subject-key-id"),
    ];
    for (position, field, code) in cases {
        let codes = sample.with_field(position, field);
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    let ca_too_short = sample.with_field(4, &seq(&[b"\x17\x0d270115075000Z", b"\x18\x0f20990415074959Z"]));
    assert!(ca_too_short.contains(&"validity-issuer"), "{ca_too_short:?}");
    assert_eq!(sample.codes(&sample.fields[..7]), ["structure"]);
}

#[test]
fn extensions() {
    let sample = Sample::new();
    let ed25519 = openssl::pkey::PKey::generate_ed25519().unwrap();
    let cases = [
        (
            "2.5.29.19",
            Some(extension("2.5.29.19", true, &seq(&[&[1, 1, 0xFF]]))),
            "basic-constraints",
        ),
        (
            "2.5.29.19",
            Some(extension("2.5.29.19", false, &seq(&[]))),
            "extension-criticality",
        ),
        ("2.5.29.19", None, "basic-constraints"),
        (
            "2.5.29.15",
            Some(extension("2.5.29.15", true, &[3, 2, 2, 0x84])),
            "key-usage-ca",
        ),
        (
            "2.5.29.15",
            Some(extension("2.5.29.15", true, &[3, 2, 5, 0xA0])),
            "key-usage-key",
        ),
        (
            "2.5.29.15",
            Some(extension("2.5.29.15", true, &[3, 2, 0, 0x80])),
            "key-usage-der",
        ),
        ("2.5.29.15", None, "key-usage"),
        (
            "2.5.29.37",
            Some(extension("2.5.29.37", false, &seq(&[]))),
            "extended-key-usage",
        ),
        ("2.5.29.37", None, "extended-key-usage"),
        (
            "2.5.29.14",
            Some(extension("2.5.29.14", false, &tlv(4, &[7; 20]))),
            "subject-key-id",
        ),
        ("2.5.29.14", None, "subject-key-id"),
        (
            "2.5.29.35",
            Some(extension("2.5.29.35", false, &seq(&[&tlv(0x80, &[7; 20])]))),
            "authority-key-id",
        ),
        ("2.5.29.35", None, "authority-key-id"),
        (
            "2.5.29.17",
            Some(extension("1.2.3.4", false, &[5, 0])),
            "extension-unknown",
        ),
        ("2.5.29.17", None, "alt-names-missing"),
    ];
    for (id, replacement, code) in cases {
        let codes = sample.with_extension(id, replacement);
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    let mut twice = sample.extensions();
    twice.push(twice[0].clone());
    assert_eq!(sample.with_extensions(&twice), ["extension-duplicate"]);
    let crl_url = tlv(0xA0, &tlv(0xA0, &tlv(0x86, b"http://evil.example/")));
    let mut added = sample.extensions();
    added.push(extension("2.5.29.31", false, &seq(&[&seq(&[&crl_url])])));
    assert_eq!(sample.with_extensions(&added), ["crl-distribution-points"]);
    let explicit_false = seq(&[
        &oid("2.5.29.37"),
        &[1, 1, 0],
        &tlv(4, &seq(&[&oid("1.3.6.1.5.5.7.3.1")])),
    ]);
    assert_eq!(
        sample.with_extension("2.5.29.37", Some(explicit_false)),
        ["extension-der"]
    );
    let mut fields = sample.fields.clone();
    fields[6] = ed25519.public_key_to_der().unwrap();
    assert!(!sample.codes(&fields).contains(&"key-kind"));
    fields[6] = openssl::pkey::PKey::generate_x25519()
        .unwrap()
        .public_key_to_der()
        .unwrap();
    assert!(sample.codes(&fields).contains(&"key"));
}

#[test]
fn alternative_names() {
    let sample = Sample::new();
    let names = |critical, names: &[Vec<u8>]| {
        let value = tlv(0x30, &names.concat());
        sample.with_extension(
            SUBJECT_ALT_NAME,
            Some(extension(SUBJECT_ALT_NAME, critical, &value)),
        )
    };
    let dns = |name: &str| tlv(0x82, name.as_bytes());
    assert_eq!(names(false, &[dns("example.com")]), [""; 0]);
    assert_eq!(names(true, &[dns("example.com")]), ["alt-names-criticality"]);
    assert_eq!(names(false, &[]), ["alt-names"]);
    let with = |more: Vec<u8>| names(false, &[dns("example.com"), more]);
    assert_eq!(with(dns("a_b.com")), ["alt-name-syntax"]);
    assert_eq!(with(dns("a b.com")), ["alt-name-syntax"]);
    assert_eq!(with(tlv(0x87, &[1, 2, 3])), ["alt-name-syntax"]);
    assert_eq!(with(dns("example.com")), ["alt-name-duplicate"]);
    assert_eq!(with(tlv(0x81, b"a@b.c")), ["alt-name-kind"]);
    let many: Vec<Vec<u8>> = [dns("example.com")]
        .into_iter()
        .chain((0..100).map(|n| dns(&format!("n{n}.example"))))
        .collect();
    assert_eq!(names(false, &many), ["alt-names-count"]);
    assert_eq!(names(false, &[dns("other.example")]), ["common-name"]);
    assert_eq!(sample.with_field(5, &[0x30, 0]), ["alt-names-criticality"]);
}

#[test]
fn certificate_with_another_algorithm_outside() {
    let sample = Sample::new();
    let tbs = tlv(0x30, &sample.fields.concat());
    let certificate = |algorithm: &str, signature: &[u8]| {
        let der = seq(&[&tbs, &seq(&[&oid(algorithm)]), signature]);
        let findings = lint_certificate(&der, &sample.profile, Some(&sample.ca.issuer));
        assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(certificate("1.2.840.10045.4.3.2", &bit_string(&[1])), [""; 0]);
    assert_eq!(
        certificate("1.2.840.10045.4.3.3", &bit_string(&[1])),
        ["algorithm-differs"]
    );
    assert_eq!(certificate("1.2.840.10045.4.3.2", &[3, 2, 1, 2]), ["signature"]);
}

#[test]
fn profile_and_issuer_must_fit() {
    let sample = Sample::new();
    let tbs = tlv(0x30, &sample.fields.concat());
    let codes = |profile: &str, issuer| {
        let findings = lint(&tbs, &Profile::by_name(profile).unwrap(), issuer);
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    let other = TestCa::new(crate::support::ec_key(openssl::nid::Nid::SECP384R1));
    assert_eq!(
        codes("server", Some(&other.issuer)),
        ["algorithm-key", "authority-key-id"]
    );
    let by_nobody = codes("server", None);
    assert!(
        by_nobody.contains(&"issuer") && by_nobody.contains(&"profile-kind"),
        "{by_nobody:?}"
    );
    let client = codes("client", Some(&sample.ca.issuer));
    assert!(
        client.contains(&"alt-name-kind") && client.contains(&"extended-key-usage"),
        "{client:?}"
    );
    assert!(codes("root", None).contains(&"key-usage-ca"));
}
