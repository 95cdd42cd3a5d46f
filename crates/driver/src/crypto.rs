//! SIGN, DECIPHER and ECDH: one APDU each.

use chancery_iso7816::{CommandApdu, ResponseApdu, Transport};
use chancery_schsm::{Algorithm, KeyId, KeyType};
use zeroize::Zeroizing;

use crate::ecdsa;
use crate::error::{Doing, Error};
use crate::session::Session;

/// Le of a key use, in bytes: the result of RSA-4096.
const RESULT: u32 = 512;

impl<T: Transport> Session<T> {
    /// One SIGN command; `input` is what the algorithm takes (hash, block or message).
    pub(crate) fn sign(&mut self, id: KeyId, algorithm: Algorithm, input: &[u8]) -> Result<Vec<u8>, Error> {
        let doing = Doing::new("SIGN", format!("with key {id}, algorithm {:02X}", algorithm.id()));
        let command = CommandApdu::new(0x80, 0x68, id.0, algorithm.id())
            .with_data(input)
            .map(|c| c.expecting(RESULT).extended());
        let response = self.link.expect_ok(&doing, command, Error::key_use)?;
        signature(&doing, algorithm, &response)
    }

    /// One DECIPHER command: cryptogram to complete block.
    pub(crate) fn decipher(
        &mut self,
        id: KeyId,
        algorithm: Algorithm,
        cryptogram: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let doing = Doing::new(
            "DECIPHER",
            format!("with key {id}, algorithm {:02X}", algorithm.id()),
        );
        let command = CommandApdu::new(0x80, 0x62, id.0, algorithm.id())
            .with_data(cryptogram)
            .map(|c| c.expecting(RESULT).extended());
        let response = self.link.expect_ok(&doing, command, Error::key_use)?;
        if response.data.is_empty() {
            return Err(Error::protocol(&doing, "no deciphered block"));
        }
        Ok(response.data)
    }

    /// ECDH with the uncompressed point `peer` (04 | x | y); the x coordinate of the shared point.
    pub(crate) fn ecdh(&mut self, id: KeyId, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let doing = Doing::new("DECIPHER", format!("with key {id}, ECDH"));
        let (Some((0x04, coordinates)), true) = (peer.split_first(), peer.len() % 2 == 1) else {
            return Err(Error::input(&doing, "the peer's point is not 04 | x | y"));
        };
        let field = coordinates.len() / 2;
        let shared = self.decipher(id, Algorithm::Ecdh, peer)?;
        // Some firmwares answer 04 | x without y.
        match shared.split_first() {
            Some((0x04, point)) if point.len() == field || point.len() == 2 * field => {
                Ok(Zeroizing::new(point.iter().take(field).copied().collect()))
            }
            _ => Err(Error::protocol(&doing, "no point of the peer's length")),
        }
    }
}

/// What a SIGN command answered, its status being 9000.
pub(crate) fn signature(
    doing: &Doing,
    algorithm: Algorithm,
    response: &ResponseApdu,
) -> Result<Vec<u8>, Error> {
    let signature = match algorithm.key_type() {
        Some(KeyType::Ec) => ecdsa::normalized(&response.data),
        _ if response.data.is_empty() => None,
        _ => Some(response.data.to_vec()),
    };
    signature.ok_or_else(|| Error::protocol(doing, "no signature"))
}
