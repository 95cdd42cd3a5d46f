//! Rules about PINs that are not seen in a normal life.

use crate::support::{Installation, SELECT, SO_PIN, VERIFY, apdu};

#[test]
fn status_of_every_reference_before_and_after_initialisation() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.ok(SELECT);
    // Without data in every shape: case 1, with Le, with extended Le.
    for shape in ["", "00", "000000"] {
        for reference in ["81", "88", "85", "86", "82", "00"] {
            assert_eq!(bench.status(&format!("002000{reference}{shape}")), 0x6A88);
        }
    }
    bench.dialogue(&[
        (VERIFY, 0x6A88, ""),
        ("0020008808 3537363231383830", 0x6A88, ""),
        ("002400810C 363438323139 313233343536", 0x6A88, ""),
        ("0024008810 3537363231383830 3132333435363738", 0x6A88, ""),
        ("002C00810E 3537363231383830 313233343536", 0x6A88, ""),
    ]);
    bench.ok(&apdu(
        "80500000",
        &format!("80020001 8106363438323139 8208{SO_PIN} 910103"),
    ));
    for shape in ["", "00", "000000"] {
        for (reference, status) in [
            ("81", 0x63C3),
            ("88", 0x63CF),
            ("85", 0x6A88),
            ("86", 0x6A88),
            ("82", 0x6A88),
        ] {
            assert_eq!(bench.status(&format!("002000{reference}{shape}")), status);
        }
    }
}

#[test]
fn a_short_pin_never_has_many_tries() {
    let installation = Installation::new();
    for (name, pin, tries) in [
        ("a", "363438323139", 3),
        ("b", "36343832313939", 5),
        ("c", "3634383231393939", 10),
    ] {
        let mut bench = installation.token(name);
        bench.ok(SELECT);
        for more in [tries + 1, 11] {
            let data = format!("80020001 {} 8208{SO_PIN} 9101{more:02X}", pin_object(pin));
            assert_eq!(
                bench.status(&apdu("80500000", &data)),
                0x6A80,
                "{pin} with {more}"
            );
        }
        let data = format!("80020001 {} 8208{SO_PIN} 9101{tries:02X}", pin_object(pin));
        bench.ok(&apdu("80500000", &data));
        assert_eq!(bench.status("00200081"), 0x63C0 + tries);
    }
    // A change to a shorter one takes the tries with it, one to a longer one brings none.
    let mut bench = installation.token("d");
    bench.ok(SELECT);
    let data = format!("80020001 8108 3634383231393939 8208{SO_PIN} 91010A");
    bench.dialogue(&[
        (&apdu("80500000", &data), 0x9000, ""),
        ("00200081", 0x63CA, ""),
        ("002400810F 3634383231393939 36343832313939", 0x9000, ""),
        ("00200081", 0x63C5, ""),
        (&format!("002C00810E {SO_PIN} 363438323139"), 0x9000, ""),
        ("00200081", 0x63C3, ""),
        (
            &format!("002C008118 {SO_PIN} 36343832313939393939393939393939"),
            0x9000,
            "",
        ),
        ("00200081", 0x63C3, ""),
        ("0020008110 36343832313939393939393939393939", 0x9000, ""),
        ("0020008111 3634383231393939393939393939393939", 0x6700, ""),
    ]);
}

fn pin_object(pin: &str) -> String {
    format!("81{:02X}{pin}", pin.len() / 2)
}

#[test]
fn a_transport_pin_opens_nothing_until_its_owner_has_changed_it() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.ok(SELECT);
    bench.ok(&apdu(
        "80500000",
        &format!("80020003 8106363438323139 8208{SO_PIN} 910103"),
    ));
    let mut bench = bench.replug();
    bench.dialogue(&[
        (SELECT, 0x9000, "6F0A820178 8505 0003 00 0401"),
        ("00200081", 0x6984, ""),
        (VERIFY, 0x6984, ""),
        ("00200088", 0x63CF, ""),
        // a wrong guess at the change costs a try
        ("002400810C 303030303030 313233343536", 0x63C2, ""),
        // whoever holds the SO-PIN cannot put the token into use for its owner
        (&format!("002C00810E {SO_PIN} 393939393939"), 0x9000, ""),
        ("00200081", 0x6984, ""),
        ("0020008106 393939393939", 0x6984, ""),
        ("002400810B 393939393939 3132333435", 0x6700, ""),
        ("00200081", 0x6984, ""),
        ("002400810C 393939393939 313233343536", 0x9000, ""),
        ("00200081", 0x63C3, ""),
        ("00D7C40106 54020000 5300", 0x6982, ""),
        ("0020008106 313233343536", 0x9000, ""),
        ("00D7C40106 54020000 5300", 0x9000, ""),
    ]);
    let mut bench = bench.replug();
    bench.dialogue(&[(SELECT, 0x9000, "*"), ("0020008106 313233343536", 0x9000, "")]);
}

#[test]
fn a_blocked_so_pin_closes_everything_it_opens() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for left in (1..15).rev() {
        assert_eq!(bench.status("0020008808 3030303030303030"), 0x63C0 + left);
    }
    let change = format!("0024008810 {SO_PIN} 3132333435363738");
    let initialise = apdu(
        "80500000",
        &format!("80020001 8106363438323139 8208{SO_PIN} 910103"),
    );
    bench.dialogue(&[
        ("0020008808 3030303030303030", 0x6983, ""),
        (&format!("0020008808 {SO_PIN}"), 0x6983, ""),
        (&change, 0x6983, ""),
        (&format!("002C018108 {SO_PIN}"), 0x6983, ""),
        (&initialise, 0x6983, ""),
        // the user PIN is not concerned
        (SELECT, 0x9000, "*"),
        (VERIFY, 0x9000, ""),
    ]);
}
