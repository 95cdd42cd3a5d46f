use proptest::prelude::*;

use super::*;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn judge(policy: &Policy, text: &str) -> Result<(), Reason> {
    policy
        .judge(&bytes(text), true)
        .map(drop)
        .map_err(|refusal| refusal.reason)
}

/// The protected form of a header: without data, and with data in either kind of cryptogram.
fn protected(header: &str) -> [(String, bool); 4] {
    let mut header = bytes(header);
    header[0] |= 0x0C;
    let header = hex::encode(header);
    [
        (format!("{header} 0A 8E08 0102030405060708 00"), false),
        (format!("{header} 0D 970100 8E08 0102030405060708 00"), false),
        (
            format!("{header} 1D 8711 01 000102030405060708090A0B0C0D0E0F 8E08 0102030405060708 00"),
            true,
        ),
        (
            format!("{header} 1C 8510 000102030405060708090A0B0C0D0E0F 8E08 0102030405060708 00"),
            true,
        ),
    ]
}

/// Headers that pass for a server that was allowed nothing, each with whether it has data.
const LOOKING: &[(&str, bool)] = &[
    ("00200081", false),
    ("80200088", false),
    ("00200085", false),
    ("002241A4", true),
    ("002281A4", true),
    ("002281B6", true),
    ("002A00BE", true),
    ("00820000", true),
    ("00840000", false),
    ("00860000", true),
    ("00A40000", true),
    ("00B12F02", true),
    ("00B12F03", true),
    ("00B1C401", true),
    ("00B1CE01", true),
    ("00B1CF01", true),
    ("00C00000", false),
    ("80580000", false),
    ("80520000", false),
    ("80520007", false),
    ("80540000", false),
    ("80540203", false),
];

/// Headers that change the token, or read what needs authentication.
const MANAGING: &[(&str, bool)] = &[
    ("80500000", true),
    ("80500000", false),
    ("00460100", true),
    ("00480100", true),
    ("80520000", true),
    ("80520100", true),
    ("80520200", false),
    ("80520300", false),
    ("80520400", false),
    ("80540000", true),
    ("80540100", true),
    ("80540100", false),
    ("80720192", false),
    ("80740193", true),
    ("80740193", false),
    ("80760102", true),
    ("80780110", true),
    ("80620184", true),
    ("80620184", false),
    ("00D7CE01", true),
    ("00D72F10", true),
    ("00D70000", true),
    ("00E40200", true),
    ("00B1CD01", true),
    ("00B12F10", true),
    ("00B10000", true),
    ("00B1CC01", true),
];

/// Headers that concern PINs.
const PINS: &[(&str, bool)] = &[
    ("00200081", true),
    ("00200088", true),
    ("80200085", true),
    ("00200181", false),
    ("0020FF81", false),
    ("00240081", true),
    ("00240185", false),
    ("002C0081", true),
    ("002C0381", false),
    ("805A0181", false),
];

/// Headers that are on no list.
const UNKNOWN: &[(&str, bool)] = &[
    ("00A40400", false),
    ("00A40800", true),
    ("00B00000", false),
    ("00D60000", true),
    ("80640A00", false),
    ("804A0000", true),
    ("80E60C00", true),
    ("80CA0000", false),
    ("00880000", true),
    ("002281B8", true),
    ("002241A4", false),
    ("002A9E9A", true),
    ("00840100", false),
    ("00820001", true),
    ("80580001", false),
    ("80680120", false),
    ("80680177", true),
    ("80620185", true),
    ("80520500", true),
    ("80540300", false),
];

fn plain(header: &str, data: bool) -> String {
    format!("{header}{}", if data { "08 0102030405060708 00" } else { "00" })
}

fn policies() -> [Policy; 3] {
    [
        Policy::new(),
        Policy::new().with_key(1).with_key(9),
        Policy::new().with_management(),
    ]
}

#[test]
fn each_header_is_judged_by_its_class_plain_and_protected() {
    let check = |list: &[(&str, bool)], expected: [Result<(), Reason>; 3]| {
        for (header, data) in list {
            for (policy, expected) in policies().iter().zip(expected) {
                assert_eq!(judge(policy, &plain(header, *data)), expected, "{header} {data}");
                for (command, with_data) in protected(header) {
                    if with_data == *data {
                        assert_eq!(judge(policy, &command), expected, "{command}");
                    }
                }
            }
        }
    };
    check(LOOKING, [Ok(()); 3]);
    check(
        MANAGING,
        [Err(Reason::Management), Err(Reason::Management), Ok(())],
    );
    check(PINS, [Err(Reason::Pin); 3]);
    check(UNKNOWN, [Err(Reason::Unknown); 3]);
}

#[test]
fn keys_are_used_only_when_named_or_under_management() {
    let [none, named, managed] = policies();
    for header in [
        "8068{}20", "8068{}30", "8068{}73", "8068{}75", "8062{}21", "8062{}80",
    ] {
        for id in [1_u8, 2, 9, 0xFF] {
            let header = header.replace("{}", &format!("{id:02X}"));
            let mut forms = vec![plain(&header, true)];
            forms.extend(
                protected(&header)
                    .into_iter()
                    .filter(|form| form.1)
                    .map(|form| form.0),
            );
            for command in forms {
                let refused = Err(Reason::KeyNotNamed { id });
                assert_eq!(judge(&none, &command), refused, "{command}");
                let expected = if id == 1 || id == 9 { Ok(()) } else { refused };
                assert_eq!(judge(&named, &command), expected, "{command}");
                assert_eq!(judge(&managed, &command), Ok(()), "{command}");
            }
        }
        let device = plain(&header.replace("{}", "00"), true);
        for policy in [&none, &named, &managed, &Policy::new().with_key(0)] {
            assert_eq!(judge(policy, &device), Err(Reason::DeviceKey));
        }
    }
}

#[test]
fn only_this_application_is_selected_by_name() {
    let policy = Policy::new();
    for p2 in ["00", "04", "0C"] {
        assert_eq!(
            judge(&policy, &format!("00A404{p2}0B E82B0601040181C31F0201 00")),
            Ok(())
        );
    }
    for other in [
        "00A4040008 A0583FC19B7E4F21 00",
        "00A4040008 A000000151000000 00",
        "00A404000A E82B0601040181C31F02 00",
        "00A4040C00",
    ] {
        assert_eq!(judge(&policy, other), Err(Reason::Unknown), "{other}");
    }
}

#[test]
fn a_protected_command_needs_a_channel() {
    let policy = Policy::new().with_management();
    let status = bytes("0C200081 0D 970100 8E08 0102030405060708 00");
    let refusal = policy.judge(&status, false).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.answer()),
        (Reason::NoChannel, [0x68, 0x82])
    );
    assert!(policy.judge(&status, true).is_ok());
    assert!(policy.judge(&bytes("00200081"), false).is_ok());
}

#[test]
fn what_cannot_be_read_is_refused() {
    let policy = Policy::new().with_management();
    for (text, reason) in [
        ("", Reason::Malformed),
        ("00", Reason::Malformed),
        ("002000", Reason::Malformed),
        ("00200081 00 00", Reason::Malformed),
        ("00200081 0831", Reason::Malformed),
        ("10A40000 02 2F02", Reason::Class),
        ("01840000 08", Reason::Class),
        ("04200081 00", Reason::Class),
        ("08200081 00", Reason::Class),
        ("FF840000 08", Reason::Class),
        // Secure messaging with other objects than ours, in another order, with something left over, without MAC.
        ("0C840000 00", Reason::Malformed),
        ("0C840000 0B 8101FF 8E08 0102030405060708 00", Reason::Malformed),
        ("0C840000 0D 8E08 0102030405060708 970100 00", Reason::Malformed),
        ("0C840000 0B 8E08 0102030405060708 00 00", Reason::Malformed),
        ("0C840000 0A 8E07 01020304050607 00 00", Reason::Malformed),
        ("0C840000 03 970100 00", Reason::Malformed),
        (
            "0C840000 0F 9703000100 8E08 0102030405060708 00",
            Reason::Malformed,
        ),
        (
            "0C840000 10 8701 01 8701 01 8E08 0102030405060708 00",
            Reason::Malformed,
        ),
        ("0C840000 0C 8780 8E08 0102030405060708 00", Reason::Malformed),
    ] {
        assert_eq!(judge(&policy, text), Err(reason), "{text}");
    }
}

#[test]
fn a_refusal_says_what_and_why_and_nothing_of_the_data() {
    let refusal = Policy::new()
        .judge(&bytes("00200081 06 363438323139"), false)
        .unwrap_err();
    let text = refusal.to_string();
    assert_eq!(
        text,
        "VERIFY (00 20 00 81, with data) was refused: PINs are typed where the token is, never at the other end"
    );
    assert!(!format!("{refusal:?}").contains("36"));
}

proptest! {
    /// Whatever is sent: what passes has a listed instruction, and a PIN command passes without data only.
    #[test]
    fn no_pin_ever_passes(command in prop::collection::vec(any::<u8>(), 0..40), manage: bool, channel: bool) {
        let policy = if manage { Policy::new().with_management() } else { Policy::new().with_key(1) };
        if let Ok(shape) = policy.judge(&command, channel) {
            prop_assert!(!matches!(command[1], 0x24 | 0x2C | 0x5A));
            prop_assert!(command[1] != 0x20 || !shape.has_data());
            prop_assert!(manage || !matches!(command[1], 0x46 | 0x48 | 0x50 | 0x72..=0x78 | 0xD7 | 0xE4));
        }
    }
}
