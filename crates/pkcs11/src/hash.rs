//! Hash functions, and where they stand in mechanisms.

use cryptoki_sys as ck;
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// A hash that takes its message in parts.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-1.
    Sha1(Sha1),
    /// SHA-224.
    Sha224(Sha224),
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-384.
    Sha384(Sha384),
    /// SHA-512.
    Sha512(Sha512),
}

impl Hash {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Length of a digest, in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// By the mechanism that computes it, as parameters of PSS and OAEP name it.
    #[must_use]
    pub fn of_mechanism(mechanism: ck::CK_MECHANISM_TYPE) -> Option<Self> {
        Some(match mechanism {
            ck::CKM_SHA_1 => Self::Sha1,
            ck::CKM_SHA224 => Self::Sha224,
            ck::CKM_SHA256 => Self::Sha256,
            ck::CKM_SHA384 => Self::Sha384,
            ck::CKM_SHA512 => Self::Sha512,
            _ => return None,
        })
    }

    /// By the mask generation function over it (`CKG_MGF1_...`).
    #[must_use]
    pub fn of_mask(mask: ck::CK_RSA_PKCS_MGF_TYPE) -> Option<Self> {
        Some(match mask {
            ck::CKG_MGF1_SHA1 => Self::Sha1,
            ck::CKG_MGF1_SHA224 => Self::Sha224,
            ck::CKG_MGF1_SHA256 => Self::Sha256,
            ck::CKG_MGF1_SHA384 => Self::Sha384,
            ck::CKG_MGF1_SHA512 => Self::Sha512,
            _ => return None,
        })
    }

    /// Everything of a DigestInfo before the digest (RFC 8017 section 9.2, note 1).
    #[must_use]
    pub const fn digest_info_prefix(self) -> &'static [u8] {
        match self {
            Self::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
            Self::Sha224 => b"\x30\x2d\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04\x05\x00\x04\x1c",
            Self::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
            Self::Sha384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
            Self::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
        }
    }

    /// The hash function and the digest in a DigestInfo, `None` when it is none of these functions', or none at all.
    #[must_use]
    pub fn of_digest_info(info: &[u8]) -> Option<(Self, &[u8])> {
        Self::ALL.into_iter().find_map(|hash| {
            let digest = info.strip_prefix(hash.digest_info_prefix())?;
            (digest.len() == hash.length()).then_some((hash, digest))
        })
    }

    /// The DigestInfo of a digest.
    #[must_use]
    pub fn digest_info(self, digest: &[u8]) -> Vec<u8> {
        [self.digest_info_prefix(), digest].concat()
    }

    /// Starts to hash.
    #[must_use]
    pub fn start(self) -> Hasher {
        match self {
            Self::Sha1 => Hasher::Sha1(Sha1::new()),
            Self::Sha224 => Hasher::Sha224(Sha224::new()),
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha384 => Hasher::Sha384(Sha384::new()),
            Self::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    /// The digest of these parts, one after the other.
    #[must_use]
    pub fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut hasher = self.start();
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

impl Hasher {
    /// Takes the next part.
    pub fn update(&mut self, part: &[u8]) {
        match self {
            Self::Sha1(state) => state.update(part),
            Self::Sha224(state) => state.update(part),
            Self::Sha256(state) => state.update(part),
            Self::Sha384(state) => state.update(part),
            Self::Sha512(state) => state.update(part),
        }
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(state) => state.finalize().to_vec(),
            Self::Sha224(state) => state.finalize().to_vec(),
            Self::Sha256(state) => state.finalize().to_vec(),
            Self::Sha384(state) => state.finalize().to_vec(),
            Self::Sha512(state) => state.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_info_is_read_back_and_nothing_like_it_is() {
        for hash in Hash::ALL {
            let digest = hash.digest(&[b"a", b"b"]);
            assert_eq!(digest.len(), hash.length());
            let info = hash.digest_info(&digest);
            assert_eq!(Hash::of_digest_info(&info), Some((hash, digest.as_slice())));
            assert_eq!(Hash::of_digest_info(&info[..info.len() - 1]), None);
            assert_eq!(Hash::of_digest_info(&[&info[..], b"x"].concat()), None);
        }
        assert_eq!(Hash::of_digest_info(&[7; 32]), None);
    }
}
