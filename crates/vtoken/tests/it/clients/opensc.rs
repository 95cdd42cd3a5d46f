//! OpenSC's PKCS#11 module and card driver, current and 0.23.

use openssl::nid::Nid;
use openssl::rsa::Padding;

use crate::clients::ber::{only, single};
use crate::clients::host::{device_names, p256_template, request, verifies, verifies_pss};
use crate::support::{self, Bench, Installation, ec_parameters, rsa_parameters};

const SELECT: &str = "00A404000BE82B0601040181C31F020100";
const VERIFY: &str = "0020008106363438323139";
const HELLO: &[u8] = b"hello\n";

/// The two versions differ in how much they read at once.
#[derive(Clone, Copy)]
pub(crate) enum Version {
    Current,
    V023,
}

/// Reads an EF as OpenSC does: SELECT, then READ until 6282 or nothing comes.
pub(crate) fn read(bench: &mut Bench, version: Version, fid: &str) -> Option<Vec<u8>> {
    let (information, status) = bench.send(&format!("00A4000002{fid}00"));
    if status == 0x6A82 {
        return None;
    }
    assert_eq!(status, 0x9000);
    let information = single(&information, 0x6F);
    let size = information.child(0x81).value;
    assert_eq!(size.len(), 2);
    let le = match version {
        Version::Current => "FE",
        Version::V023 => "00",
    };
    let mut content = Vec::new();
    for _ in 0..100 {
        let (data, status) = bench.send(&format!("00B10000045402{:04X}{le}", content.len()));
        assert!([0x9000, 0x6282].contains(&status), "{status:04X}");
        content.extend(&data);
        if status == 0x6282 || data.is_empty() {
            assert_eq!(usize::from(u16::from_be_bytes([size[0], size[1]])), content.len());
            return Some(content);
        }
    }
    panic!("no end");
}

/// Writes an EF as OpenSC does with readers without extended length: SELECT, DELETE, create, pieces of 230 and 8.
pub(crate) fn write(bench: &mut Bench, fid: &str, content: &[u8]) {
    let there = bench.status(&format!("00A4000002{fid}00"));
    assert!([0x9000, 0x6A82].contains(&there));
    if there == 0x9000 && !fid.starts_with("C4") {
        bench.ok(&format!("00E4020002{fid}"));
    }
    if there != 0x9000 || !fid.starts_with("C4") {
        bench.ok(&format!("00D7{fid}06540200005300"));
    }
    pieces(bench, content);
}

fn pieces(bench: &mut Bench, content: &[u8]) {
    let mut offset = 0;
    for size in [230, 8].into_iter().cycle() {
        let piece = &content[offset..content.len().min(offset + size)];
        if piece.is_empty() {
            return;
        }
        let data = format!("5402{offset:04X}{}", support::tlv("53", piece));
        bench.ok(&format!("00D70000{:02X}{data}", data.len() / 2));
        offset += piece.len();
    }
}

/// All that happens until the token is usable; answers with the device's name and the list.
pub(crate) fn bind(bench: &mut Bench, version: Version) -> (String, Vec<u8>) {
    bench.dialogue(&[
        ("00A4040007627601FF000000", 0x6A82, ""),
        ("00A4040006A00000000101", 0x6A82, ""),
        (SELECT, 0x9000, "6F0A 820178 8505 .... 00 0401"),
    ]);
    assert!(bench.status("00A40800022F0000") >= 0x6400);
    let chain = read(bench, version, "2F02").unwrap();
    let device = device_names(&chain).0;
    read(bench, version, "2F03");
    if matches!(version, Version::Current) {
        let user = bench.status("00200081");
        assert!(user == 0x9000 || user & 0xFFF0 == 0x63C0, "{user:04X}");
        bench.dialogue(&[
            ("00200088", 0x63CF, ""),
            ("00200085", 0x6A88, ""),
            ("00200086", 0x6A88, ""),
        ]);
    }
    let list = bench.ok("80580000000000");
    let (pairs, rest) = list.as_chunks::<2>();
    assert!(
        rest.is_empty() && pairs.contains(&[0xCC, 0]),
        "the device key is listed"
    );
    for [prefix, low] in pairs {
        match prefix {
            0xCC if *low != 0 || matches!(version, Version::V023) => {
                let description = read(bench, version, &format!("C4{low:02X}"));
                if *low == 0 {
                    assert!(description.is_none());
                } else {
                    read(bench, version, &format!("CE{low:02X}"));
                }
            }
            0xC8 | 0xC9 => {
                read(bench, version, &format!("{prefix:02X}{low:02X}")).unwrap();
            }
            _ => {}
        }
    }
    (device, list)
}

/// C_GenerateKeyPair; answers with the public key.
fn generate(
    bench: &mut Bench,
    id: u8,
    template: &str,
    device: &str,
    description: &str,
) -> openssl::pkey::PKey<openssl::pkey::Public> {
    assert!(bench.status("00A40800045015494600") >= 0x6400);
    let list = bench.ok("80580000000000");
    // It takes the lowest free number.
    let used: Vec<u8> = list
        .as_chunks::<2>()
        .0
        .iter()
        .filter(|fid| fid[0] == 0xCC)
        .map(|fid| fid[1])
        .collect();
    assert_eq!((0..).find(|number| !used.contains(number)), Some(id));
    let chr = format!("{}00001", &device[..device.len() - 5]);
    let data = format!(
        "5F290100 4209555443413030303031 {template} {}",
        support::tlv("5F20", chr.as_bytes())
    )
    .replace(' ', "");
    let answer = bench.ok(&format!("0046{id:02X}0000{:04X}{data}0000", data.len() / 2));
    let (names, key) = request(&answer);
    assert_eq!(names, ["UTCA00001".to_owned(), chr, device.to_owned()]);
    bench.dialogue(&[(&format!("00A4000002CE{id:02X}00"), 0x9000, "6F*")]);
    bench.ok(&format!("00E4020002CE{id:02X}"));
    bench.ok(&format!("00D7CE{id:02X}06540200005300"));
    pieces(bench, &answer);
    bench.dialogue(&[(&format!("00A4000002C4{id:02X}00"), 0x6A82, "")]);
    bench.ok(&format!("00D7C4{id:02X}06540200005300"));
    pieces(bench, &support::bytes(description));
    assert_eq!(
        read(bench, Version::Current, &format!("CE{id:02X}")).unwrap(),
        answer
    );
    key
}

fn initialised(installation: &Installation) -> Bench {
    let mut bench = installation.token("a");
    bench.ok(SELECT);
    bench.dialogue(&[
        (
            "805000001C 80020001 8106363438323139 82083537363231383830 910103 920101",
            0x9000,
            "",
        ),
        (VERIFY, 0x9000, ""),
        (
            "00D72F0318 54020000 5312 3010 020100 8007 54657374546F6B 03020520",
            0x9000,
            "",
        ),
        ("8052000000", 0x9000, "01010000000000000000"),
        (
            "8052000020 E430483F7EDCDA52EE9A6997317D27775C0A91624E77B0BBE20376421B573D41 00",
            0x9000,
            "0100FCD76B667D1B2EBF",
        ),
    ]);
    bench
}

#[test]
fn a_life_with_the_current_version() {
    life(Version::Current);
}

#[test]
fn a_life_with_0_23() {
    life(Version::V023);
}

fn life(version: Version) {
    let installation = Installation::new();
    let mut bench = initialised(&installation);
    let (device, _) = bind(&mut bench, version);
    let label = read(&mut bench, version, "2F03").unwrap();
    assert_eq!(
        only(&crate::clients::ber::objects(&single(&label, 0x30).value), 0x80).text(),
        "TestTok"
    );
    bench.dialogue(&[
        ("00200081", 0x63C3, ""),
        (VERIFY, 0x9000, ""),
        ("00200081", 0x9000, ""),
    ]);

    let description = "A02A 300B 0C026B31 030206C0 040101 300F 040110 0303073080 030203B8 020101 A10A 3008 3002 0400 02020100";
    let ec = generate(&mut bench, 1, &p256_template(), &device, description);
    let description = "302B 300D 0C0472736131 030206C0 040101 300E 040111 03020470 030203B8 020102 A10A 3008 3002 0400 02020800";
    let rsa = generate(&mut bench, 2, &rsa_parameters(2048), &device, description);

    // Signatures: one command each.
    let hash = hex::encode(openssl::sha::sha256(HELLO));
    for command in [
        format!("80680170000020{hash}0200"),
        "8068017300000668656C6C6F0A0200".to_owned(),
    ] {
        let signature = bench.ok(&command);
        assert!((68..=72).contains(&signature.len()) && verifies(&ec, HELLO, &signature));
    }
    let info = format!("3031300D060960864801650304020105000420{hash}");
    let padded = format!("0001{}00{info}", "FF".repeat(256 - 3 - info.len() / 2));
    let signature = bench.ok(&format!("80680220000100{padded}0200"));
    assert!(signature.len() == 256 && verifies(&rsa, HELLO, &signature));
    let pss = match version {
        Version::Current => format!("80680240000020{hash}0200"),
        Version::V023 => format!("80680240000033{info}0200"),
    };
    assert!(verifies_pss(&rsa, HELLO, &bench.ok(&pss)));
    // As traced: a DigestInfo of SHA-1, of some hash.
    let sha1 = "11".repeat(20);
    assert_eq!(
        bench
            .ok(&format!(
                "80680240000023 3021300906052B0E03021A05000414{sha1} 0200"
            ))
            .len(),
        256
    );

    // Decryption and key agreement.
    let mut cryptogram = vec![0; 256];
    rsa.rsa()
        .unwrap()
        .public_encrypt(b"secret", &mut cryptogram, Padding::PKCS1)
        .unwrap();
    let block = bench.ok(&format!("80620221000100{}0200", hex::encode(&cryptogram)));
    assert_eq!(
        (block.len(), &block[..2], &block[249..]),
        (256, &[0, 2][..], &b"\0secret"[..])
    );
    let shared = bench.ok(&format!("80620180000041{}0200", hex::encode(public_point(&ec))));
    assert!(shared.len() == 65 && shared[0] == 4);
    assert_eq!(bench.ok("0084000010").len(), 16);
    assert_eq!(bench.ok("00840000000400").len(), 1024);

    // A certificate for the first key: CE anew, its description in place.
    let certificate: Vec<u8> = [&[0x30, 0x82, 0x02, 0x00][..], &[0x5A; 512]].concat();
    write(&mut bench, "CE01", &certificate);
    write(&mut bench, "C401", &[&[0xA0, 60][..], &[0x30; 60]].concat());
    // A CA certificate, and a private data object.
    write(&mut bench, "CA00", &certificate);
    write(
        &mut bench,
        "C800",
        &support::bytes("301A 3009 0C03636131 03020640 3003 040133 A108 3006 3004 0402 CA00"),
    );
    write(&mut bench, "CD00", b"private");
    write(
        &mut bench,
        "C900",
        &support::bytes("301B 300B 0C026431 030206C0 040101 3004 0C026431 A106 3004 0402 CD00"),
    );
    assert_eq!(bind(&mut bench, version).1.len(), 2 * 11);
    assert_eq!(read(&mut bench, version, "CE01").unwrap(), certificate);
    assert_eq!(read(&mut bench, version, "CA00").unwrap(), certificate);
    assert_eq!(read(&mut bench, version, "C401").unwrap().len(), 62);
    bench.dialogue(&[
        ("00B1CD0004 54020000 FE", 0x6982, ""),
        (VERIFY, 0x9000, ""),
        ("00B1CD0004 54020000 FE", 0x6282, "70726976617465"),
    ]);

    // Another PIN, and back; deleting a key leaves its certificate.
    bench.dialogue(&[
        ("002400810C 363438323139 313233343536", 0x9000, ""),
        ("0020008106 313233343536", 0x9000, ""),
        ("002C00810E 3537363231383830 363438323139", 0x9000, ""),
        (VERIFY, 0x9000, ""),
        ("00E4020002CC01", 0x9000, ""),
        ("00E4020002C401", 0x9000, ""),
        ("00A4000002CE0100", 0x9000, "*"),
        (SELECT, 0x9000, "*"),
        ("00200081", 0x63C3, ""),
    ]);
}

fn public_point(key: &openssl::pkey::PKey<openssl::pkey::Public>) -> Vec<u8> {
    let key = key.ec_key().unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
    key.public_key()
        .to_bytes(key.group(), form, &mut context)
        .unwrap()
}

#[test]
fn key_generation_as_traced() {
    let installation = Installation::new();
    let mut bench = initialised(&installation);
    let template = p256_template();
    assert_eq!(&template[..10], "7F4981DA06");
    let chr = "5F2010 44454E4B303130303030313030303031";
    for (command, kind) in [
        (
            format!("00460100000100 5F290100 4209555443413030303031 {template} {chr} 0000"),
            "EC",
        ),
        (
            format!(
                "0046020000003A 5F290100 4209555443413030303031 7F4915060A04007F00070202020102820301000102020800 {chr} 0000"
            ),
            "RSA",
        ),
    ] {
        let (names, _) = request(&bench.ok(&command));
        assert_eq!(names[..2], ["UTCA00001", "DENK010000100001"], "{kind}");
    }
}

#[test]
fn every_curve_it_knows() {
    let installation = Installation::new();
    let mut bench = initialised(&installation);
    for nid in [
        Nid::X9_62_PRIME192V1,
        Nid::X9_62_PRIME256V1,
        Nid::SECP384R1,
        Nid::SECP521R1,
        Nid::SECP192K1,
        Nid::SECP256K1,
        Nid::BRAINPOOL_P192R1,
        Nid::BRAINPOOL_P224R1,
        Nid::BRAINPOOL_P256R1,
        Nid::BRAINPOOL_P320R1,
        Nid::BRAINPOOL_P384R1,
        Nid::BRAINPOOL_P512R1,
        Nid::BRAINPOOL_P192T1,
        Nid::BRAINPOOL_P224T1,
        Nid::BRAINPOOL_P256T1,
        Nid::BRAINPOOL_P320T1,
        Nid::BRAINPOOL_P384T1,
        Nid::BRAINPOOL_P512T1,
    ] {
        let template = ec_parameters(nid);
        let data =
            format!("5F290100 4209555443413030303031 {template} 5F2010 44454E4B303130303030313030303031")
                .replace(' ', "");
        let (_, key) = request(&bench.ok(&format!("0046010000{:04X}{data}0000", data.len() / 2)));
        let signature = bench.ok("8068017300000668656C6C6F0A0200");
        assert!(verifies(&key, HELLO, &signature), "{nid:?}");
    }
}
