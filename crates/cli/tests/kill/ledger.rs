//! What somebody outside holds: every certificate and every CRL that the program ever gave out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use chancery_api::{
    AuditPage, CaDetail, CaView, CertificateDetail, CertificatePage, CertificateView, CrlDetail, Hash32,
};
use serde_json::Value;

use crate::world::World;

/// Certificates by serial number, CRLs by number.
#[derive(Default)]
pub(crate) struct Ledger {
    certificates: BTreeMap<String, Vec<u8>>,
    crls: BTreeMap<i64, Vec<u8>>,
}

impl Ledger {
    /// A certificate was given out.
    pub(crate) fn certificate(&mut self, serial: &str, der: &[u8]) {
        let known = self
            .certificates
            .entry(serial.to_owned())
            .or_insert_with(|| der.to_vec());
        assert_eq!(known, der, "two certificates with serial {serial}");
    }

    /// A CRL was given out.
    pub(crate) fn crl(&mut self, crl: &CrlDetail) {
        let known = self.crls.entry(crl.number).or_insert_with(|| crl.der.0.clone());
        assert_eq!(*known, crl.der.0, "two CRLs with number {}", crl.number);
    }

    pub(crate) fn last_crl(&self) -> i64 {
        self.crls.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Everything that was given out is known; what is new is exported. Returns the certificates as listed.
    pub(crate) fn compare(&mut self, world: &World) -> Vec<CertificateView> {
        let listed = certificates(world);
        let by_serial: BTreeMap<_, _> = listed.iter().map(|view| (view.serial.as_str(), view)).collect();
        assert_eq!(by_serial.len(), listed.len(), "a serial number twice: {listed:?}");
        for serial in self.certificates.keys() {
            let state = by_serial.get(serial.as_str()).map(|view| view.state.as_str());
            assert!(
                matches!(state, Some("issued" | "revoked")),
                "{serial} was given out and is {state:?}"
            );
        }
        for view in &listed {
            if view.state != "signing" && !self.certificates.contains_key(&view.serial) {
                self.certificate(&view.serial, &exported(world, &view.serial));
            }
        }
        listed
    }

    /// At the end: bytes, audit log and signatures, the last judged by OpenSSL.
    pub(crate) fn close(&mut self, world: &World) {
        let listed = self.compare(world);
        for view in &listed {
            assert_ne!(view.state, "signing", "{view:?}");
            let der = self.certificates.get(&view.serial).unwrap();
            assert_eq!(*der, exported(world, &view.serial), "{}", view.serial);
        }
        self.against_the_log(world);
        self.against_openssl(world, &listed);
    }

    /// Certificates and CRLs are exactly those of which the log says that they were claimed, then issued, once each.
    fn against_the_log(&self, world: &World) {
        let mut claimed = BTreeSet::new();
        let mut issued = BTreeMap::new();
        let mut crls = BTreeMap::new();
        let mut crls_claimed = BTreeSet::new();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for event in events(world) {
            let data = &event["data"];
            match event["event"].as_str().unwrap() {
                "certificates-claimed" => {
                    for certificate in data["certificates"].as_array().unwrap() {
                        let serial = text(&certificate["serial"]);
                        assert!(claimed.insert(serial.clone()), "{serial} was claimed twice");
                    }
                }
                "certificates-issued" => {
                    for certificate in data["certificates"].as_array().unwrap() {
                        let serial = text(&certificate["serial"]);
                        assert!(
                            claimed.contains(&serial),
                            "{serial} was issued before it was claimed"
                        );
                        let before = issued.insert(serial.clone(), text(&certificate["certificate"]));
                        assert_eq!(before, None, "{serial} was issued twice");
                    }
                }
                "crl-claimed" if data["ca"] == "root" => {
                    let number = data["number"].as_i64().unwrap();
                    assert!(crls_claimed.insert(number), "CRL {number} was claimed twice");
                }
                "crl-issued" if data["ca"] == "root" => {
                    let before = crls.insert(data["number"].as_i64().unwrap(), text(&data["crl"]));
                    assert_eq!(before, None, "CRL {} was issued twice", data["number"]);
                }
                _ => {}
            }
        }
        let given: BTreeMap<_, _> = self
            .certificates
            .iter()
            .map(|(serial, der)| (serial.clone(), Hash32::of(der).to_string()))
            .collect();
        assert_eq!(issued, given);
        assert_eq!(claimed, given.into_keys().collect());
        // The newest was made after the last kill, and an older one is finished before a newer one is begun.
        assert_eq!(crls_claimed, crls.keys().copied().collect());
        for (number, der) in &self.crls {
            assert_eq!(
                crls.get(number),
                Some(&Hash32::of(der).to_string()),
                "CRL {number}"
            );
        }
    }

    fn against_openssl(&self, world: &World, listed: &[CertificateView]) {
        let dir = tempfile::tempdir().unwrap();
        for ca in world.json::<Vec<CaView>>(&["ca", "list"]) {
            let detail: CaDetail = world.json(&["ca", "show", &ca.name]);
            let root = pem(dir.path(), "x509", &ca.name, &detail.certificate.unwrap().0);
            let files: Vec<_> = listed
                .iter()
                .filter(|view| view.ca == ca.name)
                .map(|view| {
                    pem(
                        dir.path(),
                        "x509",
                        &view.serial,
                        self.certificates.get(&view.serial).unwrap(),
                    )
                })
                .collect();
            assert!(
                !files.is_empty(),
                "CA {} has not even its own certificate",
                ca.name
            );
            let verified = openssl(
                &[
                    &["verify", "-x509_strict", "-CAfile", &root],
                    refs(&files).as_slice(),
                ]
                .concat(),
            );
            assert_eq!(verified.matches(": OK").count(), files.len(), "{verified}");
            for (file, view) in files.iter().zip(listed.iter().filter(|view| view.ca == ca.name)) {
                let serial = openssl(&["x509", "-in", file, "-noout", "-serial"]);
                assert!(
                    serial
                        .trim()
                        .eq_ignore_ascii_case(&format!("serial={}", view.serial)),
                    "{serial}"
                );
            }
            if ca.name == "root" {
                for (number, der) in &self.crls {
                    let crl = pem(dir.path(), "crl", &format!("{number}"), der);
                    let checked = openssl(&["crl", "-in", &crl, "-CAfile", &root, "-noout"]);
                    assert!(checked.contains("verify OK"), "CRL {number}: {checked}");
                }
            }
        }
    }
}

/// Every certificate the program lists.
fn certificates(world: &World) -> Vec<CertificateView> {
    let mut all = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let mut args = vec!["cert", "list", "--limit", "200"];
        if let Some(cursor) = &before {
            args.extend(["--before", cursor]);
        }
        let page: CertificatePage = world.json(&args);
        all.extend(page.certificates);
        match page.next {
            Some(cursor) => before = Some(cursor),
            None => return all,
        }
    }
}

fn exported(world: &World, serial: &str) -> Vec<u8> {
    world
        .json::<CertificateDetail>(&["cert", "show", serial])
        .der
        .unwrap()
        .0
}

/// Every event of the audit log.
fn events(world: &World) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let from = all.len().to_string();
        let page: AuditPage = world.json(&["audit", "log", "--from", &from, "--limit", "1000"]);
        all.extend(page.leaves.into_iter().map(|leaf| leaf.event));
        if u64::try_from(all.len()).unwrap() >= page.size {
            return all;
        }
    }
}

/// Writes DER as PEM, by OpenSSL.
fn pem(dir: &Path, kind: &str, name: &str, der: &[u8]) -> String {
    let (from, to) = (
        dir.join(format!("{kind}-{name}.der")),
        dir.join(format!("{kind}-{name}.pem")),
    );
    fs::write(&from, der).unwrap();
    let (from, to) = (from.display().to_string(), to.display().to_string());
    openssl(&[kind, "-inform", "DER", "-in", &from, "-out", &to]);
    to
}

fn openssl(args: &[&str]) -> String {
    let output = Command::new("openssl").args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "openssl {args:?}: {text}");
    text
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
