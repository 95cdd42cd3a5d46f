//! Requests made by `openssl req` become certificates `openssl verify` accepts.

use chancery_pki::{
    AltName, CertificationRequest, Inputs, Profile, RevocationReason, Revoked, describe, lint,
    lint_certificate, pem, prepare_crl, prepare_for_key, prepare_leaf, verify_signature,
};
use openssl::nid::Nid;
use time::Duration;

use crate::support::{Bench, NOW, TestCa, ec_key, name, now, p256, public, request, rsa, serial};

const AT: &str = "1800000000";

fn make_request(bench: &Bench, new_key: &[&str]) -> CertificationRequest {
    let mut arguments = vec![
        "req",
        "-new",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "request.pem",
        "-subj",
    ];
    arguments.extend(["/C=DE/O=Example Ltd/CN=www.example.com", "-addext"]);
    arguments.push("subjectAltName=DNS:www.example.com,DNS:*.example.org,IP:192.0.2.1,IP:2001:db8::1");
    arguments.extend_from_slice(new_key);
    bench.openssl_ok(&arguments);
    CertificationRequest::parse(&bench.read("request.pem")).unwrap()
}

fn issue_and_judge(new_key: &[&str], key_text: &str, ca: &TestCa) {
    let bench = Bench::new();
    let request = make_request(&bench, new_key);
    let profile = Profile::by_name("server").unwrap();
    let tbs = prepare_leaf(&profile, &request, &ca.issuer, serial(0xA5), now()).unwrap();
    assert_eq!(lint(tbs.as_der(), &profile, Some(&ca.issuer)), []);
    let leaf = ca.finish(&tbs);
    assert_eq!(lint_certificate(&leaf, &profile, Some(&ca.issuer)), []);
    verify_signature(&leaf, ca.issuer.key()).unwrap();

    let root_file = bench.write(
        "root.pem",
        pem::encode(pem::CERTIFICATE, &ca.certificate).unwrap(),
    );
    let leaf_file = bench.write("leaf.pem", pem::encode(pem::CERTIFICATE, &leaf).unwrap());
    let verify = |crl_file: &str| {
        bench.openssl(&[
            "verify",
            "-x509_strict",
            "-crl_check",
            "-CRLfile",
            crl_file,
            "-CAfile",
            &root_file,
            "-purpose",
            "sslserver",
            "-verify_hostname",
            "www.example.com",
            "-attime",
            AT,
            &leaf_file,
        ])
    };
    let crl = |number, entries: &[Revoked]| {
        let tbs = prepare_crl(&ca.issuer, number, now(), now() + Duration::days(7), entries).unwrap();
        let crl = ca.sign(tbs.as_der());
        bench.write("crl.pem", pem::encode(pem::CRL, &crl).unwrap())
    };
    let (accepted, text) = verify(&crl(1, &[]));
    assert!(accepted, "{text}");
    let revoked = Revoked {
        serial: tbs.serial(),
        revoked_at: now(),
        reason: RevocationReason::KeyCompromise,
    };
    let (accepted, text) = verify(&crl(2, &[revoked]));
    assert!(!accepted && text.contains("error 23"), "{text}");

    let text = bench.openssl_ok(&["x509", "-in", &leaf_file, "-noout", "-text"]);
    for expected in [
        "Version: 3 (0x2)",
        "CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "TLS Web Server Authentication",
        "DNS:www.example.com, DNS:*.example.org, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1",
        "Subject: C = DE, O = Example Ltd, CN = www.example.com",
        "Issuer: C = DE, O = Example Ltd, CN = Test Root",
        "X509v3 Authority Key Identifier",
        "Not Before: Jan 15 07:50:00 2027 GMT",
        "Not After : Apr 15 07:49:59 2027 GMT",
        key_text,
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    check_key_ids(&bench, &text);
    check_description(&bench, &leaf, &leaf_file);
}

/// The subject key identifier is what `openssl` computes for the key.
fn check_key_ids(bench: &Bench, text: &str) {
    let fresh = bench.openssl_ok(&[
        "req",
        "-in",
        "request.pem",
        "-x509",
        "-key",
        "key.pem",
        "-addext",
        "subjectKeyIdentifier=hash",
    ]);
    let file = bench.write("self.pem", fresh);
    let theirs = bench.openssl_ok(&["x509", "-in", &file, "-noout", "-ext", "subjectKeyIdentifier"]);
    let key_id = theirs.lines().last().unwrap().trim();
    assert!(key_id.len() == 59 && text.contains(key_id), "{theirs}\n{text}");
}

fn check_description(bench: &Bench, leaf: &[u8], leaf_file: &str) {
    let description = describe(leaf).unwrap();
    let theirs = bench.openssl_ok(&[
        "x509",
        "-in",
        leaf_file,
        "-noout",
        "-fingerprint",
        "-sha256",
        "-serial",
    ]);
    let theirs = theirs.replace(':', "").to_lowercase();
    assert!(theirs.contains(&description.sha256), "{theirs}");
    assert!(
        theirs.contains(&format!("serial={}", description.serial)),
        "{theirs}"
    );
    assert_eq!(description.subject, "CN=www.example.com,O=Example Ltd,C=DE");
    assert_eq!(description.issuer, "CN=Test Root,O=Example Ltd,C=DE");
    assert_eq!(description.names[0], "DNS:www.example.com");
    assert_eq!(description.key_usage, ["digital-signature"]);
    assert_eq!(description.extended_key_usage, ["1.3.6.1.5.5.7.3.1"]);
    assert!(!description.is_ca);
    assert_eq!(description.not_before.unix_timestamp(), NOW - 600);
}

#[test]
fn p256_request() {
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    issue_and_judge(&new_key, "ASN1 OID: prime256v1", &TestCa::new(p256()));
}

#[test]
fn p384_request_by_p384_ca() {
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
    issue_and_judge(
        &new_key,
        "Signature Algorithm: ecdsa-with-SHA384",
        &TestCa::new(ec_key(Nid::SECP384R1)),
    );
}

#[test]
fn rsa_3072_request_by_rsa_ca() {
    issue_and_judge(
        &["-newkey", "rsa:3072"],
        "Public-Key: (3072 bit)",
        &TestCa::new(rsa(2048)),
    );
}

#[test]
fn ed25519_request_by_p521_ca() {
    issue_and_judge(
        &["-newkey", "ed25519"],
        "ED25519 Public-Key",
        &TestCa::new(ec_key(Nid::SECP521R1)),
    );
}

#[test]
fn rsa_pss_signed_request_by_brainpool_ca() {
    let new_key = [
        "-newkey",
        "rsa:2048",
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sha256",
    ];
    let ca = TestCa::new(ec_key(Nid::BRAINPOOL_P256R1));
    issue_and_judge(&new_key, "Signature Algorithm: ecdsa-with-SHA256", &ca);
}

#[test]
fn root_shows_its_profile() {
    let bench = Bench::new();
    let ca = TestCa::new(p256());
    let file = bench.write(
        "root.pem",
        pem::encode(pem::CERTIFICATE, &ca.certificate).unwrap(),
    );
    let text = bench.openssl_ok(&["x509", "-in", &file, "-noout", "-text"]);
    for expected in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "critical"] {
        assert!(text.contains(expected), "{text}");
    }
    bench.openssl_ok(&[
        "verify",
        "-x509_strict",
        "-check_ss_sig",
        "-attime",
        AT,
        "-CAfile",
        &file,
        &file,
    ]);
    let description = describe(&ca.certificate).unwrap();
    assert!(description.is_ca && description.path_length == Some(0));
    assert_eq!(description.subject_key_id, description.authority_key_id);
    assert_eq!(ca.issuer.path_length(), Some(0));
}

#[test]
fn audit_key_and_client_certificates_verify() {
    let bench = Bench::new();
    let ca = TestCa::new(p256());
    let root = bench.write(
        "root.pem",
        pem::encode(pem::CERTIFICATE, &ca.certificate).unwrap(),
    );
    let audit = Profile::by_name("audit").unwrap();
    let key = public(&p256());
    let subject = name("CN=Audit log,O=Example Ltd");
    let tbs = prepare_for_key(&audit, &subject, &key, &ca.issuer, serial(2), now()).unwrap();
    assert_eq!(lint(tbs.as_der(), &audit, Some(&ca.issuer)), []);
    let file = bench.write(
        "audit.pem",
        pem::encode(pem::CERTIFICATE, &ca.finish(&tbs)).unwrap(),
    );
    bench.openssl_ok(&["verify", "-x509_strict", "-attime", AT, "-CAfile", &root, &file]);

    let client = Profile::by_name("client").unwrap();
    let names = [
        AltName::email("anna@example.com").unwrap(),
        AltName::uri("urn:person:1").unwrap(),
    ];
    let subject = name("CN=Anna,emailAddress=anna@example.com");
    let inputs = Inputs::Key {
        profile: &client,
        subject: &subject,
        names: &names,
        key: &key,
        issuer: &ca.issuer,
    };
    let tbs = inputs.prepare(serial(3), now()).unwrap();
    assert_eq!(lint(tbs.as_der(), &client, Some(&ca.issuer)), []);
    assert_eq!(tbs.names(), ["email:anna@example.com", "URI:urn:person:1"]);
    let file = bench.write(
        "client.pem",
        pem::encode(pem::CERTIFICATE, &ca.finish(&tbs)).unwrap(),
    );
    let verify = [
        "verify",
        "-x509_strict",
        "-purpose",
        "smimesign",
        "-verify_email",
        "anna@example.com",
    ];
    bench.openssl_ok(&[&verify[..], &["-attime", AT, "-CAfile", &root, &file]].concat());
}

#[test]
fn empty_subject_makes_alternative_names_critical() {
    let bench = Bench::new();
    let ca = TestCa::new(p256());
    let key = p256();
    let builder = crate::support::RequestBuilder::new(key).subject(vec![0x30, 0]);
    let request = CertificationRequest::parse(&builder.build()).unwrap();
    let profile = Profile::by_name("server").unwrap();
    let tbs = prepare_leaf(&profile, &request, &ca.issuer, serial(4), now()).unwrap();
    assert_eq!(lint(tbs.as_der(), &profile, Some(&ca.issuer)), []);
    let root = bench.write(
        "root.pem",
        pem::encode(pem::CERTIFICATE, &ca.certificate).unwrap(),
    );
    let file = bench.write(
        "leaf.pem",
        pem::encode(pem::CERTIFICATE, &ca.finish(&tbs)).unwrap(),
    );
    let text = bench.openssl_ok(&["x509", "-in", &file, "-noout", "-text"]);
    assert!(
        text.contains("X509v3 Subject Alternative Name: critical"),
        "{text}"
    );
    bench.openssl_ok(&["verify", "-x509_strict", "-attime", AT, "-CAfile", &root, &file]);
}

#[test]
fn urls_of_the_profile_are_in_the_certificate() {
    let bench = Bench::new();
    let ca = TestCa::new(p256());
    let text = include_str!("../../profiles/server.toml").to_owned()
        + "\n[urls]\ncrl = [\"http://ca.example/{issuer_key_id}.crl\", \"http://b.example/x.crl\"]\n\
           ca_issuers = [\"http://ca.example/ca.cer\"]\nocsp = [\"http://ocsp.example\"]\n";
    let profile = Profile::from_toml(&text).unwrap();
    let request = request(&["example.com"]);
    let tbs = prepare_leaf(&profile, &request, &ca.issuer, serial(5), now()).unwrap();
    assert_eq!(lint(tbs.as_der(), &profile, Some(&ca.issuer)), []);
    let file = bench.write(
        "leaf.pem",
        pem::encode(pem::CERTIFICATE, &ca.finish(&tbs)).unwrap(),
    );
    let text = bench.openssl_ok(&["x509", "-in", &file, "-noout", "-text"]);
    let crl = format!("URI:http://ca.example/{}.crl", hex::encode(ca.issuer.key_id()));
    for expected in [
        crl.as_str(),
        "URI:http://b.example/x.crl",
        "OCSP - URI:http://ocsp.example",
        "CA Issuers",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn validity_is_cut_at_the_issuers_end_and_crosses_2050() {
    let ca = TestCa::new(p256());
    let profile = Profile::by_name("server").unwrap();
    let request = request(&["example.com"]);
    let late = ca.issuer.not_after() - Duration::days(3);
    let tbs = prepare_leaf(&profile, &request, &ca.issuer, serial(6), late).unwrap();
    assert_eq!(tbs.not_after(), ca.issuer.not_after());
    assert_eq!(lint(tbs.as_der(), &profile, Some(&ca.issuer)), []);

    let root = Profile::by_name("root").unwrap();
    let in_2040 = now() + Duration::days(13 * 365);
    let key = p256();
    let tbs = chancery_pki::prepare_root(&root, &name("CN=Long"), &public(&key), serial(7), in_2040).unwrap();
    assert_eq!(lint(tbs.as_der(), &root, None), []);
    let not_after = tbs.not_after();
    assert!(not_after.year() >= 2050);
    let generalized = format!("\u{18}\u{f}{}", not_after.year());
    assert!(
        tbs.as_der()
            .windows(6)
            .any(|window| window == generalized.as_bytes())
    );
}
