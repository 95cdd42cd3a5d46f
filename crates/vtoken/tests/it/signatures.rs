//! Every signature algorithm, key agreement and decryption, judged by OpenSSL.

use crate::support::{Bench, Installation, apdu, ec_parameters, generate, rsa_parameters};
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

const MESSAGE: &[u8] = b"hello\n";
const CURVES: [(Nid, usize); 19] = [
    (Nid::X9_62_PRIME192V1, 24),
    (Nid::SECP224R1, 28),
    (Nid::X9_62_PRIME256V1, 32),
    (Nid::SECP384R1, 48),
    (Nid::SECP521R1, 66),
    (Nid::SECP192K1, 24),
    (Nid::SECP256K1, 32),
    (Nid::BRAINPOOL_P192R1, 24),
    (Nid::BRAINPOOL_P224R1, 28),
    (Nid::BRAINPOOL_P256R1, 32),
    (Nid::BRAINPOOL_P320R1, 40),
    (Nid::BRAINPOOL_P384R1, 48),
    (Nid::BRAINPOOL_P512R1, 64),
    (Nid::BRAINPOOL_P192T1, 24),
    (Nid::BRAINPOOL_P224T1, 28),
    (Nid::BRAINPOOL_P256T1, 32),
    (Nid::BRAINPOOL_P320T1, 40),
    (Nid::BRAINPOOL_P384T1, 48),
    (Nid::BRAINPOOL_P512T1, 64),
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
    assert!(lengths.iter().all(|length| *length > 137), "{lengths:?}");
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
fn oaep_comes_off_on_the_host() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    let request = generate(&mut bench, 1, &rsa_parameters(2048), "UTTEST00001", "");
    let key = attested(&installation, &mut bench, &request);
    let mut encrypter = openssl::encrypt::Encrypter::new(&key).unwrap();
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
    encrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
    encrypter.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
    let mut cryptogram = vec![0; encrypter.encrypt_len(MESSAGE).unwrap()];
    let length = encrypter.encrypt(MESSAGE, &mut cryptogram).unwrap();
    let block = bench.ok(&apdu("80620121", &hex::encode(&cryptogram[..length])));
    assert_eq!(unpad_oaep(&block), MESSAGE);
}

/// EME-OAEP decoding with SHA-256 (RFC 8017 7.1.2 step 3), as the host does it.
fn unpad_oaep(block: &[u8]) -> Vec<u8> {
    let mask = |seed: &[u8], length: usize| -> Vec<u8> {
        let blocks = (0..u32::try_from(length.div_ceil(32)).unwrap())
            .flat_map(|counter| openssl::sha::sha256(&[seed, &counter.to_be_bytes()].concat()));
        blocks.take(length).collect()
    };
    let xor = |left: &[u8], right: Vec<u8>| -> Vec<u8> {
        left.iter().zip(right).map(|(left, right)| left ^ right).collect()
    };
    let (masked_seed, masked) = block[1..].split_at(32);
    let seed = xor(masked_seed, mask(masked, 32));
    let plain = xor(masked, mask(&seed, masked.len()));
    assert_eq!((block[0], &plain[..32]), (0, &openssl::sha::sha256(b"")[..]));
    let end = plain[32..].iter().position(|byte| *byte == 1).unwrap();
    plain[32 + end + 1..].to_vec()
}

#[test]
fn other_rsa_keys() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for bits in [1024u16, 1536, 3072, 4096] {
        let request = generate(&mut bench, 1, &rsa_parameters(bits), "UTTEST00001", "");
        let key = attested(&installation, &mut bench, &request);
        assert_eq!(key.bits(), u32::from(bits));
        let signature = sign(&mut bench, 1, 0x34, MESSAGE);
        assert_eq!(signature.len(), usize::from(bits) / 8);
        // SHA-512 needs 130 bytes for PSS with a salt as long as the hash.
        let pss = bench.status(&apdu("80680145", &hex::encode(MESSAGE)));
        assert_eq!(pss, if bits == 1024 { 0x6A80 } else { 0x9000 });
        let public = PublicKey::from_spki_der(&key.public_key_to_der().unwrap()).unwrap();
        let mut verifier = openssl::sign::Verifier::new(MessageDigest::sha384(), &key).unwrap();
        assert!(verifier.verify_oneshot(&signature, MESSAGE).unwrap());
        assert_eq!(
            CvKey::with_sha256(public).key().signature_len().unwrap(),
            signature.len()
        );
    }
}
