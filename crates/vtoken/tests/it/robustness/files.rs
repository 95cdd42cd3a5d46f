//! Files: label, reading and writing in pieces, attributes of keys, deletion.

use openssl::nid::Nid;
use proptest::prelude::*;

use crate::robustness::{INITIALISE, SHARE, whole};
use crate::support::{Installation, SELECT, apdu, bytes, ec_parameters, generate, tlv};

/// UPDATE BINARY of `piece` at `offset`, 0000 = current file.
fn piece(fid: &str, offset: usize, piece: &[u8]) -> String {
    apdu(
        &format!("00D7{fid}"),
        &format!("5402{offset:04X}{}", tlv("53", piece)),
    )
}

#[test]
fn the_label_in_2f03_is_kept() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        (INITIALISE, 0x9000, ""),
        // written before any VERIFY, right after INITIALIZE DEVICE
        (
            "00D72F0318 54020000 5312 3010 020100 8007 54657374546F6B 03020520",
            0x9000,
            "",
        ),
        (&whole("2F03"), 0x6282, "3010 020100 8007 54657374546F6B 03020520"),
    ]);
    let mut bench = bench.replug();
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        (&whole("2F03"), 0x6282, "3010 020100 8007 54657374546F6B 03020520"),
        ("00A40000022F0300", 0x9000, "6F0B 81020012 820101 83022F03"),
        (
            "00B1000004 54020000 FE",
            0x6282,
            "3010 020100 8007 54657374546F6B 03020520",
        ),
        // not for everybody to write
        ("00D72F0308 54020000 53023000", 0x6982, ""),
        // nor among the objects that are listed
        ("80580000000000", 0x9000, "CC00"),
        // gone with everything else
        (INITIALISE, 0x9000, ""),
        (&whole("2F03"), 0x6A82, ""),
    ]);
}

#[test]
fn deletion_with_any_p1_and_p2() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for selector in ["0000", "0200", "0280", "0800"] {
        bench.dialogue(&[
            ("00D7CE0108 54020000 5302 0102", 0x9000, ""),
            (&format!("00E4{selector} 000002 CE01 0000"), 0x9000, ""),
            (&format!("80E4{selector} 02 CE01"), 0x6A82, ""),
            (&whole("CE01"), 0x6A82, ""),
        ]);
    }
}

#[test]
fn a_selected_key_tells_its_attributes() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "920101");
    bench.ok(SHARE);
    let curve = ec_parameters(Nid::X9_62_PRIME256V1);
    generate(&mut bench, 1, &curve, "UTDUMMY00001", "900400000005 91027392");
    generate(&mut bench, 2, &curve, "UTDUMMY00001", "");
    bench.dialogue(&[
        (
            "00A4000002CC0100",
            0x9000,
            "6F1A 8102.... 820108 8302CC01 A50D 900400000005 91027392 920100",
        ),
        ("8068017305 68656C6C6F 00", 0x9000, "30*"),
        (
            "00A4000402CC0100",
            0x9000,
            "621A 8102.... 820108 8302CC01 A50D 900400000004 91027392 920100",
        ),
        (
            "00A4000002CC0200",
            0x9000,
            "6F10 8102.... 820108 8302CC02 A503 920100",
        ),
        ("00A4000002CC0000", 0x9000, "6F0B 8102.... 820108 8302CC00"),
        ("00A4000002CC0300", 0x6A82, ""),
        // everybody may ask
        (SELECT, 0x9000, "*"),
        ("00A4000002CC0200", 0x9000, "6F*"),
        ("00B1000004 54020000 00", 0x6982, ""),
    ]);
}

#[test]
fn reading_by_the_rules() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.dialogue(&[
        ("00D7CE010A 54020000 5304 01020304", 0x9000, ""),
        ("00B1CE0104 54020000 04", 0x9000, "01020304"),
        ("00B1CE0104 54020003 01", 0x9000, "04"),
        ("00B1CE0104 54020003 02", 0x6282, "04"),
        (&whole("CE01"), 0x6282, "01020304"),
        ("00B1CE0104 54020004 01", 0x6282, ""),
        ("00B1CE0104 54020005 01", 0x6282, ""),
        ("00B1CE0104 5402FFFF 01", 0x6282, ""),
        // offsets of up to four bytes
        ("00B1CE0105 5403000001 02", 0x9000, "0203"),
        ("00B1CE0106 540400000002 02", 0x9000, "0304"),
        ("00B1CE0106 5404FFFFFFFF 02", 0x6282, ""),
        ("00B1CE0107 54050000000000 02", 0x6A80, ""),
        ("00B1CE0103 540100 02", 0x6A80, ""),
        ("00B1CE0102 5400 02", 0x6A80, ""),
        // DO 54 is not there, or not alone
        ("00B1CE0100", 0x6A80, ""),
        ("00B1CE0103 530100 02", 0x6A80, ""),
        ("00B1CE0106 54020000 5300 02", 0x6A80, ""),
        ("00B1CE0103 540200 02", 0x6A80, ""),
        // no Le
        ("00B1CE0104 54020000", 0x9000, ""),
        ("00B1CE0204 54020000 01", 0x6A82, ""),
        ("00B1CC0004 54020000 01", 0x6982, ""),
        ("00B1CC0104 54020000 01", 0x6982, ""),
        // even instruction: not of this card
        ("00B0000004", 0x6D00, ""),
    ]);
}

#[test]
fn writing_by_the_rules() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    // As a host without extended length writes: 230 bytes, then 8, again and again, into the current file.
    let content: Vec<u8> = (0..1190u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    bench.dialogue(&[
        ("00A4000002CE0500", 0x6A82, ""),
        ("00E4020002CE05", 0x6A82, ""),
        ("00D7CE0506 54020000 5300", 0x9000, ""),
        (&whole("CE05"), 0x6282, ""),
    ]);
    let mut offset = 0;
    for size in [230, 8].into_iter().cycle() {
        let part = &content[offset..content.len().min(offset + size)];
        if part.is_empty() {
            break;
        }
        let data = bytes(&format!("5402{offset:04X}{}", tlv("53", part)));
        let short = [
            &bytes("00D70000")[..],
            &[u8::try_from(data.len()).unwrap()],
            &data,
        ]
        .concat();
        assert_eq!(bench.send_bytes(&short), (Vec::new(), 0x9000));
        offset += part.len();
    }
    assert_eq!(bench.send(&whole("CE05")).0, content);
    // Written in place, never cut.
    bench.dialogue(&[("00D7CE0508 54020000 5302 AABB", 0x9000, "")]);
    let found = bench.send(&whole("CE05")).0;
    assert_eq!((&found[..2], &found[2..]), (&[0xAA, 0xBB][..], &content[2..]));
    bench.dialogue(&[
        ("00D7CE0506 54020000 5300", 0x9000, ""),
        ("00A4000002CE0500", 0x9000, "6F0B 810204A6 820101 8302CE05"),
        // no gap
        ("00D7CE0508 540204A7 5302 0102", 0x6B00, ""),
        ("00D7CE0508 540204A6 5302 0102", 0x9000, ""),
        // length forms of DO 53
        ("00D7CE0609 54020000 538102 0102", 0x9000, ""),
        ("00D7CE060A 54020002 53820002 0304", 0x9000, ""),
        (&whole("CE06"), 0x6282, "01020304"),
        ("00D7CE0608 54020000 5303 0102", 0x6A80, ""),
        ("00D7CE0608 54020000 5301 0102", 0x6A80, ""),
        ("00D7CE0604 54020000", 0x6A80, ""),
        ("00D7CE06", 0x6A80, ""),
        ("00D7CE0604 53020000", 0x6A80, ""),
        (&whole("CE06"), 0x6282, "01020304"),
        ("00E4020002CE06", 0x9000, ""),
        ("00D7000008 54020000 5302 0102", 0x6986, ""),
    ]);
    let mut bench = bench.replug();
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        ("00D7CE0508 54020000 5302 0102", 0x6982, ""),
    ]);
    assert_eq!(bench.send(&whole("CE05")).0.len(), 1190 + 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_file_read_in_any_pieces_is_the_file_written_in_any_pieces(
        content in prop::collection::vec(any::<u8>(), 1..1500),
        written in prop::collection::vec(1usize..400, 1..6),
        read in prop::collection::vec(1usize..300, 1..6),
    ) {
        let installation = Installation::new();
        let mut bench = installation.ready("a", "");
        bench.ok("00D7CE06 06 54020000 5300");
        let mut offset = 0;
        for size in written.iter().cycle() {
            let part = &content[offset..content.len().min(offset + size)];
            if part.is_empty() {
                break;
            }
            bench.ok(&piece("0000", offset, part));
            offset += part.len();
        }
        let mut found = Vec::new();
        for size in read.iter().cycle() {
            let command = format!("00B1CE06 000004 5402{:04X} {size:04X}", found.len());
            let (data, status) = bench.send(&command);
            found.extend_from_slice(&data);
            // 9000 as long as all bytes asked for are there
            prop_assert_eq!(status == 0x9000, data.len() == *size, "{:04X}", status);
            if status != 0x9000 {
                prop_assert_eq!(status, 0x6282);
                break;
            }
        }
        prop_assert_eq!(found, content);
    }
}
