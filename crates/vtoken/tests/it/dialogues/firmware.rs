//! The firmware a token was made with.

use chancery_vtoken::Firmware;
use openssl::nid::Nid;

use crate::support::{
    self, Installation, SELECT, SO_PIN, VERIFY, apdu, bytes, ec_parameters, generate, rsa_parameters,
};

const JCOP_2_4: &str = "3BFE1800008131FE458031815448534D31738021408107FA";
const JCOP_4: &str = "3BDE96FF8191FE1FC38031815448534D3173802140810792";

fn initialise(further: &str) -> String {
    apdu(
        "80500000",
        &format!("80020001 8106363438323139 8208{SO_PIN} 910103 {further}"),
    )
}

/// GENERATE ASYMMETRIC KEY PAIR with these parameters.
fn template(parameters: &str) -> String {
    let data = format!("5F290100 4209555443413030303031 {parameters} 5F200C555444554D4D593030303031");
    apdu("00460100", &data)
}

#[test]
fn each_says_what_it_is() {
    let installation = Installation::new();
    for (name, firmware, atr, version) in [
        ("old", Firmware::V2_6, JCOP_2_4, "0206"),
        ("new", Firmware::V4_1, JCOP_4, "0401"),
    ] {
        let mut bench = installation.token_with(name, firmware);
        assert_eq!(bench.token.atr(), bytes(atr));
        for _ in 0..2 {
            assert_eq!(bench.token.firmware(), firmware);
            bench.dialogue(&[
                (SELECT, 0x9000, &format!("6F0A820178 8505 .... 00 {version}")),
                (
                    "00A404040BE82B0601040181C31F020100",
                    0x9000,
                    &format!("620A820178 8505 .... 00 {version}"),
                ),
                ("8050000000", 0x9000, &format!("00100000 00 {version}")),
                (&initialise("920101"), 0x9000, ""),
                ("8050000000", 0x9000, &format!("00100000 00 {version}")),
            ]);
            bench = bench.replug();
        }
    }
}

#[test]
fn the_old_one_does_not_mark_the_end_of_a_file() {
    let installation = Installation::new();
    for (name, firmware, end) in [("old", Firmware::V2_6, 0x9000), ("new", Firmware::V4_1, 0x6282)] {
        let mut bench = installation.token_with(name, firmware);
        bench.ok(SELECT);
        bench.dialogue(&[
            (&initialise(""), 0x9000, ""),
            (VERIFY, 0x9000, ""),
            ("00D7CE010A 54020000 5304 01020304", 0x9000, ""),
            ("00B1CE0104 54020000 04", 0x9000, "01020304"),
            ("00B1CE0104 54020000 05", end, "01020304"),
            ("00B1CE01000004 54020000 0000", end, "01020304"),
            ("00B1CE0104 54020004 02", end, ""),
            ("00B1CE0104 54020005 02", 0x6282, ""),
            ("00B1CE0204 54020000 02", 0x6A82, ""),
        ]);
    }
}

#[test]
fn the_old_one_knows_no_aes_no_large_keys_and_one_key_domain() {
    let installation = Installation::new();
    let mut bench = installation.token_with("old", Firmware::V2_6);
    bench.ok(SELECT);
    let share = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
    let aes = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/vectors/wrapped-aes256.hex"
    ))
    .unwrap();
    let ec = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/vectors/wrapped-ec-p256.hex"
    ))
    .unwrap();
    bench.dialogue(&[
        (&initialise("970102"), 0x6A80, ""),
        (&initialise("920101"), 0x9000, ""),
        (VERIFY, 0x9000, ""),
        (&format!("8052000020 {share} 00"), 0x9000, "0100 630DCD2966C43366"),
        ("8052000100", 0x6A86, ""),
        ("805201000101 00", 0x6A86, ""),
        ("8052030000", 0x6A86, ""),
        ("8052040000", 0x6A86, ""),
        ("004801B203 910110", 0x6D00, ""),
        ("8078011010 00000000000000000000000000000000 00", 0x6D00, ""),
        (&template(&rsa_parameters(3072)), 0x6A80, ""),
        (&template(&rsa_parameters(4096)), 0x6A80, ""),
        (&template(&ec_parameters(Nid::SECP384R1)), 0x6A80, ""),
        (&template(&ec_parameters(Nid::SECP521R1)), 0x6A80, ""),
        (&apdu("80740293", aes.trim()), 0x6A80, ""),
        (&apdu("80740293", ec.trim()), 0x9000, ""),
        // EF 2F10 does not exist
        ("00D72F1006 54020000 5300", 0x6982, ""),
        ("00A40000022F1000", 0x6A82, ""),
        ("80740393", 0x6A80, ""),
    ]);
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::BRAINPOOL_P320R1),
        "UTDUMMY00001",
        "",
    );
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTDUMMY00001",
        "9004000000 02",
    );
    bench.dialogue(&[
        ("8068017305 68656C6C6F 00", 0x9000, "30*"),
        ("8068017305 68656C6C6F 00", 0x9000, "30*"),
        ("8068017305 68656C6C6F 00", 0x6984, ""),
        ("80720192000000", 0x6985, ""),
        ("80720292000000", 0x9000, "630DCD2966C43366 0C*"),
    ]);
}

#[test]
fn the_old_one_takes_commands_of_1462_bytes() {
    let installation = Installation::new();
    let mut bench = installation.token_with("old", Firmware::V2_6);
    bench.ok(SELECT);
    bench.ok(&initialise(""));
    bench.ok(VERIFY);
    let write = |length: usize| {
        let piece = vec![0x5A; length];
        apdu("00D7CE01", &format!("54020000{}", support::tlv("53", &piece)))
    };
    // header and Lc 7, offset 4, tag and length 4, Le 2
    assert_eq!(bench.status(&write(1462 - 17)), 0x9000);
    assert_eq!(bench.status(&write(1462 - 16)), 0x6700);
    let mut bench = installation.ready("new", "");
    assert_eq!(bench.status(&write(1462 - 16)), 0x9000);
}
