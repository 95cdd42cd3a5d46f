//! A test CA with a key in memory, DER building blocks, and the `openssl` command.

use std::path::{Path, PathBuf};
use std::process::Command;

use chancery_pki::{
    CertificationRequest, DistinguishedName, Issuer, Profile, PublicKey, SerialNumber, ToBeSigned, assemble,
    prepare_root,
};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use tempfile::TempDir;
use time::OffsetDateTime;

/// A moment in January 2027.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap()
}

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn serial(seed: u8) -> SerialNumber {
    SerialNumber::from_random([seed; 16])
}

pub(crate) fn ec_key(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(crate) fn p256() -> PKey<Private> {
    ec_key(Nid::X9_62_PRIME256V1)
}

pub(crate) fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

pub(crate) fn public(key: &PKey<Private>) -> PublicKey {
    PublicKey::from_spki(&key.public_key_to_der().unwrap()).unwrap()
}

pub(crate) fn name(text: &str) -> DistinguishedName {
    text.parse().unwrap()
}

/// Signs with the hash that belongs to the algorithm; `hash` is nothing for Ed25519.
pub(crate) fn sign(key: &PKey<Private>, hash: Option<MessageDigest>, bytes: &[u8]) -> Vec<u8> {
    match hash {
        Some(hash) => Signer::new(hash, key)
            .unwrap()
            .sign_oneshot_to_vec(bytes)
            .unwrap(),
        None => Signer::new_without_digest(key)
            .unwrap()
            .sign_oneshot_to_vec(bytes)
            .unwrap(),
    }
}

pub(crate) fn hash_of(algorithm: chancery_pki::SignatureAlgorithm) -> Option<MessageDigest> {
    algorithm.digest().map(|digest| match digest {
        chancery_pki::Digest::Sha256 => MessageDigest::sha256(),
        chancery_pki::Digest::Sha384 => MessageDigest::sha384(),
        chancery_pki::Digest::Sha512 => MessageDigest::sha512(),
    })
}

pub(crate) struct TestCa {
    pub(crate) key: PKey<Private>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) issuer: Issuer,
}

impl TestCa {
    pub(crate) fn new(key: PKey<Private>) -> Self {
        let profile = Profile::by_name("root").unwrap();
        let subject = name("CN=Test Root,O=Example Ltd,C=DE");
        let tbs = prepare_root(&profile, &subject, &public(&key), serial(1), now()).unwrap();
        assert_eq!(chancery_pki::lint(tbs.as_der(), &profile, None), []);
        let signature = sign(&key, hash_of(tbs.algorithm()), tbs.as_der());
        let certificate = assemble(tbs.as_der(), tbs.algorithm(), &signature).unwrap();
        let issuer = Issuer::from_certificate(&certificate).unwrap();
        chancery_pki::verify_signature(&certificate, issuer.key()).unwrap();
        Self {
            key,
            certificate,
            issuer,
        }
    }

    pub(crate) fn finish(&self, tbs: &ToBeSigned) -> Vec<u8> {
        self.sign(tbs.as_der())
    }

    pub(crate) fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        let algorithm = self.issuer.algorithm();
        let signature = sign(&self.key, hash_of(algorithm), tbs);
        assemble(tbs, algorithm, &signature).unwrap()
    }
}

/// A directory for the `openssl` command.
pub(crate) struct Bench(TempDir);

impl Bench {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(file), bytes).unwrap();
        self.text(file)
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap()
    }

    pub(crate) fn text(&self, file: &str) -> String {
        Path::to_str(&self.path(file)).unwrap().to_owned()
    }

    /// Runs `openssl`; gives success and everything it printed.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    pub(crate) fn openssl_ok(&self, arguments: &[&str]) -> String {
        let (ok, text) = self.openssl(arguments);
        assert!(ok, "openssl {arguments:?}: {text}");
        text
    }
}

// DER building blocks, independent of the crate's.

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match length {
        0..=127 => der.push(u8::try_from(length).unwrap()),
        128..=255 => der.extend([0x81, u8::try_from(length).unwrap()]),
        256..=0xFFFF => {
            der.push(0x82);
            der.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            der.push(0x84);
            der.extend(u32::try_from(length).unwrap().to_be_bytes());
            der.remove(2);
            der[1] = 0x83;
        }
    }
    der.extend_from_slice(content);
    der
}

pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    tlv(6, der::asn1::ObjectIdentifier::new(text).unwrap().as_bytes())
}

pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], bytes].concat())
}

pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xFF] } else { &[] };
    seq(&[&oid(id), flag, &tlv(4, value)])
}

pub(crate) fn attribute(id: &str, values: &[&[u8]]) -> Vec<u8> {
    seq(&[&oid(id), &tlv(0x31, &values.concat())])
}

pub(crate) fn extension_request(extensions: &[&[u8]]) -> Vec<u8> {
    attribute(EXTENSION_REQUEST, &[&seq(extensions)])
}

pub(crate) fn dns_names(names: &[&str]) -> Vec<u8> {
    let names: Vec<Vec<u8>> = names.iter().map(|name| tlv(0x82, name.as_bytes())).collect();
    extension(SUBJECT_ALT_NAME, false, &tlv(0x30, &names.concat()))
}

pub(crate) const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
pub(crate) const SUBJECT_ALT_NAME: &str = "2.5.29.17";

/// The elements inside a constructed element: whole encodings.
pub(crate) fn parts(der: &[u8]) -> Vec<Vec<u8>> {
    use der::{Decode, Reader};
    let outer = der::asn1::AnyRef::from_der(der).unwrap();
    let mut reader = der::SliceReader::new(outer.value()).unwrap();
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(reader.tlv_bytes().unwrap().to_vec());
    }
    parts
}

/// A request in the making; every part can be made wrong.
pub(crate) struct RequestBuilder {
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) attributes: Vec<Vec<u8>>,
    pub(crate) key: PKey<Private>,
}

impl RequestBuilder {
    pub(crate) fn new(key: PKey<Private>) -> Self {
        Self {
            subject: name("CN=example.com").as_der().to_vec(),
            spki: key.public_key_to_der().unwrap(),
            attributes: vec![extension_request(&[&dns_names(&["example.com"])])],
            key,
        }
    }

    /// With another public key than that of the signing key.
    pub(crate) fn spki(mut self, spki: Vec<u8>) -> Self {
        self.spki = spki;
        self
    }

    pub(crate) fn subject(mut self, subject: Vec<u8>) -> Self {
        self.subject = subject;
        self
    }

    pub(crate) fn attributes(mut self, attributes: &[Vec<u8>]) -> Self {
        self.attributes = attributes.to_vec();
        self
    }

    pub(crate) fn extensions(self, extensions: &[&[u8]]) -> Self {
        self.attributes(&[extension_request(extensions)])
    }

    pub(crate) fn info(&self) -> Vec<u8> {
        seq(&[
            &[2, 1, 0],
            &self.subject,
            &self.spki,
            &tlv(0xA0, &self.attributes.concat()),
        ])
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let info = self.info();
        let signature = sign(&self.key, Some(MessageDigest::sha256()), &info);
        let algorithm = match self.key.id() {
            openssl::pkey::Id::RSA => seq(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]),
            _ => seq(&[&oid("1.2.840.10045.4.3.2")]),
        };
        seq(&[&info, &algorithm, &bit_string(&signature)])
    }
}

pub(crate) fn request(names: &[&str]) -> CertificationRequest {
    let builder = RequestBuilder::new(p256()).extensions(&[&dns_names(names)]);
    CertificationRequest::parse(&builder.build()).unwrap()
}
