//! INITIALIZE DEVICE.

use openssl::nid::Nid;

use crate::support::{Installation, SELECT, SO_PIN, VERIFY, apdu, ec_parameters, generate};

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
        (format!("80020040 8106363438323139 {so} 910103"), 0x6A81),
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
        (&format!("8052000020{}00", "11".repeat(32)), 0x9000, "0100*"),
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
