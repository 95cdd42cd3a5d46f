//! Every command to the byte, against dialogues traced from other hosts and real tokens.

use crate::common::{self, Script, ascii, bytes, vector};
use chancery_cvc::{Curve, DeviceChain, PublicKey, Reference, TrustAnchors};
use chancery_driver::keystore::{self, KeyDescription};
use chancery_driver::{
    AttestError, Card, Error, GeneratedKey, Initialize, KeyAlgorithm, KeySpec, Limits, Pin, PinStatus,
    Quorum, SoPin, attest,
};
use chancery_schsm::{Algorithm, AlgorithmList, Fid, InitializeOptions, KekShare, KeyId};

const DEVICE: &str = "nitrokey-hsm2-fw4.1-ef2f02.hex";
const REQUEST: &str = "nitrokey-hsm2-fw4.1-efce01.hex";

fn spec(algorithm: KeyAlgorithm) -> KeySpec {
    KeySpec {
        id: KeyId(1),
        algorithm,
        chr: Reference::new("DENK010000100001").unwrap(),
        algorithms: AlgorithmList::unrestricted(),
        key_domain: None,
        use_counter: None,
    }
}

fn signature() -> String {
    format!("3044 0220{} 0220{}", "11".repeat(32), "22".repeat(32))
}

#[test]
fn initialise_and_label() {
    let setup = Initialize {
        options: InitializeOptions::RESET_RETRY_COUNTER,
        user_pin: Some(Pin::new("648219").unwrap()),
        so_pin: SoPin::from_hex("3537363231383830").unwrap(),
        retry: 3,
        dkek_shares: Some(1),
        quorum: None,
        domains: None,
    };
    let mut token = Script::selected(&[
        (
            "805000001C 80020001 8106363438323139 82083537363231383830 910103 920101",
            "9000",
        ),
        ("0020008106 363438323139", "9000"),
        ("00B12F03 000004 54020000 0000", "6A82"),
        (
            "00D72F0318 54020000 5312 3010 020100 8007 54657374546F6B 03020520",
            "9000",
        ),
    ]);
    token.initialize(&setup).unwrap();
    let mut token = token.verify_pin(setup.user_pin.as_ref().unwrap()).unwrap();
    token.write_label("TestTok").unwrap();
}

#[test]
fn initialise_for_a_quorum_without_pin_repeats_after_6a84() {
    let setup = Initialize {
        options: InitializeOptions::NONE,
        user_pin: None,
        so_pin: SoPin::new(*b"57621880"),
        retry: 3,
        dkek_shares: Some(2),
        quorum: Some(Quorum {
            required: 2,
            total: 3,
        }),
        domains: None,
    };
    let command = "8050000018 80020000 82083537363231383830 910103 920102 93020302";
    let mut token = Script::selected(&[(command, "6A84"), (command, "9000"), (command, "6985")]);
    token.initialize(&setup).unwrap();
    assert!(matches!(token.initialize(&setup), Err(Error::WrongSoPin { .. })));
}

#[test]
fn pin_status_and_wrong_pins() {
    let mut token = Script::selected(&[
        ("00200081", "63C2"),
        ("00200081", "9000"),
        ("00200081", "6983"),
        ("00200081", "6984"),
        ("00200081", "6A88"),
        ("00200081", "6300"),
        ("002400810C 363438323139 313233343536", "9000"),
    ]);
    assert_eq!(
        token.pin_status().unwrap(),
        PinStatus::NotVerified { tries_left: 2 }
    );
    assert_eq!(token.pin_status().unwrap(), PinStatus::Verified);
    assert_eq!(token.pin_status().unwrap(), PinStatus::Blocked);
    assert_eq!(token.pin_status().unwrap(), PinStatus::TransportPin);
    assert_eq!(token.pin_status().unwrap(), PinStatus::Absent);
    assert_eq!(token.pin_status().unwrap(), PinStatus::QuorumOpen);
    token
        .change_pin(&Pin::new("648219").unwrap(), &Pin::new("123456").unwrap())
        .unwrap();

    let pin = Pin::new("648219").unwrap();
    let verify = "0020008106 363438323139";
    let token = Script::selected(&[
        (verify, "63C2"),
        (verify, "63C0"),
        (verify, "6983"),
        (verify, "6984"),
    ]);
    let failed = token.verify_pin(&pin).err().unwrap();
    assert_eq!(
        failed.error.to_string(),
        "VERIFY user PIN: 63C2 wrong PIN, 2 tries left"
    );
    assert!(matches!(failed.error, Error::WrongPin { tries_left: 2, .. }));
    let failed = failed.card.verify_pin(&pin).err().unwrap();
    assert!(matches!(failed.error, Error::PinBlocked { .. }));
    let failed = failed.card.verify_pin(&pin).err().unwrap();
    assert_eq!(
        failed.error.to_string(),
        "VERIFY user PIN: 6983 the PIN is blocked"
    );
    let failed = failed.card.verify_pin(&pin).err().unwrap();
    assert!(matches!(failed.error, Error::TransportPin { .. }));
}

#[test]
fn generate_as_opensc_does() {
    let p256 = "060A04007F00070202020203
        8120FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
        8220FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFC
        83205AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
        8441046B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
            4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
        8520FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        870101";
    let head = format!("5F290100 4209{}", ascii("UTCA00001"));
    let name = format!("5F2010{}", ascii("DENK010000100001"));
    let ec = format!("00460100 000100 {head} 7F4981DA {p256} {name} 0000");
    let rsa =
        format!("00460100 00003A {head} 7F4915 060A04007F00070202020102 8203010001 02020800 {name} 0000");
    let limited = format!(
        "00460100 000047 {head} 7F4915 060A04007F00070202020102 8203010001 02020800 {name} 900400000005 91023392 920101 0000"
    );
    let answer = format!("{}9000", hex::encode(vector(REQUEST)));
    let absent = ("00A4000002CC0100", "6A82");
    let mut token = Script::authenticated(&[
        absent,
        (&ec, &answer),
        absent,
        (&rsa, &answer),
        absent,
        (&limited, &answer),
        ("00A4000002CC0100", "6F0B 8102 0000 820101 8302CC01 9000"),
    ]);
    let ec = spec(KeyAlgorithm::Ec(Curve::Secp256r1));
    let generated = token.generate(&ec).unwrap();
    assert_eq!(generated.request, vector(REQUEST));
    token.generate(&spec(KeyAlgorithm::Rsa(2048))).unwrap();
    token
        .generate(&KeySpec {
            algorithms: AlgorithmList::new(&[Algorithm::RsaPkcs1Sha256, Algorithm::Wrap]).unwrap(),
            key_domain: Some(1),
            use_counter: Some(5),
            ..spec(KeyAlgorithm::Rsa(2048))
        })
        .unwrap();
    assert!(matches!(token.generate(&ec), Err(Error::KeyExists { .. })));
    assert!(matches!(
        token.generate(&KeySpec { id: KeyId(0), ..ec }),
        Err(Error::Input { .. })
    ));
    assert!(matches!(
        token.generate(&spec(KeyAlgorithm::Rsa(2047))),
        Err(Error::Input { .. })
    ));
}

#[test]
fn the_real_key_is_attested_and_no_other() {
    let chain = DeviceChain::parse(&vector(DEVICE)).unwrap();
    let device = chain.verify(&TrustAnchors::production().unwrap(), None).unwrap();
    let answer = format!("{}9000", hex::encode(vector(REQUEST)));
    let k1 = Curve::Secp256k1.parameters().unwrap();
    let object = |tag: &str, value: &[u8]| format!("{tag}{:02X}{}", value.len(), hex::encode(value));
    let parameters = [
        "060A04007F00070202020203".to_owned(),
        object("81", k1.prime()),
        object("82", k1.a()),
        object("83", k1.b()),
        object("84", k1.generator()),
        object("85", k1.order()),
        "870101".to_owned(),
    ]
    .concat();
    let name = ascii("DENK010000100001");
    let command = format!(
        "00460100 000100 5F290100 4209{} 7F4981{:02X}{parameters} 5F2010{name} 0000",
        ascii("UTCA00001"),
        parameters.len() / 2
    );
    let absent = ("00A4000002CC0100", "6A82");
    // The second one answers with the same request to a demand for another kind of key: it is deleted.
    let mut token = Script::authenticated(&[absent, (&command, &answer)]);
    let spec_k1 = spec(KeyAlgorithm::Ec(Curve::Secp256k1));
    let (generated, attested) = token.generate_attested(&spec_k1, &device).unwrap();
    assert_eq!(attested.public_key(), &generated.public_key);
    let other = spec(KeyAlgorithm::Ec(Curve::Secp256r1));
    assert!(matches!(
        attest::verify(&generated, &other, &device),
        Err(AttestError::OtherKind { .. })
    ));

    let mut forged = vector(REQUEST);
    *forged.last_mut().unwrap() ^= 1;
    let forged_answer = format!("{}9000", hex::encode(&forged));
    let mut token = Script::authenticated(&[
        absent,
        (&command, &forged_answer),
        ("00E4020002CC01", "9000"),
        ("00E4020002CE01", "9000"),
    ]);
    assert!(matches!(
        token.generate_attested(&spec_k1, &device),
        Err(AttestError::Request(_))
    ));
    let forged = GeneratedKey {
        request: forged,
        ..generated
    };
    assert!(matches!(
        attest::verify(&forged, &spec_k1, &device),
        Err(AttestError::Request(_))
    ));
}

#[test]
fn sign_is_one_command_and_its_refusals_differ() {
    let hash = "AB".repeat(32);
    let signed = format!("{} 9000", signature());
    let padded = format!("3046 022100{}00 9000", "00".repeat(31));
    let commands = [
        format!("80680170 000020 {hash} 0200"),
        "80680173 000006 68656C6C6F0A 0200".to_owned(),
        format!("80680220 000100 {} 0200", "0F".repeat(256)),
        format!("80680240 000020 {hash} 0200"),
    ];
    let rsa = format!("{} 9000", "5A".repeat(256));
    let mut token = Script::authenticated(&[
        (&commands[0], &signed),
        (&commands[1], &signed),
        (&commands[2], &rsa),
        (&commands[3], &rsa),
        (&commands[1], "6982"),
        (&commands[1], "6A81"),
        (&commands[1], "6985"),
        (&commands[1], "6984"),
        (&commands[1], "6A88"),
        (&commands[1], &padded),
        (&commands[1], "9000"),
        (&commands[1], "90"),
    ]);
    let id = KeyId(1);
    assert_eq!(
        token.sign(id, Algorithm::Ecdsa, &bytes(&hash)).unwrap(),
        bytes(&signature())
    );
    assert_eq!(
        token.sign(id, Algorithm::EcdsaSha256, b"hello\n").unwrap(),
        bytes(&signature())
    );
    assert_eq!(
        token.sign(KeyId(2), Algorithm::RsaRaw, &[0x0F; 256]).unwrap(),
        [0x5A; 256]
    );
    token.sign(KeyId(2), Algorithm::RsaPss, &bytes(&hash)).unwrap();
    let mut refusal = || token.sign(id, Algorithm::EcdsaSha256, b"hello\n").unwrap_err();
    let locked = refusal();
    assert!(locked.is_locked());
    assert_eq!(
        locked.to_string(),
        "SIGN with key 1, algorithm 73: 6982 the token is not unlocked"
    );
    assert!(matches!(refusal(), Error::UseNotPermitted { .. }));
    assert!(matches!(refusal(), Error::UseNotPermitted { .. }));
    assert!(matches!(refusal(), Error::UseCounterSpent { .. }));
    assert!(matches!(refusal(), Error::NoSuchKey { .. }));
    assert!(
        matches!(refusal(), Error::Protocol { .. }),
        "zero is no signature"
    );
    assert!(
        matches!(refusal(), Error::Protocol { .. }),
        "nothing is no signature"
    );
    assert!(
        matches!(refusal(), Error::Protocol { .. }),
        "one byte is no answer"
    );
}

#[test]
fn decipher_and_both_answers_to_ecdh() {
    let point = format!("04{}{}", "01".repeat(32), "02".repeat(32));
    let ecdh = format!("80620180 000041 {point} 0200");
    let long = format!("04{}{} 9000", "0A".repeat(32), "0B".repeat(32));
    let short = format!("04{} 9000", "0A".repeat(32));
    let raw = format!("80620221 000100 {} 0200", "33".repeat(256));
    let block = format!("{} 9000", "44".repeat(256));
    let mut token = Script::authenticated(&[
        (&ecdh, &long),
        (&ecdh, &short),
        (&ecdh, "04 9000"),
        (&raw, &block),
    ]);
    let peer = bytes(&point);
    assert_eq!(*token.ecdh(KeyId(1), &peer).unwrap(), [0x0A; 32]);
    assert_eq!(*token.ecdh(KeyId(1), &peer).unwrap(), [0x0A; 32]);
    assert!(matches!(token.ecdh(KeyId(1), &peer), Err(Error::Protocol { .. })));
    assert!(matches!(
        token.ecdh(KeyId(1), &peer[1..]),
        Err(Error::Input { .. })
    ));
    assert_eq!(*token.decipher(KeyId(2), &[0x33; 256]).unwrap(), [0x44; 256]);
}

#[test]
fn wrap_and_unwrap_inline() {
    let blob = vector("wrapped-ec-p256.hex");
    let wrapped = format!("{} 9000", hex::encode(&blob));
    let unwrap = format!("80740193 00{:04X} {}", blob.len(), hex::encode(&blob));
    let absent = ("00A4000002CC0100", "6A82");
    let mut token = Script::authenticated(&[
        ("80720192000000", &wrapped),
        ("80720192000000", "6985"),
        ("80720192000000", "6D00"),
        absent,
        (&unwrap, "9000"),
        absent,
        (&unwrap, "6A80"),
        absent,
        (&unwrap, "6400"),
    ]);
    let id = KeyId(1);
    assert_eq!(token.wrap(id).unwrap(), blob);
    assert!(matches!(token.wrap(id), Err(Error::UseNotPermitted { .. })));
    assert!(matches!(token.wrap(id), Err(Error::NotOffered { .. })));
    token.unwrap(id, &blob).unwrap();
    assert!(matches!(token.unwrap(id, &blob), Err(Error::WrongKek { .. })));
    assert!(matches!(token.unwrap(id, &blob), Err(Error::WrongKek { .. })));
}

#[test]
fn unwrap_through_the_scratch_file_when_the_card_takes_little() {
    let blob = vector("wrapped-ec-p256.hex");
    let limits = Limits {
        max_command: 200,
        ..Limits::default()
    };
    // 200 bytes less 15 of headers.
    let (first, second) = blob.split_at(185);
    assert_eq!(second.len(), 178);
    let first = format!("00D72F10 C0 54020000 5381B9 {}", hex::encode(first));
    let second = format!("00D72F10 B9 540200B9 5381B2 {}", hex::encode(second));
    let script = Script::new(&[
        (common::SELECT, common::FCI),
        ("00200081 06 363438323139", "9000"),
        ("00A4000002CC0100", "6A82"),
        (&first, "9000"),
        (&second, "9000"),
        ("80740193", "9000"),
    ]);
    let token = Card::with_limits(script, limits).select().unwrap();
    let mut token = token.verify_pin(&Pin::new("648219").unwrap()).unwrap();
    token.unwrap(KeyId(1), &blob).unwrap();
}

#[test]
fn dkek_status_and_import() {
    let share = "0F".repeat(32);
    let import = format!("8052000020 {share} 00");
    let mut token = Script::selected(&[
        ("8052000000", "0101 0000000000000000 9000"),
        (&import, "0100 FCD76B667D1B2EBF 9000"),
        ("8052000100", "6A86"),
        ("8052000000", "6D00"),
        ("8052000000", "0100 9000"),
    ]);
    let before = token.key_domain(0).unwrap().unwrap();
    assert!(!before.is_complete());
    let after = token.import_share(0, &KekShare::new([0x0F; 32])).unwrap();
    assert!(after.is_complete());
    assert_eq!(after.kcv.0, *bytes("FCD76B667D1B2EBF"));
    assert!(token.key_domain(1).unwrap().is_none());
    assert!(token.key_domain(0).unwrap().is_none());
    assert!(matches!(token.key_domain(0), Err(Error::Protocol { .. })));
}

#[test]
fn a_file_is_one_read_where_the_card_gives_it_at_once() {
    let chain = format!("{} 9000", hex::encode(vector(DEVICE)));
    let mut token = Script::selected(&[
        ("00B12F02 000004 54020000 0000", &chain),
        ("00B12F03 000004 54020000 0000", "6A82"),
        ("00B1CD01 000004 54020000 0000", "6982"),
        ("00B1CF01 000004 54020000 0000", "010203 9000"),
        ("00B1CF01 000004 54020003 0000", "0405 6282"),
        ("00B1CF01 000004 54020000 0000", "010203 9000"),
        ("00B1CF01 000004 54020003 0000", "6B00"),
    ]);
    assert_eq!(
        token.device_chain().unwrap().device_name().unwrap().as_str(),
        "DENK040414400000"
    );
    assert!(token.read_file(Fid(0x2F03)).unwrap().is_none());
    assert!(matches!(
        token.read_file(Fid(0xCD01)),
        Err(Error::NotAuthenticated { .. })
    ));
    assert_eq!(token.read_file(Fid(0xCF01)).unwrap().unwrap(), [1, 2, 3, 4, 5]);
    assert_eq!(token.read_file(Fid(0xCF01)).unwrap().unwrap(), [1, 2, 3]);
}

#[test]
fn a_shorter_file_leaves_no_tail() {
    let mut token = Script::authenticated(&[
        ("00B1CF01 000004 54020000 0000", "3003010203 6282"),
        ("00E4020002CF01", "9000"),
        ("00D7CF0109 54020000 53 03 300101", "9000"),
        ("00B1CF01 000004 54020000 0000", "300101 6282"),
        ("00B1CF01 000004 54020000 0000", "300101 6282"),
        ("00D7CF010A 54020000 53 04 30020102", "9000"),
    ]);
    token.write_file(Fid(0xCF01), &[0x30, 1, 1]).unwrap();
    token.write_file(Fid(0xCF01), &[0x30, 1, 1]).unwrap();
    token.write_file(Fid(0xCF01), &[0x30, 2, 1, 2]).unwrap();
}

#[test]
fn keys_are_listed_with_the_least_reads() {
    let request = format!("{} 9000", hex::encode(vector(REQUEST)));
    let description = "A02A 300B 0C026B31 030206C0 040101 300F 040110 0303073080 030203B8 020101 A10A 3008 3002 0400 02020100";
    let described = format!("{description} FFFF 9000");
    let mut token = Script::selected(&[
        ("80580000000000", "CC00 CC01 C401 CE01 CC02 C403 0000 9000"),
        ("00B1C401 000004 54020000 0000", &described),
        // What follows the object is an older file's tail: the card is asked where it ends.
        ("00B1C401 000004 5402002E 0000", "6282"),
        ("00B1CE01 000004 54020000 0000", &request),
        ("80580000000000", "CC00 CC01 C4 9000"),
    ]);
    let keys = keystore::list(&mut token).unwrap();
    let [first, second] = keys.as_slice() else {
        panic!("{} keys", keys.len())
    };
    assert_eq!(
        (first.id, first.label(), first.cka_id(), first.size()),
        (KeyId(1), "k1", &[0x10][..], Some(256))
    );
    assert!(matches!(first.public_key, Some(PublicKey::Ec(_))));
    assert_eq!((second.id, second.label(), second.size()), (KeyId(2), "", None));
    assert!(matches!(keystore::list(&mut token), Err(Error::Protocol { .. })));
}

#[test]
fn descriptions_are_written_as_opensc_writes_them() {
    let chain = vector(REQUEST);
    let key = chancery_cvc::AuthenticatedRequest::parse(&chain)
        .unwrap()
        .request()
        .public_key()
        .clone();
    let mut token = Script::authenticated(&[
        ("00B1C401 000004 54020000 0000", "6A82"),
        (
            "00D7C40132 54020000 532C A02A 300B 0C026B31 030206C0 040101 300F 040110 0303073080 030203B8 020101 A10A 3008 3002 0400 02020100",
            "9000",
        ),
    ]);
    let description = KeyDescription {
        cka_id: Some(vec![0x10]),
        ..KeyDescription::new("k1")
    };
    token.describe_key(KeyId(1), &key, &description).unwrap();
    let long = KeyDescription::new("x".repeat(65));
    assert!(matches!(
        token.describe_key(KeyId(1), &key, &long),
        Err(Error::Input { .. })
    ));
}
