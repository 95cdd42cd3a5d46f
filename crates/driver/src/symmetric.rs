//! Secret keys on the token: GENERATE SYMMETRIC KEY, CIPHER; and DERIVE EC KEY.

use chancery_cvc::AuthenticatedRequest;
use chancery_iso7816::tlv::{Tag, Writer};
use chancery_iso7816::{CommandApdu, Transport};
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, fid};
use zeroize::Zeroizing;

use crate::card::Authenticated;
use crate::error::{Doing, Error};
use crate::key::GeneratedKey;
use crate::session::{Session, sealed::HasSession};

/// Length of an AES block and of an AES-CMAC, in bytes.
pub const AES_BLOCK: usize = 16;

/// Length of what AES key derivation answers with, in bytes.
const DERIVED: usize = 32;

/// Sizes of AES keys that a token makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AesSize {
    /// 128 bits.
    Bits128,
    /// 192 bits.
    Bits192,
    /// 256 bits.
    Bits256,
}

/// An AES key to generate.
#[derive(Clone, Debug)]
pub struct SecretKeySpec {
    /// Where the key is to stand; the id must be free.
    pub id: KeyId,
    /// Size.
    pub size: AesSize,
    /// What the key may be used for; tokens want a list.
    pub algorithms: AlgorithmList,
    /// Key domain; without one, the key belongs to the token's single DKEK, if any.
    pub key_domain: Option<u8>,
    /// Uses the key has in its life, if limited.
    pub use_counter: Option<u32>,
}

impl AesSize {
    /// The size with this many bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            128 => Some(Self::Bits128),
            192 => Some(Self::Bits192),
            256 => Some(Self::Bits256),
            _ => None,
        }
    }

    /// The number of bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        match self {
            Self::Bits128 => 128,
            Self::Bits192 => 192,
            Self::Bits256 => 256,
        }
    }

    /// P2 of GENERATE SYMMETRIC KEY.
    const fn id(self) -> u8 {
        match self {
            Self::Bits128 => 0xB0,
            Self::Bits192 => 0xB1,
            Self::Bits256 => 0xB2,
        }
    }
}

impl<T: Transport> Authenticated<T> {
    /// Generates an AES key; the id must be free. The card writes no description.
    ///
    /// # Errors
    /// [`Error::KeyExists`], [`Error::NotOffered`] on old firmware, or a command failed.
    pub fn generate_secret(&mut self, spec: &SecretKeySpec) -> Result<(), Error> {
        let doing = Doing::new("GENERATE SYMMETRIC KEY", format!("key {}", spec.id));
        if spec.id.is_device() {
            return Err(Error::input(&doing, "key id 00 is the device's own key"));
        }
        let session = self.session();
        if session.key_attributes(spec.id)?.is_some() {
            return Err(Error::KeyExists { doing });
        }
        let mut data = Writer::new();
        if let Some(uses) = spec.use_counter {
            data.tlv(Tag(0x90), &uses.to_be_bytes());
        }
        if !spec.algorithms.is_unrestricted() {
            data.tlv(Tag(0x91), spec.algorithms.ids());
        }
        if let Some(domain) = spec.key_domain {
            data.tlv(Tag(0x92), &[domain]);
        }
        let command = CommandApdu::new(0x00, 0x48, spec.id.0, spec.size.id()).with_data(&data.finish());
        session.link.expect_ok(&doing, command, Error::refused).map(drop)
    }

    /// AES-CBC encryption of whole blocks; long data goes in several commands, the last block of one being the
    /// initial vector of the next. One use of the key's counter for each command.
    ///
    /// # Errors
    /// The data is no whole number of blocks; [`Error::UseNotPermitted`] and others.
    pub fn encrypt_cbc(
        &mut self,
        id: KeyId,
        iv: [u8; AES_BLOCK],
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let session = self.session();
        let doing = Doing::new("CIPHER", format!("with key {id}, AES-CBC"));
        whole_blocks(&doing, data)?;
        let mut before = iv;
        let mut out = Zeroizing::new(Vec::with_capacity(data.len()));
        for chunk in data.chunks(session.cipher_room()) {
            // The card starts from a zero vector: what stands before goes into the first block.
            let mut chunk = Zeroizing::new(chunk.to_vec());
            xor(&mut chunk, &before);
            let answer = session.cipher(id, Algorithm::AesCbcEncrypt, &chunk, chunk.len())?;
            before = last_block(&answer);
            out.extend_from_slice(&answer);
        }
        Ok(out)
    }

    /// AES-CBC decryption of whole blocks, as [`Self::encrypt_cbc`]. No padding is taken off.
    ///
    /// # Errors
    /// As [`Self::encrypt_cbc`].
    pub fn decrypt_cbc(
        &mut self,
        id: KeyId,
        iv: [u8; AES_BLOCK],
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let session = self.session();
        let doing = Doing::new("CIPHER", format!("with key {id}, AES-CBC"));
        whole_blocks(&doing, data)?;
        let mut before = iv;
        let mut out = Zeroizing::new(Vec::with_capacity(data.len()));
        for chunk in data.chunks(session.cipher_room()) {
            let mut answer = session.cipher(id, Algorithm::AesCbcDecrypt, chunk, chunk.len())?;
            xor(&mut answer, &before);
            before = last_block(chunk);
            out.extend_from_slice(&answer);
        }
        Ok(out)
    }

    /// AES-CMAC over `message`, which must fit one command (reference: NIST SP 800-38B).
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it does not fit; [`Error::UseNotPermitted`] and others.
    pub fn cmac(&mut self, id: KeyId, message: &[u8]) -> Result<[u8; AES_BLOCK], Error> {
        let answer = self
            .session()
            .cipher(id, Algorithm::AesCmac, message, AES_BLOCK)?;
        Ok(last_block(&answer))
    }

    /// 32 secret bytes derived from an AES key. Tokens of different makers do not agree on them.
    ///
    /// # Errors
    /// As [`Self::cmac`].
    pub fn derive_secret(&mut self, id: KeyId, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.session().cipher(id, Algorithm::AesDerive, data, DERIVED)
    }

    /// Makes key `new` of EC key `id` by adding `parameter` to the private number; `new` must be free. The answer is
    /// the request the card wrote for it, not verified; `None` when it wrote none.
    ///
    /// # Errors
    /// [`Error::KeyExists`], [`Error::UseNotPermitted`], or a command failed.
    pub fn derive_ec_key(
        &mut self,
        id: KeyId,
        new: KeyId,
        parameter: &[u8],
    ) -> Result<Option<GeneratedKey>, Error> {
        let doing = Doing::new("DERIVE EC KEY", format!("key {new} from key {id}"));
        if new.is_device() {
            return Err(Error::input(&doing, "key id 00 is the device's own key"));
        }
        let session = self.session();
        if session.key_attributes(new)?.is_some() {
            return Err(Error::KeyExists { doing });
        }
        // No length between the algorithm and the parameter.
        let mut data = Zeroizing::new(vec![Algorithm::EcDerive.id()]);
        data.extend_from_slice(parameter);
        let command = CommandApdu::new(0x80, 0x76, id.0, new.0).with_data(&data);
        session.link.expect_ok(&doing, command, Error::key_use)?;
        let Some(content) = session.read_object(fid::certificate(new))? else {
            return Ok(None);
        };
        let request = AuthenticatedRequest::parse(&content)
            .map_err(|error| Error::protocol(&doing, format!("no authenticated request: {error}")))?;
        Ok(Some(GeneratedKey {
            id: new,
            request: request.to_bytes(),
            public_key: request.request().public_key().clone(),
        }))
    }
}

impl<T: Transport> Session<T> {
    /// One CIPHER command, whose answer has exactly `expected` bytes.
    fn cipher(
        &mut self,
        id: KeyId,
        algorithm: Algorithm,
        data: &[u8],
        expected: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let doing = Doing::new(
            "CIPHER",
            format!("with key {id}, algorithm {:02X}", algorithm.id()),
        );
        let length =
            u32::try_from(expected).map_err(|_| Error::input(&doing, "an answer beyond any card"))?;
        let command = CommandApdu::new(0x80, 0x78, id.0, algorithm.id())
            .with_data(data)
            .map(|c| c.expecting(length));
        let response = self.link.expect_ok(&doing, command, Error::key_use)?;
        if response.data.len() != expected {
            return Err(Error::protocol(
                &doing,
                "another number of bytes than the algorithm gives",
            ));
        }
        Ok(response.data)
    }

    /// Bytes of whole blocks that fit one command: header, extended Lc and Le taken off; never above what clients are
    /// known to send.
    fn cipher_room(&self) -> usize {
        const MOST: usize = 1024;
        let room = self.link.limits().max_command.saturating_sub(4 + 3 + 2);
        (room.min(MOST) / AES_BLOCK).max(1) * AES_BLOCK
    }
}

fn whole_blocks(doing: &Doing, data: &[u8]) -> Result<(), Error> {
    if data.is_empty() || !data.len().is_multiple_of(AES_BLOCK) {
        return Err(Error::input(
            doing,
            "the data is no whole number of blocks of 16 bytes",
        ));
    }
    Ok(())
}

fn xor(data: &mut [u8], block: &[u8; AES_BLOCK]) {
    for (byte, with) in data.iter_mut().zip(block) {
        *byte ^= with;
    }
}

fn last_block(data: &[u8]) -> [u8; AES_BLOCK] {
    data.last_chunk().copied().unwrap_or_default()
}
