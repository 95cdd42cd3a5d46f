//! EC keys derived from others.

use crate::support::{self, Bench, Installation, apdu, ec_parameters, generate, rsa_parameters};
use chancery_cvc::AuthenticatedRequest;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcPoint, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::sha::sha256;

fn point(request: &[u8]) -> Vec<u8> {
    let request = AuthenticatedRequest::parse(request).unwrap();
    request.verify_inner().unwrap();
    match request.request().public_key() {
        chancery_cvc::PublicKey::Ec(key) => key.point().to_vec(),
        other => panic!("{other:?}"),
    }
}

fn request_of(bench: &mut Bench, id: u8) -> Vec<u8> {
    bench.send(&format!("00B1CE{id:02X}000004 54020000 0000")).0
}

#[test]
fn the_new_key_is_the_old_one_plus_the_parameter() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for nid in [
        Nid::X9_62_PRIME256V1,
        Nid::SECP521R1,
        Nid::BRAINPOOL_P320R1,
        Nid::BRAINPOOL_P224T1,
        Nid::SECP192K1,
    ] {
        let old = generate(&mut bench, 1, &ec_parameters(nid), "UTTEST00001", "");
        let group = EcGroup::from_curve_name(nid).unwrap();
        let mut context = BigNumContext::new().unwrap();
        for parameter in [&[1u8][..], &[0xFF; 20], &[0xEE; 100]] {
            let command = format!("80760102{:02X}98{}", parameter.len() + 1, hex::encode(parameter));
            assert_eq!(bench.send(&command), (vec![], 0x9000));
            let request = request_of(&mut bench, 2);
            // Q' = Q + parameter * G, as anybody computes it from public values.
            let base = EcPoint::from_bytes(&group, &point(&old), &mut context).unwrap();
            let mut tweak = EcPoint::new(&group).unwrap();
            let number = BigNum::from_slice(parameter).unwrap();
            let mut reduced = BigNum::new().unwrap();
            let mut order = BigNum::new().unwrap();
            group.order(&mut order, &mut context).unwrap();
            reduced.nnmod(&number, &order, &mut context).unwrap();
            tweak.mul_generator2(&group, &reduced, &mut context).unwrap();
            let mut sum = EcPoint::new(&group).unwrap();
            sum.add(&group, &base, &tweak, &mut context).unwrap();
            let form = PointConversionForm::UNCOMPRESSED;
            assert_eq!(point(&request), sum.to_bytes(&group, form, &mut context).unwrap());
            let key = openssl::ec::EcKey::from_public_key(&group, &sum).unwrap();
            let signature = bench.ok(&apdu("80680273", "68656C6C6F0A"));
            let signature = EcdsaSig::from_der(&signature).unwrap();
            assert!(signature.verify(&sha256(b"hello\n"), &key).unwrap());
        }
    }
    let request = AuthenticatedRequest::parse(&request_of(&mut bench, 2)).unwrap();
    let serial = request.outer_car().holder().to_owned();
    assert_eq!(request.request().chr().as_str(), format!("{serial}00002"));
    assert_eq!(request.request().car(), request.outer_car());
}

#[test]
fn a_derived_key_may_do_no_more_than_its_origin() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "970102");
    bench.ok("80520101010100");
    bench.ok(&format!("8052000120{}00", "11".repeat(32)));
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    generate(&mut bench, 1, &p256, "UTTEST00001", "91029873 920101");
    generate(&mut bench, 3, &p256, "UTTEST00003", "900400000003 91029873");
    generate(&mut bench, 4, &p256, "UTTEST00004", "910173");
    generate(&mut bench, 5, &rsa_parameters(1024), "UTTEST00005", "");
    bench.dialogue(&[
        ("80760102 02 9801", 0x9000, ""),
        (
            "00A4000002CC0200",
            0x9000,
            "6F.. 8102.... 820108 8302CC02 A507 91029873 920101",
        ),
        ("80720292000000", 0x6985, ""),
        ("80760200 02 9801", 0x6A86, ""),
        ("80760101 02 9801", 0x6A86, ""),
        ("80760702 02 9801", 0x6A88, ""),
        ("80760406 02 9801", 0x6A81, ""),
        ("80760506 02 9801", 0x6A81, ""),
        ("80760106 01 98", 0x6A80, ""),
        ("80760106 02 9901", 0x6A80, ""),
        ("80760106", 0x6A80, ""),
        // neither zero nor a multiple of the order makes another key
        ("80760106 03 980000", 0x6A80, ""),
        (
            "8076010621 98 FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
            0x6A80,
            "",
        ),
        // a new key would count anew
        ("80760306 02 9801", 0x6985, ""),
        ("00A4000002CC0600", 0x6A82, ""),
        (
            "00A4000002CC0300",
            0x9000,
            "6F.. 8102.... 820108 8302CC03 A50A 900400000003*",
        ),
        ("80760106 02 9801", 0x9000, ""),
        (support::SELECT, 0x9000, "*"),
        ("80760106 02 9801", 0x6982, ""),
    ]);
}

#[test]
fn keys_from_outside_are_not_derived_from() {
    let installation = Installation::new();
    let share = format!("8052000020{}00", "11".repeat(32));
    let (mut one, mut two) = (
        installation.ready("a", "920101"),
        installation.ready("b", "920101"),
    );
    one.ok(&share);
    two.ok(&share);
    generate(
        &mut one,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTTEST00001",
        "",
    );
    let blob = one.ok("80720192000000");
    // Whoever made the blob knows the key, and would know each that comes of it.
    two.ok(&apdu("80740193", &hex::encode(&blob)));
    assert_eq!(two.status("80760102 02 9801"), 0x6985);
    let mut two = two.replug();
    two.ok(support::SELECT);
    two.ok(support::VERIFY);
    two.dialogue(&[("80760102 02 9801", 0x6985, ""), ("00A4000002CC0200", 0x6A82, "")]);
    // It also counts when it comes back to where it was made.
    one.ok("80760102 02 9801");
    one.ok(&apdu("80740193", &hex::encode(&blob)));
    assert_eq!(one.status("80760103 02 9801"), 0x6985);
    // What a token made itself it still knows for its own later.
    let mut one = one.replug();
    one.ok(support::SELECT);
    one.ok(support::VERIFY);
    one.dialogue(&[("80760103 02 9801", 0x6985, ""), ("80760203 02 9801", 0x9000, "")]);
}
