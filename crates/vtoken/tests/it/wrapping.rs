//! Keys leave a token under the key encryption key of their domain and work where it is the same.

use std::path::Path;

use crate::support::{self, Bench, Installation, apdu, ec_parameters, generate, rsa_parameters};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;

/// The key encryption key of the vectors, 00 01 .. 1F, as its only share.
const KNOWN_SHARE: &str = "80520000 20 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F 00";

fn with_kek(installation: &Installation, name: &str) -> Bench {
    let mut bench = installation.ready(name, "920101");
    assert_eq!(hex::encode_upper(bench.ok(KNOWN_SHARE)), "0100630DCD2966C43366");
    bench
}

fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

fn unwrap_inline(bench: &mut Bench, id: u8, blob: &[u8]) -> u16 {
    bench.status(&apdu(&format!("8074{id:02X}93"), &hex::encode(blob)))
}

/// A public key from the request of a generation.
fn public_key(request: &[u8]) -> PKey<openssl::pkey::Public> {
    let request = chancery_cvc::AuthenticatedRequest::parse(request).unwrap();
    request.request().public_key().to_pkey().unwrap()
}

#[test]
fn a_copy_signs_like_the_original() {
    let installation = Installation::new();
    let (mut one, mut two) = (with_kek(&installation, "one"), with_kek(&installation, "two"));
    let kinds = [
        (ec_parameters(Nid::X9_62_PRIME256V1), 0x73, 363),
        (ec_parameters(Nid::X9_62_PRIME192V1), 0x73, 0),
        (ec_parameters(Nid::SECP224R1), 0x73, 0),
        (ec_parameters(Nid::SECP384R1), 0x73, 0),
        (ec_parameters(Nid::SECP521R1), 0x73, 0),
        (ec_parameters(Nid::SECP192K1), 0x73, 0),
        (ec_parameters(Nid::SECP256K1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P192R1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P224R1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P256R1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P320R1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P384R1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P512R1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P192T1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P224T1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P256T1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P320T1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P384T1), 0x73, 0),
        (ec_parameters(Nid::BRAINPOOL_P512T1), 0x73, 0),
        (rsa_parameters(1024), 0x33, 0),
        (rsa_parameters(1536), 0x33, 0),
        (rsa_parameters(2048), 0x33, 587),
        (rsa_parameters(3072), 0x33, 0),
        (rsa_parameters(4096), 0x33, 1099),
    ];
    for (parameters, algorithm, length) in kinds {
        let key = public_key(&generate(&mut one, 1, &parameters, "UTTEST00001", ""));
        let blob = one.ok("80720192000000");
        if length != 0 {
            assert_eq!(blob.len(), length);
        }
        assert_ne!(one.ok("80720192000000"), blob);
        assert_eq!(unwrap_inline(&mut two, 9, &blob), 0x9000);
        assert_eq!(two.status("00B1CE0904 54020000 00"), 0x6A82);
        let signature = two.ok(&apdu(&format!("806809{algorithm:02X}"), "68656C6C6F0A"));
        let mut verifier = openssl::sign::Verifier::new(MessageDigest::sha256(), &key).unwrap();
        assert!(verifier.verify_oneshot(&signature, b"hello\n").unwrap());
        // And back: a copy can be copied.
        let again = two.ok("80720992000000");
        assert_eq!(unwrap_inline(&mut one, 2, &again), 0x9000);
    }
}

#[test]
fn the_algorithm_list_travels_and_is_obeyed() {
    let installation = Installation::new();
    let (mut one, mut two) = (with_kek(&installation, "one"), with_kek(&installation, "two"));
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    generate(&mut one, 1, &p256, "UTTEST00001", "91027073");
    generate(&mut one, 2, &p256, "UTTEST00002", "91027092");
    generate(&mut one, 3, &p256, "UTTEST00003", "900400000005");
    assert_eq!(one.status("80720192000000"), 0x6985);
    assert_eq!(one.status("80720392000000"), 0x6985);
    assert_eq!(one.status("80720492000000"), 0x6A88);
    assert_eq!(one.status("80720092000000"), 0x6A88);
    assert_eq!(one.status("80720291000000"), 0x6A86);
    let blob = one.ok("80720292000000");
    assert_eq!(unwrap_inline(&mut two, 1, &blob), 0x9000);
    two.dialogue(&[
        (
            "00A4000002CC0100",
            0x9000,
            "6F.. 8102.... 820108 8302CC01 A507 91027092 920100",
        ),
        (&apdu("80680173", "00"), 0x6A81, ""),
        (&apdu("80680170", &"11".repeat(32)), 0x9000, "30*"),
    ]);
}

#[test]
fn another_key_encryption_key_is_refused() {
    let installation = Installation::new();
    let mut one = with_kek(&installation, "one");
    generate(
        &mut one,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTTEST00001",
        "",
    );
    let blob = one.ok("80720192000000");
    let mut two = installation.ready("two", "920101");
    assert_eq!(unwrap_inline(&mut two, 1, &blob), 0x6985, "no share yet");
    two.ok(&format!("8052000020{}00", "AB".repeat(32)));
    let mark = two.token.mark();
    assert_eq!(unwrap_inline(&mut two, 1, &blob), 0x6A80);
    for index in [8, 60, 200, blob.len() - 1] {
        let mut damaged = blob.clone();
        damaged[index] ^= 1;
        assert_eq!(unwrap_inline(&mut one, 2, &damaged), 0x6A80, "{index}");
    }
    assert_eq!(unwrap_inline(&mut one, 2, &blob[..blob.len() - 1]), 0x6A80);
    assert_eq!(unwrap_inline(&mut one, 2, &blob[..7]), 0x6A80);
    assert_eq!(unwrap_inline(&mut one, 2, &[]), 0x6A80);
    assert_eq!(unwrap_inline(&mut one, 0, &blob), 0x6A86);
    assert_eq!(two.token.mark(), mark);
    assert_eq!(two.status("00A4000002CC0100"), 0x6A82);
}

#[test]
fn blobs_come_through_the_scratch_file_too() {
    let installation = Installation::new();
    let mut bench = with_kek(&installation, "one");
    for name in ["wrapped-rsa2048-type6-crt.hex", "wrapped-ec-p256.hex"] {
        // The second blob is shorter: nothing of the first may be left behind it.
        let blob = vector(name);
        for (index, piece) in blob.chunks(200).enumerate() {
            let data = format!("5402{:04X}{}", index * 200, support::tlv("53", piece));
            bench.ok(&apdu("00D72F10", &data));
        }
        bench.ok("80740593");
        bench.ok("00A4000002CC0500");
        assert_eq!(bench.status("80740593"), 0x6A80);
    }
}

#[test]
fn keys_wrapped_by_other_devices_work() {
    let installation = Installation::new();
    let mut bench = with_kek(&installation, "one");
    let digest = hash(MessageDigest::sha256(), b"hello\n").unwrap();

    let d =
        openssl::bn::BigNum::from_hex_str("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
            .unwrap();
    let group = openssl::ec::EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let mut point = openssl::ec::EcPoint::new(&group).unwrap();
    point
        .mul_generator2(&group, &d, &mut openssl::bn::BigNumContext::new().unwrap())
        .unwrap();
    let ec = openssl::ec::EcKey::from_public_key(&group, &point).unwrap();
    for name in ["wrapped-ec-p256.hex", "pico-export-ec-p256.hex"] {
        assert_eq!(unwrap_inline(&mut bench, 1, &vector(name)), 0x9000, "{name}");
        let signature = bench.ok(&apdu("80680170", &hex::encode(digest)));
        assert!(
            EcdsaSig::from_der(&signature)
                .unwrap()
                .verify(&digest, &ec)
                .unwrap(),
            "{name}"
        );
    }

    let rsa = Rsa::private_key_from_der(&vector("rsa2048-key.pkcs1.der.hex")).unwrap();
    let public =
        Rsa::from_public_components(rsa.n().to_owned().unwrap(), rsa.e().to_owned().unwrap()).unwrap();
    let public = PKey::from_rsa(public).unwrap();
    for name in [
        "wrapped-rsa2048-type5.hex",
        "wrapped-rsa2048-type6-crt.hex",
        "pico-export-rsa2048-type5.hex",
    ] {
        assert_eq!(unwrap_inline(&mut bench, 2, &vector(name)), 0x9000, "{name}");
        for algorithm in [0x33, 0x43] {
            let signature = bench.ok(&apdu(&format!("806802{algorithm:02X}"), "68656C6C6F0A"));
            let mut verifier = openssl::sign::Verifier::new(MessageDigest::sha256(), &public).unwrap();
            if algorithm == 0x43 {
                verifier
                    .set_rsa_padding(openssl::rsa::Padding::PKCS1_PSS)
                    .unwrap();
                verifier
                    .set_rsa_pss_saltlen(openssl::sign::RsaPssSaltlen::DIGEST_LENGTH)
                    .unwrap();
            }
            assert!(
                verifier.verify_oneshot(&signature, b"hello\n").unwrap(),
                "{name} {algorithm:02X}"
            );
        }
    }

    for name in ["wrapped-aes256.hex", "pico-export-aes256.hex"] {
        assert_eq!(unwrap_inline(&mut bench, 3, &vector(name)), 0x9000, "{name}");
        bench.dialogue(&[
            (&apdu("80680310", "00"), 0x6A81, ""),
            (&apdu("80680370", "00"), 0x6A81, ""),
        ]);
    }
    let again = bench.ok("80720392000000");
    assert_eq!(unwrap_inline(&mut bench, 4, &again), 0x9000);
}

/// Four places for domains: 0 and 2 have key encryption keys, 1 waits for a share, 3 is not created.
fn with_domains(installation: &Installation, name: &str, zero: &str, two: &str) -> Bench {
    let mut bench = installation.ready(name, "970104");
    for (domain, shares) in [("00", "01"), ("01", "02"), ("02", "01")] {
        bench.ok(&format!("805201{domain}01{shares}00"));
    }
    for (domain, share) in [("00", zero), ("01", "33"), ("02", two)] {
        bench.ok(&format!("805200{domain}20{}00", share.repeat(32)));
    }
    bench
}

#[test]
fn keys_leave_under_the_key_of_their_domain_and_find_it_again() {
    let installation = Installation::new();
    let mut one = with_domains(&installation, "one", "11", "22");
    // The same two keys, the other way round.
    let mut two = with_domains(&installation, "two", "22", "11");
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    for (domain, there) in [("00", "02"), ("02", "00")] {
        generate(&mut one, 1, &p256, "UTTEST00001", &format!("9201{domain}"));
        one.ok(&format!("004802B2 03 9201{domain}"));
        let kcv = one.ok(&format!("805200{domain}00"))[2..].to_vec();
        for id in [1, 2] {
            let blob = one.ok(&format!("8072{id:02X}92000000"));
            assert_eq!(blob[..8], kcv);
            assert_eq!(unwrap_inline(&mut two, id, &blob), 0x9000);
            two.dialogue(&[(
                &format!("00A4000002CC{id:02X}00"),
                0x9000,
                &format!("6F.. 8102.... 820108 8302CC{id:02X} A503 9201{there}"),
            )]);
        }
    }
    let last = one.ok("80720192000000");
    let template = |domain: &str| {
        let holder = support::tlv("5F20", b"UTDUMMY00001");
        apdu("00460700", &format!("5F290100 {p256} {holder} {domain}"))
    };
    two.dialogue(&[
        (&template("920101"), 0x6985, ""),
        (&template("920103"), 0x6A88, ""),
        (&template("920104"), 0x6A86, ""),
        ("004807B2 03 920101 00", 0x6985, ""),
        ("8052000400", 0x6A86, ""),
        ("8052030000", 0x6A89, ""),
        ("8052030200", 0x9000, ""),
        ("8052000200", 0x6A88, ""),
        ("8052030300", 0x6A88, ""),
        ("8052040300", 0x6A88, ""),
        ("8052040100", 0x9000, "0202 0000000000000000"),
        ("00A4000002CC0700", 0x6A82, ""),
    ]);
    // Keys that named no domain among several belong to none, and stay.
    generate(&mut two, 7, &p256, "UTTEST00001", "");
    assert_eq!(two.status("80720792000000"), 0x6985);
    // Its domain is gone: no other one takes the blob.
    one.ok("00E4020002CC01");
    one.ok("00E4020002CC02");
    one.ok("8052030200");
    assert_eq!(unwrap_inline(&mut one, 3, &last), 0x6A80);
    assert_eq!(unwrap_inline(&mut two, 3, &last), 0x9000, "still there");
    // Without login everybody sees the check values, and nothing else happens.
    two.dialogue(&[
        (support::SELECT, 0x9000, "*"),
        ("8052000000", 0x9000, "0100*"),
        ("8052000100", 0x9000, "0202 0000000000000000"),
        ("80520103010100", 0x6982, ""),
        ("8052040100", 0x6982, ""),
    ]);
}

#[test]
fn shares_and_places_at_initialisation() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "920102 970103");
    bench.dialogue(&[
        ("8052000000", 0x9000, "0202 0000000000000000"),
        ("8052000100", 0x6A88, ""),
        ("8052000300", 0x6A86, ""),
    ]);
    let mut bench = installation.ready("b", "920100");
    let kcv = hex::encode_upper(bench.ok("8052000000"));
    assert!(
        kcv.starts_with("0000") && !kcv.ends_with(&"0".repeat(16)),
        "{kcv}"
    );
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTTEST00001",
        "",
    );
    let blob = bench.ok("80720192000000");
    assert_eq!(unwrap_inline(&mut bench, 2, &blob), 0x9000);
    bench.dialogue(&[
        (&format!("8052000020{}00", "11".repeat(32)), 0x6986, ""),
        ("8052040000", 0x6A89, ""),
        ("00E4020002CC01", 0x9000, ""),
        ("00E4020002CC02", 0x9000, ""),
        ("8052040000", 0x6985, ""),
    ]);
}
