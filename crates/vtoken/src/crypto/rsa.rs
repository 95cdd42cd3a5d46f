//! RSA keys: PKCS#1 v1.5 and PSS signatures over a hash, and the bare private operation.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding,
};
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa, RsaPrivateKeyBuilder};
use openssl::sign::RsaPssSaltlen;
use zeroize::Zeroizing;

use super::{CryptoError, Hash};

/// How a hash is encoded before the private operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PKCS1-v1_5, RFC 8017 8.2.
    Pkcs1,
    /// RSASSA-PSS, RFC 8017 8.1: salt as long as the hash, MGF1 with the same hash.
    Pss,
}

/// A private RSA key.
pub(crate) struct RsaKey {
    private: PKey<Private>,
    rsa: Rsa<Private>,
    /// The same key for the faster library, which takes 2048 bits and more.
    fast: Option<KeyPair>,
    length: usize,
}

impl RsaKey {
    /// Makes a new key with public exponent 65537.
    pub(crate) fn generate(bits: u16) -> Result<Self, CryptoError> {
        Self::with(Rsa::generate(u32::from(bits))?)
    }

    /// The key with modulus `n`, public exponent `e` and private exponent `d`; the primes are computed.
    pub(crate) fn from_exponents(n: &[u8], e: &[u8], d: &[u8]) -> Result<Self, CryptoError> {
        let (n, e) = (BigNum::from_slice(n)?, BigNum::from_slice(e)?);
        let mut secret = BigNum::new_secure()?;
        secret.copy_from_slice(d)?;
        let p = find_prime(&n, &e, &secret)?;
        let mut q = BigNum::new_secure()?;
        let mut context = BigNumContext::new_secure()?;
        q.checked_div(&n, &p, &mut context)?;
        Self::from_primes(&n, &e, &p, &q)
    }

    /// The key with these primes and public exponent (numbers big endian), whose modulus must be `n`.
    pub(crate) fn from_prime_bytes(n: &[u8], e: &[u8], p: &[u8], q: &[u8]) -> Result<Self, CryptoError> {
        let (n, e) = (BigNum::from_slice(n)?, BigNum::from_slice(e)?);
        Self::from_primes(&n, &e, &*BigNum::from_slice(p)?, &*BigNum::from_slice(q)?)
    }

    /// Reads a PKCS#8 PrivateKeyInfo.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        Self::with(PKey::private_key_from_pkcs8(der)?.rsa()?)
    }

    /// PKCS#8 PrivateKeyInfo, DER.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Ok(Zeroizing::new(self.private.private_key_to_pkcs8()?))
    }

    /// Length of the modulus in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The numbers of the key.
    pub(crate) fn numbers(&self) -> &Rsa<Private> {
        &self.rsa
    }

    /// Signs a hash.
    pub(crate) fn sign_hash(&self, scheme: Scheme, hash: Hash, value: &[u8]) -> Result<Vec<u8>, CryptoError> {
        if let (Some(key), Some(encoding)) = (&self.fast, fast_encoding(scheme, hash)) {
            let digest = Digest::import_less_safe(value, hash.algorithm()).map_err(|_| CryptoError::Data)?;
            let mut signature = vec![0; self.length];
            key.sign_digest(encoding, &digest, &mut signature)?;
            return Ok(signature);
        }
        let mut context = PkeyCtx::new(&self.private)?;
        context.sign_init()?;
        match scheme {
            Scheme::Pkcs1 => context.set_rsa_padding(Padding::PKCS1)?,
            Scheme::Pss => {
                context.set_rsa_padding(Padding::PKCS1_PSS)?;
                context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                context.set_rsa_mgf1_md(hash.openssl())?;
            }
        }
        context.set_signature_md(hash.openssl())?;
        let mut signature = Vec::new();
        context.sign_to_vec(value, &mut signature)?;
        Ok(signature)
    }

    /// PKCS#1 v1.5 padding (block type 01) around any bytes, then the private operation.
    pub(crate) fn sign_padded(&self, input: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut signature = vec![0; self.length];
        self.rsa.private_encrypt(input, &mut signature, Padding::PKCS1)?;
        Ok(signature)
    }

    /// The private operation on one block.
    pub(crate) fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut result = Zeroizing::new(vec![0; self.length]);
        self.rsa.private_encrypt(block, &mut result, Padding::NONE)?;
        Ok(result)
    }

    /// Whether a block is a number the private operation takes: as long as the modulus and smaller.
    pub(crate) fn takes_block(&self, block: &[u8]) -> Result<bool, CryptoError> {
        Ok(block.len() == self.length && *BigNum::from_slice(block)? < *self.rsa.n())
    }

    fn from_primes(n: &BigNumRef, e: &BigNumRef, p: &BigNumRef, q: &BigNumRef) -> Result<Self, CryptoError> {
        let mut context = BigNumContext::new_secure()?;
        let one = BigNum::from_u32(1)?;
        let secure = BigNum::new_secure;
        let (mut p1, mut q1, mut phi, mut d) = (secure()?, secure()?, secure()?, secure()?);
        p1.checked_sub(p, &one)?;
        q1.checked_sub(q, &one)?;
        phi.checked_mul(&p1, &q1, &mut context)?;
        d.mod_inverse(e, &phi, &mut context)
            .map_err(|_| CryptoError::Data)?;
        let (mut dp, mut dq, mut qi) = (secure()?, secure()?, secure()?);
        dp.nnmod(&d, &p1, &mut context)?;
        dq.nnmod(&d, &q1, &mut context)?;
        qi.mod_inverse(q, p, &mut context)
            .map_err(|_| CryptoError::Data)?;
        let rsa = RsaPrivateKeyBuilder::new(n.to_owned()?, e.to_owned()?, d)?
            .set_factors(p.to_owned()?, q.to_owned()?)?
            .set_crt_params(dp, dq, qi)?
            .build();
        if !rsa.check_key().unwrap_or(false) {
            return Err(CryptoError::Data);
        }
        Self::with(rsa)
    }

    fn with(rsa: Rsa<Private>) -> Result<Self, CryptoError> {
        let length = usize::try_from(rsa.size()).map_err(|_| CryptoError::Library)?;
        let fast = if length >= 256 {
            let der = Zeroizing::new(rsa.private_key_to_der()?);
            // A key the faster library finds fault with is left to the other one.
            KeyPair::from_der(&der).ok()
        } else {
            None
        };
        Ok(Self {
            private: PKey::from_rsa(rsa.clone())?,
            rsa,
            fast,
            length,
        })
    }
}

fn fast_encoding(scheme: Scheme, hash: Hash) -> Option<&'static dyn RsaEncoding> {
    Some(match (scheme, hash) {
        (Scheme::Pkcs1, Hash::Sha256) => &RSA_PKCS1_SHA256,
        (Scheme::Pkcs1, Hash::Sha384) => &RSA_PKCS1_SHA384,
        (Scheme::Pkcs1, Hash::Sha512) => &RSA_PKCS1_SHA512,
        (Scheme::Pss, Hash::Sha256) => &RSA_PSS_SHA256,
        (Scheme::Pss, Hash::Sha384) => &RSA_PSS_SHA384,
        (Scheme::Pss, Hash::Sha512) => &RSA_PSS_SHA512,
        (_, Hash::Sha1 | Hash::Sha224) => return None,
    })
}

/// A prime factor of `n`, found from the exponents (NIST SP 800-56B appendix C.1).
fn find_prime(n: &BigNumRef, e: &BigNumRef, d: &BigNumRef) -> Result<BigNum, CryptoError> {
    let mut context = BigNumContext::new_secure()?;
    let one = BigNum::from_u32(1)?;
    let fits = |exponent: &BigNumRef| exponent.num_bits() >= 2 && *exponent < *n;
    if *n < *BigNum::from_u32(15)? || !n.is_bit_set(0) || !fits(e) || !fits(d) {
        return Err(CryptoError::Data);
    }
    let (mut product, mut k) = (BigNum::new_secure()?, BigNum::new_secure()?);
    product.checked_mul(e, d, &mut context)?;
    k.checked_sub(&product, &one)?;
    let twos = (0..k.num_bits()).take_while(|bit| !k.is_bit_set(*bit)).count();
    let shift = i32::try_from(twos).map_err(|_| CryptoError::Data)?;
    let mut odd = BigNum::new_secure()?;
    odd.rshift(&k, shift)?;
    let mut minus_one = BigNum::new()?;
    minus_one.checked_sub(n, &one)?;
    // Each round finds a factor with a chance of at least one half when the numbers belong together.
    for _ in 0..100 {
        let mut base = BigNum::new()?;
        n.rand_range(&mut base)?;
        let mut x = BigNum::new_secure()?;
        x.mod_exp(&base, &odd, n, &mut context)?;
        for _ in 0..twos {
            if x == one || x == minus_one {
                break;
            }
            let mut square = BigNum::new_secure()?;
            square.mod_sqr(&x, n, &mut context)?;
            if square == one {
                let (mut less, mut prime) = (BigNum::new_secure()?, BigNum::new_secure()?);
                less.checked_sub(&x, &one)?;
                prime.gcd(&less, n, &mut context)?;
                return Ok(prime);
            }
            x = square;
        }
    }
    Err(CryptoError::Data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_found_from_the_exponents() {
        let key = RsaKey::generate(2048).unwrap();
        let rsa = key.numbers();
        let (n, e, d) = (rsa.n().to_vec(), rsa.e().to_vec(), rsa.d().to_vec());
        let again = RsaKey::from_exponents(&n, &e, &d).unwrap();
        let (p, q) = (again.numbers().p().unwrap(), again.numbers().q().unwrap());
        assert!((p == rsa.p().unwrap()) != (q == rsa.p().unwrap()));
        let mut wrong = d.clone();
        wrong[200] ^= 0x10;
        assert!(RsaKey::from_exponents(&n, &e, &wrong).is_err());
        assert!(RsaKey::from_exponents(&[], &e, &d).is_err());
    }

    #[test]
    fn both_libraries_make_the_same_pkcs1_signature() {
        let key = RsaKey::generate(2048).unwrap();
        for hash in Hash::ALL {
            let value = hash.of(b"message");
            let signature = key.sign_hash(Scheme::Pkcs1, hash, value.as_ref()).unwrap();
            let mut context = PkeyCtx::new(&key.private).unwrap();
            context.sign_init().unwrap();
            context.set_rsa_padding(Padding::PKCS1).unwrap();
            context.set_signature_md(hash.openssl()).unwrap();
            let mut other = Vec::new();
            context.sign_to_vec(value.as_ref(), &mut other).unwrap();
            assert_eq!(signature, other, "{hash:?}");
        }
    }
}
