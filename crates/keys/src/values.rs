//! What goes into an HSM's thread and comes out of it.

use std::fmt;

use chancery_cvc::Genuineness;
use chancery_driver::SoPin;
use chancery_schsm::KekShare;

use crate::KeyAlgorithm;
use crate::Mark;

/// Who an HSM is, proven by its chain when it was connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Holder reference of the device certificate.
    pub device: String,
    /// Public key of the device: the uncompressed point `04 | x | y`, or the SubjectPublicKeyInfo of an RSA key.
    pub device_key: Vec<u8>,
    /// Content of EF 2F02: certificates of the device and its issuer.
    pub chain: Vec<u8>,
    /// Which kind of root vouches for the device.
    pub genuineness: Genuineness,
}

/// What a token says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Whether it was ever initialised.
    pub initialised: bool,
    /// Its quorum, when it was initialised with one.
    pub quorum: Option<Quorum>,
    /// Registered custodian keys, in the order of their places.
    pub custodians: Vec<RegisteredCustodian>,
    /// Key check value of key domain 0, once all shares are there.
    pub kcv: Option<[u8; 8]>,
    /// Shares of key domain 0 still to be imported.
    pub shares_outstanding: u8,
    /// Key ids present, ascending, the device's own key 00 left out.
    pub keys: Vec<u8>,
    /// How far the token's stored state has come, where the token tells.
    pub mark: Option<Mark>,
}

/// An unlock quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Custodians that must answer (n).
    pub required: u8,
    /// Custodian keys in all (m).
    pub total: u8,
    /// Custodian keys still to be registered.
    pub missing: u8,
    /// Custodians that have answered since the token was last selected.
    pub answered: u8,
}

/// A custodian key an HSM knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredCustodian {
    /// Holder reference of the key.
    pub chr: String,
    /// Whether its answer counts now.
    pub answered: bool,
}

/// A challenge for one custodian.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Names this challenge; random, good for one answer.
    pub session: String,
    /// What the custodian's token signs, behind the holder reference of the HSM's device certificate.
    pub challenge: [u8; 8],
}

/// How an HSM is set up.
#[derive(Clone, Debug)]
pub struct Initialise {
    /// Set by the first initialisation, presented by each later one.
    pub so_pin: SoPin,
    /// Custodians that must answer (n), 1 to `total`.
    pub required: u8,
    /// Custodian keys to register (m), 1 to 90.
    pub total: u8,
    /// All shares of the key encryption key of key domain 0, at least one.
    pub shares: Vec<KekShare>,
}

/// A key to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateSpec {
    /// Key id, 1 to 255.
    pub key_id: u8,
    /// Kind and size.
    pub algorithm: KeyAlgorithm,
    /// Holder reference in the key's request; the HSM's serial number and the key id in five digits when not given.
    pub chr: Option<String>,
    /// Label other software shows, at most 64 bytes.
    pub label: String,
}

/// A key that was generated in the HSM, its origin verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedKey {
    /// SubjectPublicKeyInfo, DER.
    pub public_key_spki: Vec<u8>,
    /// The authenticated request `67 {..}` that proves the key's origin.
    pub request: Vec<u8>,
}

/// A key on its way to another HSM of the same key domain.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyCopy {
    /// The key under the key encryption key of its domain.
    pub blob: Vec<u8>,
    /// PKCS#15 description (C4xx), if the key has one.
    pub prkd: Option<Vec<u8>>,
    /// Request or certificate (CExx), if the key has one.
    pub request: Option<Vec<u8>>,
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// The key was copied.
    Copied,
    /// The key was there, description or certificate were not: an interrupted import was finished.
    Finished,
    /// Everything was there already.
    Unchanged,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(..)")
    }
}

impl fmt::Debug for KeyCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCopy")
            .field("blob", &format_args!("{} bytes", self.blob.len()))
            .finish_non_exhaustive()
    }
}
