//! Blobs that carry a right MAC and wrong content: only the holder of the key can make them, and they must not
//! bring a token down either.

use proptest::prelude::*;

use super::*;
use crate::{RsaCrt, RsaSecret};

fn kek() -> Kek {
    Kek::new([0x3C; 32])
}

/// A blob with the right check value and MAC around any bytes.
fn authentic(content: &[u8]) -> Vec<u8> {
    let mut blob = kek().kcv().0.to_vec();
    blob.extend_from_slice(content);
    let mac = mac_of(&kek(), &blob);
    blob.extend_from_slice(&mac);
    blob
}

fn encrypted(type_byte: u8, plaintext: &[u8]) -> Vec<u8> {
    let mut content = vec![type_byte, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut body = plaintext.to_vec();
    body.resize(plaintext.len().next_multiple_of(16), 0);
    let mut cipher = cbc::Encryptor::<Aes256>::new((&*kek().encryption_key()).into(), (&[0; 16]).into());
    for block in body.as_chunks_mut::<16>().0 {
        cipher.encrypt_block(block.into());
    }
    content.extend_from_slice(&body);
    authentic(&content)
}

fn secret(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

#[test]
fn the_derived_keys_are_the_known_ones() {
    let bytes: Vec<u8> = (0..32).collect();
    let kek = Kek::from_slice(&bytes).unwrap();
    let encryption = "04A6950A06D3E3308AD7D3606EF810EB124E3943404CA746A12C51C7BF776839";
    let mac = "0F8D842AC9CB62349779A7537A78327D545AAEB33B2D42C7D1DC3680A4B23628";
    assert_eq!(hex::encode_upper(*kek.encryption_key()), encryption);
    assert_eq!(hex::encode_upper(*kek.mac_key()), mac);
}

#[test]
fn fail_authentic_nonsense_by_name() {
    let cases: [(&str, Vec<u8>, BlobError); 8] = [
        (
            "nothing",
            authentic(&[]),
            BlobError::Truncated { field: "key type" },
        ),
        (
            "no OID",
            authentic(&[0x0C]),
            BlobError::Truncated {
                field: "algorithm OID",
            },
        ),
        (
            "seventeen algorithms",
            authentic(&[&[0x0C, 0, 0, 0, 17][..], &[0x70; 17], &[0; 4]].concat()),
            BlobError::Algorithms(AlgorithmListError { length: 17 }),
        ),
        (
            "no ciphertext",
            encrypted(TYPE_AES, &[]),
            BlobError::Truncated {
                field: "random prefix",
            },
        ),
        (
            "half a block",
            authentic(&[0x0F, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]),
            BlobError::Ciphertext { length: 3 },
        ),
        (
            "unknown type",
            encrypted(0x77, &[0; 16]),
            BlobError::UnknownType { type_byte: 0x77 },
        ),
        (
            "AES key of five bytes",
            encrypted(TYPE_AES, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5]),
            BlobError::Key {
                field: "AES key length",
            },
        ),
        (
            "RSA modulus longer than the blob",
            encrypted(TYPE_RSA, &[0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 1, 7, 0xFF, 0xFF]),
            BlobError::Truncated { field: "modulus" },
        ),
    ];
    for (name, blob, expected) in cases {
        assert_eq!(open(&kek(), &blob), Err(expected), "{name}");
    }
}

#[test]
fn fail_points_of_the_wrong_shape() {
    let good = ec(4);
    for change in [0_u8, 2, 3] {
        let mut bad = good.clone();
        if let KeyMaterial::Ec { q, .. } = &mut bad {
            q[0] = change;
        }
        let blob = seal(&kek(), &bad, &AlgorithmList::unrestricted(), [0; 8]).unwrap();
        assert_eq!(
            open(&kek(), &blob),
            Err(BlobError::Key {
                field: "public point"
            })
        );
    }
}

#[test]
fn short_numbers_are_padded_and_a_missing_coefficient_is_minus_three() {
    // bits, a missing, b = 5, p = 01 00 01, n = 01 00 00 03, G, d = 9, Q
    let point = [4, 0, 0, 1, 0, 0, 2];
    let mut plaintext = vec![0; 8];
    plaintext.extend([0, 17]);
    for field in [&[][..], &[5], &[1, 0, 1], &[1, 0, 0, 3], &point, &[9], &point] {
        plaintext.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
        plaintext.extend(field);
    }
    let opened = open(&kek(), &encrypted(TYPE_EC, &plaintext)).unwrap();
    let expected = KeyMaterial::Ec {
        bits: 17,
        a: vec![0, 0xFF, 0xFE],
        b: vec![0, 0, 5],
        p: vec![1, 0, 1],
        n: vec![1, 0, 0, 3],
        g: point.to_vec(),
        d: secret(&[0, 0, 0, 9]),
        q: point.to_vec(),
    };
    assert_eq!(opened.material, expected);
}

#[test]
fn fail_to_seal_what_does_not_fit() {
    let mut key = ec(32);
    if let KeyMaterial::Ec { d, .. } = &mut key {
        *d = secret(&[1; 33]);
    }
    let none = AlgorithmList::unrestricted();
    assert_eq!(
        seal(&kek(), &key, &none, [0; 8]),
        Err(BlobError::Key {
            field: "private number"
        })
    );
    let key = KeyMaterial::Aes {
        key: secret(&[1; 17]),
    };
    assert_eq!(
        seal(&kek(), &key, &none, [0; 8]),
        Err(BlobError::Key {
            field: "AES key length"
        })
    );
    let key = KeyMaterial::Rsa {
        bits: 20_000,
        n: vec![1; 2500],
        e: vec![3],
        secret: RsaSecret::Exponent(secret(&[1; 2500])),
    };
    assert!(matches!(
        seal(&kek(), &key, &none, [0; 8]),
        Err(BlobError::TooLong { .. })
    ));
}

/// Numbers of this many bytes in the shape of an EC key.
fn ec(length: usize) -> KeyMaterial {
    let point = [&[4][..], &vec![6; 2 * length]].concat();
    KeyMaterial::Ec {
        bits: u16::try_from(length * 8).unwrap(),
        a: vec![1; length],
        b: vec![2; length],
        p: vec![3; length],
        n: vec![4; length],
        g: point.clone(),
        d: secret(&vec![5; length]),
        q: point,
    }
}

fn numbers(length: usize) -> impl Strategy<Value = Zeroizing<Vec<u8>>> {
    prop::collection::vec(any::<u8>(), length).prop_map(|mut bytes| {
        bytes[0] |= 1;
        Zeroizing::new(bytes)
    })
}

fn materials() -> impl Strategy<Value = KeyMaterial> {
    let aes = prop_oneof![numbers(16), numbers(24), numbers(32), numbers(64)]
        .prop_map(|key| KeyMaterial::Aes { key });
    let plain = (numbers(256), numbers(256), numbers(3)).prop_map(|(n, d, e)| KeyMaterial::Rsa {
        bits: 2048,
        n: n.to_vec(),
        e: e.to_vec(),
        secret: RsaSecret::Exponent(d),
    });
    let crt = (numbers(64), prop::collection::vec(numbers(32), 5)).prop_map(|(n, mut parts)| {
        let mut next = || parts.pop().unwrap();
        KeyMaterial::Rsa {
            bits: 512,
            n: n.to_vec(),
            e: vec![3],
            secret: RsaSecret::Crt(RsaCrt {
                p: next(),
                q: next(),
                dp: next(),
                dq: next(),
                q_inverse: next(),
            }),
        }
    });
    prop_oneof![
        aes,
        plain,
        crt,
        prop_oneof![Just(28_usize), Just(32), Just(48), Just(66)].prop_map(ec)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn keys_round_trip(
        material in materials(),
        ids in prop::collection::vec(any::<u8>(), 0..=16),
        prefix: [u8; 8],
    ) {
        let algorithms = AlgorithmList::from_ids(&ids).unwrap();
        let blob = seal(&kek(), &material, &algorithms, prefix).unwrap();
        prop_assert_eq!(key_type_of(&blob), Ok(material.key_type()));
        prop_assert_eq!(open(&kek(), &blob), Ok(OpenedBlob { material, algorithms }));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(open(&kek(), &bytes).is_err());
    }

    #[test]
    fn authentic_headers_never_panic(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = open(&kek(), &authentic(&content));
    }

    #[test]
    fn authentic_plaintexts_never_panic(
        type_byte in prop_oneof![Just(TYPE_RSA), Just(TYPE_RSA_CRT), Just(TYPE_EC), Just(TYPE_AES), any::<u8>()],
        fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..9),
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut plaintext = vec![0; 10];
        for field in fields {
            plaintext.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
            plaintext.extend(field);
        }
        plaintext.extend(tail);
        let _ = open(&kek(), &encrypted(type_byte, &plaintext));
    }
}
