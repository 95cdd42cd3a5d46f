//! Habits of single hosts.

use openssl::nid::Nid;
use openssl::sha::sha256;

use crate::robustness::whole;
use crate::support::{Bench, Installation, SELECT, SO_PIN, VERIFY, bytes, ec_parameters, generate};

/// `CLA INS P1 P2 00 LcHi LcLo data LeHi LeLo`, or without data `CLA INS P1 P2 00 LeHi LeLo`.
fn extended(header: &str, data: &str, expected: u16) -> String {
    let data = data.replace(' ', "");
    if data.is_empty() {
        format!("{header}00{expected:04X}")
    } else {
        format!("{header}00{:04X}{data}{expected:04X}", data.len() / 2)
    }
}

#[test]
fn everything_in_extended_form() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    let chain = {
        bench.ok(SELECT);
        bench.send(&whole("2F02")).0
    };
    let holder = bytes("5F20");
    let at = chain.windows(2).position(|two| two == holder).unwrap();
    let name = &chain[at + 3..at + 3 + usize::from(chain[at + 2])];
    let serial = hex::encode_upper(&sha256(name)[..8]);
    bench.dialogue(&[
        // what is this?
        (
            &extended("00A40404", "A0583FC19B7E4F21", 0),
            0x9000,
            &format!("03 01 0401 {serial}"),
        ),
        ("00200081", 0x6E00, ""),
        (&extended("00A40400", "E82B0601040181C31F0201", 0), 0x9000, "6F*"),
        (&extended("00B12F02", "54020000", 0), 0x6282, "7F21*"),
        (&extended("00200081", "", 0), 0x6A88, ""),
        (
            &extended(
                "80500000",
                "80020001 8106363438323139 82083537363231383830 910103 920101",
                0,
            ),
            0x9000,
            "",
        ),
        (&extended("00200081", "", 0), 0x63C3, ""),
        (&extended("00200081", "363438323139", 0), 0x9000, ""),
        (&extended("00200081", "", 0), 0x9000, ""),
        (&extended("00580000", "", 0), 0x9000, "CC00"),
        (
            &extended("80840000", "", 16),
            0x9000,
            "................................",
        ),
        (&extended("80520000", "", 0), 0x9000, "0101 0000000000000000"),
        (
            &extended(
                "80520000",
                "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
                0,
            ),
            0x9000,
            "0100 630DCD2966C43366",
        ),
        (&extended("00D7CF01", "54020000 5302 0102", 0), 0x9000, ""),
        (&extended("00A40000", "CF01", 0), 0x9000, "6F*"),
        (&extended("00B10000", "54020000", 0), 0x6282, "0102"),
        (&extended("00E40000", "CF01", 0), 0x9000, ""),
        (&extended("00240081", "363438323139 313233343536", 0), 0x9000, ""),
        (
            &extended("002C0081", "3537363231383830 363438323139", 0),
            0x9000,
            "",
        ),
        (&extended("80500000", "", 0), 0x9000, "00100000 00 0401"),
    ]);
}

#[test]
fn asking_for_the_make_of_the_device_logs_out() {
    let installation = Installation::new();
    let mut bench: Bench = installation.ready("a", "");
    bench.dialogue(&[
        (
            "00A4040408 A0583FC19B7E4F21 00",
            0x9000,
            "03010401................",
        ),
        ("00200081", 0x6E00, ""),
        (SELECT, 0x9000, "*"),
        ("00200081", 0x63C3, ""),
    ]);
}

#[test]
fn a_second_client_finds_a_powered_card_logged_out() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTDUMMY00001",
        "",
    );
    // The first leaves in the middle of something: logged in, a file current, command data waiting.
    bench.dialogue(&[
        ("00D7CD0108 54020000 5302 0102", 0x9000, ""),
        ("00D72F1008 54020000 5302 0102", 0x9000, ""),
        (&format!("0020008808 {SO_PIN}"), 0x9000, ""),
        ("0084000008", 0x9000, "................"),
    ]);
    // The second asks first whether it is logged in, as one of them does, and is, until it selects.
    bench.dialogue(&[
        ("00200081", 0x9000, ""),
        (SELECT, 0x9000, "*"),
        ("00200081", 0x63C3, ""),
        ("00200088", 0x63CF, ""),
        ("00B1000004 54020000 00", 0x6986, ""),
        ("00B1CD0104 54020000 00", 0x6982, ""),
        ("8068017305 68656C6C6F 00", 0x6982, ""),
        ("00A40000022F1000", 0x6A82, ""),
        (VERIFY, 0x9000, ""),
        ("8068017305 68656C6C6F 00", 0x9000, "30*"),
    ]);
    // Probing for other applications takes nothing from anybody.
    bench.dialogue(&[
        ("00A4040007 627601FF000000 00", 0x6A82, ""),
        ("00A4040006 A00000000101", 0x6A82, ""),
        ("8068017305 68656C6C6F 00", 0x9000, "30*"),
    ]);
}

#[test]
fn selection_by_path_is_refused() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.dialogue(&[
        ("00A40000022F0200", 0x9000, "6F*"),
        ("00A40800022F0000", 0x6A86, ""),
        ("00A4080004 50154946 00", 0x6A86, ""),
        ("00A4090002 2F02 00", 0x6A86, ""),
        // the current file is what it was, and so is the login
        ("00B1000004 54020000 02", 0x9000, "7F21"),
        ("00200081", 0x9000, ""),
    ]);
}
