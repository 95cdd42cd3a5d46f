//! Messages: recorded exchanges both ways, what is refused and where, and round trips.

use chancery_ram::message::{
    CommandObject, CommandTemplate, Initiation, MAX_OBJECTS, MessageError, Posted, ResponseObject,
    ResponseTemplate,
};
use proptest::prelude::*;
use zeroize::Zeroizing;

const ATR: &str = "3BFE1800008131FE458031815448534D31738021408107FA";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn command(text: &str) -> CommandObject {
    CommandObject::Command(Zeroizing::new(bytes(text)))
}

fn notify(id: i32, text: &str) -> CommandObject {
    CommandObject::Notify {
        id,
        text: text.to_owned(),
        seconds: None,
    }
}

fn response(text: &str) -> ResponseObject {
    ResponseObject::Response(Zeroizing::new(bytes(text)))
}

fn close(reason: &str) -> ResponseObject {
    ResponseObject::Close {
        reason: reason.to_owned(),
    }
}

fn responses(results: Vec<ResponseObject>, executed: i32) -> ResponseTemplate {
    ResponseTemplate {
        results,
        executed: Some(executed),
    }
}

/// What servers send, as recorded, and what it means.
fn recorded_commands() -> Vec<(&'static str, Vec<CommandObject>)> {
    vec![
        (
            "AA13 2211 00A404000BE82B0601040181C31F020100",
            vec![command("00A404000BE82B0601040181C31F020100")],
        ),
        (
            "AA0D 22050084000008 220400200081",
            vec![command("0084000008"), command("00200081")],
        ),
        (
            "AA14 E012 020101 0C0D52656164696E6720746F6B656E",
            vec![notify(1, "Reading token")],
        ),
        ("AA00", vec![]),
        ("AA02C000", vec![CommandObject::Reset]),
        (
            "AA15 22050084000008 220580EE000000 22050084000008",
            vec![
                command("0084000008"),
                command("80EE000000"),
                command("0084000008"),
            ],
        ),
        (
            "AA18E01602012A0C0E47656E65726174696E67206B6579C3011E",
            vec![CommandObject::Notify {
                id: 42,
                text: "Generating key".to_owned(),
                seconds: Some(30),
            }],
        ),
        ("AA0EE00C0202012C0C06626967206964", vec![notify(300, "big id")]),
        ("AA0BE0090201000C04646F6E65", vec![notify(0, "done")]),
        ("AA0BE0090201FB0C0466697665", vec![notify(-5, "five")]),
        (
            "AA07E1050C03627965",
            vec![CommandObject::Close {
                reason: "bye".to_owned(),
            }],
        ),
        (
            "AA09C00022050084000008",
            vec![CommandObject::Reset, command("0084000008")],
        ),
    ]
}

/// What clients post after the first message, as recorded, and what it means.
fn recorded_responses() -> Vec<(String, ResponseTemplate)> {
    vec![
        (
            "AB0E 2309 6F05850302050190 00 800101".to_owned(),
            responses(vec![response("6F0585030205019000")], 1),
        ),
        (
            "AB13 230A00010203040506079000 230263C3 800102".to_owned(),
            responses(vec![response("00010203040506079000"), response("63C3")], 2),
        ),
        ("AB03800100".to_owned(), responses(vec![], 0)),
        (
            format!("AB1D C018{ATR} 800100"),
            responses(vec![ResponseObject::Atr(bytes(ATR))], 0),
        ),
        (
            "AB28 230A00010203040506079000 2300 E1150C135472616E73616374696F6E206661696C65642E 800102"
                .to_owned(),
            responses(
                vec![
                    response("00010203040506079000"),
                    response(""),
                    close("Transaction failed."),
                ],
                2,
            ),
        ),
        (
            format!("AB29 C018{ATR} 230A00010203040506079000 800101"),
            responses(
                vec![ResponseObject::Atr(bytes(ATR)), response("00010203040506079000")],
                1,
            ),
        ),
        (
            format!("AB1B E1160C14{} 800100", hex::encode("Insufficient buffer.")),
            responses(vec![close("Insufficient buffer.")], 0),
        ),
    ]
}

#[test]
fn a_recorded_first_message_reads_and_is_written_as_it_was() {
    let recorded = bytes(&format!("E81A C018{ATR}"));
    let initiation = Initiation {
        atr: bytes(ATR),
        max_command: None,
        max_response: None,
    };
    assert_eq!(Initiation::parse(&recorded).unwrap(), initiation);
    assert_eq!(
        Posted::parse(&recorded).unwrap(),
        Posted::Initiation(initiation.clone())
    );
    assert_eq!(*initiation.encode().unwrap(), recorded);
}

#[test]
fn limits_of_a_reader_are_read() {
    let initiation = Initiation::parse(&bytes("E80B C0023B00 C10300FFFF C2020102")).unwrap_err();
    assert_eq!(
        initiation,
        MessageError::Truncated {
            offset: 11,
            missing: 2
        }
    );
    let initiation = Initiation::parse(&bytes("E80D C0023B00 C10300FFFF C2020102")).unwrap();
    assert_eq!(initiation.max_command, Some(65_535));
    assert_eq!(initiation.max_response, Some(258));
    assert_eq!(
        *initiation.encode().unwrap(),
        bytes("E80D C0023B00 C10300FFFF C2020102")
    );
    // Negative or zero: as good as absent.
    let initiation = Initiation::parse(&bytes("E80B C0023B00 C102FFFF C20100")).unwrap();
    assert_eq!((initiation.max_command, initiation.max_response), (None, None));
}

#[test]
fn recorded_commands_read_and_are_written_as_they_were() {
    for (recorded, objects) in recorded_commands() {
        let recorded = bytes(recorded);
        let template = CommandTemplate(objects);
        assert_eq!(CommandTemplate::parse(&recorded).unwrap(), template);
        assert_eq!(*template.encode().unwrap(), recorded);
    }
}

#[test]
fn recorded_responses_read_and_are_written_as_they_were() {
    for (recorded, template) in recorded_responses() {
        let recorded = bytes(&recorded);
        assert_eq!(ResponseTemplate::parse(&recorded).unwrap(), template);
        assert_eq!(
            Posted::parse(&recorded).unwrap(),
            Posted::Response(template.clone())
        );
        assert_eq!(*template.encode().unwrap(), recorded);
    }
}

#[test]
fn many_commands_in_one_template_and_their_answers_have_the_recorded_lengths() {
    let commands = CommandTemplate(vec![command("0084000008"); 130]);
    let encoded = commands.encode().unwrap();
    assert_eq!(encoded.get(..4).unwrap(), bytes("AA82038E"));
    assert_eq!(CommandTemplate::parse(&encoded).unwrap(), commands);

    let answers = responses(vec![response("00010203040506079000"); 130], 130);
    let encoded = answers.encode().unwrap();
    assert_eq!(encoded.get(..4).unwrap(), bytes("AB82061C"));
    assert_eq!(encoded.get(encoded.len() - 4..).unwrap(), bytes("80020082"));
    assert_eq!(ResponseTemplate::parse(&encoded).unwrap(), answers);

    let long = responses(vec![ResponseObject::Response(Zeroizing::new(vec![0; 4096]))], 1);
    let encoded = long.encode().unwrap();
    assert_eq!(encoded.get(..8).unwrap(), bytes("AB82100723821000"));
}

#[test]
fn non_minimal_lengths_trailing_bytes_and_unknown_objects_are_taken() {
    let one = CommandTemplate(vec![command("0084000008")]);
    for text in [
        "AA82000722050084000008",
        "AA810722050084000008",
        "AA09228200050084000008",
        "AA07220500840000080000FF",
        "AA0A80010122050084000008",
        "AA0C22050084000008E203010203",
    ] {
        assert_eq!(CommandTemplate::parse(&bytes(text)).unwrap(), one, "{text}");
    }
    // A command as long as no short length says stays whole.
    let mut long = bytes("80100000000400");
    long.resize(7 + 1024, 0x55);
    let template = CommandTemplate(vec![CommandObject::Command(Zeroizing::new(long))]);
    assert_eq!(
        CommandTemplate::parse(&template.encode().unwrap()).unwrap(),
        template
    );
    // What a program that counts in one byte writes, and one that leaves the count out.
    assert_eq!(
        ResponseTemplate::parse(&bytes("AB03800182")).unwrap().executed,
        Some(-126)
    );
    assert_eq!(ResponseTemplate::parse(&bytes("AB00")).unwrap().executed, None);
}

#[test]
fn what_is_no_message_is_refused_with_the_place() {
    type Parser = fn(&[u8]) -> Option<MessageError>;
    let commands: Parser = |bytes| CommandTemplate::parse(bytes).err();
    let posted: Parser = |bytes| Posted::parse(bytes).err();
    let cases: &[(Parser, &str, MessageError)] = &[
        (commands, "", MessageError::Empty),
        (commands, "3C68746D6C3E", MessageError::Unexpected { found: 0x3C }),
        (commands, "AB03800100", MessageError::Unexpected { found: 0xAB }),
        (
            commands,
            "AA83000000",
            MessageError::Length {
                offset: 1,
                found: 0x83,
            },
        ),
        (
            commands,
            "AA8022000000",
            MessageError::Length {
                offset: 1,
                found: 0x80,
            },
        ),
        (
            commands,
            "AA0522830000FF",
            MessageError::Length {
                offset: 3,
                found: 0x83,
            },
        ),
        (
            commands,
            "AA",
            MessageError::Truncated {
                offset: 0,
                missing: 1,
            },
        ),
        (
            commands,
            "AA81",
            MessageError::Truncated {
                offset: 0,
                missing: 1,
            },
        ),
        (
            commands,
            "AA8200",
            MessageError::Truncated {
                offset: 0,
                missing: 1,
            },
        ),
        (
            commands,
            "AA0322050084",
            MessageError::Truncated {
                offset: 2,
                missing: 4,
            },
        ),
        (
            commands,
            "AA822000220100",
            MessageError::Truncated {
                offset: 0,
                missing: 0x2000 - 3,
            },
        ),
        (commands, "AA03C0013B", MessageError::ResetWithValue { offset: 2 }),
        (
            commands,
            "AA04E0020C00",
            MessageError::Missing {
                tag: 0x02,
                within: 0xE0,
            },
        ),
        (
            commands,
            "AA04E0020200",
            MessageError::Integer { offset: 4, length: 0 },
        ),
        (posted, "", MessageError::Empty),
        (posted, "AA00", MessageError::Unexpected { found: 0xAA }),
        (
            posted,
            "E803C10101",
            MessageError::Missing {
                tag: 0xC0,
                within: 0xE8,
            },
        ),
        (
            posted,
            "AB0780050000000001",
            MessageError::Integer { offset: 2, length: 5 },
        ),
        (
            posted,
            "AB04E1020C01",
            MessageError::Truncated {
                offset: 4,
                missing: 1,
            },
        ),
    ];
    for (parse, text, error) in cases {
        assert_eq!(parse(&bytes(text)).as_ref(), Some(error), "{text}");
    }
}

#[test]
fn too_many_objects_and_too_long_templates_are_refused() {
    let resets = CommandTemplate(vec![CommandObject::Reset; MAX_OBJECTS]);
    assert_eq!(CommandTemplate::parse(&resets.encode().unwrap()).unwrap(), resets);
    let resets = CommandTemplate(vec![CommandObject::Reset; MAX_OBJECTS + 1]);
    assert_eq!(
        CommandTemplate::parse(&resets.encode().unwrap()),
        Err(MessageError::TooManyObjects)
    );
    // 17 answers of 4096 bytes do not fit 16 bits of length: said, and never cut.
    let answers = responses(
        vec![ResponseObject::Response(Zeroizing::new(vec![0; 4096])); 17],
        17,
    );
    assert_eq!(answers.encode(), Err(MessageError::TooLong { length: 69_703 }));
    let command = CommandTemplate(vec![CommandObject::Command(Zeroizing::new(vec![0; 65_536]))]);
    assert_eq!(command.encode(), Err(MessageError::TooLong { length: 65_536 }));
}

#[test]
fn debug_shows_no_bodies() {
    let shown = format!(
        "{:?} {:?}",
        command("002000810431323334"),
        response("313233349000")
    );
    assert_eq!(shown, "Command(9 bytes) Response(6 bytes)");
}

fn any_command() -> impl Strategy<Value = CommandObject> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..400)
            .prop_map(|bytes| CommandObject::Command(Zeroizing::new(bytes))),
        Just(CommandObject::Reset),
        (any::<i32>(), ".{0,40}", proptest::option::of(1u32..=0x7FFF_FFFF))
            .prop_map(|(id, text, seconds)| CommandObject::Notify { id, text, seconds }),
        ".{0,40}".prop_map(|reason| CommandObject::Close { reason }),
    ]
}

fn any_result() -> impl Strategy<Value = ResponseObject> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..400)
            .prop_map(|bytes| ResponseObject::Response(Zeroizing::new(bytes))),
        proptest::collection::vec(any::<u8>(), 0..33).prop_map(ResponseObject::Atr),
        ".{0,40}".prop_map(|reason| ResponseObject::Close { reason }),
    ]
}

proptest! {
    #[test]
    fn commands_survive_the_wire(objects in proptest::collection::vec(any_command(), 0..30)) {
        let template = CommandTemplate(objects);
        prop_assert_eq!(CommandTemplate::parse(&template.encode().unwrap()).unwrap(), template);
    }

    #[test]
    fn responses_survive_the_wire(
        results in proptest::collection::vec(any_result(), 0..30),
        executed in any::<Option<i32>>(),
    ) {
        let template = ResponseTemplate { results, executed };
        prop_assert_eq!(ResponseTemplate::parse(&template.encode().unwrap()).unwrap(), template);
    }

    #[test]
    fn initiations_survive_the_wire(
        atr in proptest::collection::vec(any::<u8>(), 0..33),
        max_command in proptest::option::of(1u32..=0x7FFF_FFFF),
        max_response in proptest::option::of(1u32..=0x7FFF_FFFF),
    ) {
        let initiation = Initiation { atr, max_command, max_response };
        prop_assert_eq!(Initiation::parse(&initiation.encode().unwrap()).unwrap(), initiation);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), first in 0usize..4) {
        let mut bytes = bytes;
        if let (Some(byte), Some(&tag)) = (bytes.first_mut(), [0xAA, 0xAB, 0xE8].get(first)) {
            *byte = tag;
        }
        let _ = CommandTemplate::parse(&bytes);
        let _ = Posted::parse(&bytes);
    }
}
