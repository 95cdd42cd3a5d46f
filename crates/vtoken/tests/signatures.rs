//! Every signature algorithm, key agreement and decryption, judged by OpenSSL.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use chancery_cvc::{AuthenticatedRequest, CvKey, DeviceChain, PublicKey, TrustAnchors};
use openssl::bn::BigNumContext;
use openssl::ec::{EcKey, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::md::{Md, MdRef};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::RsaPssSaltlen;
use support::{Bench, Installation, apdu, ec_parameters, generate, rsa_parameters};

const MESSAGE: &[u8] = b"hello\n";
const CURVES: [(Nid, usize); 7] = [
    (Nid::X9_62_PRIME256V1, 32),
    (Nid::SECP384R1, 48),
    (Nid::SECP521R1, 66),
    (Nid::BRAINPOOL_P256R1, 32),
    (Nid::BRAINPOOL_P384R1, 48),
    (Nid::BRAINPOOL_P512R1, 64),
    (Nid::SECP256K1, 32),
];

/// Digit of the algorithm identifier, hash for OpenSSL's two interfaces, DigestInfo without the hash.
fn hashes() -> [(u8, MessageDigest, &'static MdRef, &'static str); 5] {
    [
        (
            1,
            MessageDigest::sha1(),
            Md::sha1(),
            "3021300906052B0E03021A05000414",
        ),
        (
            2,
            MessageDigest::sha224(),
            Md::sha224(),
            "302D300D06096086480165030402040500041C",
        ),
        (
            3,
            MessageDigest::sha256(),
            Md::sha256(),
            "3031300D060960864801650304020105000420",
        ),
        (
            4,
            MessageDigest::sha384(),
            Md::sha384(),
            "3041300D060960864801650304020205000430",
        ),
        (
            5,
            MessageDigest::sha512(),
            Md::sha512(),
            "3051300D060960864801650304020305000440",
        ),
    ]
}

/// Checks a request against the token's chain and the installation's root, and gives the key in it.
fn attested(installation: &Installation, bench: &mut Bench, request: &[u8]) -> PKey<Public> {
    let chain = bench.send("00B12F02000004 54020000 0000").0;
    let mut anchors = TrustAnchors::none();
    anchors
        .add_bytes(installation.factory.root_certificate())
        .unwrap();
    let identity = DeviceChain::parse(&chain)
        .unwrap()
        .verify(&anchors, None)
        .unwrap();
    let request = AuthenticatedRequest::parse(request).unwrap();
    let key = request.verify(&identity).unwrap();
    key.public_key().to_pkey().unwrap()
}

fn sign(bench: &mut Bench, id: u8, algorithm: u8, input: &[u8]) -> Vec<u8> {
    bench.ok(&apdu(
        &format!("8068{id:02X}{algorithm:02X}"),
        &hex::encode(input),
    ))
}

#[test]
fn ecdsa_on_every_curve() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for (index, (nid, field)) in CURVES.into_iter().enumerate() {
        let id = u8::try_from(index).unwrap() + 1;
        let request = generate(
            &mut bench,
            id,
            &ec_parameters(nid),
            &format!("UTTEST000{id:02}"),
            "",
        );
        let key = attested(&installation, &mut bench, &request).ec_key().unwrap();
        assert_eq!(key.group().curve_name(), Some(nid));
        let valid = |signature: &[u8], digest: &[u8]| {
            EcdsaSig::from_der(signature)
                .unwrap()
                .verify(digest, &key)
                .unwrap()
        };
        for (digit, digest, _, _) in hashes() {
            let value = hash(digest, MESSAGE).unwrap();
            assert!(
                valid(&sign(&mut bench, id, 0x70 | digit, MESSAGE), &value),
                "{nid:?} 7{digit}"
            );
            assert!(
                valid(&sign(&mut bench, id, 0x70, &value), &value),
                "{nid:?} 70 {}",
                value.len()
            );
            // What other hosts do: pad with zeros in front or cut, to the size of the key.
            let mut sized = vec![0; field.saturating_sub(value.len())];
            sized.extend(&value[..value.len().min(field)]);
            assert!(
                valid(&sign(&mut bench, id, 0x70, &sized), &value),
                "{nid:?} 70 sized {}",
                value.len()
            );
        }
        let empty = hash(MessageDigest::sha256(), b"").unwrap();
        assert!(valid(&sign(&mut bench, id, 0x73, b""), &empty));
    }
}

#[test]
fn p521_signatures_never_look_like_another_curve() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    generate(&mut bench, 1, &ec_parameters(Nid::SECP521R1), "UTTEST00001", "");
    let lengths: Vec<usize> = (0..300u32)
        .map(|n| sign(&mut bench, 1, 0x75, &n.to_be_bytes()).len())
        .collect();
    assert!(lengths.iter().all(|length| *length != 137), "{lengths:?}");
    assert!(lengths.iter().any(|length| *length > 137));
}

#[test]
fn ecdh_gives_the_whole_point() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for (nid, field) in CURVES {
        let request = generate(&mut bench, 1, &ec_parameters(nid), "UTTEST00001", "");
        let token_key = attested(&installation, &mut bench, &request);
        let group = openssl::ec::EcGroup::from_curve_name(nid).unwrap();
        let ours = EcKey::generate(&group).unwrap();
        let mut context = BigNumContext::new().unwrap();
        let form = PointConversionForm::UNCOMPRESSED;
        let point = ours.public_key().to_bytes(&group, form, &mut context).unwrap();
        let shared = bench.ok(&apdu("80620180", &hex::encode(point)));
        assert_eq!((shared[0], shared.len()), (4, 1 + 2 * field));
        let ours = PKey::from_ec_key(ours).unwrap();
        let mut deriver = openssl::derive::Deriver::new(&ours).unwrap();
        deriver.set_peer(&token_key).unwrap();
        assert_eq!(deriver.derive_to_vec().unwrap(), &shared[1..=field]);
    }
}

#[test]
fn rsa_2048_all_algorithms() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    let request = generate(&mut bench, 1, &rsa_parameters(2048), "UTTEST00001", "");
    let key = attested(&installation, &mut bench, &request);
    for (digit, digest, md, prefix) in hashes() {
        let value = hash(digest, MESSAGE).unwrap();
        let info = [hex::decode(prefix).unwrap(), value.to_vec()].concat();
        let padded = [&[0, 1][..], &vec![0xFF; 256 - 3 - info.len()], &[0], &info].concat();
        for (algorithm, input) in [(0x20, &padded[..]), (0x30, &info), (0x30 | digit, MESSAGE)] {
            let signature = sign(&mut bench, 1, algorithm, input);
            let mut context = PkeyCtx::new(&key).unwrap();
            context.verify_init().unwrap();
            context.set_rsa_padding(Padding::PKCS1).unwrap();
            context.set_signature_md(md).unwrap();
            assert!(
                context.verify(&value, &signature).unwrap(),
                "{algorithm:02X} {digit}"
            );
        }
        for (algorithm, input) in [(0x40, &value[..]), (0x40, &info), (0x40 | digit, MESSAGE)] {
            let signature = sign(&mut bench, 1, algorithm, input);
            let mut context = PkeyCtx::new(&key).unwrap();
            context.verify_init().unwrap();
            context.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
            context.set_rsa_mgf1_md(md).unwrap();
            context.set_signature_md(md).unwrap();
            assert!(
                context.verify(&value, &signature).unwrap(),
                "{algorithm:02X} {digit}"
            );
        }
    }
    raw_operations(&mut bench, &key.rsa().unwrap());
}

fn raw_operations(bench: &mut Bench, key: &Rsa<Public>) {
    let mut block = vec![0x5A; 256];
    block[0] = 0;
    let mut back = vec![0; 256];
    key.public_encrypt(&sign(bench, 1, 0x20, &block), &mut back, Padding::NONE)
        .unwrap();
    assert_eq!(back, block);
    let odd = sign(bench, 1, 0x30, b"no DigestInfo");
    let length = key.public_decrypt(&odd, &mut back, Padding::PKCS1).unwrap();
    assert_eq!(&back[..length], b"no DigestInfo");
    let mut cryptogram = vec![0; 256];
    key.public_encrypt(b"secret", &mut cryptogram, Padding::PKCS1)
        .unwrap();
    let plain = bench.ok(&apdu("80620121", &hex::encode(&cryptogram)));
    assert_eq!((&plain[..2], &plain[249..]), (&[0, 2][..], &b"\0secret"[..]));
    let modulus = key.n().to_vec();
    for (algorithm, input) in [
        (0x20, vec![0xFF; 256]),
        (0x20, modulus),
        (0x20, vec![0; 255]),
        (0x20, vec![]),
        (0x30, vec![1; 246]),
        (0x40, vec![1; 33]),
        (0x40, vec![]),
    ] {
        let command = apdu(&format!("806801{algorithm:02X}"), &hex::encode(&input));
        assert_eq!(bench.status(&command), 0x6A80, "{algorithm:02X} {}", input.len());
    }
    assert_eq!(bench.status(&apdu("80620121", &"FF".repeat(256))), 0x6A80);
    assert_eq!(bench.status(&apdu("80680170", &"00".repeat(32))), 0x6A81);
    assert_eq!(bench.status(&apdu("80620180", &"00".repeat(65))), 0x6A81);
}

#[test]
fn larger_rsa_keys() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for bits in [3072u16, 4096] {
        let request = generate(&mut bench, 1, &rsa_parameters(bits), "UTTEST00001", "");
        let key = attested(&installation, &mut bench, &request);
        assert_eq!(key.bits(), u32::from(bits));
        let signature = sign(&mut bench, 1, 0x34, MESSAGE);
        assert_eq!(signature.len(), usize::from(bits) / 8);
        let public = PublicKey::from_spki_der(&key.public_key_to_der().unwrap()).unwrap();
        let mut verifier = openssl::sign::Verifier::new(MessageDigest::sha384(), &key).unwrap();
        assert!(verifier.verify_oneshot(&signature, MESSAGE).unwrap());
        assert_eq!(
            CvKey::with_sha256(public).key().signature_len().unwrap(),
            signature.len()
        );
    }
}
