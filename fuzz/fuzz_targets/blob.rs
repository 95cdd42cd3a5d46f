//! Bytes to the readers of what leaves a token wrapped: key blobs and share files.
//!
//! The authentication code of a blob would stop every invented one at the door. So the first byte of the input chooses:
//! the blob as it is, or its inside (type, fields, plaintext), which is encrypted and authenticated here with code of its
//! own before it is opened.
#![no_main]

use aes::Aes256;
use aes::cipher::{BlockModeEncrypt, KeyInit, KeyIvInit};
use chancery_schsm::{Kek, blob, share_file};
use cmac::{Cmac, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, bytes)) = bytes.split_first() else {
        return;
    };
    match mode % 3 {
        0 => open(bytes),
        1 => open(&sealed(bytes)),
        // A file of the right length with the right start costs seconds of key derivation; all others are quick.
        _ if bytes.len() == share_file::LENGTH && bytes.starts_with(b"Salted__") => {}
        _ => assert!(share_file::decrypt(bytes, b"secret").is_err()),
    }
});

/// Opens a blob; what comes out is sealed and opened again. The first seal writes numbers in fixed lengths, from then on
/// nothing may change.
fn open(bytes: &[u8]) {
    let kek = Kek::new(KEK);
    let _ = blob::key_type_of(bytes);
    let Ok(opened) = blob::open(&kek, bytes) else {
        return;
    };
    let Ok(first) = blob::seal(&kek, &opened.material, &opened.algorithms, [0; 8]) else {
        return;
    };
    let once = blob::open(&kek, &first).expect("a blob that was sealed");
    assert_eq!(once.algorithms, opened.algorithms);
    let second = blob::seal(&kek, &once.material, &once.algorithms, [0; 8]).expect("a key that was opened");
    assert!(second == first);
}

/// Makes a blob around `inside`: the plaintext is what is left after the type byte and four fields, filled up to whole
/// blocks. Written from the format, not with the code under test.
fn sealed(inside: &[u8]) -> Vec<u8> {
    let header = header_length(inside);
    let (header, plaintext) = inside.split_at(header);
    let mut ciphertext = plaintext.to_vec();
    ciphertext.resize(plaintext.len().next_multiple_of(16), 0);
    let mut cipher = cbc::Encryptor::<Aes256>::new((&derived(1)).into(), (&[0; 16]).into());
    for block in ciphertext.as_chunks_mut::<16>().0 {
        cipher.encrypt_block(block.into());
    }
    let mut blob = Sha256::digest(KEK)[..8].to_vec();
    blob.extend_from_slice(header);
    blob.extend_from_slice(&ciphertext);
    let mut mac = Cmac::<Aes256>::new((&derived(2)).into());
    mac.update(&blob);
    let code = mac.finalize().into_bytes();
    blob.extend_from_slice(&code);
    blob
}

/// Length of the type byte and the four length-prefixed fields, or of all there is.
fn header_length(inside: &[u8]) -> usize {
    let mut position = 1;
    for _ in 0..4 {
        let Some([high, low]) = inside.get(position..position + 2) else {
            return inside.len();
        };
        position += 2 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    position.min(inside.len())
}

fn derived(counter: u32) -> [u8; 32] {
    Sha256::new()
        .chain_update(KEK)
        .chain_update(counter.to_be_bytes())
        .finalize()
        .into()
}

/// The key the published blobs are wrapped under: 00, 01, … 1F.
const KEK: [u8; 32] = {
    let mut key = [0; 32];
    let mut index = 0;
    while index < 32 {
        key[index] = index as u8;
        index += 1;
    }
    key
};
