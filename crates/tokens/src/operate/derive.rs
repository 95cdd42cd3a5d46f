//! Key agreement and derivation.

use chancery_cvc::PublicKey;
use chancery_driver::{Authenticated, GeneratedKey, KeyCertificate};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, KeyId, KeyType};
use openssl::x509::X509;
use zeroize::Zeroizing;

use super::{KeyInUse, OperateError};

/// The other side's public key in a key agreement: an uncompressed point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    point: Vec<u8>,
    key: Option<PublicKey>,
}

impl Peer {
    /// From what a file may hold: a public key (PEM or DER SubjectPublicKeyInfo), a certificate (X.509 in PEM or DER, or card
    /// verifiable), a token's request, or the bare point `04 | x | y`.
    ///
    /// # Errors
    /// [`OperateError::Input`] when it is none of these.
    pub fn parse(bytes: &[u8]) -> Result<Self, OperateError> {
        if let [0x04, coordinates @ ..] = bytes
            && coordinates.len().is_multiple_of(2)
            && (48..=132).contains(&coordinates.len())
        {
            return Ok(Self {
                point: bytes.to_vec(),
                key: None,
            });
        }
        let spki = openssl::pkey::PKey::public_key_from_pem(bytes)
            .or_else(|_| X509::from_pem(bytes).and_then(|certificate| certificate.public_key()))
            .and_then(|key| key.public_key_to_der())
            .unwrap_or_else(|_| bytes.to_vec());
        let key = PublicKey::from_spki_der(&spki)
            .ok()
            .or_else(|| KeyCertificate::recognise(bytes.to_vec()).public_key());
        match key.as_ref().and_then(PublicKey::point) {
            Some(point) => Ok(Self {
                point: point.to_vec(),
                key,
            }),
            None => Err(OperateError::Input(
                "the other side's file holds no EC public key, certificate or point".to_owned(),
            )),
        }
    }
}

impl KeyInUse {
    /// Key agreement (ECDH): the x coordinate of the shared point. One command to the token.
    ///
    /// # Errors
    /// The key is of another kind or curve, does not permit it, or the token refuses.
    pub fn agree<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        peer: &Peer,
    ) -> Result<Zeroizing<Vec<u8>>, OperateError> {
        self.require(KeyType::Ec, "key agreement")?;
        if !self.allows(Algorithm::Ecdh) {
            return Err(self.not_permitted("key agreement"));
        }
        let other_curve = match (self.public_key.as_ref(), peer.key.as_ref()) {
            (Some(own), Some(theirs)) => own.domain() != theirs.domain(),
            _ => false,
        };
        if other_curve || peer.point.len() != 1 + 2 * self.size() {
            return Err(OperateError::Input(
                "the other side's key is on another curve".to_owned(),
            ));
        }
        Ok(card.ecdh(self.id, &peer.point)?)
    }

    /// 32 secret bytes from an AES key and data. Tokens of different makers do not agree on them. One command.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn derive_secret<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OperateError> {
        self.require(KeyType::Aes, "derivation of secret bytes")?;
        if !self.allows(Algorithm::AesDerive) {
            return Err(self.not_permitted("derivation"));
        }
        Ok(card.derive_secret(self.id, data)?)
    }

    /// Makes another EC key of this one, under a free id. The answer is the request the token wrote for it.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn derive_key<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        new: KeyId,
        parameter: &[u8],
    ) -> Result<Option<GeneratedKey>, OperateError> {
        self.require(KeyType::Ec, "derivation of a key")?;
        if !self.allows(Algorithm::EcDerive) {
            return Err(self.not_permitted("derivation of a key"));
        }
        Ok(card.derive_ec_key(self.id, new, parameter)?)
    }
}
