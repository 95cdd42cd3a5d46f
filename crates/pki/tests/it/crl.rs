//! CRLs, read back and shown to `openssl crl`.

use chancery_pki::{
    CrlError, Inputs, Issuer, Profile, RevocationList, RevocationReason, Revoked, assemble, pem, prepare_crl,
    verify_signature,
};
use time::Duration;

use crate::support::{Bench, TestCa, name, now, p256, public, serial, sign};

fn revoked(seed: u8, reason: RevocationReason) -> Revoked {
    Revoked {
        serial: serial(seed),
        revoked_at: now(),
        reason,
    }
}

#[test]
fn goes_there_and_back_sorted() {
    let ca = TestCa::new(p256());
    let reasons = RevocationReason::ALL
        .into_iter()
        .filter(|r| *r != RevocationReason::RemoveFromCrl);
    let mut entries: Vec<Revoked> = (10..)
        .zip(reasons)
        .map(|(seed, reason)| revoked(seed, reason))
        .collect();
    entries.push(revoked(0xFF, RevocationReason::Superseded));
    let next = now() + Duration::days(7);
    let tbs = prepare_crl(&ca.issuer, 77, now(), next, &entries).unwrap();
    let mut reversed = entries.clone();
    reversed.reverse();
    assert_eq!(prepare_crl(&ca.issuer, 77, now(), next, &reversed).unwrap(), tbs);
    assert_eq!((tbs.number(), tbs.entries()), (77, 10));

    let crl = ca.sign(tbs.as_der());
    verify_signature(&crl, ca.issuer.key()).unwrap();
    let list = RevocationList::parse(&crl).unwrap();
    assert_eq!(list.entries, entries);
    assert_eq!(
        (list.number, list.this_update, list.next_update),
        (77, now(), next)
    );
    assert_eq!(list.authority_key_id, ca.issuer.key_id());
    assert_eq!(list.issuer_der, ca.issuer.name_der());
    assert_eq!(list.issuer, "CN=Test Root,O=Example Ltd,C=DE");
    assert_eq!(
        list.find(serial(11)).unwrap().reason,
        RevocationReason::KeyCompromise
    );
    assert_eq!(list.find(serial(99)), None);
    assert_eq!(list.lifetime().as_secs(), 7 * 86_400);

    let bench = Bench::new();
    let root = bench.write(
        "root.pem",
        pem::encode(pem::CERTIFICATE, &ca.certificate).unwrap(),
    );
    let file = bench.write("crl.pem", pem::encode(pem::CRL, &crl).unwrap());
    let text = bench.openssl_ok(&["crl", "-in", &file, "-CAfile", &root, "-noout", "-text"]);
    for expected in [
        "verify OK",
        "Version 2 (0x1)",
        "X509v3 CRL Number: \n                77",
        "Key Compromise",
        "Certificate Hold",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert_eq!(text.matches("Serial Number").count(), 10);
    assert_eq!(
        text.matches("CRL Reason Code").count(),
        9,
        "unspecified is not written"
    );
}

#[test]
fn empty_list_has_no_entries_field() {
    let ca = TestCa::new(p256());
    let tbs = prepare_crl(&ca.issuer, 1, now(), now() + Duration::hours(1), &[]).unwrap();
    let crl = ca.sign(tbs.as_der());
    assert_eq!(RevocationList::parse(&crl).unwrap().entries, []);
    let bench = Bench::new();
    let file = bench.write("crl.pem", pem::encode(pem::CRL, &crl).unwrap());
    assert!(
        bench
            .openssl_ok(&["crl", "-in", &file, "-noout", "-text"])
            .contains("No Revoked Certificates.")
    );
}

#[test]
fn contradictions_are_refused() {
    let ca = TestCa::new(p256());
    let later = now() + Duration::days(1);
    let twice = [
        revoked(1, RevocationReason::Unspecified),
        revoked(1, RevocationReason::Superseded),
    ];
    let prepare = |next, entries: &[Revoked]| prepare_crl(&ca.issuer, 1, now(), next, entries).unwrap_err();
    assert_eq!(prepare(later, &twice), CrlError::Duplicate { serial: serial(1) });
    assert_eq!(prepare(now(), &[]), CrlError::Times);
    let remove = [revoked(1, RevocationReason::RemoveFromCrl)];
    assert_eq!(
        prepare(later, &remove),
        CrlError::RemoveFromCrl { serial: serial(1) }
    );
    let ancient = Revoked {
        revoked_at: now() - Duration::days(60 * 365),
        ..twice[0]
    };
    assert_eq!(prepare(later, &[ancient]), CrlError::TimeRange);
}

#[test]
fn a_ca_without_crl_sign_makes_none() {
    let text = include_str!("../../profiles/root.toml").replace(", \"crl-sign\"", "");
    let profile = Profile::from_toml(&text).unwrap();
    let key = p256();
    let (subject, public) = (name("CN=No CRLs"), public(&key));
    let inputs = Inputs::Root {
        profile: &profile,
        subject: &subject,
        key: &public,
    };
    let tbs = inputs.prepare(serial(1), now()).unwrap();
    let signature = sign(&key, Some(openssl::hash::MessageDigest::sha256()), tbs.as_der());
    let certificate = assemble(tbs.as_der(), tbs.algorithm(), &signature).unwrap();
    let issuer = Issuer::from_certificate(&certificate).unwrap();
    let result = prepare_crl(&issuer, 1, now(), now() + Duration::days(1), &[]);
    assert_eq!(result.unwrap_err(), CrlError::NotAllowed);
}
