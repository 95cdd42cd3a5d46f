//! Algorithm identifiers: P2 of key commands, and the list of what a key may do.

use std::fmt;

use thiserror::Error;

/// Most algorithms that a key's list holds.
pub const MAX_ALGORITHMS: usize = 16;

/// The kinds of key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyType {
    /// RSA.
    Rsa,
    /// Elliptic curve over a prime field.
    Ec,
    /// AES.
    Aes,
}

/// The command an algorithm is used with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// SIGN.
    Sign,
    /// DECIPHER, which also does key agreement.
    Decipher,
    /// CIPHER: encryption, decryption, MAC and derivation with a secret key.
    Cipher,
    /// DERIVE: another key from this one.
    DeriveKey,
    /// WRAP: the key may leave the token under the key encryption key.
    Wrap,
    /// UNWRAP.
    Unwrap,
    /// The key may be replaced.
    Replace,
}

/// A hash function that tokens compute, or whose output they take.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// What the data field of the command holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// A block as long as the modulus.
    ModulusBlock,
    /// A DigestInfo (reference: RFC 8017 9.2).
    DigestInfo,
    /// A hash value. For RSA-PSS its length tells the hash; some hosts send a DigestInfo instead, both are taken.
    HashValue,
    /// The message itself; the token hashes it.
    Message(Hash),
    /// Any number of blocks of 16 bytes.
    Blocks,
    /// Any bytes.
    Bytes,
    /// An uncompressed point `04 | x | y` on the curve of the key.
    Point,
    /// An authenticated request of the peer's key.
    PeerRequest,
    /// Nothing that goes with this identifier.
    None,
}

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $key:expr, $operation:ident, $input:expr;)*) => {
        /// An algorithm identifier with what it stands for.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Algorithm {
            $($(#[$doc])* $name,)*
        }

        impl Algorithm {
            /// All of them, by rising identifier.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The algorithm with this identifier, `None` when it is not known here.
            #[must_use]
            pub fn from_id(id: u8) -> Option<Self> {
                match id {
                    $($id => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The identifier.
            #[must_use]
            pub fn id(self) -> u8 {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// The kind of key it needs, `None` when any will do.
            #[must_use]
            pub fn key_type(self) -> Option<KeyType> {
                match self {
                    $(Self::$name => $key,)*
                }
            }

            /// The command it goes with.
            #[must_use]
            pub fn operation(self) -> Operation {
                match self {
                    $(Self::$name => Operation::$operation,)*
                }
            }

            /// What the command's data field holds.
            #[must_use]
            pub fn input(self) -> Input {
                match self {
                    $(Self::$name => $input,)*
                }
            }
        }
    };
}

algorithms! {
    /// AES-CBC encryption with a zero IV.
    AesCbcEncrypt = 0x10, Some(KeyType::Aes), Cipher, Input::Blocks;
    /// AES-CBC decryption with a zero IV.
    AesCbcDecrypt = 0x11, Some(KeyType::Aes), Cipher, Input::Blocks;
    /// AES-CMAC, 16 bytes (reference: NIST SP 800-38B).
    AesCmac = 0x18, Some(KeyType::Aes), Cipher, Input::Bytes;
    /// Raw RSA private operation, as SIGN.
    RsaRaw = 0x20, Some(KeyType::Rsa), Sign, Input::ModulusBlock;
    /// Raw RSA private operation, as DECIPHER; the host takes the padding off.
    RsaDecrypt = 0x21, Some(KeyType::Rsa), Decipher, Input::ModulusBlock;
    /// RSA decryption with PKCS#1 v1.5 padding; not on every token.
    RsaDecryptPkcs1 = 0x22, Some(KeyType::Rsa), Decipher, Input::ModulusBlock;
    /// RSA decryption with OAEP, SHA-256; not on every token.
    RsaDecryptOaep = 0x23, Some(KeyType::Rsa), Decipher, Input::ModulusBlock;
    /// RSASSA-PKCS1-v1_5 over a DigestInfo (reference: RFC 8017 8.2).
    RsaPkcs1 = 0x30, Some(KeyType::Rsa), Sign, Input::DigestInfo;
    /// RSASSA-PKCS1-v1_5 with SHA-1.
    RsaPkcs1Sha1 = 0x31, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha1);
    /// RSASSA-PKCS1-v1_5 with SHA-224; not on every token.
    RsaPkcs1Sha224 = 0x32, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha224);
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256 = 0x33, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha256);
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384 = 0x34, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha384);
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512 = 0x35, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha512);
    /// RSASSA-PSS over a hash value, salt as long as the hash (reference: RFC 8017 8.1).
    RsaPss = 0x40, Some(KeyType::Rsa), Sign, Input::HashValue;
    /// RSASSA-PSS with SHA-1.
    RsaPssSha1 = 0x41, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha1);
    /// RSASSA-PSS with SHA-224; not on every token.
    RsaPssSha224 = 0x42, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha224);
    /// RSASSA-PSS with SHA-256.
    RsaPssSha256 = 0x43, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha256);
    /// RSASSA-PSS with SHA-384.
    RsaPssSha384 = 0x44, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha384);
    /// RSASSA-PSS with SHA-512.
    RsaPssSha512 = 0x45, Some(KeyType::Rsa), Sign, Input::Message(Hash::Sha512);
    /// ECDSA over a hash value; the signature comes in DER (reference: RFC 3279 2.2.3).
    Ecdsa = 0x70, Some(KeyType::Ec), Sign, Input::HashValue;
    /// ECDSA with SHA-1.
    EcdsaSha1 = 0x71, Some(KeyType::Ec), Sign, Input::Message(Hash::Sha1);
    /// ECDSA with SHA-224.
    EcdsaSha224 = 0x72, Some(KeyType::Ec), Sign, Input::Message(Hash::Sha224);
    /// ECDSA with SHA-256; the one a custodian key is limited to.
    EcdsaSha256 = 0x73, Some(KeyType::Ec), Sign, Input::Message(Hash::Sha256);
    /// ECDSA with SHA-384.
    EcdsaSha384 = 0x74, Some(KeyType::Ec), Sign, Input::Message(Hash::Sha384);
    /// ECDSA with SHA-512.
    EcdsaSha512 = 0x75, Some(KeyType::Ec), Sign, Input::Message(Hash::Sha512);
    /// ECDH; the answer is the shared point `04 | x | y`, some tokens leave y out.
    Ecdh = 0x80, Some(KeyType::Ec), Decipher, Input::Point;
    /// ECDH with an authenticated peer key.
    EcdhAuthenticated = 0x83, Some(KeyType::Ec), Decipher, Input::PeerRequest;
    /// Derivation of the key encryption key of an exchange key domain; nothing else.
    EcdhXkek = 0x84, Some(KeyType::Ec), Decipher, Input::PeerRequest;
    /// Permission to wrap this key.
    Wrap = 0x92, None, Wrap, Input::None;
    /// Permission to unwrap into this key.
    Unwrap = 0x93, None, Unwrap, Input::None;
    /// Permission to replace this key.
    Replace = 0x94, None, Replace, Input::None;
    /// Derivation of another EC key.
    EcDerive = 0x98, Some(KeyType::Ec), DeriveKey, Input::Bytes;
    /// Derivation of 32 secret bytes; tokens of different makers do not agree on the result.
    AesDerive = 0x99, Some(KeyType::Aes), Cipher, Input::Bytes;
}

/// The algorithms a key is limited to; an empty list limits nothing. Identifiers unknown here are kept.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct AlgorithmList {
    ids: Vec<u8>,
}

/// A list that no token accepts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("algorithm list of {length} entries is over the limit of {MAX_ALGORITHMS}")]
pub struct AlgorithmListError {
    /// Entries offered.
    pub length: usize,
}

impl Hash {
    /// Length of the hash value in bytes.
    #[must_use]
    pub fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Algorithm {
    /// The hash the token computes, for algorithms that take a message.
    #[must_use]
    pub fn hash(self) -> Option<Hash> {
        match self.input() {
            Input::Message(hash) => Some(hash),
            _ => None,
        }
    }
}

impl AlgorithmList {
    /// The list that limits nothing.
    #[must_use]
    pub const fn unrestricted() -> Self {
        Self { ids: Vec::new() }
    }

    /// A list from identifiers, as they stand in DO 91 and in a key blob.
    ///
    /// # Errors
    /// [`AlgorithmListError`] above [`MAX_ALGORITHMS`] entries.
    pub fn from_ids(ids: &[u8]) -> Result<Self, AlgorithmListError> {
        if ids.len() > MAX_ALGORITHMS {
            return Err(AlgorithmListError { length: ids.len() });
        }
        Ok(Self { ids: ids.to_vec() })
    }

    /// A list of known algorithms.
    ///
    /// # Errors
    /// [`AlgorithmListError`] above [`MAX_ALGORITHMS`] entries.
    pub fn new(algorithms: &[Algorithm]) -> Result<Self, AlgorithmListError> {
        let ids: Vec<u8> = algorithms.iter().map(|algorithm| algorithm.id()).collect();
        Self::from_ids(&ids)
    }

    /// The identifiers, one byte each, in their order.
    #[must_use]
    pub fn ids(&self) -> &[u8] {
        &self.ids
    }

    /// Whether the list limits nothing.
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether a key with this list may do it. Wrapping is no exception: a limited key needs [`Algorithm::Wrap`].
    #[must_use]
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.allows_id(algorithm.id())
    }

    /// As [`Self::allows`], for an identifier that need not be known here.
    #[must_use]
    pub fn allows_id(&self, id: u8) -> bool {
        self.ids.is_empty() || self.ids.contains(&id)
    }
}

impl fmt::Debug for AlgorithmList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlgorithmList({:02X?})", self.ids)
    }
}
