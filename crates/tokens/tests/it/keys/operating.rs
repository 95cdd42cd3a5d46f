//! Signatures, decryption and derivation, judged by openssl.

use chancery_cvc::{Curve, plain_to_der};
use chancery_schsm::{Algorithm, AlgorithmList, Hash, KeyId};
use chancery_tokens::keys::{NewKey, NewKeyKind};
use chancery_tokens::operate::{
    Decryption, HashOn, KeyInUse, OperateError, Peer, Scheme, SignatureForm, Signing, SymmetricPadding,
};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::encrypt::Encrypter;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::PKey;
use openssl::rsa::Padding;
use openssl::symm::{Cipher, encrypt};

use crate::bench::{AES, Bench, P256, new_key, openssl_accepts};

const HASHES: [(Hash, &str); 5] = [
    (Hash::Sha1, "-sha1"),
    (Hash::Sha224, "-sha224"),
    (Hash::Sha256, "-sha256"),
    (Hash::Sha384, "-sha384"),
    (Hash::Sha512, "-sha512"),
];

const SIGNING: Signing = Signing {
    scheme: Scheme::Default,
    hash: Hash::Sha256,
    hash_on: HashOn::Either,
    form: SignatureForm::Der,
};

fn digest(which: Hash) -> MessageDigest {
    chancery_driver::padding::digest_of(which)
}

#[test]
fn every_scheme_and_hash_verifies_and_costs_one_command() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let kinds = [
        P256,
        NewKeyKind::Ec(Curve::Secp192r1),
        NewKeyKind::Ec(Curve::Secp521r1),
        NewKeyKind::Ec(Curve::BrainpoolP320r1),
        NewKeyKind::Rsa(2048),
    ];
    let message = vec![0x5A; 700];
    for kind in kinds {
        let made = bench.make(&token, kind, "k");
        let key = made.public_key.unwrap();
        let mut card = token.login();
        let in_use = KeyInUse::open(&mut card, made.id).unwrap();
        let schemes: &[Scheme] = match kind {
            NewKeyKind::Rsa(_) => &[Scheme::Default, Scheme::Pss],
            _ => &[Scheme::Default],
        };
        for (which, option) in HASHES {
            for scheme in schemes {
                for hash_on in [HashOn::Either, HashOn::Host, HashOn::Token, HashOn::Already] {
                    let value = hash(digest(which), &message).unwrap();
                    let input = if hash_on == HashOn::Already {
                        &value[..]
                    } else {
                        &message
                    };
                    let signing = Signing {
                        scheme: *scheme,
                        hash: which,
                        hash_on,
                        form: SignatureForm::Der,
                    };
                    token.log.clear();
                    let signature = in_use.sign(&mut card, &signing, input).unwrap();
                    assert_eq!(token.log.count(), 1);
                    let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"];
                    let mut options = vec![option];
                    if *scheme == Scheme::Pss {
                        options.extend(pss);
                    }
                    assert!(
                        openssl_accepts(&key, &message, &signature, &options),
                        "{kind:?} {signing:?}"
                    );
                }
            }
        }
        if let Some(domain) = key.domain() {
            let plain = Signing {
                form: SignatureForm::Plain,
                ..SIGNING
            };
            let signature = in_use.sign(&mut card, &plain, &message).unwrap();
            assert_eq!(signature.len(), 2 * domain.order_len());
            let der = plain_to_der(&signature).unwrap();
            assert!(openssl_accepts(&key, &message, &der, &["-sha256"]));
        }
    }
}

#[test]
fn what_a_key_permits_decides_the_way_and_what_it_does_not_is_said() {
    use Algorithm::{
        Ecdsa, EcdsaSha256, EcdsaSha384, RsaPkcs1, RsaPkcs1Sha256, RsaPss, RsaPssSha384, RsaRaw,
    };
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let message = b"message";
    let rsa = NewKeyKind::Rsa(2048);
    // Algorithms of the key, what is asked for, the algorithm that must be used.
    let cases: [(NewKeyKind, &[Algorithm], Signing, Option<Algorithm>); 9] = [
        (P256, &[Ecdsa, EcdsaSha256], SIGNING, Some(Ecdsa)),
        (P256, &[EcdsaSha256, EcdsaSha384], SIGNING, Some(EcdsaSha256)),
        (
            P256,
            &[EcdsaSha256, EcdsaSha384],
            Signing {
                hash_on: HashOn::Host,
                ..SIGNING
            },
            None,
        ),
        (
            P256,
            &[EcdsaSha384, Ecdsa],
            Signing {
                hash_on: HashOn::Token,
                ..SIGNING
            },
            None,
        ),
        (rsa, &[RsaPkcs1, RsaRaw], SIGNING, Some(RsaPkcs1)),
        (rsa, &[RsaRaw], SIGNING, Some(RsaRaw)),
        (rsa, &[RsaPkcs1Sha256], SIGNING, Some(RsaPkcs1Sha256)),
        (
            rsa,
            &[RsaPss],
            Signing {
                scheme: Scheme::Pss,
                hash: Hash::Sha384,
                ..SIGNING
            },
            Some(RsaPss),
        ),
        (
            rsa,
            &[RsaPss, RsaRaw, RsaPssSha384],
            Signing {
                scheme: Scheme::Pss,
                hash: Hash::Sha384,
                ..SIGNING
            },
            Some(RsaRaw),
        ),
    ];
    for (kind, permitted, signing, wanted) in cases {
        let made = bench.make_with(
            &token,
            &NewKey {
                algorithms: AlgorithmList::new(permitted).unwrap(),
                ..new_key(kind, "k")
            },
        );
        let mut card = token.login();
        let in_use = KeyInUse::open(&mut card, made.id).unwrap();
        token.log.clear();
        match (in_use.sign(&mut card, &signing, message), wanted) {
            (Ok(_), Some(wanted)) => {
                let entries = token.log.entries();
                assert_eq!(entries.len(), 1);
                assert_eq!(entries[0].header[3], wanted.id(), "{permitted:?}");
            }
            (Err(OperateError::NotPermitted { .. }), None) => assert_eq!(token.log.count(), 0),
            (result, _) => panic!("{permitted:?}: {result:?}"),
        }
        card.delete_key(made.id).unwrap();
    }
}

#[test]
fn a_custodians_key_signs_nothing() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let made = bench.make_with(
        &token,
        &NewKey {
            algorithms: AlgorithmList::new(&[Algorithm::EcdsaSha256]).unwrap(),
            ..new_key(NewKeyKind::Ec(Curve::BrainpoolP256r1), "custodian")
        },
    );
    let mut card = token.login();
    token.log.clear();
    let refused = KeyInUse::open(&mut card, made.id);
    assert!(matches!(refused, Err(OperateError::CustodianKey(_))));
    assert_eq!(token.log.count_of(0x68), 0);
    assert!(matches!(
        KeyInUse::open(&mut card, KeyId(99)),
        Err(OperateError::NoSuchKey(_))
    ));
}

#[test]
fn inputs_that_do_not_fit_are_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let ec = bench.make(&token, P256, "ec");
    let rsa = bench.make(&token, NewKeyKind::Rsa(1024), "rsa");
    let aes = bench.make(&token, AES, "aes");
    let mut card = token.login();
    let [ec, rsa, aes] = [ec, rsa, aes].map(|made| KeyInUse::open(&mut card, made.id).unwrap());
    token.log.clear();
    let already = Signing {
        hash_on: HashOn::Already,
        ..SIGNING
    };
    assert!(matches!(
        ec.sign(&mut card, &already, &[0; 31]),
        Err(OperateError::Input(_))
    ));
    let on_token = Signing {
        hash_on: HashOn::Token,
        ..SIGNING
    };
    assert!(matches!(
        ec.sign(&mut card, &on_token, &[0; 1001]),
        Err(OperateError::Input(_))
    ));
    let pss = Signing {
        scheme: Scheme::Pss,
        ..SIGNING
    };
    assert!(matches!(
        ec.sign(&mut card, &pss, b""),
        Err(OperateError::OtherKind { .. })
    ));
    assert!(matches!(
        aes.sign(&mut card, &SIGNING, b""),
        Err(OperateError::OtherKind { .. })
    ));
    let large = Signing {
        scheme: Scheme::Pss,
        hash: Hash::Sha512,
        ..SIGNING
    };
    assert!(matches!(
        rsa.sign(&mut card, &large, b""),
        Err(OperateError::Input(_))
    ));
    assert!(matches!(
        rsa.decrypt(&mut card, &Decryption::Pkcs1, &[0; 127]),
        Err(OperateError::Input(_))
    ));
    assert!(matches!(
        ec.decrypt(&mut card, &Decryption::Pkcs1, &[0; 64]),
        Err(OperateError::OtherKind { .. })
    ));
    let cbc = Decryption::AesCbc {
        iv: [0; 16],
        padding: SymmetricPadding::None,
    };
    for odd in [0, 15, 17] {
        assert!(matches!(
            aes.decrypt(&mut card, &cbc, &vec![0; odd]),
            Err(OperateError::Input(_))
        ));
    }
    assert!(matches!(
        aes.mac(&mut card, &[0; 1001]),
        Err(OperateError::Input(_))
    ));
    assert_eq!(token.log.count(), 0);
}

#[test]
fn rsa_paddings_come_off_on_the_host() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let made = bench.make(&token, NewKeyKind::Rsa(2048), "rsa");
    let public = made.public_key.unwrap().to_pkey().unwrap();
    let mut card = token.login();
    let key = KeyInUse::open(&mut card, made.id).unwrap();
    let message = b"the message";
    let mut cryptogram = vec![0; 256];
    public
        .rsa()
        .unwrap()
        .public_encrypt(message, &mut cryptogram, Padding::PKCS1)
        .unwrap();
    token.log.clear();
    assert_eq!(
        **key.decrypt(&mut card, &Decryption::Pkcs1, &cryptogram).unwrap(),
        *message
    );
    assert_eq!(token.log.count(), 1);
    for (which, mask, label) in [
        (Hash::Sha256, Hash::Sha256, &b""[..]),
        (Hash::Sha512, Hash::Sha1, b"label"),
    ] {
        let mut encrypter = Encrypter::new(&public).unwrap();
        encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        encrypter.set_rsa_oaep_md(digest(which)).unwrap();
        encrypter.set_rsa_mgf1_md(digest(mask)).unwrap();
        if !label.is_empty() {
            encrypter.set_rsa_oaep_label(label).unwrap();
        }
        let mut cryptogram = vec![0; 256];
        assert_eq!(encrypter.encrypt(message, &mut cryptogram).unwrap(), 256);
        let oaep = |label: &[u8]| Decryption::Oaep {
            hash: which,
            mask,
            label: label.to_vec(),
        };
        assert_eq!(
            **key.decrypt(&mut card, &oaep(label), &cryptogram).unwrap(),
            *message
        );
        assert!(matches!(
            key.decrypt(&mut card, &oaep(b"other"), &cryptogram),
            Err(OperateError::Padding(_))
        ));
        assert_eq!(
            key.decrypt(&mut card, &Decryption::Raw, &cryptogram)
                .unwrap()
                .len(),
            256
        );
    }
}

#[test]
fn aes_agrees_with_openssl_over_several_commands() {
    let bench = Bench::new();
    let token = bench.token("t", &crate::bench::SHARES);
    // A key that is known: imported.
    let secret = [0x42; 32];
    let id = crate::keys::importing::import_aes(&bench, &token, &secret);
    let mut card = token.login();
    let key = KeyInUse::open(&mut card, id).unwrap();
    let iv = [7; 16];
    for length in [0, 1, 16, 1000, 1024, 5000] {
        let data: Vec<u8> = (0..length)
            .map(|index| u8::try_from(index % 251).unwrap())
            .collect();
        let expected = encrypt(Cipher::aes_256_cbc(), &secret, Some(&iv), &data).unwrap();
        let made = key
            .encrypt(&mut card, iv, SymmetricPadding::Pkcs7, &data)
            .unwrap();
        assert_eq!(*made, expected, "{length}");
        let cbc = Decryption::AesCbc {
            iv,
            padding: SymmetricPadding::Pkcs7,
        };
        assert_eq!(*key.decrypt(&mut card, &cbc, &made).unwrap(), data, "{length}");
        let wrong = Decryption::AesCbc {
            iv,
            padding: SymmetricPadding::None,
        };
        assert_eq!(key.decrypt(&mut card, &wrong, &made).unwrap().len(), made.len());
    }
    let mac = key.mac(&mut card, b"message").unwrap();
    let cmac = PKey::cmac(&Cipher::aes_256_cbc(), &secret).unwrap();
    let mut signer = openssl::sign::Signer::new_without_digest(&cmac).unwrap();
    signer.update(b"message").unwrap();
    assert_eq!(mac, signer.sign_to_vec().unwrap());
    let first = key.derive_secret(&mut card, b"one").unwrap();
    assert_eq!(first.len(), 32);
    assert_ne!(first, key.derive_secret(&mut card, b"two").unwrap());
    assert_eq!(first, key.derive_secret(&mut card, b"one").unwrap());
}

#[test]
fn key_agreement_gives_what_the_other_side_computes() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    for curve in [Curve::Secp256r1, Curve::Secp521r1, Curve::BrainpoolP320r1] {
        let made = bench.make(&token, NewKeyKind::Ec(curve), "k");
        let mut card = token.login();
        let key = KeyInUse::open(&mut card, made.id).unwrap();
        let group = EcGroup::from_curve_name(curve.nid()).unwrap();
        let theirs = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let ours = made.public_key.unwrap();
        let ours_pkey = ours.to_pkey().unwrap();
        let mut deriver = Deriver::new(&theirs).unwrap();
        deriver.set_peer(&ours_pkey).unwrap();
        let expected = deriver.derive_to_vec().unwrap();
        let point = chancery_cvc::PublicKey::from_spki_der(&theirs.public_key_to_der().unwrap()).unwrap();
        let forms = [
            theirs.public_key_to_der().unwrap(),
            theirs.public_key_to_pem().unwrap(),
            point.point().unwrap().to_vec(),
            crate::bench::certificate_for(&point, "peer"),
        ];
        for form in forms {
            let peer = Peer::parse(&form).unwrap();
            assert_eq!(*key.agree(&mut card, &peer).unwrap(), expected, "{curve:?}");
        }
    }
    let made = bench.make(&token, P256, "k");
    let mut card = token.login();
    let key = KeyInUse::open(&mut card, made.id).unwrap();
    let group = EcGroup::from_curve_name(Curve::BrainpoolP256r1.nid()).unwrap();
    let other = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let peer = Peer::parse(&other.public_key_to_pem().unwrap()).unwrap();
    token.log.clear();
    assert!(matches!(key.agree(&mut card, &peer), Err(OperateError::Input(_))));
    assert_eq!(token.log.count(), 0);
    for bad in [&b""[..], b"nonsense", &[4; 31]] {
        assert!(Peer::parse(bad).is_err());
    }
}

#[test]
fn a_derived_key_is_the_sum() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let made = bench.make(&token, P256, "parent");
    let mut card = token.login();
    let key = KeyInUse::open(&mut card, made.id).unwrap();
    let mut parameter = vec![0; 31];
    parameter.push(5);
    let new = KeyId(9);
    let derived = key.derive_key(&mut card, new, &parameter).unwrap().unwrap();
    // Q' = Q + 5 G
    let group = EcGroup::from_curve_name(Curve::Secp256r1.nid()).unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let parent = openssl::ec::EcPoint::from_bytes(
        &group,
        made.public_key.as_ref().unwrap().point().unwrap(),
        &mut context,
    )
    .unwrap();
    let five = openssl::bn::BigNum::from_u32(5).unwrap();
    let mut multiple = openssl::ec::EcPoint::new(&group).unwrap();
    multiple.mul_generator2(&group, &five, &mut context).unwrap();
    let mut sum = openssl::ec::EcPoint::new(&group).unwrap();
    sum.add(&group, &parent, &multiple, &mut context).unwrap();
    let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
    assert_eq!(
        derived.public_key.point().unwrap(),
        sum.to_bytes(&group, form, &mut context).unwrap()
    );
    assert!(card.proves(new, &derived.public_key).unwrap());
    assert!(matches!(
        key.derive_key(&mut card, new, &parameter),
        Err(OperateError::Card(chancery_driver::Error::KeyExists { .. }))
    ));
}
