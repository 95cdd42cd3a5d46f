//! Key generation, attributes, domains.

use openssl::nid::Nid;

use crate::support;
use crate::support::{Installation, SELECT, VERIFY, apdu, ec_parameters, generate};

#[test]
fn key_attributes() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "970102");
    bench.ok("80520100010100");
    bench.ok(&format!("8052000020{}00", "11".repeat(32)));
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    generate(
        &mut bench,
        1,
        &p256,
        "UTDUMMY00001",
        "900400000002 91027073 920100",
    );
    generate(&mut bench, 2, &p256, "UTDUMMY00002", "");
    let hash = "00".repeat(32);
    let sign = |id: u8, algorithm: u8| format!("8068{id:02X}{algorithm:02X}20{hash}00");
    bench.dialogue(&[
        (
            "00A4000002CC0100",
            0x9000,
            "6F.. 8102.... 820108 8302CC01 A50D 900400000002 91027073 920100",
        ),
        ("00A4000002CC0200", 0x9000, "6F0B 8102.... 820108 8302CC02"),
        (&sign(1, 0x74), 0x6A81, ""),
        (&sign(1, 0x20), 0x6A81, ""),
        (&sign(2, 0x20), 0x6A81, ""),
        (&sign(2, 0x00), 0x6A81, ""),
        (&sign(3, 0x70), 0x6A88, ""),
        (&sign(0, 0x70), 0x6A88, ""),
        ("8068017000", 0x6A80, ""),
        ("8062018000", 0x6A81, ""),
        ("8062028041 04 11", 0x6700, ""),
        (&format!("8062028041 04{}", "11".repeat(64)), 0x6A80, ""),
        // refusals cost no use
        (
            "00A4000002CC0100",
            0x9000,
            "6F.. 8102.... 820108 8302CC01 A50D 900400000002*",
        ),
        (&sign(1, 0x70), 0x9000, "30*"),
        (&sign(1, 0x73), 0x9000, "30*"),
        (
            "00A4000002CC0100",
            0x9000,
            "6F.. 8102.... 820108 8302CC01 A50D 900400000000*",
        ),
        (&sign(1, 0x70), 0x6984, ""),
        (&sign(1, 0x74), 0x6A81, ""),
        ("00E4020002CC01", 0x9000, ""),
        (&sign(1, 0x70), 0x6A88, ""),
        ("00B1CE0104 54020000 01", 0x9000, "67"),
        (SELECT, 0x9000, "*"),
        (&sign(2, 0x70), 0x6982, ""),
        ("8062028000", 0x6982, ""),
        ("80720292000000", 0x6982, ""),
        ("80740593", 0x6982, ""),
        ("00460300", 0x6982, ""),
        ("80520101010100", 0x6982, ""),
        ("8052030100", 0x6982, ""),
    ]);
    let mut bench = bench.replug();
    bench.ok(SELECT);
    bench.ok(VERIFY);
    assert_eq!(bench.status(&sign(2, 0x70)), 0x9000);
}

#[test]
fn generation_templates() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    let chr = "5F200C555444554D4D593030303030";
    let mark = bench.token.mark();
    for (header, data, status) in [
        ("00460100", String::new(), 0x6A80),
        ("00460000", format!("5F290100 {p256} {chr}"), 0x6A86),
        ("00460101", format!("5F290100 {p256} {chr}"), 0x6A86),
        ("00460100", format!("5F290101 {p256} {chr}"), 0x6A80),
        ("00460100", format!("5F290100 {chr} {p256}"), 0x6A80),
        ("00460100", format!("5F290100 {p256}"), 0x6A80),
        (
            "00460100",
            format!("5F290100 {p256} 5F200755544430303030"),
            0x6A80,
        ),
        ("00460100", format!("5F290100 {p256} {chr} 900100"), 0x6A80),
        ("00460100", format!("5F290100 {p256} {chr} 900400000000"), 0x6A80),
        (
            "00460100",
            format!("5F290100 {p256} {chr} 9111{}", "70".repeat(17)),
            0x6A80,
        ),
        ("00460100", format!("5F290100 {p256} {chr} 9100"), 0x6A80),
        ("00460100", format!("5F290100 {p256} {chr} 920100"), 0x6A86),
        ("00460100", format!("5F290100 {p256} {chr} 990100"), 0x6A80),
        (
            "00460100",
            format!("5F290100 {} {chr}", ec_parameters(Nid::SECP160R1)),
            0x6A80,
        ),
        (
            "00460100",
            format!("5F290100 {} {chr}", support::rsa_parameters(512)),
            0x6A80,
        ),
        (
            "00460100",
            format!("5F290100 {} {chr}", support::rsa_parameters(1792)),
            0x6A80,
        ),
        (
            "00460100",
            format!("5F290100 7F4915060A04007F00070202020102 8203010003 02020800 {chr}"),
            0x6A80,
        ),
    ] {
        assert_eq!(bench.status(&apdu(header, &data)), status, "{data}");
    }
    assert_eq!(bench.token.mark(), mark);
    // No Le: the request is only in CExx. No authority: the device fills it in.
    let data = format!("5F290100{p256}{chr}").replace(' ', "");
    bench.dialogue(&[
        (&format!("00460100 00{:04X}{data}", data.len() / 2), 0x9000, ""),
        ("00B1CE01000004 54020000 0000", 0x6282, "67*"),
        (&format!("00460200{:02X}{data}01", data.len() / 2), 0x6281, "67"),
    ]);
    let request = bench.send("00B1CE01000004 54020000 0000").0;
    let request = chancery_cvc::AuthenticatedRequest::parse(&request).unwrap();
    assert_eq!(request.request().car(), request.outer_car());
    request.verify_inner().unwrap();
}

#[test]
fn key_domains() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "970102");
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    let share = |byte: &str| format!("8052000020{}00", byte.repeat(32));
    bench.dialogue(&[
        ("8052000000", 0x6A88, ""),
        ("8052000100", 0x6A88, ""),
        ("8052000200", 0x6A86, ""),
        (&share("11"), 0x6A88, ""),
        ("80520100010000", 0x6A80, ""),
        ("80520100010200", 0x9000, "0202 0000000000000000"),
        ("80520100010200", 0x6985, ""),
        ("805200001F 00", 0x6700, ""),
        (&share("11"), 0x9000, "0201 0000000000000000"),
        (&share("11"), 0x9000, "0200 66687AADF862BD77"),
        (&share("22"), 0x6986, ""),
        ("8052000000", 0x9000, "0200 66687AADF862BD77"),
        ("8052020100", 0x6A80, ""),
        ("8052050100", 0x6A86, ""),
        ("8052040000", 0x9000, "0202 0000000000000000"),
        ("8052030000", 0x9000, ""),
        ("8052030000", 0x6A88, ""),
        ("80520100010100", 0x9000, "0101 0000000000000000"),
    ]);
    bench.ok(&share("33"));
    generate(&mut bench, 1, &p256, "UTDUMMY00001", "920100");
    bench.dialogue(&[
        ("8052030000", 0x6A89, ""),
        ("8052040000", 0x6A89, ""),
        (&share("33"), 0x6986, ""),
        ("80720192000000", 0x9000, "*"),
        ("00E4020002CC01", 0x9000, ""),
        ("8052040000", 0x9000, "0101*"),
        ("8052030000", 0x9000, ""),
    ]);
}

#[test]
fn a_key_joins_no_domain_that_waits_for_shares() {
    let installation = Installation::new();
    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    let template = |more: &str| {
        let holder = support::tlv("5F20", b"UTDUMMY00001");
        apdu("00460100", &format!("5F290100 {p256} {holder} {more}"))
    };
    let share = |byte: &str| format!("8052000020{}00", byte.repeat(32));
    // The only domain: named or not, none of its two shares there or one.
    let mut bench = installation.ready("a", "920102");
    for (outstanding, byte) in [("0202", "11"), ("0201", "22")] {
        bench.dialogue(&[
            ("8052000000", 0x9000, &format!("{outstanding} 0000000000000000")),
            (&template(""), 0x6985, ""),
            (&template("920100"), 0x6985, ""),
            ("00A4000002CC0100", 0x6A82, ""),
            (&share(byte), 0x9000, "*"),
        ]);
    }
    generate(&mut bench, 1, &p256, "UTDUMMY00001", "");
    bench.ok("80720192000000");

    // One of two domains: a key that names none belongs to none, whatever is set up and completed afterwards.
    let mut bench = installation.ready("b", "970102");
    bench.ok("80520100010100");
    bench.dialogue(&[(&template("920100"), 0x6985, "")]);
    generate(&mut bench, 1, &p256, "UTDUMMY00001", "");
    bench.dialogue(&[(&share("11"), 0x9000, "0100*"), ("80720192000000", 0x6985, "")]);

    // A place for a domain, which is made after the key.
    let mut bench = installation.ready("c", "970101");
    generate(&mut bench, 1, &p256, "UTDUMMY00001", "");
    bench.ok("80520100010100");
    bench.ok(&share("11"));
    assert_eq!(bench.status("80720192000000"), 0x6985);
}

#[test]
fn a_device_without_key_domains_keeps_its_keys() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTDUMMY00001",
        "",
    );
    bench.dialogue(&[
        ("8052000000", 0x6D00, ""),
        ("80720192000000", 0x6D00, ""),
        ("80740293000001 00 0000", 0x6D00, ""),
    ]);
}
