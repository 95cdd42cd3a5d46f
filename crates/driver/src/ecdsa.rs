//! The form of ECDSA signatures: cards answer DER, some with superfluous zeros.

use chancery_iso7816::tlv::{Reader, Tag, Writer};

/// `SEQUENCE { INTEGER r, INTEGER s }` with minimal integers; `None` when the bytes are nothing of the kind.
pub(crate) fn normalized(signature: &[u8]) -> Option<Vec<u8>> {
    let mut outer = Reader::new(signature);
    let mut numbers = outer.expect(Tag(0x30)).ok()?.children();
    let r = minimal(numbers.expect(Tag(0x02)).ok()?.value)?;
    let s = minimal(numbers.expect(Tag(0x02)).ok()?.value)?;
    numbers.finish().ok()?;
    outer.finish().ok()?;
    let mut out = Writer::new();
    out.nested(Tag(0x30), |numbers| {
        numbers.tlv(Tag(0x02), &r).tlv(Tag(0x02), &s);
    });
    Some(out.finish())
}

/// A positive number: no superfluous zeros, one zero before a set top bit. `None` for zero.
fn minimal(value: &[u8]) -> Option<Vec<u8>> {
    let start = value.iter().position(|byte| *byte != 0)?;
    let digits = value.get(start..)?;
    let mut number = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_some_and(|first| first & 0x80 != 0) {
        number.push(0);
    }
    number.extend_from_slice(digits);
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superfluous_zeros_go_and_missing_ones_come() {
        let odd = [0x30, 0x09, 0x02, 0x03, 0x00, 0x00, 0x01, 0x02, 0x02, 0x80, 0x02];
        assert_eq!(
            normalized(&odd).unwrap(),
            [0x30, 0x08, 0x02, 0x01, 0x01, 0x02, 0x03, 0x00, 0x80, 0x02]
        );
    }

    #[test]
    fn what_is_no_signature_is_none() {
        for bad in [
            &b""[..],
            b"\x30\x00",
            b"\x30\x06\x02\x01\x00\x02\x01\x01",
            b"\x30\x06\x02\x01\x01\x02\x01\x01\x00",
        ] {
            assert!(normalized(bad).is_none(), "{bad:02X?}");
        }
    }
}
