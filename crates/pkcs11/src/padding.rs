//! Padding of RSA that is put on and taken off here (RFC 8017), because a token only does the raw operation, or cannot know
//! what a caller wants.

use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::hash::Hash;

/// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2) of `info` for a modulus of `length` bytes; `None` when it does not fit.
#[must_use]
pub fn pkcs1(info: &[u8], length: usize) -> Option<Vec<u8>> {
    let filling = length
        .checked_sub(info.len() + 3)
        .filter(|filling| *filling >= 8)?;
    let mut block = Vec::with_capacity(length);
    block.extend_from_slice(&[0, 1]);
    block.resize(2 + filling, 0xFF);
    block.push(0);
    block.extend_from_slice(info);
    Some(block)
}

/// EMSA-PSS (RFC 8017 section 9.1.1) for a modulus of `bits` bits; `None` when it does not fit.
#[must_use]
pub fn pss(digest: &[u8], hash: Hash, mask: Hash, salt: &[u8], bits: usize) -> Option<Vec<u8>> {
    let encoded_bits = bits.checked_sub(1)?;
    let encoded = encoded_bits.div_ceil(8);
    let zeros = encoded.checked_sub(digest.len() + salt.len() + 2)?;
    let seal = hash.digest(&[&[0; 8], digest, salt]);
    let mut block = vec![0; zeros];
    block.push(1);
    block.extend_from_slice(salt);
    apply_mask(&mut block, mask, &seal);
    if let Some(first) = block.first_mut() {
        *first &= 0xFF_u8 >> (8 * encoded - encoded_bits);
    }
    block.extend_from_slice(&seal);
    block.push(0xBC);
    // A modulus of one bit more than a number of bytes has one byte more than the block.
    block.splice(..0, std::iter::repeat_n(0, bits.div_ceil(8) - encoded));
    Some(block)
}

/// Takes RSAES-PKCS1-v1_5 padding off (RFC 8017 section 7.2.2, step 3). What is wrong with a block, and where, takes no
/// other time than what is right.
#[must_use]
pub fn unpad_pkcs1(block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (head, body) = block.split_at_checked(2)?;
    let mut good = head.ct_eq(&[0, 2]);
    let mut found = Choice::from(0);
    let mut end = 0_u32;
    for (index, byte) in (0_u32..).zip(body) {
        let zero = byte.ct_eq(&0) & !found;
        end = u32::conditional_select(&end, &index, zero);
        found |= zero;
    }
    good &= found;
    let end = usize::try_from(end).unwrap_or(0);
    good &= Choice::from(u8::from(end >= 8));
    if !bool::from(good) {
        return None;
    }
    Some(Zeroizing::new(body.get(end + 1..)?.to_vec()))
}

/// Takes OAEP padding off (RFC 8017 section 7.1.2, step 3). One answer for everything that is wrong.
#[must_use]
pub fn unpad_oaep(block: &[u8], hash: Hash, mask: Hash, label: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let length = hash.length();
    let (&first, rest) = block.split_first()?;
    let (seed, data) = rest.split_at_checked(length)?;
    if data.len() < length + 1 {
        return None;
    }
    let mut seed = Zeroizing::new(seed.to_vec());
    let mut data = Zeroizing::new(data.to_vec());
    apply_mask(&mut seed, mask, &data);
    apply_mask(&mut data, mask, &seed);
    let (label_hash, padded) = data.split_at_checked(length)?;
    let mut good = first.ct_eq(&0) & label_hash.ct_eq(&hash.digest(&[label]));
    let mut found = Choice::from(0);
    let mut end = 0_u32;
    for (index, byte) in (0_u32..).zip(padded) {
        let one = byte.ct_eq(&1) & !found;
        end = u32::conditional_select(&end, &index, one);
        good &= found | one | byte.ct_eq(&0);
        found |= one;
    }
    good &= found;
    if !bool::from(good) {
        return None;
    }
    let end = usize::try_from(end).unwrap_or(0);
    Some(Zeroizing::new(padded.get(end + 1..)?.to_vec()))
}

/// XORs MGF1 of `seed` (RFC 8017 B.2.1) onto `target`.
fn apply_mask(target: &mut [u8], hash: Hash, seed: &[u8]) {
    for (counter, part) in (0_u32..).zip(target.chunks_mut(hash.length())) {
        let mask = hash.digest(&[seed, &counter.to_be_bytes()]);
        for (byte, mask) in part.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oaep(message: &[u8], length: usize, hash: Hash, mask: Hash, label: &[u8]) -> Vec<u8> {
        let mut data = hash.digest(&[label]);
        data.resize(length - 1 - hash.length() - 1 - message.len(), 0);
        data.push(1);
        data.extend_from_slice(message);
        let mut seed = vec![0x5A; hash.length()];
        apply_mask(&mut data, mask, &seed);
        apply_mask(&mut seed, mask, &data);
        [&[0], &seed[..], &data[..]].concat()
    }

    #[test]
    fn oaep_comes_off_with_its_own_label_only() {
        let block = oaep(b"secret", 256, Hash::Sha256, Hash::Sha1, b"label");
        let off = |label: &[u8]| unpad_oaep(&block, Hash::Sha256, Hash::Sha1, label);
        assert_eq!(off(b"label").as_deref().map(Vec::as_slice), Some(&b"secret"[..]));
        assert_eq!(off(b""), None);
        assert_eq!(unpad_oaep(&block[..60], Hash::Sha256, Hash::Sha1, b"label"), None);
        let empty = oaep(b"", 256, Hash::Sha1, Hash::Sha1, b"");
        assert_eq!(
            unpad_oaep(&empty, Hash::Sha1, Hash::Sha1, b"")
                .as_deref()
                .map(Vec::as_slice),
            Some(&b""[..])
        );
    }

    #[test]
    fn version_one_five_needs_eight_bytes_of_filling() {
        let block = |filling: usize| {
            [
                &[0, 2],
                vec![9; filling].as_slice(),
                &[0],
                vec![7; 253 - filling].as_slice(),
            ]
            .concat()
        };
        assert_eq!(unpad_pkcs1(&block(8)).map(|plain| plain.len()), Some(245));
        assert_eq!(unpad_pkcs1(&block(253)).map(|plain| plain.len()), Some(0));
        assert_eq!(unpad_pkcs1(&block(7)), None);
        assert_eq!(unpad_pkcs1(&[0, 2, 9, 9]), None);
        assert_eq!(unpad_pkcs1(&[0]), None);
        assert_eq!(
            pkcs1(&[1; 53], 64).unwrap()[..11],
            [0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 0]
        );
        assert_eq!(pkcs1(&[1; 54], 64), None);
    }

    #[test]
    fn pss_fits_or_is_refused() {
        let digest = [3; 32];
        let block = pss(&digest, Hash::Sha256, Hash::Sha256, &[4; 32], 2048).unwrap();
        assert_eq!((block.len(), block[0] & 0x80, block[255]), (256, 0, 0xBC));
        assert_eq!(pss(&digest, Hash::Sha256, Hash::Sha256, &[4; 32], 512), None);
        assert_eq!(
            pss(&digest, Hash::Sha256, Hash::Sha256, &[], 1025).unwrap().len(),
            129
        );
    }
}
