//! Bytes to the TLV reader: never a panic, never an endless loop; what is written again reads the same.
#![no_main]

use chancery_iso7816::tlv::{MAX_DEPTH, Reader, Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut seen = 0;
    walk(&mut Reader::new(bytes), &mut seen);
    // Every object read takes at least two bytes at every level it is read on.
    assert!(seen <= bytes.len() * usize::from(MAX_DEPTH));
});

/// Reads objects and everything inside them that reads as objects.
fn walk(reader: &mut Reader<'_>, seen: &mut usize) {
    loop {
        let before = reader.remaining().len();
        let Ok(Some(object)) = reader.next() else {
            return;
        };
        *seen += 1;
        assert!(reader.remaining().len() + object.raw.len() == before);
        assert!(object.raw.ends_with(object.value));

        let mut writer = Writer::new();
        writer.tlv(object.tag, object.value);
        let written = writer.finish();
        let again = Reader::new(&written)
            .next()
            .expect("what was written can be read")
            .expect("one object");
        assert!(again.tag == object.tag && again.value == object.value);

        walk(&mut object.children(), seen);
    }
}
