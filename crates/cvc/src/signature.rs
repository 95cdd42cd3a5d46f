//! Plain signatures: checking them, and their DER form.

use chancery_iso7816::tlv::{Reader, Tag, TlvError, Writer};
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::hash;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};

use crate::algorithm::SignatureAlgorithm;
use crate::domain::{padded, significant};
use crate::error::{KeyError, SignatureError};
use crate::key::{CvKey, EcPublicKey, PublicKey, RsaPublicKey};

impl CvKey {
    /// Checks a plain signature of this key over `message`, with the algorithm of the key. `r` and `s` must each be
    /// as long as the order, an RSA block as long as the modulus.
    ///
    /// # Errors
    /// [`SignatureError`]: the signature proves nothing.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let expected = self.key().signature_len()?;
        if signature.len() != expected {
            return Err(SignatureError::Length {
                found: signature.len(),
                expected,
            });
        }
        let verified = match self.key() {
            PublicKey::Ec(key) => verify_ecdsa(self.algorithm(), key, message, signature)?,
            PublicKey::Rsa(key) => verify_rsa(self.algorithm(), key, message, signature)?,
            PublicKey::EcPointOnly(_) => return Err(KeyError::NoDomain.into()),
        };
        if verified {
            Ok(())
        } else {
            Err(SignatureError::Wrong)
        }
    }
}

fn verify_ecdsa(
    algorithm: SignatureAlgorithm,
    key: &EcPublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, SignatureError> {
    let key = key.to_ec_key()?;
    let digest = hash(algorithm.digest(), message).map_err(SignatureError::Crypto)?;
    let (r, s) = signature
        .split_at_checked(signature.len() / 2)
        .ok_or(SignatureError::Wrong)?;
    let signature = BigNum::from_slice(r)
        .and_then(|r| EcdsaSig::from_private_components(r, BigNum::from_slice(s)?))
        .map_err(SignatureError::Crypto)?;
    // The library calls numbers out of range an error; to us that is a wrong signature like any other.
    let verified = signature.verify(&digest, &key).unwrap_or(false);
    forget_errors(verified);
    Ok(verified)
}

fn verify_rsa(
    algorithm: SignatureAlgorithm,
    key: &RsaPublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, SignatureError> {
    let key = PublicKey::Rsa(key.clone()).to_pkey()?;
    let prepared = || -> Result<Verifier<'_>, ErrorStack> {
        let mut verifier = Verifier::new(algorithm.digest(), &key)?;
        if algorithm.is_pss() {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            verifier.set_rsa_mgf1_md(algorithm.digest())?;
        } else {
            verifier.set_rsa_padding(Padding::PKCS1)?;
        }
        verifier.update(message)?;
        Ok(verifier)
    };
    let verified = prepared()
        .map_err(SignatureError::Crypto)?
        .verify(signature)
        .unwrap_or(false);
    forget_errors(verified);
    Ok(verified)
}

/// A refused signature leaves notes in the library's error queue of this thread, where the next caller would find
/// them.
fn forget_errors(verified: bool) {
    if !verified {
        drop(ErrorStack::get());
    }
}

/// Turns a plain ECDSA signature `r|s` into `SEQUENCE { INTEGER r, INTEGER s }` (reference: BSI TR-03111 5.2). The
/// numbers are not checked.
///
/// # Errors
/// [`SignatureError::Length`] for an odd or zero number of bytes.
pub fn plain_to_der(plain: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let half = plain.len() / 2;
    if plain.is_empty() || !plain.len().is_multiple_of(2) {
        return Err(SignatureError::Length {
            found: plain.len(),
            expected: (half + 1) * 2,
        });
    }
    let (r, s) = plain.split_at_checked(half).ok_or(SignatureError::Der)?;
    let mut out = Writer::new();
    out.nested(SEQUENCE, |out| {
        out.tlv(INTEGER, &unsigned(r)).tlv(INTEGER, &unsigned(s));
    });
    Ok(out.finish())
}

/// Turns `SEQUENCE { INTEGER r, INTEGER s }` into a plain signature of twice `order_len` bytes.
///
/// # Errors
/// [`SignatureError::Der`] unless the bytes are the one DER form of two numbers above zero,
/// [`SignatureError::Length`] when one does not fit `order_len` bytes.
pub fn der_to_plain(der: &[u8], order_len: usize) -> Result<Vec<u8>, SignatureError> {
    let numbers = || -> Result<_, TlvError> {
        let mut reader = Reader::new(der);
        let mut fields = reader.expect(SEQUENCE)?.children();
        reader.finish()?;
        let numbers = (fields.expect(INTEGER)?.value, fields.expect(INTEGER)?.value);
        fields.finish()?;
        Ok(numbers)
    };
    let (r, s) = numbers().map_err(|_| SignatureError::Der)?;
    let mut plain = Vec::with_capacity(2 * order_len);
    for number in [r, s] {
        if significant(number).is_empty() || unsigned(number) != number {
            return Err(SignatureError::Der);
        }
        let found = significant(number).len();
        let fitting = padded(number, order_len).ok_or(SignatureError::Length {
            found,
            expected: order_len,
        })?;
        plain.extend(fitting);
    }
    // What remains are lengths longer than minimal.
    if plain_to_der(&plain)? == der {
        Ok(plain)
    } else {
        Err(SignatureError::Der)
    }
}

/// Content octets of a DER INTEGER of an unsigned number.
fn unsigned(number: &[u8]) -> Vec<u8> {
    let number = significant(number);
    let sign = number.first().is_none_or(|byte| byte & 0x80 != 0);
    let mut out = Vec::with_capacity(number.len() + 1);
    if sign {
        out.push(0);
    }
    out.extend_from_slice(number);
    out
}

const SEQUENCE: Tag = Tag(0x30);
const INTEGER: Tag = Tag(0x02);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crypto_library_agrees_on_the_der_form() {
        for (r, s) in [([1_u8; 32], [2_u8; 32]), ([0xFF; 32], [0x7F; 32])] {
            let mut s = s;
            s[0] = 0;
            let plain = [r, s].concat();
            let der = EcdsaSig::from_private_components(
                BigNum::from_slice(&r).unwrap(),
                BigNum::from_slice(&s).unwrap(),
            )
            .unwrap()
            .to_der()
            .unwrap();
            assert_eq!(plain_to_der(&plain).unwrap(), der);
            assert_eq!(der_to_plain(&der, 32).unwrap(), plain);
        }
    }

    #[test]
    fn only_the_one_der_form_is_taken() {
        assert_eq!(
            der_to_plain(&[0x30, 6, 2, 1, 5, 2, 1, 6], 2).unwrap(),
            [0, 5, 0, 6]
        );
        for bad in [
            &[0x30, 6, 2, 1, 5, 2, 1, 6, 0][..],
            &[0x30, 7, 2, 2, 0, 5, 2, 1, 6],
            &[0x30, 6, 2, 1, 0x85, 2, 1, 6],
            &[0x30, 6, 2, 1, 0, 2, 1, 6],
            &[0x30, 0x81, 6, 2, 1, 5, 2, 1, 6],
            &[0x30, 7, 2, 0x81, 1, 5, 2, 1, 6],
            &[0x30, 8, 2, 1, 5, 2, 1, 6, 5, 0],
            &[0x30, 3, 2, 1, 5],
            &[],
        ] {
            assert!(
                matches!(der_to_plain(bad, 2), Err(SignatureError::Der)),
                "{bad:?}"
            );
        }
        assert!(matches!(
            der_to_plain(&[0x30, 7, 2, 2, 1, 5, 2, 1, 6], 1),
            Err(SignatureError::Length {
                found: 2,
                expected: 1
            })
        ));
        assert!(plain_to_der(&[1, 2, 3]).is_err());
        assert!(plain_to_der(&[]).is_err());
    }
}
