//! What a program wants signed, as a node takes it: a digest by a named hash function.

use chancery_api::{DigestValue, HashName, Mechanism};

use crate::{
    error::{Code, Error, Result},
    hash::Hash,
    slot::SignInput,
};

/// How to sign which digest.
///
/// # Errors
/// What is no digest, or a digest by another function, is refused: nobody could be asked whether it may be signed.
pub(super) fn digest(input: &SignInput<'_>) -> Result<(Mechanism, DigestValue)> {
    match input {
        SignInput::RsaPkcs1(info) => {
            let (hash, digest) = Hash::of_digest_info(info).ok_or_else(|| {
                Code::DATA_INVALID.because(
                    "custodians decide on digests, and what the program wants signed is none: CKM_RSA_PKCS takes a \
                     DigestInfo of SHA-256, SHA-384 or SHA-512",
                )
            })?;
            Ok((Mechanism::RsaPkcs1, value(hash, digest)?))
        }
        SignInput::RsaRaw(_) => Err(Code::MECHANISM_INVALID.into()),
        SignInput::RsaPss {
            hash,
            mask,
            salt_length,
            digest,
        } => {
            if mask != hash || *salt_length != hash.length() {
                return Err(Code::MECHANISM_PARAM_INVALID.because(format!(
                    "the node signs by RSASSA-PSS with MGF1 of the same hash function and a salt as long as the digest, \
                     {} bytes",
                    hash.length()
                )));
            }
            Ok((Mechanism::RsaPss, value(*hash, digest)?))
        }
        SignInput::Ecdsa { hash, digest } => {
            let hash = match hash {
                Some(hash) => *hash,
                None => [Hash::Sha256, Hash::Sha384, Hash::Sha512]
                    .into_iter()
                    .find(|hash| hash.length() == digest.len())
                    .ok_or_else(|| {
                        length(format!(
                            "a digest of {} bytes is none of SHA-256, SHA-384 or SHA-512",
                            digest.len()
                        ))
                    })?,
            };
            Ok((Mechanism::Ecdsa, value(hash, digest)?))
        }
    }
}

fn value(hash: Hash, digest: &[u8]) -> Result<DigestValue> {
    let name = match hash {
        Hash::Sha256 => HashName::Sha256,
        Hash::Sha384 => HashName::Sha384,
        Hash::Sha512 => HashName::Sha512,
        Hash::Sha1 | Hash::Sha224 => {
            return Err(Code::MECHANISM_INVALID
                .because("the node signs digests by SHA-256, SHA-384 and SHA-512, not by SHA-1 or SHA-224"));
        }
    };
    DigestValue::new(name, digest.to_vec()).map_err(|error| length(error.to_string()))
}

fn length(why: String) -> Error {
    Code::DATA_LEN_RANGE.because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_info_is_a_digest_and_nothing_else_is() {
        let info = Hash::Sha256.digest_info(&[7; 32]);
        let (mechanism, value) = digest(&SignInput::RsaPkcs1(&info)).unwrap();
        assert_eq!(mechanism, Mechanism::RsaPkcs1);
        assert_eq!((value.hash(), value.bytes()), (HashName::Sha256, &[7; 32][..]));
        let code = |input: SignInput<'_>| digest(&input).unwrap_err().code();
        assert_eq!(code(SignInput::RsaPkcs1(&[7; 32])), Code::DATA_INVALID);
        assert_eq!(
            code(SignInput::RsaPkcs1(&[&info[..], b"x"].concat())),
            Code::DATA_INVALID
        );
        let sha1 = Hash::Sha1.digest_info(&[7; 20]);
        assert_eq!(code(SignInput::RsaPkcs1(&sha1)), Code::MECHANISM_INVALID);
        assert_eq!(code(SignInput::RsaRaw(&[0; 256])), Code::MECHANISM_INVALID);
    }

    #[test]
    fn a_bare_digest_is_told_by_its_length() {
        for (length, name) in [
            (32, HashName::Sha256),
            (48, HashName::Sha384),
            (64, HashName::Sha512),
        ] {
            let bytes = vec![7; length];
            let bare = SignInput::Ecdsa {
                hash: None,
                digest: &bytes,
            };
            assert_eq!(digest(&bare).unwrap().1.hash(), name);
        }
        for length in [0, 20, 28, 31, 33, 65] {
            let bytes = vec![7; length];
            let bare = SignInput::Ecdsa {
                hash: None,
                digest: &bytes,
            };
            assert_eq!(
                digest(&bare).unwrap_err().code(),
                Code::DATA_LEN_RANGE,
                "{length}"
            );
        }
    }

    #[test]
    fn pss_is_taken_with_the_parameters_the_node_uses() {
        let pss = |mask, salt_length| SignInput::RsaPss {
            hash: Hash::Sha256,
            mask,
            salt_length,
            digest: &[7; 32],
        };
        assert_eq!(digest(&pss(Hash::Sha256, 32)).unwrap().0, Mechanism::RsaPss);
        for wrong in [pss(Hash::Sha1, 32), pss(Hash::Sha256, 20)] {
            assert_eq!(digest(&wrong).unwrap_err().code(), Code::MECHANISM_PARAM_INVALID);
        }
    }
}
