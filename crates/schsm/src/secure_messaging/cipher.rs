//! The primitives of both protocols: CBC encryption, MAC and padding.

use aes::Aes128;
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit,
};
use cmac::{Cmac, Mac};
use des::{Des, TdesEde2};
use zeroize::Zeroizing;

use super::keys::Protocol;

/// Length of a session key in bytes, in both protocols.
pub(super) const KEY: usize = 16;
/// Length of a MAC in bytes, in both protocols.
pub(super) const MAC: usize = 8;
/// The longer of the two block lengths, in bytes.
const LONGEST_BLOCK: usize = 16;

impl Protocol {
    /// Length of a block and of the send sequence counter in bytes.
    pub(super) fn block(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes => 8,
        }
    }

    /// The send sequence counter as it is authenticated.
    pub(super) fn counter(self, count: u64) -> Vec<u8> {
        match self {
            Self::Aes128 => u128::from(count).to_be_bytes().to_vec(),
            Self::TripleDes => count.to_be_bytes().to_vec(),
        }
    }

    /// Encrypts padded data in place.
    pub(super) fn encrypt(self, key: &[u8; KEY], count: u64, data: &mut [u8]) {
        match self {
            Self::Aes128 => {
                let iv = aes_iv(key, count);
                let mut cipher = cbc::Encryptor::<Aes128>::new(key.into(), (&iv).into());
                for block in data.as_chunks_mut::<16>().0 {
                    cipher.encrypt_block(block.into());
                }
            }
            Self::TripleDes => {
                let mut cipher = cbc::Encryptor::<TdesEde2>::new(key.into(), (&[0; 8]).into());
                for block in data.as_chunks_mut::<8>().0 {
                    cipher.encrypt_block(block.into());
                }
            }
        }
    }

    /// Decrypts whole blocks in place.
    pub(super) fn decrypt(self, key: &[u8; KEY], count: u64, data: &mut [u8]) {
        match self {
            Self::Aes128 => {
                let iv = aes_iv(key, count);
                let mut cipher = cbc::Decryptor::<Aes128>::new(key.into(), (&iv).into());
                for block in data.as_chunks_mut::<16>().0 {
                    cipher.decrypt_block(block.into());
                }
            }
            Self::TripleDes => {
                let mut cipher = cbc::Decryptor::<TdesEde2>::new(key.into(), (&[0; 8]).into());
                for block in data.as_chunks_mut::<8>().0 {
                    cipher.decrypt_block(block.into());
                }
            }
        }
    }

    /// The MAC of a message. With triple DES it has to be whole blocks (ISO/IEC 9797-1 algorithm 3, no padding).
    pub(super) fn mac(self, key: &[u8; KEY], message: &[u8]) -> [u8; MAC] {
        match self {
            Self::Aes128 => {
                let mut mac = Cmac::<Aes128>::new(key.into());
                mac.update(message);
                let whole: [u8; 16] = mac.finalize().into_bytes().into();
                let [a, b, c, d, e, f, g, h, ..] = whole;
                [a, b, c, d, e, f, g, h]
            }
            Self::TripleDes => retail_mac(key, message),
        }
    }
}

/// The initialisation vector of AES: the encrypted counter.
fn aes_iv(key: &[u8; KEY], count: u64) -> [u8; 16] {
    let mut iv = u128::from(count).to_be_bytes();
    Aes128::new(key.into()).encrypt_block((&mut iv).into());
    iv
}

/// CBC-MAC with single DES under the first half of the key, and triple DES for the last block.
fn retail_mac(key: &[u8; KEY], message: &[u8]) -> [u8; MAC] {
    let (first, second) = key.split_first_chunk::<8>().expect("a key has 16 bytes");
    let second = second.first_chunk::<8>().expect("a key has 16 bytes");
    let (first, second) = (Des::new(first.into()), Des::new(second.into()));
    let mut state = [0; 8];
    for block in message.as_chunks::<8>().0 {
        for (byte, more) in state.iter_mut().zip(block) {
            *byte ^= more;
        }
        first.encrypt_block((&mut state).into());
    }
    second.decrypt_block((&mut state).into());
    first.encrypt_block((&mut state).into());
    state
}

/// Appends `80 00 ..` up to the block length, a whole block where nothing is missing (ISO/IEC 7816-4 10.2.3.1).
pub(super) fn pad(bytes: &[u8], block: usize) -> Zeroizing<Vec<u8>> {
    // Sized once: a buffer that grows leaves copies of what is in it behind.
    let mut padded = Zeroizing::new(Vec::with_capacity(bytes.len() + LONGEST_BLOCK));
    padded.extend_from_slice(bytes);
    padded.push(0x80);
    let length = padded.len().next_multiple_of(block);
    padded.resize(length, 0);
    padded
}

/// Length without the padding, or `None` when the last block does not end with one.
pub(super) fn unpadded(bytes: &[u8], block: usize) -> Option<usize> {
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let marker = bytes.len().checked_sub(zeros + 1)?;
    (bytes.get(marker) == Some(&0x80) && zeros < block).then_some(marker)
}
