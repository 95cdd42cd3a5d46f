//! Devices, issuers and custodian keys made by the test with OpenSSL alone.

use chancery_cvc::{
    AuthenticatedRequest, Certificate, CertificateBody, CvKey, EcPublicKey, PublicKey, Reference, Validity,
    VirtualCode, der_to_plain,
};
use openssl::ec::EcKey;
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::Private;
use openssl::sha::sha256;
use time::macros::date;

/// A custodian of the tests: a key made here, in a request that a token vouches for.
pub(crate) struct Custodian {
    pub(crate) key: EcKey<Private>,
    pub(crate) chr: String,
    pub(crate) request: Vec<u8>,
}

/// Whoever signs for a device: its name and key, made by the test.
pub(crate) struct Device {
    pub(crate) name: Reference,
    pub(crate) key: EcKey<Private>,
    pub(crate) certificate: Certificate,
    pub(crate) issuer: Certificate,
}

pub(crate) fn new_key(nid: Nid) -> EcKey<Private> {
    EcKey::generate(&openssl::ec::EcGroup::from_curve_name(nid).unwrap()).unwrap()
}

pub(crate) fn cv_key(key: &EcKey<Private>) -> CvKey {
    CvKey::with_sha256(PublicKey::Ec(EcPublicKey::from_ec_key(key).unwrap()))
}

pub(crate) fn plain(key: &EcKey<Private>, message: &[u8]) -> Vec<u8> {
    let der = EcdsaSig::sign(&sha256(message), key).unwrap().to_der().unwrap();
    let bits = usize::try_from(key.group().order_bits()).unwrap();
    der_to_plain(&der, bits.div_ceil(8)).unwrap()
}

pub(crate) fn request(device: &Device, key: &EcKey<Private>, chr: &str) -> Vec<u8> {
    let body =
        CertificateBody::key_request(&device.name, &Reference::new(chr).unwrap(), cv_key(key)).unwrap();
    let inner = body.sign(|message| Ok::<_, ()>(plain(key, message))).unwrap();
    let outer = |message: &[u8]| Ok::<_, ()>(plain(&device.key, message));
    AuthenticatedRequest::build(&inner, &device.name, outer)
        .unwrap()
        .content()
        .to_vec()
}

impl Custodian {
    pub(crate) fn new(device: &Device, number: u8, nid: Nid) -> Self {
        let chr = format!("{}{number:05}", device.name.holder());
        let key = new_key(nid);
        let request = request(device, &key, &chr);
        Self { key, chr, request }
    }

    pub(crate) fn select(&self) -> String {
        let name = &self.chr;
        format!(
            "002281A4{:02X}83{:02X}{}",
            name.len() + 2,
            name.len(),
            hex::encode(name)
        )
    }

    pub(crate) fn answer(&self, device: &str, challenge: &[u8]) -> String {
        let signature = plain(&self.key, &[device.as_bytes(), challenge].concat());
        format!("00820000{:02X}{}", signature.len(), hex::encode(signature))
    }
}

/// Root and issuer of an installation whose keys the test has, as a factory gives none away.
pub(crate) struct Scheme {
    pub(crate) root: Certificate,
    issuer: Certificate,
    issuer_key: EcKey<Private>,
}

impl Scheme {
    pub(crate) fn new() -> Self {
        let code = VirtualCode::parse("TEST22").unwrap();
        let (root_name, issuer_name) = (code.root_name().unwrap(), code.issuer_name().unwrap());
        let (root_key, issuer_key) = (new_key(Nid::BRAINPOOL_P256R1), new_key(Nid::BRAINPOOL_P256R1));
        let sign = |body: CertificateBody| {
            body.sign(|message| Ok::<_, ()>(plain(&root_key, message)))
                .unwrap()
        };
        let root = sign(CertificateBody::root(&root_name, cv_key(&root_key), validity()).unwrap());
        let issuer = sign(CertificateBody::issuer(
            &root_name,
            &issuer_name,
            &cv_key(&issuer_key),
            validity(),
        ));
        Self {
            root,
            issuer,
            issuer_key,
        }
    }

    pub(crate) fn device(&self, name: &str) -> Device {
        let key = new_key(Nid::BRAINPOOL_P256R1);
        let name = Reference::new(name).unwrap();
        let body = CertificateBody::device(self.issuer.chr(), &name, &cv_key(&key), validity());
        let certificate = body
            .sign(|message| Ok::<_, ()>(plain(&self.issuer_key, message)))
            .unwrap();
        Device {
            name,
            key,
            certificate,
            issuer: self.issuer.clone(),
        }
    }
}

pub(crate) fn validity() -> Validity {
    Validity::new(date!(2026 - 01 - 01), date!(2036 - 01 - 01)).unwrap()
}
