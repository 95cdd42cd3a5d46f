//! Elliptic curve keys: ECDSA over a hash, ECDH with the full point as result.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcPoint, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::{PKey, Private};
use zeroize::Zeroizing;

use super::{CryptoError, Curve};

/// A private key on one of the token's curves.
pub(crate) struct EcKey {
    curve: Curve,
    private: openssl::ec::EcKey<Private>,
    /// The same key for the faster library, with the hash whose length its signatures take.
    fast: Option<(EcdsaKeyPair, &'static digest::Algorithm)>,
}

impl EcKey {
    /// Makes a new key.
    pub(crate) fn generate(curve: Curve) -> Result<Self, CryptoError> {
        Self::with(curve, openssl::ec::EcKey::generate(curve.group()?)?)
    }

    /// The key with private scalar `d` (big endian, any length) and, when `q` is given, this public point.
    pub(crate) fn from_scalar(curve: Curve, d: &[u8], q: Option<&[u8]>) -> Result<Self, CryptoError> {
        let group = curve.group()?;
        let mut scalar = BigNum::new_secure()?;
        scalar.copy_from_slice(d)?;
        scalar.set_const_time();
        let point = match q {
            Some(q) => curve.point(q)?,
            None => {
                let mut context = BigNumContext::new_secure()?;
                let mut point = EcPoint::new(group)?;
                point.mul_generator2(group, &scalar, &mut context)?;
                point
            }
        };
        let private = openssl::ec::EcKey::from_private_components(group, &scalar, &point)
            .map_err(|_| CryptoError::Data)?;
        private.check_key().map_err(|_| CryptoError::Data)?;
        Self::with(curve, private)
    }

    /// Reads a PKCS#8 PrivateKeyInfo.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        let private = PKey::private_key_from_pkcs8(der)?.ec_key()?;
        let curve = private.group().curve_name().and_then(Curve::by_nid);
        let curve = curve.ok_or(CryptoError::Algorithm)?;
        Self::with(curve, private)
    }

    /// PKCS#8 PrivateKeyInfo, DER, named curve.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Ok(Zeroizing::new(
            PKey::from_ec_key(self.private.clone())?.private_key_to_pkcs8()?,
        ))
    }

    /// The key's curve.
    pub(crate) fn curve(&self) -> Curve {
        self.curve
    }

    /// Private scalar, big endian, at the byte length of the order.
    pub(crate) fn scalar(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let length = self.curve.domain()?.n.len();
        let length = i32::try_from(length).map_err(|_| CryptoError::Library)?;
        Ok(Zeroizing::new(self.private.private_key().to_vec_padded(length)?))
    }

    /// Public point, `04 | x | y`.
    pub(crate) fn public_point(&self) -> Result<Vec<u8>, CryptoError> {
        let mut context = BigNumContext::new()?;
        let form = PointConversionForm::UNCOMPRESSED;
        Ok(self
            .private
            .public_key()
            .to_bytes(self.curve.group()?, form, &mut context)?)
    }

    /// ECDSA over a hash, DER. A hash longer than the order counts with its leftmost bits (SEC 1 4.1.3).
    ///
    /// On P-521, 66 bytes that start with two zero bytes are a shorter hash that the host padded to the key's
    /// size, and count as that number. Signatures that widespread host software misreads are drawn again.
    pub(crate) fn sign_hash(&self, hash: &[u8]) -> Result<Vec<u8>, CryptoError> {
        loop {
            let signature = match (&self.fast, self.digest(hash)) {
                (Some((key, _)), Some(digest)) => key.sign_digest(&digest)?.as_ref().to_vec(),
                _ => EcdsaSig::sign(hash, &self.private)?.to_der()?,
            };
            if !is_misread(self.curve, signature.len()) {
                return Ok(signature);
            }
        }
    }

    /// ECDSA over a hash, plain form (`r | s`, each at the byte length of the order; BSI TR-03111 5.2.1).
    pub(crate) fn sign_hash_plain(&self, hash: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = EcdsaSig::from_der(&self.sign_hash(hash)?)?;
        let length = i32::try_from(self.curve.domain()?.n.len()).map_err(|_| CryptoError::Library)?;
        let mut plain = signature.r().to_vec_padded(length)?;
        plain.extend(signature.s().to_vec_padded(length)?);
        Ok(plain)
    }

    /// The key `d + parameter mod n`: a tweak by a number (big endian, any length).
    ///
    /// # Errors
    /// [`CryptoError::Data`] when the parameter is a multiple of n, which makes no other key, or the sum is zero.
    pub(crate) fn tweaked(&self, parameter: &[u8]) -> Result<Self, CryptoError> {
        let mut context = BigNumContext::new_secure()?;
        let order = BigNum::from_slice(&self.curve.domain()?.n)?;
        let (mut tweak, mut reduced, mut sum) = (
            BigNum::new_secure()?,
            BigNum::new_secure()?,
            BigNum::new_secure()?,
        );
        tweak.copy_from_slice(parameter)?;
        reduced.nnmod(&tweak, &order, &mut context)?;
        sum.mod_add(self.private.private_key(), &reduced, &order, &mut context)?;
        if reduced.num_bits() == 0 || sum.num_bits() == 0 {
            return Err(CryptoError::Data);
        }
        let sum = Zeroizing::new(sum.to_vec());
        Self::from_scalar(self.curve, &sum, None)
    }

    /// ECDH: the product of the peer's point and this key, `04 | x | y`.
    pub(crate) fn agree(&self, peer: &EcPoint) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let group = self.curve.group()?;
        let mut context = BigNumContext::new_secure()?;
        let mut product = EcPoint::new(group)?;
        product.mul2(group, peer, self.private.private_key(), &mut context)?;
        if product.is_infinity(group) {
            return Err(CryptoError::Data);
        }
        Ok(Zeroizing::new(product.to_bytes(
            group,
            PointConversionForm::UNCOMPRESSED,
            &mut context,
        )?))
    }

    fn with(curve: Curve, private: openssl::ec::EcKey<Private>) -> Result<Self, CryptoError> {
        let mut key = Self {
            curve,
            private,
            fast: None,
        };
        let algorithm: Option<(&'static EcdsaSigningAlgorithm, &'static digest::Algorithm)> = match curve {
            Curve::P256 => Some((&ECDSA_P256_SHA256_ASN1_SIGNING, &digest::SHA256)),
            Curve::P384 => Some((&ECDSA_P384_SHA384_ASN1_SIGNING, &digest::SHA384)),
            Curve::P521 => Some((&ECDSA_P521_SHA512_ASN1_SIGNING, &digest::SHA512)),
            _ => None,
        };
        if let Some((algorithm, digest)) = algorithm {
            let (d, q) = (key.scalar()?, key.public_point()?);
            let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &d, &q)?;
            key.fast = Some((pair, digest));
        }
        Ok(key)
    }

    /// The hash at exactly the length the faster library takes. Padding with zeros in front and cutting at the
    /// end change nothing: ECDSA signs the number made of the leftmost bits, as many as the order has.
    fn digest(&self, hash: &[u8]) -> Option<Digest> {
        let (_, algorithm) = self.fast.as_ref()?;
        let length = algorithm.output_len();
        let mut field = [0; 64];
        let field = field.get_mut(..length)?;
        let hash = match (self.curve, hash) {
            (Curve::P521, [0, 0, rest @ ..]) if rest.len() == length => rest,
            (Curve::P521, longer) if longer.len() > length => return None,
            (_, other) => other.get(..length).unwrap_or(other),
        };
        field.get_mut(length - hash.len()..)?.copy_from_slice(hash);
        Digest::import_less_safe(field, algorithm).ok()
    }
}

/// Whether host software takes a DER signature of this many bytes for one on a smaller curve: it guesses the size of
/// the field from the longest signature that each field gives, 137 bytes for one of 512 bits. On P-521 one signature in
/// sixteen is no longer than that. On the other curves it takes a number with four leading zero bytes.
fn is_misread(curve: Curve, length: usize) -> bool {
    curve == Curve::P521 && length <= 137
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_every_length_verify_with_the_other_library() {
        for curve in [
            Curve::P256,
            Curve::P384,
            Curve::P521,
            Curve::Brainpool384,
            Curve::Secp256k1,
        ] {
            let key = EcKey::generate(curve).unwrap();
            for length in [1, 20, 28, 31, 32, 33, 47, 48, 49, 63, 64] {
                let hash = vec![0xA5; length];
                let signature = EcdsaSig::from_der(&key.sign_hash(&hash).unwrap()).unwrap();
                assert!(
                    signature.verify(&hash, &key.private).unwrap(),
                    "{curve:?} {length}"
                );
                let plain = key.sign_hash_plain(&hash).unwrap();
                let (r, s) = plain.split_at(curve.domain().unwrap().n.len());
                let (r, s) = (BigNum::from_slice(r).unwrap(), BigNum::from_slice(s).unwrap());
                let signature = EcdsaSig::from_private_components(r, s).unwrap();
                assert!(
                    signature.verify(&hash, &key.private).unwrap(),
                    "{curve:?} {length}"
                );
            }
        }
    }

    #[test]
    fn p521_takes_hashes_of_the_key_size() {
        let key = EcKey::generate(Curve::P521).unwrap();
        let hash = [0xC3; 64];
        let padded = [&[0, 0][..], &hash].concat();
        let signature = EcdsaSig::from_der(&key.sign_hash(&padded).unwrap()).unwrap();
        assert!(signature.verify(&hash, &key.private).unwrap());
        let long = [0xFF; 66];
        let signature = EcdsaSig::from_der(&key.sign_hash(&long).unwrap()).unwrap();
        assert!(signature.verify(&long, &key.private).unwrap());
    }

    #[test]
    fn p521_signatures_are_never_misread() {
        // 136 bytes come once in 2000, too seldom to be met below.
        assert!(
            [135, 136, 137]
                .into_iter()
                .all(|length| is_misread(Curve::P521, length))
        );
        assert!(
            ![138, 139]
                .into_iter()
                .any(|length| is_misread(Curve::P521, length))
        );
        assert!(!is_misread(Curve::Brainpool512, 137));
        let key = EcKey::generate(Curve::P521).unwrap();
        for round in 0..200u8 {
            assert!(key.sign_hash(&[round; 64]).unwrap().len() > 137);
        }
    }

    #[test]
    fn agreement_is_symmetric_and_starts_with_04() {
        for curve in [Curve::P256, Curve::Brainpool512] {
            let (one, two) = (EcKey::generate(curve).unwrap(), EcKey::generate(curve).unwrap());
            let left = one
                .agree(&curve.point(&two.public_point().unwrap()).unwrap())
                .unwrap();
            let right = two
                .agree(&curve.point(&one.public_point().unwrap()).unwrap())
                .unwrap();
            assert_eq!(*left, *right);
            assert_eq!((left[0], left.len()), (4, 1 + 2 * curve.field_length()));
        }
    }

    #[test]
    fn scalars_out_of_range_are_refused() {
        let n = Curve::P256.domain().unwrap().n.clone();
        assert!(EcKey::from_scalar(Curve::P256, &n, None).is_err());
        assert!(EcKey::from_scalar(Curve::P256, &[0; 32], None).is_err());
        let q = EcKey::generate(Curve::P256).unwrap().public_point().unwrap();
        assert!(EcKey::from_scalar(Curve::P256, &[2], Some(&q)).is_err());
    }
}
