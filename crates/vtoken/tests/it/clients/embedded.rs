//! The manufacturer's PKCS#11 module.

use crate::clients::ber::single;
use crate::clients::host::{p256_template, request, verifies, verifies_pss};
use crate::support::{self, Bench, Installation, SO_PIN};

const SELECT: &str = "00A404040BE82B0601040181C31F020100";
const LOGIN: &str = "0020008106363438323139";

/// Reads an EF in one command.
fn read(bench: &mut Bench, fid: &str) -> Option<Vec<u8>> {
    let (data, status) = bench.send(&format!("00B1{fid}000004540200000000"));
    match status {
        0x9000 | 0x6282 => Some(data),
        0x6A82 => None,
        odd => panic!("{odd:04X}"),
    }
}

/// Writes an EF in one command.
fn write(bench: &mut Bench, fid: &str, content: &[u8]) {
    let data = format!("54020000{}", support::tlv("53", content));
    let length = data.len() / 2;
    let length = if length < 256 {
        format!("{length:02X}")
    } else {
        format!("00{length:04X}")
    };
    bench.ok(&format!("00D7{fid}{length}{data}"));
}

/// All that happens until the token is usable; answers with the list.
fn bind(bench: &mut Bench) -> Vec<u8> {
    if bench.status("00200081") != 0x9000 {
        let information = bench.ok(SELECT);
        let versions = single(&information, 0x62).child(0x85).value;
        assert_eq!(versions[3..], [4, 1]);
        let pin = bench.status("00200081");
        if [0x6984, 0x6A88].contains(&pin) {
            bench.status("00200088");
        }
    }
    read(bench, "2F03");
    let list = bench.ok("80580000000000");
    for [prefix, low] in list.as_chunks::<2>().0 {
        let low = format!("{low:02X}");
        let pair = match prefix {
            0xCC => ["C4", "CE"],
            0xCA => ["C8", "CA"],
            _ => continue,
        };
        for prefix in pair {
            if let Some(content) = read(bench, &format!("{prefix}{low}")) {
                assert!(matches!(content[0], 0x30 | 0x67 | 0xA0 | 0xA8));
            }
        }
    }
    list
}

#[test]
fn a_life() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bind(&mut bench);
    // Its key generator: transport PIN and one place for a key domain.
    bench.dialogue(&[
        (
            &format!("805000001C 80020002 8106313131313131 8208{SO_PIN} 910103 970101"),
            0x9000,
            "",
        ),
        (SELECT, 0x9000, "620A 820178 8505 0002 000401"),
        ("00200081", 0x6984, ""),
        ("00200088", 0x63CF, ""),
        ("002400810C 313131313131 363438323139", 0x9000, ""),
        (SELECT, 0x9000, "*"),
        ("00200081", 0x63C3, ""),
        ("0020008106313131313131", 0x63C2, ""),
        (LOGIN, 0x9000, ""),
    ]);

    // EC key pair: the request is not asked for, it has to be in its file.
    let template = p256_template();
    bench.ok("80580000000000");
    bench.dialogue(&[(
        &format!("00460100F1 5F290100 {template} 5F200C 555444554D4D593030303030"),
        0x9000,
        "",
    )]);
    let description =
        support::bytes("A01C 3004 0C026B31 3008 040110 0303062080 A10A 3008 3002 0400 02020100");
    write(&mut bench, "C401", &description);
    assert_eq!(read(&mut bench, "C401").unwrap(), description);
    let (names, ec) = request(&read(&mut bench, "CE01").unwrap());
    assert_eq!(names[1], "UTDUMMY00000");
    assert_eq!(names[0], names[2], "the device fills the authority in");
    // RSA.
    bench.dialogue(&[(
        "004602002B 5F290100 7F4915060A04007F00070202020102820301000102020800 5F200C 555444554D4D593030303030",
        0x9000,
        "",
    )]);
    let description =
        support::bytes("301E 3006 0C0472736131 3008 040111 0303066000 A10A 3008 3002 0400 02020800");
    write(&mut bench, "C402", &description);
    let (_, rsa) = request(&read(&mut bench, "CE02").unwrap());
    // AES.
    bench.ok("80580000000000");
    bench.dialogue(&[("004822B206910410111899", 0x9000, "")]);
    let description = support::bytes("A81A 3006 0C0461657331 3008 040122 030306C000 A006 3004 02020100");
    write(&mut bench, "C422", &description);
    assert_eq!(read(&mut bench, "C422").unwrap(), description);
    assert_eq!(read(&mut bench, "CE22"), None);

    // Use.
    let hash = hex::encode(openssl::sha::sha256(b"hello\n"));
    let signature = bench.ok(&format!("8068017020{hash}00"));
    assert!(verifies(&ec, b"hello\n", &signature));
    let signature = bench.ok("8068023300000668656C6C6F0A0000");
    assert!(verifies(&rsa, b"hello\n", &signature));
    let signature = bench.ok("8068024300000668656C6C6F0A0000");
    assert!(verifies_pss(&rsa, b"hello\n", &signature));
    let longest = "5A".repeat(1000);
    for algorithm in ["31", "33", "41", "43"] {
        assert_eq!(
            bench.ok(&format!("806802{algorithm}0003E8{longest}0000")).len(),
            256
        );
    }
    let info = format!("3031300D060960864801650304020105000420{hash}");
    let padded = format!("0001{}00{info}", "FF".repeat(256 - 3 - info.len() / 2));
    let signature = bench.ok(&format!("80680220000100{padded}0000"));
    assert!(verifies(&rsa, b"hello\n", &signature));
    let plain = "00112233445566778899AABBCCDDEEFF".repeat(2);
    let encrypted = bench.ok(&format!("8078221020{plain}00"));
    let decrypted = bench.ok(&format!("8078221120{}00", hex::encode(encrypted)));
    assert_eq!(hex::encode_upper(decrypted), plain);
    assert_eq!(
        bench.ok(&format!("80782210000800{}0000", plain.repeat(64))).len(),
        2048
    );
    assert_eq!(bench.ok("0084000010").len(), 16);
    // C_DeriveKey: no length before the parameter, no Le; the request is in its file.
    bench.dialogue(&[("8076010305 9801020304", 0x9000, "")]);
    request(&read(&mut bench, "CE03").unwrap());
    // CKM_SC_HSM derivation of a secret: the answer is the value.
    assert_eq!(bench.ok("8078229904 74657374 00").len(), 32);

    // A certificate in place of the request, and a CA certificate.
    let certificate: Vec<u8> = [&[0x30, 0x82, 0x03, 0x00][..], &[0x77; 768]].concat();
    bench.ok("00E4020002CE01");
    write(&mut bench, "CE01", &certificate);
    write(&mut bench, "CA01", &certificate);
    write(
        &mut bench,
        "C801",
        &support::bytes("3016 3005 0C03636131 3003 040133 A108 3006 3004 0402 CA01"),
    );
    assert_eq!(read(&mut bench, "CE01").unwrap(), certificate);

    // Still logged in: SELECT is left out. After logout it is not.
    assert_eq!(bench.status("00200081"), 0x9000);
    assert_eq!(bind(&mut bench).len(), 2 * 13);
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        ("00200081", 0x63C3, ""),
        (LOGIN, 0x9000, ""),
    ]);
    for fid in ["CC01", "C401", "CE01"] {
        bench.ok(&format!("00E4020002{fid}"));
    }
    let list = bind(&mut bench);
    assert!(!list.as_chunks::<2>().0.contains(&[0xCC, 1]));
}

#[test]
fn status_words_it_tells_apart() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.ok("004822B206910410111899");
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        ("8078221010 00112233445566778899AABBCCDDEEFF 00", 0x6982, ""),
        ("0020008106313131313131", 0x63C2, ""),
        ("0020008106313131313131", 0x63C1, ""),
        (LOGIN, 0x9000, ""),
        ("807822100F 00112233445566778899AABBCCDDEE 00", 0x6A80, ""),
        ("8068227010 00112233445566778899AABBCCDDEEFF 00", 0x6A81, ""),
        ("8068017010 00112233445566778899AABBCCDDEEFF 00", 0x6A88, ""),
        ("0099000000", 0x6D00, ""),
        (SELECT, 0x9000, "*"),
        ("0020008106313131313131", 0x63C2, ""),
        ("0020008106313131313131", 0x63C1, ""),
        ("0020008106313131313131", 0x6983, ""),
        (LOGIN, 0x6983, ""),
        ("00200081", 0x6983, ""),
    ]);
}
