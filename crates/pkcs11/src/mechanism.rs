//! Mechanisms: what a caller asks for, and what a slot offers (PKCS#11 3.1, 2.1 to 2.3).

use cryptoki_sys as ck;

use crate::hash::Hash;

/// A mechanism with its parameters, as a caller gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mechanism {
    /// `CKM_...`
    pub kind: ck::CK_MECHANISM_TYPE,
    /// Parameters.
    pub parameters: Parameters,
}

/// Parameters of a mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// None.
    None,
    /// `CK_RSA_PKCS_PSS_PARAMS`
    Pss {
        /// Hash mechanism.
        hash: ck::CK_MECHANISM_TYPE,
        /// Mask generation function.
        mask: ck::CK_RSA_PKCS_MGF_TYPE,
        /// Length of the salt, in bytes.
        salt_length: usize,
    },
    /// `CK_RSA_PKCS_OAEP_PARAMS`
    Oaep {
        /// Hash mechanism.
        hash: ck::CK_MECHANISM_TYPE,
        /// Mask generation function.
        mask: ck::CK_RSA_PKCS_MGF_TYPE,
        /// Label.
        label: Vec<u8>,
    },
    /// `CK_ECDH1_DERIVE_PARAMS`
    Ecdh {
        /// Key derivation function.
        derivation: ck::CK_EC_KDF_TYPE,
        /// Data shared by both sides.
        shared: Vec<u8>,
        /// The other side's public key.
        public: Vec<u8>,
    },
    /// Something that does not go with this mechanism.
    Other,
}

/// What a slot says of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// `CKM_...`
    pub kind: ck::CK_MECHANISM_TYPE,
    /// Smallest key, in bits.
    pub least: ck::CK_ULONG,
    /// Largest key, in bits.
    pub most: ck::CK_ULONG,
    /// `CKF_...`
    pub flags: ck::CK_FLAGS,
}

/// How a signature mechanism treats its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignatureKind {
    /// What the token is asked for.
    pub(crate) scheme: Scheme,
    /// The hash function applied to the data here; `None` when the caller did that.
    pub(crate) hashed_by: Option<Hash>,
}

/// Signature schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    RsaPkcs1,
    RsaRaw,
    RsaPss,
    Ecdsa,
}

impl SignatureKind {
    /// `None` when the mechanism does not sign.
    pub(crate) fn of(mechanism: ck::CK_MECHANISM_TYPE) -> Option<Self> {
        let (scheme, hashed_by) = match mechanism {
            ck::CKM_RSA_PKCS => (Scheme::RsaPkcs1, None),
            ck::CKM_SHA1_RSA_PKCS => (Scheme::RsaPkcs1, Some(Hash::Sha1)),
            ck::CKM_SHA224_RSA_PKCS => (Scheme::RsaPkcs1, Some(Hash::Sha224)),
            ck::CKM_SHA256_RSA_PKCS => (Scheme::RsaPkcs1, Some(Hash::Sha256)),
            ck::CKM_SHA384_RSA_PKCS => (Scheme::RsaPkcs1, Some(Hash::Sha384)),
            ck::CKM_SHA512_RSA_PKCS => (Scheme::RsaPkcs1, Some(Hash::Sha512)),
            ck::CKM_RSA_X_509 => (Scheme::RsaRaw, None),
            ck::CKM_RSA_PKCS_PSS => (Scheme::RsaPss, None),
            ck::CKM_SHA1_RSA_PKCS_PSS => (Scheme::RsaPss, Some(Hash::Sha1)),
            ck::CKM_SHA224_RSA_PKCS_PSS => (Scheme::RsaPss, Some(Hash::Sha224)),
            ck::CKM_SHA256_RSA_PKCS_PSS => (Scheme::RsaPss, Some(Hash::Sha256)),
            ck::CKM_SHA384_RSA_PKCS_PSS => (Scheme::RsaPss, Some(Hash::Sha384)),
            ck::CKM_SHA512_RSA_PKCS_PSS => (Scheme::RsaPss, Some(Hash::Sha512)),
            ck::CKM_ECDSA => (Scheme::Ecdsa, None),
            ck::CKM_ECDSA_SHA1 => (Scheme::Ecdsa, Some(Hash::Sha1)),
            ck::CKM_ECDSA_SHA224 => (Scheme::Ecdsa, Some(Hash::Sha224)),
            ck::CKM_ECDSA_SHA256 => (Scheme::Ecdsa, Some(Hash::Sha256)),
            ck::CKM_ECDSA_SHA384 => (Scheme::Ecdsa, Some(Hash::Sha384)),
            ck::CKM_ECDSA_SHA512 => (Scheme::Ecdsa, Some(Hash::Sha512)),
            _ => return None,
        };
        Some(Self { scheme, hashed_by })
    }
}
