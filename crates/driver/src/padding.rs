//! RSA paddings that the host puts on or takes off, around the card's raw operations (reference: RFC 8017).

use chancery_iso7816::tlv::{Tag, Writer};
use chancery_schsm::Hash;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use zeroize::Zeroizing;

/// A block that does not carry the padding asked for.
///
/// It says nothing more: whoever learns what was wrong with a block he chose learns about the plaintext of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the deciphered block does not carry the padding expected: another key, another padding or another label"
)]
pub struct PaddingError;

/// Shortest random part of PKCS#1 v1.5 encryption padding, in bytes.
const LEAST_FILL: usize = 8;

/// The crypto library's hash function.
#[must_use]
pub fn digest_of(which: Hash) -> MessageDigest {
    match which {
        Hash::Sha1 => MessageDigest::sha1(),
        Hash::Sha224 => MessageDigest::sha224(),
        Hash::Sha256 => MessageDigest::sha256(),
        Hash::Sha384 => MessageDigest::sha384(),
        Hash::Sha512 => MessageDigest::sha512(),
    }
}

/// The message in a block padded with RSAES-PKCS1-v1_5 (7.2.2): `00 02 | 8 or more bytes other than 00 | 00 | message`.
///
/// # Errors
/// [`PaddingError`]. Time does not depend on where the message starts.
pub fn strip_pkcs1(block: &[u8]) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    let mut bad = u8::from(block.len() < 3 + LEAST_FILL);
    bad |= block.first().copied().unwrap_or(0xFF);
    bad |= block.get(1).copied().unwrap_or_default() ^ 0x02;
    // Where the first 00 after the fill stands, by masks.
    let mut start = 0usize;
    let mut found = 0u8;
    for (index, byte) in block.iter().enumerate().skip(2) {
        let is_zero = is_zero(*byte);
        let first = is_zero & !found;
        start |= usize::from(first) * (index + 1);
        found |= is_zero;
    }
    bad |= found ^ 1;
    bad |= u8::from(start < 3 + LEAST_FILL);
    match block.get(start..) {
        Some(message) if bad == 0 => Ok(Zeroizing::new(message.to_vec())),
        _ => Err(PaddingError),
    }
}

/// The message in a block padded with RSAES-OAEP (7.1.2), mask generation with `mask`.
///
/// # Errors
/// [`PaddingError`].
pub fn strip_oaep(
    block: &[u8],
    which: Hash,
    mask: Hash,
    label: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    let length = which.output_len();
    let (first, rest) = block.split_first().ok_or(PaddingError)?;
    let (masked_seed, masked_data) = rest.split_at_checked(length).ok_or(PaddingError)?;
    if masked_data.len() < length + 1 {
        return Err(PaddingError);
    }
    let label_hash = hash(digest_of(which), label).map_err(|_| PaddingError)?;
    let seed = masked(masked_seed, masked_data, mask).map_err(|_| PaddingError)?;
    let data = masked(masked_data, &seed, mask).map_err(|_| PaddingError)?;
    let (named, rest) = data.split_at_checked(length).ok_or(PaddingError)?;
    let mut bad = *first;
    for (byte, expected) in named.iter().zip(label_hash.iter()) {
        bad |= byte ^ expected;
    }
    // 00 .. 00 01 message
    let mut start = 0usize;
    let mut found = 0u8;
    for (index, byte) in rest.iter().enumerate() {
        let is_one = is_zero(byte ^ 0x01);
        let before = !found & 1;
        start |= usize::from(is_one & before) * (index + 1);
        bad |= before * (1 - is_one) * byte;
        found |= is_one;
    }
    bad |= found ^ 1;
    match rest.get(start..) {
        Some(message) if bad == 0 => Ok(Zeroizing::new(message.to_vec())),
        _ => Err(PaddingError),
    }
}

/// A block of RSASSA-PKCS1-v1_5 (9.2) over a hash value, for the raw operation; `None` when it does not fit.
#[must_use]
pub fn pkcs1_block(which: Hash, value: &[u8], modulus_len: usize) -> Option<Vec<u8>> {
    let info = digest_info(which, value)?;
    let fill = modulus_len.checked_sub(info.len() + 3)?;
    if fill < LEAST_FILL {
        return None;
    }
    let mut block = vec![0x00, 0x01];
    block.resize(2 + fill, 0xFF);
    block.push(0x00);
    block.extend_from_slice(&info);
    Some(block)
}

/// A DigestInfo (9.2 note 1); `None` when the value is not as long as the hash.
#[must_use]
pub fn digest_info(which: Hash, value: &[u8]) -> Option<Vec<u8>> {
    if value.len() != which.output_len() {
        return None;
    }
    let oid: &[u8] = match which {
        Hash::Sha1 => &[0x2B, 0x0E, 0x03, 0x02, 0x1A],
        Hash::Sha224 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04],
        Hash::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        Hash::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
        Hash::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
    };
    let mut out = Writer::new();
    out.nested(Tag(0x30), |info| {
        info.nested(Tag(0x30), |algorithm| {
            algorithm.tlv(Tag(0x06), oid).tlv(Tag(0x05), &[]);
        });
        info.tlv(Tag(0x04), value);
    });
    Some(out.finish())
}

/// A block of RSASSA-PSS (9.1.1) over a hash value, for the raw operation, mask generation with the same hash. The salt
/// must be fresh random bytes; `modulus_bits` is the size of the key. `None` when it does not fit.
#[must_use]
pub fn pss_block(which: Hash, value: &[u8], salt: &[u8], modulus_bits: usize) -> Option<Vec<u8>> {
    let length = which.output_len();
    let bits = modulus_bits.checked_sub(1)?;
    let encoded = bits.div_ceil(8);
    let fill = encoded.checked_sub(length + salt.len() + 2)?;
    if value.len() != length {
        return None;
    }
    let mut prefixed = vec![0; 8];
    prefixed.extend_from_slice(value);
    prefixed.extend_from_slice(salt);
    let h = hash(digest_of(which), &prefixed).ok()?;
    let mut data = vec![0; fill];
    data.push(0x01);
    data.extend_from_slice(salt);
    let mut block = masked(&data, &h, which).ok()?.to_vec();
    if let Some(top) = block.first_mut() {
        *top &= 0xFF >> (8 * encoded - bits);
    }
    block.extend_from_slice(&h);
    block.push(0xBC);
    // A modulus of 8k + 1 bits has one byte more than the encoded message.
    let mut whole = vec![0; modulus_bits.div_ceil(8).checked_sub(block.len())?];
    whole.append(&mut block);
    Some(whole)
}

/// `data` under the mask MGF1 (B.2.1) makes of `seed`.
fn masked(data: &[u8], seed: &[u8], mask: Hash) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut out = Zeroizing::new(Vec::with_capacity(data.len()));
    for (counter, chunk) in (0u32..).zip(data.chunks(mask.output_len())) {
        let mut input = Zeroizing::new(seed.to_vec());
        input.extend_from_slice(&counter.to_be_bytes());
        let bytes = hash(digest_of(mask), &input)?;
        out.extend(chunk.iter().zip(bytes.iter()).map(|(byte, mask)| byte ^ mask));
    }
    Ok(out)
}

/// 1 for 00, otherwise 0, without a branch.
fn is_zero(byte: u8) -> u8 {
    let wide = u16::from(byte);
    let [high, _] = wide.wrapping_sub(1).to_be_bytes();
    high & 1
}

#[cfg(test)]
mod tests {
    use openssl::encrypt::Encrypter;
    use openssl::pkey::PKey;
    use openssl::rsa::{Padding, Rsa};
    use openssl::sign::{RsaPssSaltlen, Verifier};

    use super::*;

    /// Everything the library pads comes off again, for messages of every length.
    #[test]
    fn what_the_library_pads_is_stripped() {
        let rsa = Rsa::generate(1024).unwrap();
        let key = PKey::from_rsa(rsa.clone()).unwrap();
        let raw = |cryptogram: &[u8]| {
            let mut block = vec![0; 128];
            rsa.private_decrypt(cryptogram, &mut block, Padding::NONE)
                .unwrap();
            block
        };
        for length in [0, 1, 16, 61] {
            let message = vec![0; length];
            let mut cryptogram = vec![0; 128];
            rsa.public_encrypt(&message, &mut cryptogram, Padding::PKCS1)
                .unwrap();
            assert_eq!(*strip_pkcs1(&raw(&cryptogram)).unwrap(), message);
            for (which, mask) in [
                (Hash::Sha256, Hash::Sha256),
                (Hash::Sha256, Hash::Sha1),
                (Hash::Sha1, Hash::Sha1),
            ] {
                let mut encrypter = Encrypter::new(&key).unwrap();
                encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
                encrypter.set_rsa_oaep_md(digest_of(which)).unwrap();
                encrypter.set_rsa_mgf1_md(digest_of(mask)).unwrap();
                encrypter.set_rsa_oaep_label(b"label").unwrap();
                let mut cryptogram = vec![0; encrypter.encrypt_len(&message).unwrap()];
                let length = encrypter.encrypt(&message, &mut cryptogram).unwrap();
                let block = raw(&cryptogram[..length]);
                assert_eq!(*strip_oaep(&block, which, mask, b"label").unwrap(), message);
                assert_eq!(strip_oaep(&block, which, mask, b""), Err(PaddingError));
                assert_eq!(strip_pkcs1(&block), Err(PaddingError));
            }
        }
    }

    #[test]
    fn malformed_blocks_are_refused_alike() {
        let mut good = vec![0x00, 0x02];
        good.resize(2 + 8, 0xAA);
        good.extend_from_slice(b"\0message");
        assert_eq!(**strip_pkcs1(&good).unwrap(), *b"message");
        let change = |index: usize, value: u8| {
            let mut block = good.clone();
            block[index] = value;
            block
        };
        for bad in [
            change(0, 1),
            change(1, 1),
            change(5, 0),
            change(10, 7),
            Vec::new(),
            vec![0, 2],
        ] {
            assert_eq!(strip_pkcs1(&bad), Err(PaddingError), "{bad:02X?}");
        }
        for short in 0..70 {
            assert_eq!(
                strip_oaep(&vec![0; short], Hash::Sha256, Hash::Sha256, b""),
                Err(PaddingError)
            );
        }
    }

    #[test]
    fn padded_signatures_verify() {
        for bits in [1024, 1032, 1025] {
            let rsa = Rsa::generate(bits).unwrap();
            let size = usize::try_from(rsa.size()).unwrap();
            let key = PKey::from_rsa(rsa.clone()).unwrap();
            for which in [Hash::Sha1, Hash::Sha256, Hash::Sha384] {
                let value = hash(digest_of(which), b"message").unwrap();
                let salt = vec![0x5A; which.output_len()];
                let blocks = [
                    (pkcs1_block(which, &value, size).unwrap(), Padding::PKCS1),
                    (
                        pss_block(which, &value, &salt, usize::try_from(bits).unwrap()).unwrap(),
                        Padding::PKCS1_PSS,
                    ),
                ];
                for (block, padding) in blocks {
                    let mut signature = vec![0; size];
                    rsa.private_encrypt(&block, &mut signature, Padding::NONE)
                        .unwrap();
                    let mut verifier = Verifier::new(digest_of(which), &key).unwrap();
                    verifier.set_rsa_padding(padding).unwrap();
                    if padding == Padding::PKCS1_PSS {
                        verifier
                            .set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)
                            .unwrap();
                    }
                    assert!(verifier.verify_oneshot(&signature, b"message").unwrap());
                }
            }
        }
        assert!(pkcs1_block(Hash::Sha512, &[0; 64], 64).is_none());
        assert!(pss_block(Hash::Sha512, &[0; 64], &[0; 64], 1024).is_none());
    }
}
