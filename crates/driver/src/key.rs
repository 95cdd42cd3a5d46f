//! GENERATE ASYMMETRIC KEY PAIR, and what a key says about itself when it is selected.

use chancery_cvc::{AuthenticatedRequest, Curve, PublicKey, Reference};
use chancery_iso7816::tlv::{Reader, Tag, Writer};
use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::{AlgorithmList, KeyId};

use crate::error::{Doing, Error};
use crate::session::Session;

/// Inner CAR of every request; OpenSC writes the same, and cards before version 2 demand one.
const INNER_CAR: &str = "UTCA00001";

/// `0.4.0.127.0.7.2.2.2.2.3`, ECDSA with SHA-256.
const EC_OID: [u8; 10] = [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x02, 0x03];

/// `0.4.0.127.0.7.2.2.2.1.2`, RSA v1.5 with SHA-256.
const RSA_OID: [u8; 10] = [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x01, 0x02];

/// Kind and size of a key to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// Elliptic curve, by name.
    Ec(Curve),
    /// RSA with this modulus length in bits (2048, 3072, 4096), public exponent 65537.
    Rsa(u16),
}

/// A key to generate.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// Where the key is to stand; the id must be free.
    pub id: KeyId,
    /// Kind and size.
    pub algorithm: KeyAlgorithm,
    /// Name of the key in its request.
    pub chr: Reference,
    /// What the key may be used for; the empty list sets no restriction.
    pub algorithms: AlgorithmList,
    /// Key domain; without one, the key belongs to the token's single DKEK, if any.
    pub key_domain: Option<u8>,
    /// Uses the key has in its life, if limited.
    pub use_counter: Option<u32>,
}

/// Answer to a key generation, not verified yet: see [`attest`](crate::attest).
#[derive(Clone, Debug)]
pub struct GeneratedKey {
    /// Where the key stands.
    pub id: KeyId,
    /// The authenticated request `67 {..}`, as the card gave it and as it stands in CExx.
    pub request: Vec<u8>,
    /// The public key the request names.
    pub public_key: PublicKey,
}

/// What SELECT of a key tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyAttributes {
    /// Uses left, where the key has a counter.
    pub use_counter: Option<u32>,
    /// What the key may be used for; empty sets no restriction.
    pub algorithms: AlgorithmList,
    /// Key domain, where the card names one.
    pub key_domain: Option<u8>,
}

impl KeySpec {
    /// The command data: 5F29, 42, 7F49, 5F20, then 90, 91, 92 where given (reference: BSI TR-03110-3 D.3).
    fn encode(&self, doing: &Doing) -> Result<Vec<u8>, Error> {
        let mut parameters = Writer::new();
        match self.algorithm {
            KeyAlgorithm::Ec(curve) => {
                let domain = curve
                    .parameters()
                    .map_err(|error| Error::input(doing, error.to_string()))?;
                parameters
                    .tlv(Tag(0x06), &EC_OID)
                    .tlv(Tag(0x81), domain.prime())
                    .tlv(Tag(0x82), domain.a())
                    .tlv(Tag(0x83), domain.b())
                    .tlv(Tag(0x84), domain.generator())
                    .tlv(Tag(0x85), domain.order())
                    .tlv(Tag(0x87), domain.cofactor().unwrap_or(&[1]));
            }
            KeyAlgorithm::Rsa(bits @ (1024 | 1536 | 2048 | 3072 | 4096)) => {
                parameters
                    .tlv(Tag(0x06), &RSA_OID)
                    .tlv(Tag(0x82), &[0x01, 0x00, 0x01])
                    .tlv(Tag(0x02), &bits.to_be_bytes());
            }
            KeyAlgorithm::Rsa(_) => return Err(Error::input(doing, "an RSA key of a size no token makes")),
        }
        let mut data = Writer::new();
        data.tlv(Tag(0x5F29), &[0])
            .tlv(Tag(0x42), INNER_CAR.as_bytes())
            .tlv(Tag(0x7F49), &parameters.finish())
            .tlv(Tag(0x5F20), self.chr.as_bytes());
        if let Some(uses) = self.use_counter {
            data.tlv(Tag(0x90), &uses.to_be_bytes());
        }
        if !self.algorithms.is_unrestricted() {
            data.tlv(Tag(0x91), self.algorithms.ids());
        }
        if let Some(domain) = self.key_domain {
            data.tlv(Tag(0x92), &[domain]);
        }
        Ok(data.finish())
    }
}

impl<T: Transport> Session<T> {
    /// SELECT of key `id`; `None` when there is no such key.
    pub(crate) fn key_attributes(&mut self, id: KeyId) -> Result<Option<KeyAttributes>, Error> {
        let doing = Doing::new("SELECT", format!("key {id}"));
        let command = CommandApdu::new(0x00, 0xA4, 0x00, 0x00)
            .with_data(&[0xCC, id.0])
            .map(|c| c.expecting(256));
        let response = self.link.exchange(&doing, command)?;
        match response.status {
            StatusWord::OK => parse_attributes(&response.data)
                .map(Some)
                .ok_or_else(|| Error::protocol(&doing, "a malformed description of the key")),
            StatusWord(0x6A82 | 0x6A88) => Ok(None),
            status => Err(Error::refused(&doing, status)),
        }
    }

    /// Generates a key pair. An existing key would be replaced without a word, so its absence is checked first.
    pub(crate) fn generate(&mut self, spec: &KeySpec) -> Result<GeneratedKey, Error> {
        let id = spec.id;
        let doing = Doing::new("GENERATE ASYMMETRIC KEY PAIR", format!("key {id}"));
        if id.0 == 0 {
            return Err(Error::input(&doing, "key id 00 is the device's own key"));
        }
        let data = spec.encode(&doing)?;
        if self.key_attributes(id)?.is_some() {
            return Err(Error::KeyExists { doing });
        }
        let command = CommandApdu::new(0x00, 0x46, id.0, 0x00)
            .with_data(&data)
            .map(|c| c.expecting(65_536).extended());
        let response = self.link.expect_ok(&doing, command, Error::refused)?;
        let request = AuthenticatedRequest::parse(&response.data)
            .map_err(|error| Error::protocol(&doing, format!("no authenticated request: {error}")))?;
        let public_key = request.request().public_key().clone();
        Ok(GeneratedKey {
            id,
            request: request.to_bytes(),
            public_key,
        })
    }
}

/// FCI 6F or 62, the key's own attributes in A5: 90 use counter, 91 algorithm list, 92 key domain.
fn parse_attributes(fci: &[u8]) -> Option<KeyAttributes> {
    let outer = Reader::new(fci).next().ok()??;
    let mut attributes = KeyAttributes::default();
    let mut fields = outer.children();
    while let Some(field) = fields.next().ok()? {
        if field.tag != Tag(0xA5) {
            continue;
        }
        let mut own = field.children();
        while let Some(attribute) = own.next().ok()? {
            match attribute.tag {
                Tag(0x90) => {
                    attributes.use_counter = Some(u32::from_be_bytes(attribute.value.try_into().ok()?))
                }
                Tag(0x91) => attributes.algorithms = AlgorithmList::from_ids(attribute.value).ok()?,
                Tag(0x92) => attributes.key_domain = Some(*attribute.value.first()?),
                _ => {}
            }
        }
    }
    Some(attributes)
}
