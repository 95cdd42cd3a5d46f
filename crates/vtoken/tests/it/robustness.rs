//! What host software does to tokens, and what many tokens get wrong.

mod files;
mod hosts;

use crate::support::{Installation, SELECT, SO_PIN, VERIFY, apdu, bytes, ec_parameters, generate, tlv};
use openssl::nid::Nid;
use proptest::prelude::*;

/// READ BINARY of a whole file.
fn whole(fid: &str) -> String {
    format!("00B1{fid}000004540200000000")
}

const INITIALISE: &str = "805000001C 80020001 8106363438323139 82083537363231383830 910103 920101";
const SHARE: &str = "8052000020 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F 00";

#[test]
fn initialize_wants_the_so_pin_of_before() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTDUMMY00001",
        "",
    );
    let wrong = INITIALISE.replace(SO_PIN, "3030303030303030");
    bench.dialogue(&[
        (&wrong, 0x6985, ""),
        ("00200088", 0x63CE, ""),
        ("80580000000000", 0x9000, "CC00 CC01 CE01"),
        ("00200081", 0x9000, ""),
        (INITIALISE, 0x9000, ""),
        ("80580000000000", 0x9000, "CC00"),
        ("0020008808 3030303030303030", 0x63CE, ""),
    ]);
}

#[test]
fn key_check_values_are_told_without_login() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        (INITIALISE, 0x9000, ""),
        (SELECT, 0x9000, "*"),
        ("8052000000", 0x9000, "0101 0000000000000000"),
        (SHARE, 0x9000, "0100 630DCD2966C43366"),
        ("8052000000", 0x9000, "0100 630DCD2966C43366"),
        ("00200081", 0x63C3, ""),
    ]);
    let mut bench = bench.replug();
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        ("0052000000", 0x9000, "0100 630DCD2966C43366"),
    ]);
}

#[test]
fn every_other_instruction_is_unknown() {
    const KNOWN: [u8; 25] = [
        0x20, 0x22, 0x24, 0x2A, 0x2C, 0x46, 0x48, 0x50, 0x52, 0x54, 0x58, 0x5A, 0x62, 0x68, 0x72, 0x74, 0x76,
        0x78, 0x82, 0x84, 0x86, 0xA4, 0xB1, 0xD7, 0xE4,
    ];
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for instruction in (0..=255u8).filter(|instruction| !KNOWN.contains(instruction)) {
        for rest in [
            "0000",
            "000000",
            "0000000000",
            "0000 03 010203",
            "0000 000003 010203 0000",
        ] {
            let command = format!("80{instruction:02X}{rest}");
            assert_eq!(bench.status(&command), 0x6D00, "{command}");
        }
    }
    assert_eq!(bench.status("00200081"), 0x9000);
}

#[test]
fn two_classes_are_the_same_and_all_others_unknown() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for class in (0..=255u8).filter(|class| !matches!(class, 0x00 | 0x80)) {
        for rest in ["200081", "A404000B E82B0601040181C31F0201 00", "8400000800"] {
            let status = bench.status(&format!("{class:02X}{rest}"));
            // Where the length does not fit that is said first.
            assert!(matches!(status, 0x6E00 | 0x6700), "{class:02X}: {status:04X}");
        }
        assert_eq!(bench.status(&format!("{class:02X}20008100")), 0x6E00);
    }
    // Nobody was logged out by it.
    assert_eq!(bench.status("00200081"), 0x9000);
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTDUMMY00001",
        "",
    );
    let point = hex::encode(
        openssl::ec::EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
            .unwrap()
            .generator_opt()
            .unwrap()
            .to_bytes(
                &openssl::ec::EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap(),
                openssl::ec::PointConversionForm::UNCOMPRESSED,
                &mut openssl::bn::BigNumContext::new().unwrap(),
            )
            .unwrap(),
    );
    for class in ["00", "80"] {
        bench.dialogue(&[
            (&format!("{class}580000 000000"), 0x9000, "CC00 CC01 CE01"),
            (&format!("{class}620180 41 {point} 00"), 0x9000, "04*"),
            (&format!("{class}680173 05 68656C6C6F 00"), 0x9000, "30*"),
            (&format!("{class}840000 08"), 0x9000, "................"),
            (&format!("{class}B1CE01 04 54020000 02"), 0x9000, "67.."),
            (&format!("{class}500000 00"), 0x9000, "00100000 00 0401"),
            (&format!("{class}520000 00"), 0x6D00, ""),
            (&format!("{class}540000 04"), 0x6D00, ""),
            (&format!("{class}200081"), 0x9000, ""),
            (&format!("{class}D7CF01 08 54020000 5302 0102"), 0x9000, ""),
            (&format!("{class}E40200 02 CF01"), 0x9000, ""),
        ]);
    }
}

#[test]
fn the_largest_command_is_survived() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for header in [
        "00D72F10", "80740193", "80680173", "00200081", "00A40400", "80500000", "00460100", "FFFFFFFF",
    ] {
        let mut command = bytes(&format!("{header}00FFFF"));
        command.extend(vec![0x53; 0xFFFF]);
        assert!(bench.token.process(&command).len() >= 2);
        command.extend([0, 0]);
        assert!(bench.token.process(&command).len() >= 2);
    }
    // A file as long as a command can make it.
    let content: Vec<u8> = (0..0xFFF0u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    bench.dialogue(&[(SELECT, 0x9000, "*"), (VERIFY, 0x9000, "")]);
    bench.ok(&apdu("00D7CA01", &format!("54020000{}", tlv("53", &content))));
    assert_eq!(bench.send(&whole("CA01")), (content, 0x6282));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_garbage_is_survived(garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..12)) {
        let installation = Installation::new();
        let mut bench = installation.ready("a", "");
        for command in &garbage {
            let answer = bench.token.process(command);
            prop_assert!(answer.len() >= 2);
            prop_assert!(matches!(answer[answer.len() - 2], 0x61..=0x6F | 0x90));
        }
        bench.ok(SELECT);
        prop_assert_eq!(bench.status("0084000008"), 0x9000);
    }
}

#[test]
fn a_retry_counter_is_reset_without_a_new_pin() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        ("0020008106 303030303030", 0x63C2, ""),
        ("0020008106 303030303030", 0x63C1, ""),
        ("0020008106 303030303030", 0x6983, ""),
        (&format!("002C018108 {SO_PIN}"), 0x9000, ""),
        // nobody is logged in by it
        ("00200081", 0x63C3, ""),
        ("00D7C40106 54020000 5300", 0x6982, ""),
        (VERIFY, 0x9000, ""),
    ]);
}
