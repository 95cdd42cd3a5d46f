//! The hash functions of the algorithm identifiers, and their DigestInfo encodings.

use aws_lc_rs::digest;

/// A hash function the token signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// Every hash function, shortest output first.
    pub(crate) const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The hash function named by the low digit of algorithm identifiers 3x, 4x and 7x: 1 SHA-1,
    /// 2 SHA-224, 3 SHA-256, 4 SHA-384, 5 SHA-512.
    pub(crate) fn by_digit(digit: u8) -> Option<Self> {
        Self::ALL.get(usize::from(digit).checked_sub(1)?).copied()
    }

    /// Length of the hash in bytes.
    pub(crate) fn length(self) -> usize {
        self.algorithm().output_len()
    }

    /// The hash of a message.
    pub(crate) fn of(self, message: &[u8]) -> digest::Digest {
        digest::digest(self.algorithm(), message)
    }

    /// The hash function with outputs of this many bytes.
    pub(crate) fn by_length(length: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.length() == length)
    }

    /// Splits a DER DigestInfo (RFC 8017 9.2, notes) into hash function and hash.
    pub(crate) fn from_digest_info(info: &[u8]) -> Option<(Self, &[u8])> {
        Self::ALL.into_iter().find_map(|hash| {
            let value = info.strip_prefix(hash.digest_info_prefix())?;
            (value.len() == hash.length()).then_some((hash, value))
        })
    }

    /// The digest algorithm of `aws-lc-rs`.
    pub(crate) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// The digest algorithm of OpenSSL.
    pub(crate) fn openssl(self) -> &'static openssl::md::MdRef {
        use openssl::md::Md;
        match self {
            Self::Sha1 => Md::sha1(),
            Self::Sha224 => Md::sha224(),
            Self::Sha256 => Md::sha256(),
            Self::Sha384 => Md::sha384(),
            Self::Sha512 => Md::sha512(),
        }
    }

    /// DER of a DigestInfo up to, not including, the hash.
    fn digest_info_prefix(self) -> &'static [u8] {
        match self {
            Self::Sha1 => &[0x30, 0x21, 0x30, 9, 6, 5, 0x2B, 0x0E, 3, 2, 0x1A, 5, 0, 4, 0x14],
            Self::Sha224 => &[
                0x30, 0x2D, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4, 5, 0, 4, 0x1C,
            ],
            Self::Sha256 => &[
                0x30, 0x31, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
            ],
            Self::Sha384 => &[
                0x30, 0x41, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30,
            ],
            Self::Sha512 => &[
                0x30, 0x51, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 0x40,
            ],
        }
    }
}
