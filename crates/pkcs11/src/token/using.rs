//! Private keys at work.

use std::sync::Arc;

use chancery_iso7816::StatusWord;
use chancery_schsm::{Algorithm, KeyId, fid};
use zeroize::Zeroizing;

use super::{
    check::{Verdict, check},
    failure::Failure,
    hand::Hand,
    objects::{Origin, public_key_of},
};
use crate::{
    error::Code,
    padding,
    public_key::plain_signature,
    slot::{ObjectId, SignInput, User, Wanted},
};

impl Hand {
    /// One signature. Of a key that was remembered, and not seen since, the signature shows whether it still is that key.
    pub(super) fn sign(&mut self, id: ObjectId, input: &SignInput<'_>) -> Result<Vec<u8>, Failure> {
        let (key, bits) = self.key(id)?;
        if self.proven.contains(&key) {
            return self.sign_now(key, bits, input);
        }
        let remembered = self.remembered(key)?;
        let signature = self.sign_now(key, bits, input)?;
        let public = match remembered {
            Some(content) => Some(content),
            None => self.file(fid::certificate(key), false)?,
        };
        if let Some(public) = public.as_deref().and_then(public_key_of)
            && check(&public, input, &signature) == Verdict::Wrong
        {
            self.forget();
            return Err(Code::KEY_HANDLE_INVALID
                .because(format!(
                    "the signature is not of the key that the token was said to hold as number {key}: somebody has replaced \
                     it; what was remembered of the token is dropped, start again"
                ))
                .into());
        }
        self.proven.insert(key);
        Ok(signature)
    }

    /// What the key's public key is taken to be before it has signed: read now when its signatures cannot be verified here.
    fn remembered(&mut self, key: KeyId) -> Result<Option<Arc<[u8]>>, Failure> {
        let file = fid::certificate(key);
        if !self.files.is_unproven(file) {
            return Ok(None);
        }
        let before = self.file(file, false)?;
        let verified = before.as_deref().and_then(public_key_of).is_some_and(|public| {
            let bits = public.bits();
            match public {
                crate::public_key::PublicKey::Rsa { .. } => bits >= 2048,
                crate::public_key::PublicKey::Ec { curve, .. } => {
                    matches!(curve.name, "prime256v1" | "secp384r1" | "secp521r1" | "secp256k1")
                }
            }
        });
        if verified {
            return Ok(before);
        }
        let now = self.file(file, true)?;
        let is_same = now.as_deref().and_then(public_key_of) == before.as_deref().and_then(public_key_of);
        if is_same {
            return Ok(now);
        }
        self.forget();
        Err(Code::KEY_HANDLE_INVALID
            .because(format!(
                "the token's key {key} is another than before: start again"
            ))
            .into())
    }

    fn sign_now(&mut self, key: KeyId, bits: usize, input: &SignInput<'_>) -> Result<Vec<u8>, Failure> {
        let length = bits.div_ceil(8);
        match input {
            SignInput::RsaPkcs1(info) => {
                let block = padding::pkcs1(info, length).ok_or(Code::DATA_LEN_RANGE)?;
                self.raw_or(key, &block, |hand| {
                    hand.card()?.sign(key, Algorithm::RsaPkcs1, info)
                })
            }
            SignInput::RsaRaw(block) => Ok(self.card()?.sign(key, Algorithm::RsaRaw, block)?.to_vec()),
            SignInput::RsaPss {
                hash,
                mask,
                salt_length,
                digest,
            } => {
                let mut salt = vec![0; *salt_length];
                aws_lc_rs::rand::fill(&mut salt).map_err(|_| Code::GENERAL_ERROR)?;
                let block = padding::pss(digest, *hash, *mask, &salt, bits).ok_or(Code::DATA_LEN_RANGE)?;
                let on_token = mask == hash && *salt_length == hash.length();
                self.raw_or(key, &block, |hand| {
                    if on_token {
                        hand.card()?.sign(key, Algorithm::RsaPss, digest)
                    } else {
                        Err(Code::KEY_FUNCTION_NOT_PERMITTED.into())
                    }
                })
            }
            SignInput::Ecdsa { digest, .. } => {
                // Leading bits count; what is longer than the order is cut.
                let digest = digest.get(..length).unwrap_or(digest);
                let der = self.card()?.sign(key, Algorithm::Ecdsa, digest)?;
                plain_signature(&der, length).ok_or(Failure::Nonsense("sign"))
            }
        }
    }

    /// A block that was padded here; a key whose list of algorithms leaves that out is asked the other way, from then on.
    fn raw_or(
        &mut self,
        key: KeyId,
        block: &[u8],
        other: impl FnOnce(&mut Self) -> Result<Zeroizing<Vec<u8>>, Failure>,
    ) -> Result<Vec<u8>, Failure> {
        if !self.unraw.contains(&key) {
            match self.card()?.sign(key, Algorithm::RsaRaw, block) {
                Err(failure) if failure.status() == Some(StatusWord::FUNCTION_NOT_SUPPORTED) => {
                    self.unraw.insert(key);
                }
                signature => return Ok(signature?.to_vec()),
            }
        }
        Ok(other(self)?.to_vec())
    }

    /// The raw RSA operation for decryption.
    pub(super) fn decrypt(&mut self, id: ObjectId, cryptogram: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let (key, bits) = self.key(id)?;
        let block = self.card()?.decipher(key, Algorithm::RsaDecrypt, cryptogram)?;
        if block.len() == bits.div_ceil(8) {
            Ok(block)
        } else {
            Err(Failure::Nonsense("use a private key"))
        }
    }

    /// ECDH: x of the shared point.
    pub(super) fn agree(&mut self, id: ObjectId, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let (key, bits) = self.key(id)?;
        let shared = self.card()?.decipher(key, Algorithm::Ecdh, point)?;
        // 04 | x | y, or 04 | x.
        shared
            .get(1..=bits.div_ceil(8))
            .map(|x| Zeroizing::new(x.to_vec()))
            .ok_or(Failure::Nonsense("use a private key"))
    }

    /// The key a number stands for, and its size in bits. Somebody must be logged in.
    fn key(&mut self, id: ObjectId) -> Result<(KeyId, usize), Failure> {
        if self.user != Some(User::User) {
            return Err(Code::USER_NOT_LOGGED_IN.into());
        }
        let Some(Origin::PrivateKey(key)) = Origin::of(id) else {
            return Err(Code::KEY_HANDLE_INVALID.into());
        };
        let wanted = Wanted {
            only: Some(id),
            private: true,
            ..Wanted::default()
        };
        let object = match self.built.get(&wanted) {
            Some(object) => Some(object),
            None => self.objects(&wanted)?.into_iter().next(),
        };
        let bits = object.map(|object| object.key_bits).filter(|bits| *bits > 0);
        bits.map(|bits| (key, bits))
            .ok_or_else(|| Code::KEY_HANDLE_INVALID.into())
    }
}
