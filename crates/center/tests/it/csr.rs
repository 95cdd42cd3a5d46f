//! PKCS#10 requests of every kind, built here octet by octet, and signed by OpenSSL.

use openssl::{
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    sign::Signer,
};

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ ..0x80) => out.push(short),
        _ => {
            let bytes: Vec<u8> = length
                .to_be_bytes()
                .into_iter()
                .skip_while(|byte| *byte == 0)
                .collect();
            out.push(0x80 | u8::try_from(bytes.len()).unwrap());
            out.extend_from_slice(&bytes);
        }
    }
    out.extend_from_slice(content);
    out
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// OBJECT IDENTIFIER from its content in hexadecimal.
pub(crate) fn oid(content: &str) -> Vec<u8> {
    tlv(6, &hex::decode(content).unwrap())
}

/// A request to be.
pub(crate) struct Csr {
    pub(crate) key: PKey<Private>,
    pub(crate) common_name: Option<String>,
    /// Attributes, DER.
    pub(crate) attributes: Vec<Vec<u8>>,
}

impl Csr {
    /// For one DNS name, with a key of this kind.
    pub(crate) fn new(kind: &str, name: &str) -> Self {
        let ec = |nid| {
            PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(nid).unwrap()).unwrap()).unwrap()
        };
        let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        let key = match kind {
            "P-256" => ec(Nid::X9_62_PRIME256V1),
            "P-384" => ec(Nid::SECP384R1),
            "RSA-1024" => rsa(1024),
            "RSA-3072" => rsa(3072),
            "Ed25519" => PKey::generate_ed25519().unwrap(),
            other => panic!("no kind {other}"),
        };
        Self {
            key,
            common_name: Some(name.to_owned()),
            attributes: vec![extension_request(&[alternative_names(&[name])])],
        }
    }

    /// What is signed.
    pub(crate) fn info(&self) -> Vec<u8> {
        let subject = match &self.common_name {
            None => sequence(&[]),
            Some(name) => {
                let attribute = sequence(&[&oid("550403"), &tlv(0x0C, name.as_bytes())]);
                sequence(&[&tlv(0x31, &attribute)])
            }
        };
        let key = self.key.public_key_to_der().unwrap();
        sequence(&[&[2, 1, 0], &subject, &key, &tlv(0xA0, &self.attributes.concat())])
    }

    pub(crate) fn to_der(&self) -> Vec<u8> {
        let info = self.info();
        let (algorithm, digest) = match self.key.id() {
            openssl::pkey::Id::ED25519 => (sequence(&[&oid("2b6570")]), None),
            openssl::pkey::Id::RSA => (
                sequence(&[&oid("2a864886f70d01010b"), &[5, 0]]),
                Some(MessageDigest::sha256()),
            ),
            _ => (
                sequence(&[&oid("2a8648ce3d040302")]),
                Some(MessageDigest::sha256()),
            ),
        };
        let mut signer = match digest {
            Some(digest) => Signer::new(digest, &self.key).unwrap(),
            None => Signer::new_without_digest(&self.key).unwrap(),
        };
        let signature = signer.sign_oneshot_to_vec(&info).unwrap();
        assembled(&info, &algorithm, &signature)
    }
}

/// Joins what was signed and the signature.
pub(crate) fn assembled(info: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut bits = vec![0];
    bits.extend_from_slice(signature);
    sequence(&[info, algorithm, &tlv(3, &bits)])
}

/// Extension subjectAltName.
pub(crate) fn alternative_names(names: &[&str]) -> Vec<u8> {
    let names: Vec<Vec<u8>> = names.iter().map(|name| tlv(0x82, name.as_bytes())).collect();
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    sequence(&[&oid("551d11"), &tlv(4, &sequence(&names))])
}

/// Attribute extensionRequest.
pub(crate) fn extension_request(extensions: &[Vec<u8>]) -> Vec<u8> {
    attribute("2a864886f70d01090e", &tlv(0x30, &extensions.concat()))
}

/// An attribute with one value.
pub(crate) fn attribute(id: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[&oid(id), &tlv(0x31, value)])
}
