//! File identifiers of elementary files and keys (reference: ISO/IEC 7816-4 7.3.1 for their role).

use std::fmt;

use crate::KeyId;

/// A two-byte file identifier: a kind in the high byte, a number in the low byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fid(pub u16);

/// EF.DIR; absent on most tokens.
pub const DIR: Fid = Fid(0x2F00);
/// Device certificate followed by the certificate of its issuer; free to read, factory data.
pub const DEVICE_CERTIFICATES: Fid = Fid(0x2F02);
/// PKCS#15 TokenInfo with the label of the token; free to read.
pub const TOKEN_INFO: Fid = Fid(0x2F03);
/// Scratch file for command data that does not fit into one APDU.
pub const SCRATCH: Fid = Fid(0x2F10);

/// High bytes of file identifiers.
pub mod prefix {
    /// Description of a private or secret key.
    pub const PRKD: u8 = 0xC4;
    /// Description of a CA certificate.
    pub const CD: u8 = 0xC8;
    /// Description of a data object.
    pub const DCOD: u8 = 0xC9;
    /// CA certificate, with a numbering of its own.
    pub const CA_CERTIFICATE: u8 = 0xCA;
    /// Key metadata of provisioning tools.
    pub const KEY_METADATA: u8 = 0xCB;
    /// Key.
    pub const KEY: u8 = 0xCC;
    /// Data object that is read with the PIN only.
    pub const PRIVATE_DATA: u8 = 0xCD;
    /// Certificate or authenticated request of the key with the same low byte.
    pub const CERTIFICATE: u8 = 0xCE;
    /// Data object that anybody reads.
    pub const PUBLIC_DATA: u8 = 0xCF;

    /// The prefixes of elementary files a token enumerates; it enumerates keys, too.
    pub const ENUMERATED: [u8; 8] = [
        PRKD,
        CD,
        DCOD,
        CA_CERTIFICATE,
        KEY_METADATA,
        PRIVATE_DATA,
        CERTIFICATE,
        PUBLIC_DATA,
    ];
}

/// A key. It is never read; deleting it destroys the key.
#[must_use]
pub const fn key(id: KeyId) -> Fid {
    Fid::from_parts(prefix::KEY, id.0)
}

/// The PKCS#15 description of a key.
#[must_use]
pub const fn prkd(id: KeyId) -> Fid {
    Fid::from_parts(prefix::PRKD, id.0)
}

/// The certificate of a key, or its authenticated request as long as it has none.
#[must_use]
pub const fn certificate(id: KeyId) -> Fid {
    Fid::from_parts(prefix::CERTIFICATE, id.0)
}

/// A CA certificate by its own number.
#[must_use]
pub const fn ca_certificate(number: u8) -> Fid {
    Fid::from_parts(prefix::CA_CERTIFICATE, number)
}

/// The PKCS#15 description of a CA certificate.
#[must_use]
pub const fn ca_certificate_description(number: u8) -> Fid {
    Fid::from_parts(prefix::CD, number)
}

/// Key metadata of provisioning tools.
#[must_use]
pub const fn key_metadata(id: KeyId) -> Fid {
    Fid::from_parts(prefix::KEY_METADATA, id.0)
}

/// A data object that is read with the PIN only.
#[must_use]
pub const fn private_data(number: u8) -> Fid {
    Fid::from_parts(prefix::PRIVATE_DATA, number)
}

/// A data object that anybody reads.
#[must_use]
pub const fn public_data(number: u8) -> Fid {
    Fid::from_parts(prefix::PUBLIC_DATA, number)
}

/// The PKCS#15 description of a data object.
#[must_use]
pub const fn data_description(number: u8) -> Fid {
    Fid::from_parts(prefix::DCOD, number)
}

/// Splits the answer of a token's object enumeration into file identifiers. Pairs of 00 are padding of some tokens
/// and left out; a single last byte is ignored.
#[must_use]
pub fn parse_list(bytes: &[u8]) -> Vec<Fid> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs
        .iter()
        .map(|pair| Fid(u16::from_be_bytes(*pair)))
        .filter(|fid| fid.0 != 0)
        .collect()
}

impl Fid {
    /// From high and low byte.
    #[must_use]
    pub const fn from_parts(prefix: u8, low: u8) -> Self {
        Self(u16::from_be_bytes([prefix, low]))
    }

    /// The kind, see [`prefix`].
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// The number within the kind.
    #[must_use]
    pub const fn low(self) -> u8 {
        self.0.to_be_bytes()[1]
    }

    /// As sent in a command, big endian.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// The key this is, when it is one.
    #[must_use]
    pub fn as_key(self) -> Option<KeyId> {
        (self.prefix() == prefix::KEY).then(|| KeyId(self.low()))
    }

    /// Whether this is a key, which has no readable content.
    #[must_use]
    pub fn is_key(self) -> bool {
        self.prefix() == prefix::KEY
    }

    /// Whether a token lists this identifier: keys, and elementary files of the enumerated prefixes.
    #[must_use]
    pub fn is_enumerated(self) -> bool {
        self.is_key() || prefix::ENUMERATED.contains(&self.prefix())
    }
}

impl fmt::Display for Fid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for Fid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fid({self})")
    }
}
