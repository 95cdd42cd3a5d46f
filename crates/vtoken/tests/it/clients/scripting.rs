//! Other hosts' forms of the same commands: everything extended (pypicohsm), the Smart Card Shell and OCF.

use openssl::nid::Nid;

use crate::clients::ber::single;
use crate::clients::host::{device_names, request, verifies};
use crate::support::{Bench, Installation, SO_PIN, ec_parameters};

/// A command as pypicohsm sends it: always extended, Le always there.
fn extended(header: &str, data: &str) -> String {
    let data = data.replace(' ', "");
    if data.is_empty() {
        return format!("{header}000000");
    }
    format!("{header}00{:04X}{data}0000", data.len() / 2)
}

#[test]
fn everything_in_extended_form() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    let select = extended("00A40400", "E82B0601040181C31F0201");
    let verify = extended("00200081", "363438323139");
    bench.dialogue(&[
        (&select, 0x9000, "6F*"),
        (&extended("00B12F02", "54020000"), 0x6282, "7F21*"),
        (&extended("00200081", "363438323139"), 0x6A88, ""),
        (
            &extended(
                "80500000",
                &format!("80020001 8106363438323139 8208{SO_PIN} 910103 970102"),
            ),
            0x9000,
            "",
        ),
        (&extended("80500000", ""), 0x9000, ".............."),
        (&verify, 0x9000, ""),
        (&extended("00200081", ""), 0x9000, ""),
        (&extended("00520100", "01"), 0x9000, "01010000000000000000"),
        (&extended("00520000", &"22".repeat(32)), 0x9000, "0100*"),
        (&extended("00580000", ""), 0x9000, "CC00"),
        (&extended("80840000", ""), 0x9000, "*"),
    ]);
    // The size before the exponent, and no exponent at all.
    let rsa = "7F49 10 060A04007F00070202020102 02020800".to_owned();
    for (id, template, further) in [
        ("01", ec_parameters(Nid::X9_62_PRIME256V1), "920100"),
        ("02", rsa, "920100"),
    ] {
        let data =
            format!("5F290100 4209555443413030303031 {template} 5F200D55544344554D4D593030303031 {further}");
        let answer = bench.ok(&extended(&format!("0046{id}00"), &data));
        let (names, key) = request(&answer);
        assert_eq!(names[..2], ["UTCA00001", "UTCDUMMY00001"]);
        let algorithm = if id == "01" { "73" } else { "33" };
        let signature = bench.ok(&extended(&format!("0068{id}{algorithm}"), "68656C6C6F0A"));
        assert!(verifies(&key, b"hello\n", &signature));
    }
    let blob = bench.ok(&extended("00720192", ""));
    bench.ok(&extended("00740393", &hex::encode(&blob)));
    bench.dialogue(&[
        (&extended("00580000", ""), 0x9000, "CC00 CC01 CC02 CC03 CE01 CE02"),
        (&extended("00E40000", "CC03"), 0x9000, ""),
        (&extended("00E40000", "CC03"), 0x6A82, ""),
        // The session is gone: a refusal, VERIFY, and the command once more.
        (&select, 0x9000, "*"),
        (&extended("00620180", "04"), 0x6982, ""),
        (&verify, 0x9000, ""),
        (&extended("00620180", "04"), 0x6A80, ""),
    ]);
}

/// What OCF and the Smart Card Shell do before anything else.
fn open(bench: &mut Bench) {
    let status = bench.status("0020008100");
    if [0x6E00, 0x6900].contains(&status) {
        // The Smart Card Shell wants no answer.
        bench.dialogue(&[("00A404040BE82B0601040181C31F0201", 0x9000, "")]);
        bench.status("0020008100");
    } else {
        assert!(
            status == 0x9000 || status & 0xFFF0 == 0x63C0 || status == 0x6A88,
            "{status:04X}"
        );
    }
}

#[test]
fn the_smart_card_shell() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    open(&mut bench);
    bench.dialogue(&[
        (
            &format!("805000001C 80020001 8106363438323139 8208{SO_PIN} 910103 970103"),
            0x9000,
            "",
        ),
        ("00A404040BE82B0601040181C31F0201", 0x9000, ""),
        ("0020008100", 0x63C3, ""),
        ("0020008106363438323139", 0x9000, ""),
        ("80500000000000", 0x9000, ".... .... .. 0401"),
    ]);
    let chain = bench.send("00B12F02000004540200000000").0;
    device_names(&chain);
    // Key domains are looked for until 6A86.
    bench.dialogue(&[
        ("8052000000", 0x6A88, ""),
        ("8052000100", 0x6A88, ""),
        ("8052000200", 0x6A88, ""),
        ("8052000300", 0x6A86, ""),
        ("80520101 01 02 00", 0x9000, "0202 0000000000000000"),
        (
            &format!("8052000120{}00", "01".repeat(32)),
            0x9000,
            "0201 0000000000000000",
        ),
        (&format!("8052000120{}00", "02".repeat(32)), 0x9000, "0200*"),
    ]);
    let data = format!(
        "5F290100 420B55544E554C4C3030303030 {} 5F200B55544E554C4C3030303030 9103707392 920101",
        ec_parameters(Nid::BRAINPOOL_P256R1)
    )
    .replace(' ', "");
    let answer = bench.ok(&format!("8046010000{:04X}{data}0000", data.len() / 2));
    let (names, _) = request(&answer);
    assert_eq!(names[..2], ["UTNULL00000", "UTNULL00000"]);
    // Attributes of a key.
    let information = single(&bench.ok("00A4000002CC0100"), 0x6F).child(0xA5);
    assert_eq!(information.child(0x91).value, [0x70, 0x73, 0x92]);
    assert_eq!(information.child(0x92).value, [1]);
    // Deleting skips the collection of free memory; the second client starts where the first one left.
    bench.dialogue(&[("00E4028002CE01", 0x9000, "")]);
    open(&mut bench);
    bench.dialogue(&[
        ("8052030100", 0x6A89, ""),
        ("00E4028002CC01", 0x9000, ""),
        ("8052040100", 0x9000, "0202 0000000000000000"),
        ("8052030100", 0x9000, ""),
        ("8052000100", 0x6A88, ""),
    ]);
}

#[test]
fn two_clients_on_one_powered_card() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.dialogue(&[
        ("00200081", 0x9000, ""),
        ("00A404000BE82B0601040181C31F020100", 0x9000, "6F*"),
        ("00200081", 0x63C3, ""),
        ("0020008106363438323139", 0x9000, ""),
        ("00A4040C0BE82B0601040181C31F0201", 0x9000, ""),
        ("00200081", 0x63C3, ""),
    ]);
}
