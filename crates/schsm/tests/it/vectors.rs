//! Wrapped keys and a share file made by other software open, and what comes out works.

use std::path::Path;

use chancery_schsm::blob::{self, BlobError};
use chancery_schsm::{Algorithm, Kcv, Kek, KekShare, KeyMaterial, KeyType, RsaSecret, share_file};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Rsa, RsaPrivateKeyBuilder};
use openssl::sign::{Signer, Verifier};

const PREFIX: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
const WRAPPED: [&str; 7] = [
    "wrapped-ec-p256",
    "wrapped-aes256",
    "wrapped-rsa2048-type5",
    "wrapped-rsa2048-type6-crt",
    "pico-export-ec-p256",
    "pico-export-aes256",
    "pico-export-rsa2048-type5",
];

fn vector(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../testdata/vectors/{name}.hex"));
    hex::decode(
        std::fs::read_to_string(file)
            .unwrap()
            .split_whitespace()
            .collect::<String>(),
    )
    .unwrap()
}

/// Bytes 00 to 1F.
fn kek() -> Kek {
    let bytes: Vec<u8> = (0..32).collect();
    Kek::from_slice(&bytes).unwrap()
}

fn open(name: &str) -> blob::OpenedBlob {
    blob::open(&kek(), &vector(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn number(bytes: &[u8]) -> BigNum {
    BigNum::from_slice(bytes).unwrap()
}

#[test]
fn the_share_file_decrypts_to_the_known_share() {
    let file = vector("dkek-share.pbe");
    let mut reports = 0;
    let share = share_file::decrypt_with_progress(&file, b"secret", |_| reports += 1).unwrap();
    let expected = "E430483F7EDCDA52EE9A6997317D27775C0A91624E77B0BBE20376421B573D41";
    assert_eq!(hex::encode_upper(share.secret_bytes()), expected);
    assert_eq!(Kek::from(share).kcv().to_string(), "FCD76B667D1B2EBF");
    assert!(reports > 100);
}

#[test]
fn the_share_file_is_made_again_byte_for_byte() {
    let file = vector("dkek-share.pbe");
    let share = hex::decode("E430483F7EDCDA52EE9A6997317D27775C0A91624E77B0BBE20376421B573D41").unwrap();
    let share = KekShare::from_slice(&share).unwrap();
    let salt = file[8..16].try_into().unwrap();
    assert_eq!(share_file::encrypt(&share, b"secret", salt).as_slice(), file);
}

#[test]
fn the_key_of_the_vectors_has_its_check_value() {
    assert_eq!(kek().kcv().to_string(), "630DCD2966C43366");
    let zero = Kek::from_shares(&[KekShare::new([9; 32]), KekShare::new([9; 32])]).unwrap();
    assert_eq!(zero.kcv().to_string(), "66687AADF862BD77");
    assert!(zero.is_zero() && !kek().is_zero());
    for name in WRAPPED {
        assert_eq!(blob::kcv_of(&vector(name)), Ok(kek().kcv()), "{name}");
    }
}

#[test]
fn wrapped_ec_keys_open_to_the_rfc_6979_key_and_sign() {
    for name in ["wrapped-ec-p256", "pico-export-ec-p256"] {
        let opened = open(name);
        assert!(opened.algorithms.is_unrestricted(), "{name}");
        assert_eq!(blob::key_type_of(&vector(name)), Ok(KeyType::Ec));
        let KeyMaterial::Ec {
            bits,
            a,
            b,
            p,
            n,
            g,
            d,
            q,
        } = opened.material
        else {
            panic!("{name} holds no EC key");
        };
        assert_eq!(bits, 256, "{name}");
        let expected = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
        assert_eq!(hex::encode_upper(&*d), expected, "{name}");

        // The curve, rebuilt from its parameters alone, is P-256.
        let mut context = BigNumContext::new().unwrap();
        let named = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let (mut p_named, mut a_named, mut b_named) = (
            BigNum::new().unwrap(),
            BigNum::new().unwrap(),
            BigNum::new().unwrap(),
        );
        named
            .components_gfp(&mut p_named, &mut a_named, &mut b_named, &mut context)
            .unwrap();
        assert_eq!(
            (number(&p), number(&a), number(&b)),
            (p_named, a_named, b_named),
            "{name}"
        );
        let mut order = BigNum::new().unwrap();
        named.order(&mut order, &mut context).unwrap();
        assert_eq!(number(&n), order, "{name}");
        let generator = EcPoint::from_bytes(&named, &g, &mut context).unwrap();
        assert!(
            generator
                .eq(&named, named.generator_opt().unwrap(), &mut context)
                .unwrap(),
            "{name}"
        );

        let point = EcPoint::from_bytes(&named, &q, &mut context).unwrap();
        let key = EcKey::from_private_components(&named, &number(&d), &point).unwrap();
        key.check_key().unwrap();
        let digest = [0x5A; 32];
        let signature = EcdsaSig::sign(&digest, &key).unwrap();
        let public = EcKey::from_public_key(&named, &point).unwrap();
        assert!(signature.verify(&digest, &public).unwrap(), "{name}");
        assert!(!signature.verify(&[0x5B; 32], &public).unwrap(), "{name}");
    }
}

#[test]
fn wrapped_rsa_keys_open_to_the_known_key_and_sign() {
    let known = Rsa::private_key_from_der(&vector("rsa2048-key.pkcs1.der")).unwrap();
    for name in [
        "wrapped-rsa2048-type5",
        "wrapped-rsa2048-type6-crt",
        "pico-export-rsa2048-type5",
    ] {
        assert_eq!(blob::key_type_of(&vector(name)), Ok(KeyType::Rsa));
        let KeyMaterial::Rsa { bits, n, e, secret } = open(name).material else {
            panic!("{name} holds no RSA key");
        };
        assert_eq!(bits, 2048, "{name}");
        assert_eq!((&*number(&n), &*number(&e)), (known.n(), known.e()), "{name}");
        let key = match secret {
            RsaSecret::Exponent(d) => {
                assert_eq!(&*number(&d), known.d(), "{name}");
                RsaPrivateKeyBuilder::new(number(&n), number(&e), number(&d))
                    .unwrap()
                    .build()
            }
            RsaSecret::Crt(crt) => {
                assert_eq!(Some(&*number(&crt.p)), known.p(), "{name}");
                assert_eq!(Some(&*number(&crt.q)), known.q(), "{name}");
                assert_eq!(Some(&*number(&crt.dp)), known.dmp1(), "{name}");
                assert_eq!(Some(&*number(&crt.dq)), known.dmq1(), "{name}");
                assert_eq!(Some(&*number(&crt.q_inverse)), known.iqmp(), "{name}");
                RsaPrivateKeyBuilder::new(number(&n), number(&e), known.d().to_owned().unwrap())
                    .unwrap()
                    .set_factors(number(&crt.p), number(&crt.q))
                    .unwrap()
                    .set_crt_params(number(&crt.dp), number(&crt.dq), number(&crt.q_inverse))
                    .unwrap()
                    .build()
            }
        };
        sign_and_verify(&PKey::from_rsa(key).unwrap(), &known, name);
    }
}

fn sign_and_verify(key: &PKey<Private>, known: &Rsa<Private>, name: &str) {
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    let signature = signer.sign_oneshot_to_vec(b"to be signed").unwrap();
    let public = Rsa::from_public_components(known.n().to_owned().unwrap(), known.e().to_owned().unwrap());
    let public = PKey::from_rsa(public.unwrap()).unwrap();
    let verify = |message: &[u8]| {
        Verifier::new(MessageDigest::sha256(), &public)
            .unwrap()
            .verify_oneshot(&signature, message)
            .unwrap()
    };
    assert!(verify(b"to be signed"), "{name}");
    assert!(!verify(b"something else"), "{name}");
}

#[test]
fn wrapped_aes_keys_open_to_the_known_key_and_list() {
    for name in ["wrapped-aes256", "pico-export-aes256"] {
        let opened = open(name);
        let KeyMaterial::Aes { key } = opened.material else {
            panic!("{name} holds no AES key");
        };
        assert!(key.iter().copied().eq(0x40..0x60), "{name}");
        assert_eq!(opened.algorithms.ids(), [0x10, 0x11, 0x18, 0x99, 0x92], "{name}");
        assert!(opened.algorithms.allows(Algorithm::Wrap) && !opened.algorithms.allows(Algorithm::Unwrap));
    }
}

#[test]
fn sealing_makes_the_vectors_again_byte_for_byte() {
    for name in [
        "wrapped-ec-p256",
        "wrapped-aes256",
        "wrapped-rsa2048-type5",
        "wrapped-rsa2048-type6-crt",
    ] {
        let opened = open(name);
        let sealed = blob::seal(&kek(), &opened.material, &opened.algorithms, PREFIX).unwrap();
        assert_eq!(hex::encode(sealed), hex::encode(vector(name)), "{name}");
    }
}

#[test]
fn sealing_what_another_maker_exported_gives_the_standard_form() {
    for (exported, standard) in [
        ("pico-export-ec-p256", "wrapped-ec-p256"),
        ("pico-export-aes256", "wrapped-aes256"),
        ("pico-export-rsa2048-type5", "wrapped-rsa2048-type5"),
    ] {
        let opened = open(exported);
        let sealed = blob::seal(&kek(), &opened.material, &opened.algorithms, PREFIX).unwrap();
        assert_eq!(sealed, vector(standard), "{exported}");
    }
}

#[test]
fn fail_one_changed_byte_anywhere() {
    for name in WRAPPED {
        let good = vector(name);
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x01;
            let error = blob::open(&kek(), &bad).unwrap_err();
            if index < 8 {
                let named = matches!(error, BlobError::KcvMismatch { kek: ours, .. } if ours == kek().kcv());
                assert!(named, "{name} at {index}: {error}");
            } else {
                assert_eq!(error, BlobError::Mac, "{name} at {index}");
            }
        }
    }
}

#[test]
fn fail_truncated_and_extended_blobs() {
    for name in WRAPPED {
        let good = vector(name);
        for length in 0..good.len() {
            assert!(
                blob::open(&kek(), &good[..length]).is_err(),
                "{name} cut to {length}"
            );
        }
        let mut longer = good;
        longer.push(0);
        assert_eq!(blob::open(&kek(), &longer), Err(BlobError::Mac), "{name}");
    }
    let length = blob::MAX_LENGTH + 1;
    assert_eq!(
        blob::open(&kek(), &vec![0; length]),
        Err(BlobError::TooLong { length })
    );
}

#[test]
fn fail_another_key_naming_both_check_values() {
    let other = Kek::new([7; 32]);
    let error = blob::open(&other, &vector("wrapped-ec-p256")).unwrap_err();
    assert_eq!(
        error,
        BlobError::KcvMismatch {
            blob: kek().kcv(),
            kek: other.kcv()
        }
    );
    let text = error.to_string();
    assert!(
        text.contains("630DCD2966C43366") && text.contains(&other.kcv().to_string()),
        "{text}"
    );
}

#[test]
fn fail_a_blob_whose_check_value_was_replaced() {
    // The check value is public: writing the right one over a foreign blob must not get past the MAC.
    let other = Kek::new([7; 32]);
    let mut bad = vector("wrapped-ec-p256");
    bad[..8].copy_from_slice(&other.kcv().0);
    assert_eq!(blob::open(&other, &bad), Err(BlobError::Mac));
}

#[test]
fn fail_key_type_of_unknown_types() {
    assert_eq!(
        blob::key_type_of(&[0; 8]),
        Err(BlobError::Truncated { field: "key type" })
    );
    assert_eq!(
        blob::key_type_of(&[0; 9]),
        Err(BlobError::UnknownType { type_byte: 0 })
    );
    assert_eq!(
        blob::kcv_of(&[0; 7]),
        Err(BlobError::Truncated {
            field: "key check value"
        })
    );
}

#[test]
fn secrets_are_not_shown() {
    let opened = open("wrapped-ec-p256");
    let shown = format!("{opened:?} {:?} {:?}", kek(), KekShare::new([1; 32]));
    assert_eq!(
        shown,
        "OpenedBlob { material: KeyMaterial(Ec, 256 bits), algorithms: AlgorithmList([]) } \
         Kek(KCV 630DCD2966C43366) KekShare(..)"
    );
    assert_eq!(
        format!("{:?}", open("wrapped-rsa2048-type6-crt").material),
        "KeyMaterial(Rsa, 2048 bits)"
    );
}

#[test]
fn shares_combine_in_any_order() {
    let (a, b, c) = (
        KekShare::new([1; 32]),
        KekShare::new([0x12; 32]),
        KekShare::new([0xF0; 32]),
    );
    let all = Kek::from_shares(&[a.clone(), b.clone(), c.clone()]).unwrap();
    assert_eq!(all.secret_bytes(), &[1 ^ 0x12 ^ 0xF0; 32]);
    assert_eq!(all, Kek::from_shares(&[c.clone(), a.clone(), b.clone()]).unwrap());
    assert_eq!(all, Kek::from(a.combine(&b).combine(&c)));
    assert_ne!(all, Kek::from(a.combine(&b)));
    assert!(Kek::from_shares(&[]).is_err());
    assert!(KekShare::from_slice(&[0; 31]).is_err() && Kek::from_slice(&[0; 33]).is_err());
    assert_eq!(Kcv::NONE.to_string(), "0000000000000000");
}

#[test]
fn a_generated_share_stays_where_it_was_filled_in() {
    let mut filled = std::ptr::null();
    let share = KekShare::generate(|bytes| {
        *bytes = [0x5A; 32];
        filled = bytes.as_ptr();
    });
    let moved = [share];
    assert_eq!(moved[0].secret_bytes().as_ptr(), filled);
    assert_eq!(moved[0], KekShare::new([0x5A; 32]));
}
