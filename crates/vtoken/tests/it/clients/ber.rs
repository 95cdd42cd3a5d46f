//! BER-TLV as a host reads it.

/// A data object: tag, content, and all its bytes.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) tag: u32,
    pub(crate) value: Vec<u8>,
    pub(crate) raw: Vec<u8>,
}

/// All objects in a row; panics unless they fill the bytes.
pub(crate) fn objects(bytes: &[u8]) -> Vec<Object> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let start = rest;
        let mut tag = u32::from(rest[0]);
        rest = &rest[1..];
        if tag & 0x1F == 0x1F {
            tag = tag << 8 | u32::from(rest[0]);
            rest = &rest[1..];
        }
        let (length, header) = match rest[0] {
            short @ 0..=0x7F => (usize::from(short), 1),
            0x81 => (usize::from(rest[1]), 2),
            0x82 => (usize::from(rest[1]) << 8 | usize::from(rest[2]), 3),
            odd => panic!("length {odd:02X}"),
        };
        let value = rest[header..header + length].to_vec();
        rest = &rest[header + length..];
        found.push(Object {
            tag,
            value,
            raw: start[..start.len() - rest.len()].to_vec(),
        });
    }
    found
}

impl Object {
    /// The only object with this tag inside.
    pub(crate) fn child(&self, tag: u32) -> Self {
        only(&objects(&self.value), tag)
    }

    /// Tags of the objects inside.
    pub(crate) fn tags(&self) -> Vec<u32> {
        objects(&self.value).iter().map(|object| object.tag).collect()
    }

    /// Content as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.value.clone()).unwrap()
    }
}

/// The only object with this tag.
pub(crate) fn only(objects: &[Object], tag: u32) -> Object {
    let mut fitting = objects.iter().filter(|object| object.tag == tag);
    let found = fitting.next().unwrap_or_else(|| panic!("no {tag:04X}")).clone();
    assert!(fitting.next().is_none(), "two {tag:04X}");
    found
}

/// The one object the bytes are.
pub(crate) fn single(bytes: &[u8], tag: u32) -> Object {
    let found = objects(bytes);
    assert_eq!(found.len(), 1);
    only(&found, tag)
}
