//! Dialogues: what is sent, what has to come back.

mod support;

use openssl::nid::Nid;
use support::{Installation, SELECT, SO_PIN, VERIFY, apdu, ec_parameters, generate};

#[test]
fn select_and_class() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.dialogue(&[
        ("0084000008", 0x6D00, ""),
        ("00A40000022F0200", 0x6A82, ""),
        (
            "00A404000BE82B0601040181C31F020100",
            0x9000,
            "6F0A820178 8505 0000 00 0401",
        ),
        (
            "00A404040BE82B0601040181C31F020100",
            0x9000,
            "620A820178 8505 0000 00 0401",
        ),
        ("00A404040BE82B0601040181C31F0201", 0x9000, ""),
        ("00A4040C0BE82B0601040181C31F0201", 0x9000, ""),
        ("80A404000BE82B0601040181C31F020100", 0x9000, "6F*"),
        ("00A404010BE82B0601040181C31F020100", 0x6A86, ""),
        ("00A4040009A00000039742544659 00", 0x6A82, ""),
        ("00A40800022F0000", 0x6A86, ""),
        ("00A408000450154946 00", 0x6A86, ""),
        ("00A40000022F0200", 0x9000, "6F0B8102....82010183022F02"),
        ("00A4000002CC0000", 0x9000, "6F0B8102....8201088302CC00"),
        ("00A4000002CC0100", 0x6A82, ""),
        ("0C84000008", 0x6E00, ""),
        ("0484000008", 0x6E00, ""),
        ("1084000008", 0x6E00, ""),
        ("0184000008", 0x6E00, ""),
        ("0099000000", 0x6D00, ""),
        ("8084000008", 0x9000, "................"),
        ("0084000000", 0x9000, &"..".repeat(256)),
        ("00840000000400", 0x9000, &"..".repeat(1024)),
        ("00840000", 0x6700, ""),
        ("80500000000000", 0x9000, "00100000 00 04 01"),
        ("80580000000000", 0x9000, "CC00"),
        ("00200081", 0x6A88, ""),
        ("00200085", 0x6A88, ""),
        ("8052000000", 0x6D00, ""),
        ("8054000004", 0x6D00, ""),
    ]);
}

#[test]
fn an_unknown_application_changes_nothing() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.dialogue(&[
        ("00200081", 0x9000, ""),
        ("00A4040009A00000039742544659 00", 0x6A82, ""),
        ("00200081", 0x9000, ""),
        (SELECT, 0x9000, "6F0A8201788505 0001 000401"),
        ("00200081", 0x63C3, ""),
    ]);
    bench.ok(VERIFY);
    bench.token.power_cycle();
    assert_eq!(bench.status("00200081"), 0x6D00);
}

#[test]
fn initialisation_checks_everything_before_it_changes_anything() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.ok(SELECT);
    let so = format!("8208{SO_PIN}");
    let mark = bench.token.mark();
    for (data, status) in [
        ("80020001 8106363438323139 910103".to_owned(), 0x6A80),
        (format!("8106363438323139 {so} 910103"), 0x6A80),
        (format!("80020001 8106363438323139 {so}"), 0x6A80),
        (format!("80020001 {so} 910103"), 0x6A80),
        (format!("80020001 8105 3634383231 {so} 910103"), 0x6A80),
        (format!("80020001 8106363438323139 {so} 910104"), 0x6A80),
        (format!("80020001 8106363438323139 {so} 910100"), 0x6A80),
        (format!("80020001 810736343832313939 {so} 910106"), 0x6A80),
        (format!("80020001 8108 3634383231393939 {so} 91010B"), 0x6A80),
        (
            "80020001 8106363438323139 8207 35373632313838 910103".to_owned(),
            0x6A80,
        ),
        (format!("80020001 8106363438323139 {so} 910103 93020203"), 0x6A80),
        (format!("80020001 8106363438323139 {so} 910103 93020300"), 0x6A80),
        (format!("80020001 8106363438323139 {so} 910103 93025B01"), 0x6A80),
        (format!("80020010 8106363438323139 {so} 910103"), 0x6A80),
        (format!("80020010 {so} 93020302"), 0x6A80),
        (format!("80020004 8106363438323139 {so} 910103"), 0x6A81),
        (format!("80020001 8106363438323139 {so} 910103 970100"), 0x6A80),
        (format!("80020001 8106363438323139 {so} 910103 9501A0"), 0x6A80),
        (format!("80020001 80020001 8106363438323139 {so} 910103"), 0x6A80),
        (format!("80020001 8106363438323139 {so} 910103 92"), 0x6A80),
    ] {
        assert_eq!(bench.status(&apdu("80500000", &data)), status, "{data}");
    }
    assert_eq!(bench.token.mark(), mark);
    let good = format!("80020001 8106363438323139 {so} 910103 920101");
    bench.dialogue(&[
        (&apdu("80500000", &good), 0x9000, ""),
        ("00200081", 0x63C3, ""),
        (
            "00D72F0318 54020000 5312 3010 020100 8007 54657374546F6B 03020520",
            0x9000,
            "",
        ),
        (VERIFY, 0x9000, ""),
        ("00D7C40105 54020000 5300", 0x6A80, ""),
        ("00D7C40106 54020000 5300", 0x9000, ""),
    ]);
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTDUMMY00001",
        "",
    );
    let wrong = "80020001 8106363438323139 82083537363231383831 910103 920101";
    bench.dialogue(&[
        (&apdu("80500000", wrong), 0x6985, ""),
        ("00200088", 0x63CE, ""),
        ("80580000000000", 0x9000, "CC00 CC01 C401 CE01"),
        ("00200081", 0x9000, ""),
        (&apdu("80500000", &good), 0x9000, ""),
        ("00200088", 0x63CF, ""),
        ("80580000000000", 0x9000, "CC00"),
        ("00B12F0304 54020000 00", 0x6A82, ""),
        ("00B12F020000045402000000 00", 0x6282, "7F21*"),
    ]);
}

#[test]
fn initialisation_is_refused_once_the_so_pin_is_blocked() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    let wrong = apdu(
        "80500000",
        "80020001 8106363438323139 82083030303030303030 910103",
    );
    for _ in 0..14 {
        assert_eq!(bench.status(&wrong), 0x6985);
    }
    assert_eq!(bench.status(&wrong), 0x6983);
    let right = apdu(
        "80500000",
        &format!("80020001 8106363438323139 8208{SO_PIN} 910103"),
    );
    assert_eq!(bench.status(&right), 0x6983);
    let mut bench = bench.replug();
    bench.ok(SELECT);
    assert_eq!(bench.status(&right), 0x6983);
    assert_eq!(bench.status("00200088"), 0x6983);
}

#[test]
fn pins() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.dialogue(&[
        ("00200081", 0x9000, ""),
        ("0020008105 3634383231", 0x6700, ""),
        ("0020018106 363438323139", 0x6A86, ""),
        ("0020008206 363438323139", 0x6A88, ""),
        ("00200085", 0x6A88, ""),
        ("00200086", 0x6A88, ""),
        ("0020008106 363438323130", 0x63C2, ""),
        ("00200081", 0x63C2, ""),
        ("00D7C40106 54020000 5300", 0x6982, ""),
        (VERIFY, 0x9000, ""),
        ("0020008106 363438323130", 0x63C2, ""),
        (VERIFY, 0x9000, ""),
        // CHANGE REFERENCE DATA
        ("002400810C 363438323130 313233343536", 0x63C2, ""),
        ("002400810B 363438323139 3132333435", 0x6700, ""),
        ("002400810F 363438323139 313233343536373839", 0x9000, ""),
        ("0020008109 313233343536373839", 0x9000, ""),
        ("002400810F 313233343536373839 363438323139", 0x9000, ""),
        (VERIFY, 0x9000, ""),
        (
            "0024008816 3537363231383830 31323334353637383930313233343536",
            0x6700,
            "",
        ),
        ("0024008810 3537363231383830 3132333435363738", 0x9000, ""),
        ("0020008808 3537363231383830", 0x63CE, ""),
        ("0020008808 3132333435363738", 0x9000, ""),
        ("00200088", 0x9000, ""),
        ("0024008810 3132333435363738 3537363231383830", 0x9000, ""),
    ]);
}

#[test]
fn a_wrong_pin_blocks_and_stays_blocked() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.ok(SELECT);
    assert_eq!(bench.status("0020008106 303030303030"), 0x63C2);
    let mut bench = bench.replug();
    bench.ok(SELECT);
    assert_eq!(bench.status("0020008106 303030303030"), 0x63C1);
    assert_eq!(bench.status("0020008106 303030303030"), 0x6983);
    assert_eq!(bench.status(VERIFY), 0x6983);
    let mut bench = bench.replug();
    bench.ok(SELECT);
    bench.dialogue(&[
        (VERIFY, 0x6983, ""),
        ("00200081", 0x6983, ""),
        ("002400810C 363438323139 313233343536", 0x6983, ""),
        ("002C008108 3537363231383831", 0x6700, ""),
        ("002C01810E 3537363231383830 363438323139", 0x6700, ""),
        ("002C018108 3537363231383831", 0x63CE, ""),
        ("002C018108 3537363231383830", 0x9000, ""),
        ("00200081", 0x63C3, ""),
        (VERIFY, 0x9000, ""),
        ("002C00810E 3537363231383830 313233343536", 0x9000, ""),
        ("00200081", 0x63C3, ""),
        (VERIFY, 0x63C2, ""),
        ("0020008106 313233343536", 0x9000, ""),
        ("002C02810E 3537363231383830 313233343536", 0x6A86, ""),
        ("002C00880E 3537363231383830 313233343536", 0x6A88, ""),
    ]);
}

#[test]
fn reset_retry_counter_by_option() {
    let installation = Installation::new();
    for (name, options, with_pin, alone) in [
        ("a", "0000", 0x6985, 0x6985),
        ("b", "0020", 0x6985, 0x9000),
        ("c", "0021", 0x6985, 0x9000),
    ] {
        let mut bench = installation.token(name);
        bench.ok(SELECT);
        let data = format!("8002{options} 8106363438323139 8208{SO_PIN} 910103");
        bench.dialogue(&[
            (&apdu("80500000", &data), 0x9000, ""),
            ("002C00810E 3537363231383830 313233343536", with_pin, ""),
            ("002C018108 3537363231383830", alone, ""),
        ]);
    }
}

#[test]
fn transport_pin_has_to_be_changed() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.ok(SELECT);
    let data = format!("80020002 8106363438323139 8208{SO_PIN} 910103");
    bench.ok(&apdu("80500000", &data));
    bench.ok(SELECT);
    bench.dialogue(&[
        ("00200081", 0x6984, ""),
        (VERIFY, 0x6984, ""),
        ("00D7C40106 54020000 5300", 0x6982, ""),
        ("002400810C 363438323139 313233343536", 0x9000, ""),
        ("00200081", 0x63C3, ""),
        ("0020008106 313233343536", 0x9000, ""),
    ]);
}

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

#[test]
fn key_attributes() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "970102");
    bench.ok("80520100010100");
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
            format!("5F290100 {} {chr}", ec_parameters(Nid::SECP192K1)),
            0x6A80,
        ),
        (
            "00460100",
            format!("5F290100 {} {chr}", support::rsa_parameters(1024)),
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
        ("8052020100", 0x6A86, ""),
        ("8052040000", 0x9000, "0202 0000000000000000"),
        ("8052030000", 0x9000, ""),
        ("8052030000", 0x6A88, ""),
        ("80520100010100", 0x9000, "0101 0000000000000000"),
    ]);
    generate(&mut bench, 1, &p256, "UTDUMMY00001", "920100");
    bench.dialogue(&[
        ("80720192000000", 0x6985, ""),
        ("8052030000", 0x6A89, ""),
        ("8052040000", 0x6A89, ""),
        (&share("33"), 0x9000, "0100*"),
        ("80720192000000", 0x9000, "*"),
        ("00E4020002CC01", 0x9000, ""),
        ("8052040000", 0x9000, "0101*"),
        ("8052030000", 0x9000, ""),
    ]);
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
