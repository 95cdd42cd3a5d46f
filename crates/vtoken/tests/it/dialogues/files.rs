//! READ, UPDATE, DELETE, ENUMERATE.

use crate::support;
use crate::support::{Installation, SELECT, VERIFY, apdu};

#[test]
fn files() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.dialogue(&[
        ("00B1CE0104 54020000 00", 0x6A82, ""),
        ("00D7CE010A 54020000 5304 01020304", 0x9000, ""),
        ("00B1CE0104 54020000 04", 0x9000, "01020304"),
        ("00B1CE0104 54020000 00", 0x6282, "01020304"),
        ("00B1CE0104 54020001 02", 0x9000, "0203"),
        ("00B1CE0104 54020004 02", 0x6282, ""),
        ("00B1CE0104 54020005 02", 0x6282, ""),
        ("00B1CE01000004 54020000 0000", 0x6282, "01020304"),
        ("00B1CE0104 54020000", 0x9000, ""),
        ("00B1CE01", 0x6A80, ""),
        ("00B1CE0103 540100 00", 0x6A80, ""),
        // in place, never cut
        ("00D7CE0108 54020000 5302 AABB", 0x9000, ""),
        ("00B1CE0104 54020000 04", 0x9000, "AABB0304"),
        ("00D7CE010A 54020003 538103 CCDDEE", 0x9000, ""),
        ("00B1000004 54020000 00", 0x6282, "AABB03CCDDEE"),
        ("00D7000008 54020006 5302 1122", 0x9000, ""),
        ("00B1CE0104 54020000 00", 0x6282, "AABB03CCDDEE1122"),
        ("00D7CE0108 54020009 5302 1122", 0x6B00, ""),
        ("00D7CE020654020000 5300", 0x9000, ""),
        ("00A4000002CE0200", 0x9000, "6F0B81020000 820101 8302CE02"),
        ("00B1000004 54020000 00", 0x6282, ""),
        // who may
        ("00D7CD010854020000 53020102", 0x9000, ""),
        ("00D7CF010854020000 53020102", 0x9000, ""),
        ("00D72F020854020000 53020102", 0x6982, ""),
        ("00D7CC010854020000 53020102", 0x6982, ""),
        ("00D712340854020000 53020102", 0x6982, ""),
        ("00B1CC0004 54020000 00", 0x6982, ""),
        ("00B1123404 54020000 00", 0x6A82, ""),
        ("00D72F100854020000 53020102", 0x9000, ""),
        ("00B12F1004 54020000 00", 0x6982, ""),
        ("80580000000000", 0x9000, "CC00 CD01 CE01 CE02 CF01"),
        (SELECT, 0x9000, "*"),
        ("00B1CD0104 54020000 02", 0x6982, ""),
        ("00B1CF0104 54020000 02", 0x9000, "0102"),
        ("00D7CF010854020000 53020102", 0x6982, ""),
        ("00E4020002CF01", 0x6982, ""),
        (VERIFY, 0x9000, ""),
        ("00B1CD0104 54020000 02", 0x9000, "0102"),
        ("00E4020002CF01", 0x9000, ""),
        ("00E4028002CF01", 0x6A82, ""),
        ("00E4000002CD0100", 0x9000, ""),
        ("00E4020002CC00", 0x6982, ""),
        ("00E40200022F02", 0x6982, ""),
        ("00E4020002CC01", 0x6A82, ""),
        ("00E4020001CC", 0x6700, ""),
    ]);
}

#[test]
fn odd_pieces_make_a_whole_file() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    let content: Vec<u8> = (0..2000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut offset = 0;
    for size in [230, 8].into_iter().cycle() {
        let piece = &content[offset..content.len().min(offset + size)];
        if piece.is_empty() {
            break;
        }
        let data = format!("5402{offset:04X}{}", support::tlv("53", piece));
        bench.ok(&apdu("00D7CA00", &data));
        offset += piece.len();
    }
    assert_eq!(bench.send("00B1CA0000000454020000 0000").0, content);
    let mut bench = bench.replug();
    bench.ok(SELECT);
    assert_eq!(bench.send("00B1CA0000000454020000 0000").0, content);
}

#[test]
fn files_have_a_limit() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    let piece = |offset: usize| {
        apdu(
            "00D7CA00",
            &format!("5402{offset:04X}{}", support::tlv("53", &[7; 0x8000])),
        )
    };
    bench.ok(&piece(0));
    let mark = bench.token.mark();
    assert_eq!(bench.status(&piece(0x8000)), 0x6A84);
    assert_eq!(bench.token.mark(), mark);
}
