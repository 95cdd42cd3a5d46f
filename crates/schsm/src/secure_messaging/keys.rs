//! The protocols of chip authentication and the keys they give.

use std::fmt;

use chancery_iso7816::tlv::{Tag, Writer};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cipher::{KEY, MAC, pad};

/// Length of the token's nonce in bytes.
pub const NONCE_LENGTH: usize = 8;
/// Length of the authentication token in bytes.
pub const TOKEN_LENGTH: usize = MAC;

/// What protects the messages of a channel (reference: BSI TR-03110-3 A.1.1.2, id-CA-ECDH).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// AES-128 in CBC mode with CMAC: what hosts and tokens use today.
    Aes128,
    /// Two-key triple DES in CBC mode with the retail MAC: for hosts and tokens of the first generations.
    TripleDes,
}

impl Protocol {
    /// All protocols, the better one first.
    pub const ALL: [Self; 2] = [Self::Aes128, Self::TripleDes];

    /// Its object identifier, without tag and length.
    #[must_use]
    pub fn oid(self) -> &'static [u8; 10] {
        match self {
            Self::Aes128 => &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x03, 0x02, 0x02],
            Self::TripleDes => &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x03, 0x02, 0x01],
        }
    }

    /// The protocol with this object identifier.
    #[must_use]
    pub fn from_oid(oid: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.oid() == oid)
    }
}

/// The two keys of a channel. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct ChannelKeys {
    protocol: Protocol,
    encryption: Box<Zeroizing<[u8; KEY]>>,
    authentication: Box<Zeroizing<[u8; KEY]>>,
}

impl ChannelKeys {
    /// The keys that follow from the shared secret (x coordinate of the common point, as long as the field) and the
    /// token's nonce: the first 16 bytes of SHA-1 over both and a counter of four bytes.
    #[must_use]
    pub fn derive(protocol: Protocol, shared_x: &[u8], nonce: &[u8; NONCE_LENGTH]) -> Self {
        let key = |counter: u32| {
            let hash = Sha1::new()
                .chain_update(shared_x)
                .chain_update(nonce)
                .chain_update(counter.to_be_bytes());
            let digest: Zeroizing<[u8; 20]> = Zeroizing::new(hash.finalize().into());
            let mut key = Box::<Zeroizing<[u8; KEY]>>::default();
            for (byte, derived) in key.iter_mut().zip(digest.iter()) {
                *byte = *derived;
            }
            key
        };
        Self {
            protocol,
            encryption: key(1),
            authentication: key(2),
        }
    }

    /// The protocol they are for.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// With what a token proves that it has the keys: a MAC over the host's ephemeral public key (`04 | x | y`) as a
    /// public key data object (7F49) with the object identifier of the protocol.
    #[must_use]
    pub fn token(&self, ephemeral: &[u8]) -> [u8; TOKEN_LENGTH] {
        let mut key = Writer::new();
        key.nested(Tag(0x7F49), |fields| {
            fields
                .tlv(Tag(0x06), self.protocol.oid())
                .tlv(Tag(0x86), ephemeral);
        });
        let key = key.finish();
        match self.protocol {
            Protocol::Aes128 => self.mac(&key),
            // CMAC pads by itself, the retail MAC does not.
            Protocol::TripleDes => self.mac(&pad(&key, self.protocol.block())),
        }
    }

    /// Whether a token that was received is the right one; compares in constant time.
    #[must_use]
    pub fn token_matches(&self, ephemeral: &[u8], token: &[u8]) -> bool {
        self.token(ephemeral).ct_eq(token).into()
    }

    /// MAC of a message.
    pub(super) fn mac(&self, message: &[u8]) -> [u8; MAC] {
        self.protocol.mac(&self.authentication, message)
    }

    /// Encrypts padded data in place at this count of the send sequence counter.
    pub(super) fn encrypt(&self, count: u64, data: &mut [u8]) {
        self.protocol.encrypt(&self.encryption, count, data);
    }

    /// Decrypts whole blocks in place at this count of the send sequence counter.
    pub(super) fn decrypt(&self, count: u64, data: &mut [u8]) {
        self.protocol.decrypt(&self.encryption, count, data);
    }

    /// The two keys, encryption first: for tests against published sessions.
    #[must_use]
    pub fn secret_bytes(&self) -> (&[u8; KEY], &[u8; KEY]) {
        (&self.encryption, &self.authentication)
    }
}

impl fmt::Debug for ChannelKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelKeys({:?})", self.protocol)
    }
}
