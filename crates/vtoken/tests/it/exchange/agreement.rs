//! Two members agree on the key encryption key.

use std::path::Path;

use openssl::nid::Nid;

use crate::exchange::group::{
    Signer, content, derive, exchange_key, introduce, kcv, key_of, member, write_scratch,
};
use crate::support::{Bench, Installation, SELECT, VERIFY, apdu, ec_parameters, generate, tlv};

const NONE: &str = "0000000000000000";

/// Two members with exchange keys of id 1, each of which knows the other's device.
fn pair(installation: &Installation, signer: &mut Signer, nid: Nid) -> [(Bench, Vec<u8>); 2] {
    let [mut one, mut two] = ["one", "two"].map(|name| member(installation, name, signer));
    introduce(&mut one, &mut two);
    introduce(&mut two, &mut one);
    [one, two].map(|mut token| {
        let request = exchange_key(&mut token, 1, nid);
        (token, request)
    })
}

#[test]
fn keys_go_from_one_member_to_the_other() {
    let installation = Installation::new();
    let mut signer = Signer::new(&installation, "signer", Nid::BRAINPOOL_P256R1);
    let [(mut one, from_one), (mut two, from_two)] = pair(&installation, &mut signer, Nid::BRAINPOOL_P256R1);
    // Keys can be there before the key encryption key is; they stay until then.
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    let request = generate(&mut one, 2, &p256, "UTTEST00001", "920100");
    one.ok("004803B2 09 9104 10119299 920100");
    assert_eq!(one.status("80720292000000"), 0x6985);
    assert_eq!(derive(&mut one, 1, &from_two), 0x9000);
    assert_eq!(derive(&mut two, 1, &from_one), 0x9000);
    let shown = kcv(&mut one);
    assert_ne!(shown, NONE);
    assert_eq!(kcv(&mut two), shown);
    let blob = one.ok("80720292000000");
    assert_eq!(hex::encode_upper(&blob[..8]), shown);
    two.ok(&apdu("80740993", &hex::encode(&blob)));
    let signature = two.ok(&apdu("80680973", "68656C6C6F0A"));
    let key = key_of(&content(&request)).to_ec_key().unwrap();
    let signature = openssl::ecdsa::EcdsaSig::from_der(&signature).unwrap();
    assert!(signature.verify(&openssl::sha::sha256(b"hello\n"), &key).unwrap());
    let blob = one.ok("80720392000000");
    two.ok(&apdu("80740A93", &hex::encode(&blob)));
    let block = "8078..1010 00112233445566778899AABBCCDDEEFF 00";
    let encrypt = |id: &str| block.replace("..", id);
    assert_eq!(one.ok(&encrypt("03")), two.ok(&encrypt("0A")));
    two.dialogue(&[(
        "00A4000002CC0A00",
        0x9000,
        "6F.. 81020020 820108 8302CC0A A509 910410119299 920100",
    )]);
    // The exchange keys themselves stay where they are, and agree on nothing else.
    let point = hex::encode(key_of(&from_two).point());
    one.dialogue(&[
        ("80720192000000", 0x6985, ""),
        (&apdu("80620180", &point), 0x6A81, ""),
        (&apdu("80620183", &hex::encode(&from_two)), 0x6A81, ""),
        (&apdu("80680170", &"11".repeat(32)), 0x6A81, ""),
        ("80760104 02 9801", 0x6A81, ""),
    ]);

    let mut one = one.replug();
    one.ok(SELECT);
    assert_eq!(kcv(&mut one), shown);
    assert_eq!(derive(&mut one, 1, &from_two), 0x6982);
    one.ok(VERIFY);
    assert_eq!(derive(&mut one, 1, &from_two), 0x6A88, "devices are forgotten");
    one.dialogue(&[
        ("8052030000", 0x6A89, ""),
        ("8052040000", 0x9000, &format!("0000{NONE}{}", signer.uid())),
        ("80720292000000", 0x6985, ""),
        (&apdu("80740B93", &hex::encode(&blob)), 0x6985, ""),
    ]);
    introduce(&mut two, &mut one);
    assert_eq!(derive(&mut one, 1, &from_two), 0x9000);
    assert_eq!(kcv(&mut one), shown, "the same keys agree on the same");
}

#[test]
fn every_pair_of_keys_agrees_on_its_own() {
    let installation = Installation::new();
    let mut signer = Signer::new(&installation, "signer", Nid::X9_62_PRIME256V1);
    let [(mut one, _), (mut two, _)] = pair(&installation, &mut signer, Nid::BRAINPOOL_P256R1);
    let mut seen = Vec::new();
    for nid in [
        Nid::BRAINPOOL_P256R1,
        Nid::BRAINPOOL_P256R1,
        Nid::SECP521R1,
        Nid::SECP192K1,
    ] {
        let (from_one, from_two) = (exchange_key(&mut one, 1, nid), exchange_key(&mut two, 1, nid));
        assert_eq!(derive(&mut one, 1, &from_two), 0x9000);
        assert_eq!(derive(&mut two, 1, &from_one), 0x9000);
        let shown = kcv(&mut one);
        assert_eq!(kcv(&mut two), shown);
        assert!(!seen.contains(&shown) && shown != NONE);
        seen.push(shown);
    }
}

#[test]
fn only_members_of_the_group_are_agreed_with() {
    let installation = Installation::new();
    let mut signer = Signer::new(&installation, "signer", Nid::BRAINPOOL_P256R1);
    let mut stranger = Signer::new(&installation, "stranger", Nid::BRAINPOOL_P256R1);
    let [(mut one, from_one), (mut two, from_two)] = pair(&installation, &mut signer, Nid::BRAINPOOL_P256R1);
    let mut three = member(&installation, "three", &mut stranger);
    let from_three = exchange_key(&mut three, 1, Nid::BRAINPOOL_P256R1);
    assert_eq!(derive(&mut one, 1, &from_three), 0x6A88, "unknown device");
    introduce(&mut three, &mut one);
    assert_eq!(derive(&mut one, 1, &from_three), 0x6985, "another group");
    let ordinary = generate(
        &mut two,
        2,
        &ec_parameters(Nid::BRAINPOOL_P256R1),
        "UTTEST00001",
        "920100",
    );
    assert_eq!(
        derive(&mut one, 1, &content(&ordinary)),
        0x6985,
        "no exchange key"
    );
    let other_curve = exchange_key(&mut two, 3, Nid::X9_62_PRIME256V1);
    assert_eq!(derive(&mut one, 1, &other_curve), 0x6A80, "another curve");
    // A token may know itself, but a key does not agree with itself.
    let itself = one.send("00B12F02000004 54020000 0000").0;
    let chain = chancery_cvc::DeviceChain::parse(&itself).unwrap();
    let device = chain.device_certificate().unwrap();
    let name = tlv("83", device.car().as_str().as_bytes());
    one.ok(&format!("002281B6{:02X}{name}", name.len() / 2));
    one.ok(&apdu("002A00BE", &hex::encode(device.content())));
    assert_eq!(derive(&mut one, 1, &from_one), 0x6A80);
    assert_eq!(derive(&mut one, 1, &[]), 0x6A80);
    assert_eq!(derive(&mut one, 9, &from_two), 0x6A88);
    for index in (0..from_two.len()).step_by(37) {
        let mut altered = from_two.clone();
        altered[index] ^= 1;
        let status = derive(&mut one, 1, &altered);
        assert!([0x6A80, 0x6A88].contains(&status), "{index}: {status:04X}");
    }
    assert_eq!(kcv(&mut one), NONE);
    // A domain of shares has no exchange keys.
    one.ok("80520101010100");
    one.ok(&format!("8052000120{}00", "11".repeat(32)));
    generate(
        &mut one,
        4,
        &ec_parameters(Nid::BRAINPOOL_P256R1),
        "UTTEST00001",
        "910184 920101",
    );
    assert_eq!(derive(&mut one, 4, &from_two), 0x6A81);
}

#[test]
fn requests_come_through_the_scratch_file_too() {
    let installation = Installation::new();
    let mut signer = Signer::new(&installation, "signer", Nid::BRAINPOOL_P256R1);
    let [(mut one, from_one), (mut two, from_two)] = pair(&installation, &mut signer, Nid::BRAINPOOL_P256R1);
    write_scratch(&mut one, &from_two);
    assert_eq!(one.status("80620184"), 0x9000);
    assert_eq!(one.status("80620184"), 0x6A80, "used up");
    write_scratch(&mut two, &from_one);
    assert_eq!(two.status("80620184000000"), 0x9000);
    assert_eq!(kcv(&mut one), kcv(&mut two));
}

#[test]
fn agreement_with_keys_that_a_device_vouches_for() {
    let installation = Installation::new();
    let (mut one, mut two) = (installation.ready("one", ""), installation.ready("two", ""));
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    let from_one = content(&generate(
        &mut one,
        1,
        &p256,
        "UTTEST00001",
        "900400000001 910183",
    ));
    let from_two = content(&generate(&mut two, 1, &p256, "UTTEST00001", "910180"));
    let authenticated = apdu("80620183", &hex::encode(&from_two));
    assert_eq!(one.status(&authenticated), 0x6A88);
    introduce(&mut two, &mut one);
    let here = one.ok(&authenticated);
    let there = two.ok(&apdu("80620180", &hex::encode(key_of(&from_one).point())));
    assert_eq!((here.len(), &here), (65, &there));
    let plain = apdu("80620180", &hex::encode(key_of(&from_two).point()));
    one.dialogue(&[(&authenticated, 0x6984, ""), (&plain, 0x6A81, "")]);
    assert_eq!(two.status(&apdu("80620183", &hex::encode(&from_one))), 0x6A81);
}

#[test]
fn devices_are_not_agreed_with() {
    let installation = Installation::new();
    let mut signer = Signer::new(&installation, "signer", Nid::BRAINPOOL_P256R1);
    let mut token = member(&installation, "one", &mut signer);
    exchange_key(&mut token, 1, Nid::BRAINPOOL_P256R1);
    // A real one, whose chain leads to the production root.
    let vector = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../testdata/vectors")
            .join(name);
        let text = std::fs::read_to_string(path).unwrap();
        hex::decode(text.split_whitespace().collect::<String>()).unwrap()
    };
    let chain = chancery_cvc::DeviceChain::parse(&vector("nitrokey-hsm2-fw4.1-ef2f02.hex")).unwrap();
    for certificate in [chain.issuer_certificate(), chain.device_certificate()] {
        let certificate = certificate.unwrap();
        let name = tlv("83", certificate.car().as_str().as_bytes());
        token.ok(&format!("002281B6{:02X}{name}", name.len() / 2));
        token.ok(&apdu("002A00BE", &hex::encode(certificate.content())));
    }
    let request = content(&vector("nitrokey-hsm2-fw4.1-efce01.hex"));
    assert_eq!(derive(&mut token, 1, &request), 0x6A81);
    assert_eq!(kcv(&mut token), NONE);
}
