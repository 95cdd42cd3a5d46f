//! BER-TLV: forms, limits, and properties.

use chancery_iso7816::tlv::{MAX_DEPTH, MAX_LENGTH, Reader, Tag, Tlv, TlvError, Writer};
use proptest::prelude::*;

fn only(bytes: &[u8]) -> Result<Tlv<'_>, TlvError> {
    let mut reader = Reader::new(bytes);
    let tlv = reader.next()?.unwrap();
    reader.finish()?;
    Ok(tlv)
}

#[test]
fn tags_of_one_to_three_bytes() {
    let cases: [(&[u8], u32); 5] = [
        (&[0x30, 0], 0x30),
        (&[0x5F, 0x29, 0], 0x5F29),
        (&[0x7F, 0x49, 0], 0x7F49),
        (&[0x9F, 0x81, 0x01, 0], 0x9F_8101),
        (&[0xFF, 0x7F, 0], 0xFF7F),
    ];
    for (bytes, tag) in cases {
        let tlv = only(bytes).unwrap();
        assert_eq!(tlv.tag, Tag(tag));
        let mut writer = Writer::new();
        writer.tlv(Tag(tag), &[]);
        assert_eq!(writer.finish(), bytes);
    }
}

#[test]
fn tags_know_their_form() {
    assert!(Tag(0x7F49).is_constructed());
    assert!(!Tag(0x5F37).is_constructed());
    assert!(Tag(0x30).is_constructed());
    assert_eq!(
        format!("{} {} {:?}", Tag(0x0C), Tag(0x7F49), Tag(0x02)),
        "0C 7F49 Tag(02)"
    );
}

#[test]
fn lengths_longer_than_minimal_are_read_and_minimal_ones_written() {
    for bytes in [
        &[0x04, 0x01, 0xAA][..],
        &[0x04, 0x81, 0x01, 0xAA],
        &[0x04, 0x82, 0x00, 0x01, 0xAA],
        &[0x04, 0x83, 0x00, 0x00, 0x01, 0xAA],
        &[0x04, 0x84, 0x00, 0x00, 0x00, 0x01, 0xAA],
    ] {
        let tlv = only(bytes).unwrap();
        assert_eq!((tlv.value, tlv.raw), (&[0xAA][..], bytes));
    }
    for (length, header) in [
        (0, &[0x04, 0x00][..]),
        (0x7F, &[0x04, 0x7F]),
        (0x80, &[0x04, 0x81, 0x80]),
        (0xFF, &[0x04, 0x81, 0xFF]),
        (0x100, &[0x04, 0x82, 0x01, 0x00]),
        (0x1_0000, &[0x04, 0x83, 0x01, 0x00, 0x00]),
    ] {
        let mut writer = Writer::new();
        writer.tlv(Tag(0x04), &vec![0x5A; length]);
        let bytes = writer.finish();
        assert_eq!(&bytes[..header.len()], header);
        assert_eq!(only(&bytes).unwrap().value.len(), length);
    }
}

#[test]
fn fail_malformed_objects_with_their_place() {
    let ok = [0x02, 0x01, 0x05];
    let cases: [(&str, &[u8], TlvError); 9] = [
        ("tag 00", &[0x00, 0x00], TlvError::InvalidTag { offset: 3 }),
        (
            "tag number with leading zeros",
            &[0x5F, 0x80, 0x01, 0],
            TlvError::InvalidTag { offset: 3 },
        ),
        (
            "tag of four bytes",
            &[0x5F, 0x81, 0x81, 0x01, 0],
            TlvError::TagTooLong { offset: 3 },
        ),
        (
            "no length",
            &[0x04],
            TlvError::Truncated {
                offset: 3,
                missing: 1,
            },
        ),
        (
            "half a tag",
            &[0x5F],
            TlvError::Truncated {
                offset: 3,
                missing: 1,
            },
        ),
        (
            "half a length",
            &[0x04, 0x82, 0x01],
            TlvError::Truncated {
                offset: 3,
                missing: 1,
            },
        ),
        (
            "short value",
            &[0x04, 0x05, 1, 2],
            TlvError::Truncated {
                offset: 3,
                missing: 3,
            },
        ),
        (
            "indefinite length",
            &[0x30, 0x80, 0, 0],
            TlvError::LengthForm {
                offset: 3,
                tag: Tag(0x30),
                first: 0x80,
            },
        ),
        (
            "five length bytes",
            &[0x04, 0x85, 0, 0, 0, 0, 0],
            TlvError::LengthForm {
                offset: 3,
                tag: Tag(0x04),
                first: 0x85,
            },
        ),
    ];
    for (name, bytes, expected) in cases {
        let input = [&ok[..], bytes].concat();
        let mut reader = Reader::new(&input);
        reader.next().unwrap().unwrap();
        assert_eq!(reader.next(), Err(expected.clone()), "{name}");
        assert_eq!(reader.remaining(), bytes, "{name}: the reader stays where it was");
        assert_eq!(reader.peek(), Err(expected), "{name}");
    }
}

#[test]
fn fail_values_over_the_size_limit() {
    let mut bytes = vec![0x04, 0x84, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(
        only(&bytes),
        Err(TlvError::TooLong {
            offset: 0,
            tag: Tag(0x04),
            length: u32::MAX
        })
    );
    let length = u32::try_from(MAX_LENGTH).unwrap() + 1;
    bytes = vec![0x04, 0x84];
    bytes.extend(length.to_be_bytes());
    bytes.resize(6 + MAX_LENGTH + 1, 0);
    assert_eq!(
        only(&bytes),
        Err(TlvError::TooLong {
            offset: 0,
            tag: Tag(0x04),
            length
        })
    );
}

#[test]
fn fail_nesting_over_the_depth_limit() {
    let nest = |levels: u8| {
        (0..levels).fold(Vec::new(), |inner, _| {
            let mut writer = Writer::new();
            writer.tlv(Tag(0x30), &inner);
            writer.finish()
        })
    };
    let descend = |bytes: &[u8]| -> Result<u8, TlvError> {
        let mut depth = 0;
        let mut reader = Reader::new(bytes);
        while let Some(tlv) = reader.next()? {
            depth += 1;
            reader = tlv.children();
        }
        Ok(depth)
    };
    assert_eq!(descend(&nest(MAX_DEPTH)), Ok(MAX_DEPTH));
    assert!(matches!(
        descend(&nest(MAX_DEPTH + 1)),
        Err(TlvError::TooDeep { .. })
    ));
}

#[test]
fn expect_optional_and_finish_say_what_is_wrong() {
    let bytes = [0x30, 0x06, 0x02, 0x01, 0x07, 0x0C, 0x01, b'x', 0x99];
    let mut reader = Reader::new(&bytes);
    let mut fields = reader.expect(Tag(0x30)).unwrap().children();
    assert_eq!(fields.optional(Tag(0x0C)), Ok(None));
    assert_eq!(fields.expect(Tag(0x02)).unwrap().value, [7]);
    let wrong = TlvError::Unexpected {
        offset: 5,
        expected: Tag(0x04),
        found: Tag(0x0C),
    };
    assert_eq!(fields.expect(Tag(0x04)), Err(wrong.clone()));
    assert_eq!(wrong.to_string(), "expected data object 04 at offset 5, found 0C");
    assert_eq!(fields.optional(Tag(0x0C)).unwrap().unwrap().value, b"x");
    assert_eq!(fields.optional(Tag(0x0C)), Ok(None));
    assert_eq!(
        fields.expect(Tag(0x02)),
        Err(TlvError::Missing {
            offset: 8,
            expected: Tag(0x02)
        })
    );
    assert_eq!(fields.finish(), Ok(()));
    assert_eq!(reader.offset(), 8);
    assert_eq!(reader.finish(), Err(TlvError::Trailing { offset: 8, left: 1 }));
}

#[test]
fn debug_shows_no_value() {
    let tlv = only(&[0x81, 0x06, b'6', b'4', b'8', b'2', b'1', b'9']).unwrap();
    assert_eq!(format!("{tlv:?}"), "Tlv(81, 6 bytes)");
}

#[derive(Debug, Clone)]
enum Node {
    Leaf(u32, Vec<u8>),
    Branch(u32, Vec<Self>),
}

fn write(node: &Node, writer: &mut Writer) {
    match node {
        Node::Leaf(tag, value) => {
            writer.tlv(Tag(*tag), value);
        }
        Node::Branch(tag, nodes) => {
            writer.nested(Tag(*tag), |inner| {
                nodes.iter().for_each(|node| write(node, inner))
            });
        }
    }
}

fn check(nodes: &[Node], mut reader: Reader<'_>) {
    for node in nodes {
        match node {
            Node::Leaf(tag, value) => assert_eq!(reader.expect(Tag(*tag)).unwrap().value, value),
            Node::Branch(tag, nodes) => check(nodes, reader.expect(Tag(*tag)).unwrap().children()),
        }
    }
    reader.finish().unwrap();
}

fn nodes() -> impl Strategy<Value = Node> {
    let leaf_tag = prop_oneof![Just(0x02_u32), Just(0x5F29), Just(0x9F8101), Just(0x86)];
    let branch_tag = prop_oneof![Just(0x30_u32), Just(0x7F21), Just(0x7F8101), Just(0xA0)];
    let leaf = (leaf_tag, prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(t, v)| Node::Leaf(t, v));
    leaf.prop_recursive(5, 40, 5, move |inner| {
        (branch_tag.clone(), prop::collection::vec(inner, 0..5)).prop_map(|(t, n)| Node::Branch(t, n))
    })
}

/// Reads everything readable; gives how many bytes were covered at this level.
fn walk(mut reader: Reader<'_>) -> usize {
    let mut covered = 0;
    while let Ok(Some(tlv)) = reader.next() {
        covered += tlv.raw.len();
        assert!(tlv.raw.ends_with(tlv.value));
        assert!(walk(tlv.children()) <= tlv.value.len());
    }
    covered
}

proptest! {
    #[test]
    fn trees_round_trip(trees in prop::collection::vec(nodes(), 0..4)) {
        let mut writer = Writer::new();
        trees.iter().for_each(|node| write(node, &mut writer));
        let bytes = writer.finish();
        check(&trees, Reader::new(&bytes));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let reader = Reader::new(&bytes);
        let covered = walk(reader.clone());
        prop_assert!(covered <= bytes.len());
        prop_assert!(covered == bytes.len() || reader.finish().is_err());
    }

    #[test]
    fn cut_anywhere_is_an_error(value in prop::collection::vec(any::<u8>(), 1..300), cut in any::<prop::sample::Index>()) {
        let mut writer = Writer::new();
        writer.tlv(Tag(0x7F49), &value);
        let bytes = writer.finish();
        let cut = cut.index(bytes.len() - 1) + 1;
        let truncated = matches!(Reader::new(&bytes[..cut]).next(), Err(TlvError::Truncated { offset: 0, .. }));
        prop_assert!(truncated);
    }
}
