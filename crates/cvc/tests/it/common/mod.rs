//! Keys that sign, real data, and chains built for the tests.

use std::path::PathBuf;

use chancery_cvc::{
    AuthenticatedRequest, Certificate, CertificateBody, Curve, CvKey, Date, DeviceChain, EcPublicKey,
    PublicKey, Reference, RsaPublicKey, SignatureAlgorithm, TrustAnchors, Validity, VirtualCode,
};
use openssl::ec::EcKey;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::hash;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};

/// Reads a hexadecimal file of the repository's test data.
pub(crate) fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

pub(crate) fn nitrokey_chain() -> Vec<u8> {
    data("vectors/nitrokey-hsm2-fw4.1-ef2f02.hex")
}

pub(crate) fn nitrokey_request() -> Vec<u8> {
    data("vectors/nitrokey-hsm2-fw4.1-efce01.hex")
}

pub(crate) fn name(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

pub(crate) fn day(text: &str) -> Date {
    let mut parts = text.split('-').map(|part| part.parse::<u16>().unwrap());
    let (year, month, day) = (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    );
    let month = u8::try_from(month).unwrap().try_into().unwrap();
    Date::from_calendar_date(i32::from(year), month, u8::try_from(day).unwrap()).unwrap()
}

pub(crate) fn validity() -> Validity {
    Validity::new(day("2024-05-17"), day("2034-05-16")).unwrap()
}

/// A key pair held by a test.
#[derive(Clone)]
pub(crate) enum Pair {
    Ec(EcKey<Private>, SignatureAlgorithm),
    Rsa(Rsa<Private>, SignatureAlgorithm),
}

impl Pair {
    pub(crate) fn ec(curve: Curve) -> Self {
        Self::ec_with(curve, SignatureAlgorithm::EcdsaSha256)
    }

    pub(crate) fn ec_with(curve: Curve, algorithm: SignatureAlgorithm) -> Self {
        Self::Ec(EcKey::generate(&curve.group().unwrap()).unwrap(), algorithm)
    }

    pub(crate) fn rsa(bits: u32, algorithm: SignatureAlgorithm) -> Self {
        Self::Rsa(Rsa::generate(bits).unwrap(), algorithm)
    }

    pub(crate) fn public(&self) -> CvKey {
        match self {
            Self::Ec(key, algorithm) => {
                CvKey::new(*algorithm, PublicKey::Ec(EcPublicKey::from_ec_key(key).unwrap())).unwrap()
            }
            Self::Rsa(key, algorithm) => {
                CvKey::new(*algorithm, PublicKey::Rsa(RsaPublicKey::from_rsa(key).unwrap())).unwrap()
            }
        }
    }

    /// A plain signature.
    #[expect(clippy::unwrap_in_result, reason = "the length of an order fits")]
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        match self {
            Self::Ec(key, algorithm) => {
                let signature = EcdsaSig::sign(&hash(algorithm.digest(), message)?, key)?;
                let len = i32::try_from(key.group().order_bits().div_ceil(8)).unwrap();
                Ok([
                    signature.r().to_vec_padded(len)?,
                    signature.s().to_vec_padded(len)?,
                ]
                .concat())
            }
            Self::Rsa(key, algorithm) => {
                let key = PKey::from_rsa(key.clone())?;
                let mut signer = Signer::new(algorithm.digest(), &key)?;
                if algorithm.is_pss() {
                    signer.set_rsa_padding(Padding::PKCS1_PSS)?;
                    signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                } else {
                    signer.set_rsa_padding(Padding::PKCS1)?;
                }
                signer.sign_oneshot_to_vec(message)
            }
        }
    }

    pub(crate) fn certificate(&self, body: CertificateBody) -> Certificate {
        body.sign(|message| self.sign(message)).unwrap()
    }
}

/// An installation's scheme with one virtual device.
pub(crate) struct Scheme {
    pub(crate) root_key: Pair,
    pub(crate) issuer_key: Pair,
    pub(crate) device_key: Pair,
    pub(crate) root: Certificate,
    pub(crate) issuer: Certificate,
    pub(crate) device: Certificate,
}

impl Scheme {
    pub(crate) fn new() -> Self {
        let code = VirtualCode::parse("K7Q2ZX").unwrap();
        let device = VirtualCode::parse("ABC234").unwrap().device_name().unwrap();
        let root = code.root_name().unwrap();
        let issuer = code.issuer_name().unwrap();
        let key = || Pair::ec(Curve::BrainpoolP256r1);
        Self::with([key(), key(), key()], [&root, &issuer, &device])
    }

    pub(crate) fn with(keys: [Pair; 3], names: [&Reference; 3]) -> Self {
        let [root_key, issuer_key, device_key] = keys;
        let [root, issuer, device] = names;
        Self {
            root: root_key.certificate(CertificateBody::root(root, root_key.public(), validity()).unwrap()),
            issuer: root_key.certificate(CertificateBody::issuer(
                root,
                issuer,
                &issuer_key.public(),
                validity(),
            )),
            device: issuer_key.certificate(CertificateBody::device(
                issuer,
                device,
                &device_key.public(),
                validity(),
            )),
            root_key,
            issuer_key,
            device_key,
        }
    }

    pub(crate) fn anchors(&self) -> TrustAnchors {
        let mut anchors = TrustAnchors::production().unwrap();
        anchors.add(self.root.clone()).unwrap();
        anchors
    }

    pub(crate) fn chain(&self) -> DeviceChain {
        chain(&[&self.device, &self.issuer])
    }

    /// What the device answers when it generates `key`.
    pub(crate) fn request(&self, key: &Pair) -> AuthenticatedRequest {
        let chr = self.device.chr().with_sequence(1).unwrap();
        let body = CertificateBody::key_request(&name("UTCA00001"), &chr, key.public()).unwrap();
        let request = key.certificate(body);
        AuthenticatedRequest::build(&request, self.device.chr(), |message| {
            self.device_key.sign(message)
        })
        .unwrap()
    }
}

/// EF 2F02 with these certificates.
pub(crate) fn chain(certificates: &[&Certificate]) -> DeviceChain {
    DeviceChain::parse(&file(certificates)).unwrap()
}

pub(crate) fn file(certificates: &[&Certificate]) -> Vec<u8> {
    certificates
        .iter()
        .flat_map(|certificate| certificate.as_bytes().to_vec())
        .collect()
}

/// Numbers that look random and are the same each time (SplitMix64).
pub(crate) struct Numbers(pub u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let limit = u64::try_from(limit).unwrap();
        usize::try_from((z ^ (z >> 31)) % limit).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}
