//! Every shape a command APDU takes, as clients put them on the wire.

use chancery_iso7816::{ApduError, CommandApdu, MAX_DATA, MAX_EXPECTED};
use proptest::prelude::*;

struct Shape {
    name: &'static str,
    wire: Vec<u8>,
    data: Vec<u8>,
    ne: u32,
    extended: bool,
}

fn shape(name: &'static str, wire: &str, data: &str, ne: u32, extended: bool) -> Shape {
    let bytes = |text: &str| hex::decode(text.replace(' ', "")).unwrap();
    Shape {
        name,
        wire: bytes(wire),
        data: bytes(data),
        ne,
        extended,
    }
}

fn shapes() -> Vec<Shape> {
    let aid = "E82B0601040181C31F0201";
    vec![
        shape("case 1, PIN status", "00200081", "", 0, false),
        shape("case 1, challenge message", "80740593", "", 0, false),
        shape("case 2S, 16 random bytes", "0084000010", "", 16, false),
        shape("case 2S, 256 bytes", "8052000000", "", 256, false),
        shape("case 2S, status of four bytes", "8054000004", "", 4, false),
        shape("case 2E, enumerate", "80580000 000000", "", 65536, true),
        shape("case 2E, wrap", "80720192 000000", "", 65536, true),
        shape(
            "case 2E, PIN status in extended form",
            "00200081 000000",
            "",
            65536,
            true,
        ),
        shape("case 2E, short number", "00840000 000008", "", 8, true),
        shape(
            "case 3S, write",
            "00D7C401 06 540200005300",
            "540200005300",
            0,
            false,
        ),
        shape(
            "case 3S, PIN",
            "00200081 06 363438323139",
            "363438323139",
            0,
            false,
        ),
        shape(
            "case 3E, write",
            "00D7CE01 000006 540200005300",
            "540200005300",
            0,
            true,
        ),
        shape("case 4S, read", "00B10000 04 54020000 FE", "54020000", 254, false),
        shape(
            "case 4S, select",
            &format!("00A40400 0B {aid} 00"),
            aid,
            256,
            false,
        ),
        shape(
            "case 4E, sign",
            "80680173 000006 68656C6C6F0A 0200",
            "68656C6C6F0A",
            512,
            true,
        ),
        shape(
            "case 4E, read all",
            "00B12F03 000004 54020000 0000",
            "54020000",
            65536,
            true,
        ),
        shape(
            "case 4E, Lc of 256 and more",
            &long_wire(),
            &long_data(),
            512,
            true,
        ),
    ]
}

fn long_data() -> String {
    "AB".repeat(256)
}

fn long_wire() -> String {
    format!("80620221 000100 {} 0200", long_data())
}

#[test]
fn every_shape_parses_to_its_meaning_and_encodes_to_the_same_bytes() {
    for Shape {
        name,
        wire,
        data,
        ne,
        extended,
    } in shapes()
    {
        let command = CommandApdu::parse(&wire).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            &wire[..4],
            [command.class, command.instruction, command.p1, command.p2],
            "{name}"
        );
        assert_eq!(command.data(), data, "{name}");
        assert_eq!(command.expected(), ne, "{name}");
        assert_eq!(command.is_extended(), extended, "{name}");
        assert_eq!(*command.encode(), wire, "{name}");
    }
}

#[test]
fn every_shape_can_be_built() {
    for Shape {
        name,
        wire,
        data,
        ne,
        extended,
    } in shapes()
    {
        let mut command = CommandApdu::new(wire[0], wire[1], wire[2], wire[3])
            .with_data(&data)
            .unwrap()
            .expecting(ne);
        if extended {
            command = command.extended();
        }
        assert_eq!(*command.encode(), wire, "{name}");
    }
}

#[test]
fn long_data_and_large_answers_force_the_extended_form() {
    let with = |length: usize| {
        CommandApdu::new(0, 0xD7, 0, 0)
            .with_data(&vec![7; length])
            .unwrap()
    };
    assert!(!with(255).is_extended());
    assert!(with(256).is_extended());
    assert!(!with(1).expecting(256).is_extended());
    assert!(with(1).expecting(257).is_extended());
    assert_eq!(with(1).expecting(u32::MAX).expected(), MAX_EXPECTED);
    assert_eq!(
        *with(1).expecting(257).encode(),
        [0, 0xD7, 0, 0, 0, 0, 1, 7, 1, 1]
    );
    assert_eq!(with(MAX_DATA).encode().len(), 7 + MAX_DATA);
}

#[test]
fn without_data_and_le_there_is_no_length_field_to_extend() {
    let command = CommandApdu::new(0, 0x20, 0, 0x81)
        .with_data(&[])
        .unwrap()
        .extended();
    assert_eq!(*command.encode(), [0, 0x20, 0, 0x81]);
    assert!(!command.is_extended());
}

#[test]
fn fail_data_over_the_limit() {
    let error = CommandApdu::new(0, 0xD7, 0, 0)
        .with_data(&vec![0; MAX_DATA + 1])
        .unwrap_err();
    assert_eq!(error, ApduError::DataTooLong { length: 65_536 });
}

#[test]
fn fail_malformed_commands() {
    let cases = [
        ("nothing", ""),
        ("half a header", "00A404"),
        ("data shorter than Lc", "00A404000BE82B"),
        ("two bytes after short data", "00A40000022F020000"),
        ("extended marker and one byte", "008400000001"),
        ("extended Lc of zero with data after it", "00D7000000000001"),
        ("extended Lc of zero with Le", "00840000 000000 0008"),
        ("extended data shorter than Lc", "00D70000 000003 0102"),
        ("one byte of Le after extended data", "00D70000 000002 0102 00"),
        (
            "three bytes of Le after extended data",
            "00D70000 000002 0102 000000",
        ),
        ("four bytes after extended data", "00D70000 000002 0102 00000000"),
    ];
    for (name, wire) in cases {
        let wire = hex::decode(wire.replace(' ', "")).unwrap();
        assert!(CommandApdu::parse(&wire).is_err(), "{name}");
    }
}

#[test]
fn debug_shows_no_body() {
    let command = CommandApdu::new(0, 0x20, 0, 0x81).with_data(b"648219").unwrap();
    let shown = format!("{command:?}");
    assert_eq!(shown, "CommandApdu(00 20 00 81, 6 bytes of data, expecting 0)");
}

proptest! {
    #[test]
    fn what_is_built_parses_to_itself(
        header: [u8; 4],
        data in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            prop::collection::vec(any::<u8>(), 250..300),
            prop::collection::vec(any::<u8>(), 65_500..=65_535),
        ],
        ne in prop_oneof![0_u32..300, 65_500_u32..=65_536],
        extended: bool,
    ) {
        let [class, instruction, p1, p2] = header;
        let mut command = CommandApdu::new(class, instruction, p1, p2).with_data(&data).unwrap().expecting(ne);
        if extended {
            command = command.extended();
        }
        let parsed = CommandApdu::parse(&command.encode()).unwrap();
        prop_assert_eq!(parsed.data(), command.data());
        prop_assert_eq!(parsed.expected(), ne);
        prop_assert_eq!(parsed.is_extended(), command.is_extended());
        prop_assert_eq!([parsed.class, parsed.instruction, parsed.p1, parsed.p2], header);
        prop_assert_eq!(parsed.encode(), command.encode());
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_mean_exactly_one_thing(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        lc in prop_oneof![Just(None), (0_u8..6).prop_map(Some)],
    ) {
        let mut bytes = bytes;
        // Small Lc values make valid shapes likely.
        if let (Some(lc), Some(byte)) = (lc, bytes.get_mut(4)) {
            *byte = lc;
            bytes.truncate(5 + usize::from(lc) + 3);
        }
        if let Ok(command) = CommandApdu::parse(&bytes) {
            prop_assert_eq!(&*command.encode(), &bytes);
        }
    }
}
