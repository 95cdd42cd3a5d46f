//! VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER.

use crate::support::{Installation, SELECT, SO_PIN, VERIFY, apdu};

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
