//! Text around evidence: hexadecimal and PEM.

use crate::input::InputError;

/// Whether these bytes are text: printable ASCII, line feeds, carriage returns and tabs only.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&str> {
    let printable = |byte: &u8| byte.is_ascii_graphic() || [b' ', b'\n', b'\r', b'\t'].contains(byte);
    if bytes.iter().all(printable) {
        std::str::from_utf8(bytes).ok()
    } else {
        None
    }
}

/// Reads hexadecimal text as tools write it: digits of one letter case, without blanks, in lines of one length of which
/// the last may be shorter, with or without a line end after the last.
///
/// Laxer reading would let one proof have many spellings.
pub(crate) fn hexadecimal(text: &str) -> Result<Vec<u8>, InputError> {
    let end = if text.contains('\r') { "\r\n" } else { "\n" };
    let body = text.strip_suffix(end).unwrap_or(text);
    let mut lines = body.split(end).peekable();
    let width = lines.peek().map_or(0, |first| first.len());
    let mut digits = String::with_capacity(body.len());
    while let Some(line) = lines.next() {
        let fits = if lines.peek().is_some() {
            line.len() == width
        } else {
            (1..=width).contains(&line.len())
        };
        if !fits {
            return Err(InputError::Hexadecimal);
        }
        digits.push_str(line);
    }
    let one_case =
        |letters: fn(&u8) -> bool| digits.bytes().all(|byte| byte.is_ascii_digit() || letters(&byte));
    if !one_case(|byte| (b'A'..=b'F').contains(byte)) && !one_case(|byte| (b'a'..=b'f').contains(byte)) {
        return Err(InputError::Hexadecimal);
    }
    hex::decode(digits).map_err(|_| InputError::Hexadecimal)
}

/// Reads the one PEM block of a text: label and DER (reference: RFC 7468).
pub(crate) fn pem(text: &str) -> Result<(&str, Vec<u8>), InputError> {
    if text.matches(PEM_BEGIN).count() != 1 {
        return Err(InputError::SeveralPem);
    }
    let start = text.find(PEM_BEGIN).unwrap_or_default();
    let block = text.get(start..).unwrap_or_default();
    der::pem::decode_vec(block.as_bytes()).map_err(|_| InputError::Pem)
}

/// What every PEM block starts with.
pub(crate) const PEM_BEGIN: &str = "-----BEGIN ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_as_tools_write_it() {
        for good in [
            "7F21",
            "7f21\n",
            "7F21\r\n",
            "7F\n21\n",
            "7F21\r\n0A",
            "7F21\n0\nA",
        ] {
            let taken = hexadecimal(good);
            assert_eq!(taken.is_ok(), good != "7F21\n0\nA", "{good:?}: {taken:?}");
        }
        assert_eq!(hexadecimal("7F21\nAB").unwrap(), [0x7F, 0x21, 0xAB]);
        for bad in [
            "",
            "\n",
            "7F2",
            "7F 21",
            " 7F21",
            "7F21\n\n",
            "7f2A",
            "7F21 ",
            "7F\n2\n1A",
            "0x7F",
            "7F21\r\n0A\n",
        ] {
            assert!(hexadecimal(bad).is_err(), "{bad:?}");
        }
    }
}
