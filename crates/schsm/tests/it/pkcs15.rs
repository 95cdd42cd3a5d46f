//! Descriptions as the known tools write them, and that ours are those of current OpenSC.

use chancery_schsm::pkcs15::{KeyAccess, KeyUsage, Pkcs15Error};
use chancery_schsm::{
    CertificateDescription, DataDescription, Fid, KeyId, KeyType, PrivateKeyDescription, TokenInfo, fid,
};
use proptest::prelude::*;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

const OPENSC_EC: &str = "A02A 300B 0C026B31 030206C0 040101  300F 040110 0303073080 030203B8 020101 \
                         A10A 3008 3002 0400 02020100";
const OPENSC_RSA: &str = "302B 300D 0C0472736131 030206C0 040101  300E 040111 03020470 030203B8 020102 \
                          A10A 3008 3002 0400 02020800";
const EMBEDDED_AES: &str = "A81A 3006 0C0461657331  3008 040122 030306C000  A006 3004 02020100";

#[test]
fn key_descriptions_are_those_of_opensc() {
    let ec = PrivateKeyDescription::ec(KeyId(1), "k1", &[0x10], 256);
    assert_eq!(hex::encode(ec.encode()), hex::encode(bytes(OPENSC_EC)));
    let rsa = PrivateKeyDescription::rsa(KeyId(2), "rsa1", &[0x11], 2048);
    assert_eq!(hex::encode(rsa.encode()), hex::encode(bytes(OPENSC_RSA)));
    // OpenSC writes none for AES keys; this is what sc-hsm-embedded writes.
    let aes = PrivateKeyDescription::aes("aes1", &[0x22], 256);
    assert_eq!(hex::encode(aes.encode()), hex::encode(bytes(EMBEDDED_AES)));
}

#[test]
fn a_subject_goes_where_opensc_puts_it() {
    // CN=x as a Name: 14 bytes.
    let name = bytes("300C 310A 3008 0603550403 0C0178");
    let ec = PrivateKeyDescription::ec(KeyId(1), "c31", &[0x10], 256).with_subject(&name);
    let expected = "A03D 300C 0C03633331 030206C0 040101  300F 040110 0303073080 030203B8 020101 \
                    A010 300E 300C310A300806035504030C0178  A10A 3008 3002 0400 02020100";
    assert_eq!(hex::encode(ec.encode()), hex::encode(bytes(expected)));
    assert_eq!(PrivateKeyDescription::parse(&ec.encode()).unwrap(), ec);
}

#[test]
fn keys_of_every_known_writer_are_read() {
    struct Sample(
        &'static str,
        &'static str,
        KeyType,
        &'static str,
        u8,
        u16,
        Option<u8>,
    );
    let samples = [
        Sample("OpenSC git EC", OPENSC_EC, KeyType::Ec, "k1", 0x10, 256, Some(1)),
        Sample(
            "OpenSC 0.23 EC",
            "A026 300B 0C026B31 030206C0 040101 300B 040110 0303073080 020101 A10A 3008 3002 0400 02020100",
            KeyType::Ec,
            "k1",
            0x10,
            256,
            Some(1),
        ),
        Sample(
            "OpenSC git RSA",
            OPENSC_RSA,
            KeyType::Rsa,
            "rsa1",
            0x11,
            2048,
            Some(2),
        ),
        Sample(
            "sc-hsm-embedded EC",
            "A01C 3004 0C026B31 3008 040110 0303062080 A10A 3008 3002 0400 02020100",
            KeyType::Ec,
            "k1",
            0x10,
            256,
            None,
        ),
        Sample(
            "sc-hsm-embedded RSA",
            "301E 3006 0C0472736131 3008 040111 0303066000 A10A 3008 3002 0400 02020800",
            KeyType::Rsa,
            "rsa1",
            0x11,
            2048,
            None,
        ),
        Sample(
            "sc-hsm-embedded AES",
            EMBEDDED_AES,
            KeyType::Aes,
            "aes1",
            0x22,
            256,
            None,
        ),
        Sample(
            "Pico unwrapped EC",
            "A01A 3002 0C00 3008 040131 0303072080 A10A 3008 3002 0400 02020100",
            KeyType::Ec,
            "",
            0x31,
            256,
            None,
        ),
        Sample(
            "Smart Card Shell RSA",
            "301D 3006 0C0472736131 3007 040111 03020274 A10A 3008 3002 0400 02020800",
            KeyType::Rsa,
            "rsa1",
            0x11,
            2048,
            None,
        ),
        Sample(
            "early card RSA, size beside the path",
            "301D 3006 0C0472736131 3007 040111 03020274 A10A 3004 3002 0400 02020800",
            KeyType::Rsa,
            "rsa1",
            0x11,
            2048,
            None,
        ),
    ];
    for Sample(name, text, key_type, label, id, size, reference) in samples {
        let mut file = bytes(text);
        let key = PrivateKeyDescription::parse(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (key.key_type, key.label.as_str(), key.id.as_slice()),
            (key_type, label, &[id][..]),
            "{name}"
        );
        assert_eq!((key.key_size, key.key_reference), (size, reference), "{name}");
        assert_eq!(
            PrivateKeyDescription::parse(&key.encode()).unwrap(),
            key,
            "{name}"
        );
        // The tail of a longer, older description.
        file.extend([0x80, 0x02, 0x01]);
        assert_eq!(PrivateKeyDescription::parse(&file).unwrap(), key, "{name}");
    }
}

#[test]
fn usage_and_access_are_understood() {
    let key = PrivateKeyDescription::parse(&bytes(OPENSC_EC)).unwrap();
    assert_eq!(
        key.usage,
        KeyUsage::SIGN | KeyUsage::SIGN_RECOVER | KeyUsage::DERIVE
    );
    assert!(key.usage.contains(KeyUsage::DERIVE) && !key.usage.contains(KeyUsage::DECRYPT));
    let access = key.access.unwrap();
    assert!(access.contains(KeyAccess::SENSITIVE | KeyAccess::LOCAL));
    assert!(!access.contains(KeyAccess::EXTRACTABLE));
    assert_eq!(format!("{:?}", key.usage), "{SIGN, SIGN_RECOVER, DERIVE}");
    assert_eq!(
        (key.flags, key.auth_id.as_deref()),
        (Some(0xC000), Some(&[1][..]))
    );
}

#[test]
fn a_high_key_number_and_an_odd_size_survive() {
    let key = PrivateKeyDescription::ec(KeyId(0xFE), "p521", &[1, 2, 3], 521);
    let encoded = key.encode();
    assert!(
        encoded.windows(4).any(|part| part == [0x02, 0x02, 0x00, 0xFE]),
        "not a negative number"
    );
    assert!(encoded.windows(4).any(|part| part == [0x02, 0x02, 0x02, 0x09]));
    let parsed = PrivateKeyDescription::parse(&encoded).unwrap();
    assert_eq!((parsed.key_reference, parsed.key_size), (Some(0xFE), 521));
}

#[test]
fn certificate_and_data_descriptions() {
    let ours = CertificateDescription::x509("ca1", &[0x33], fid::ca_certificate(0));
    let opensc = "301A 3009 0C03636131 03020640  3003 040133  A108 3006 3004 0402 CA00";
    assert_eq!(hex::encode(ours.encode()), hex::encode(bytes(opensc)));
    assert_eq!(CertificateDescription::parse(&bytes(opensc)).unwrap(), ours);

    let embedded = "3016 3005 0C03636131 3003 040133 A108 3006 3004 0402 CA01";
    let parsed = CertificateDescription::parse(&bytes(embedded)).unwrap();
    assert_eq!(
        (parsed.label.as_str(), parsed.file, parsed.flags),
        ("ca1", Fid(0xCA01), None)
    );
    assert_eq!(parsed.encode(), bytes(embedded));
    let cvc = CertificateDescription::parse(&bytes(&embedded.replacen("30", "A5", 1))).unwrap();
    assert!(cvc.card_verifiable && !parsed.card_verifiable);

    let opensc = "301B 300B 0C026431 030206C0 040101  3004 0C026431  A106 3004 0402 CD00";
    let data = DataDescription::parse(&bytes(opensc)).unwrap();
    assert_eq!(
        (data.label.as_str(), data.application.as_str(), data.file),
        ("d1", "d1", fid::private_data(0))
    );
    assert_eq!(hex::encode(data.encode()), hex::encode(bytes(opensc)));
}

#[test]
fn token_information() {
    let opensc = "3010 020100 8007 54657374546F6B 03020520";
    assert_eq!(TokenInfo::new("TestTok").encode(), bytes(opensc));
    assert_eq!(
        TokenInfo::parse(&bytes(opensc)).unwrap(),
        TokenInfo::new("TestTok")
    );

    let pico = "302F 020106 04080000000000000000 0C0D 506F6C2048656E6172656A6F73 \
                800D 536D617274436172642D48534D 03020430";
    let info = TokenInfo::parse(&bytes(pico)).unwrap();
    assert_eq!(
        (info.label.as_str(), info.manufacturer.as_deref()),
        ("SmartCard-HSM", Some("Pol Henarejos"))
    );
    assert_eq!((info.serial.as_deref(), info.version), (Some(&[0; 8][..]), 6));
    assert_eq!(info.encode(), bytes(pico));

    let bare = TokenInfo::parse(&bytes("300B 020100 8002 6162 03020500")).unwrap();
    assert_eq!((bare.label.as_str(), bare.flags), ("ab", 0));
}

#[test]
fn fail_malformed_descriptions() {
    let key = |text: &str| PrivateKeyDescription::parse(&bytes(text)).unwrap_err();
    assert!(
        matches!(key("04020000"), Pkcs15Error::Kind { .. }),
        "another kind of object"
    );
    assert!(matches!(key("A0103002"), Pkcs15Error::Tlv(_)), "cut short");
    assert_eq!(key(""), Pkcs15Error::Value { field: "private key" });
    let no_size = "A010 3004 0C026B31 3008 040110 0303073080";
    assert_eq!(key(no_size), Pkcs15Error::Value { field: "key size" });
    let huge = "A01D 3004 0C026B31 3008 040110 0303073080 A10B 3009 3002 0400 0203010000";
    assert_eq!(key(huge), Pkcs15Error::Value { field: "key size" });
    let usage = "A01B 3004 0C026B31 3007 040110 03020930 A10A 3008 3002 0400 02020100";
    assert_eq!(key(usage), Pkcs15Error::Value { field: "key usage" });
    assert!(CertificateDescription::parse(&bytes("300E 3005 0C03636131 3003 040133 A100")).is_err());
    assert!(CertificateDescription::parse(&bytes("300C 3005 0C03636131 3003 040133")).is_err());
    assert!(TokenInfo::parse(&bytes("3103020100")).is_err());
}

proptest! {
    #[test]
    fn key_descriptions_round_trip(
        label in ".{0,40}",
        id in prop::collection::vec(any::<u8>(), 0..60),
        number in 1_u8..,
        bits in 128_u16..,
        kind in 0..3,
        subject in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let mut key = match kind {
            0 => PrivateKeyDescription::ec(KeyId(number), &label, &id, bits),
            1 => PrivateKeyDescription::rsa(KeyId(number), &label, &id, bits),
            _ => PrivateKeyDescription::aes(&label, &id, bits),
        };
        if let (true, Some(content)) = (kind < 2, subject) {
            let mut name = vec![0x30, 0x82];
            name.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
            name.extend(content);
            key = key.with_subject(&name);
        }
        prop_assert_eq!(PrivateKeyDescription::parse(&key.encode()), Ok(key));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = PrivateKeyDescription::parse(&bytes);
        let _ = CertificateDescription::parse(&bytes);
        let _ = DataDescription::parse(&bytes);
        let _ = TokenInfo::parse(&bytes);
    }

    #[test]
    fn damaged_descriptions_never_panic(index in any::<prop::sample::Index>(), value: u8) {
        let samples = [OPENSC_EC, OPENSC_RSA, EMBEDDED_AES, "3010 020100 8007 54657374546F6B 03020520",
            "301A 3009 0C03636131 03020640  3003 040133  A108 3006 3004 0402 CA00"];
        for sample in samples {
            let mut file = bytes(sample);
            let index = index.index(file.len());
            file[index] = value;
            let _ = PrivateKeyDescription::parse(&file);
            let _ = CertificateDescription::parse(&file);
            let _ = DataDescription::parse(&file);
            let _ = TokenInfo::parse(&file);
        }
    }
}
