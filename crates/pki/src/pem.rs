//! Text encoding of certificates, requests and CRLs (RFC 7468).

use der::pem::{Decoder, LineEnding};
use thiserror::Error;

/// Label of a certificate (RFC 7468 5).
pub const CERTIFICATE: &str = "CERTIFICATE";
/// Label of a CRL (RFC 7468 6).
pub const CRL: &str = "X509 CRL";
/// Label of a certification request (RFC 7468 7).
pub const REQUEST: &str = "CERTIFICATE REQUEST";
/// Older label of a certification request, accepted on reading.
pub const NEW_REQUEST: &str = "NEW CERTIFICATE REQUEST";

/// Text that cannot be read as PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PemError {
    /// The armour or the base64 inside is wrong.
    #[error("reading the PEM text")]
    Malformed(#[source] der::pem::Error),
    /// Something follows the END line.
    #[error("{count} bytes follow the END line of the PEM text")]
    TrailingBytes {
        /// How many bytes follow.
        count: usize,
    },
    /// Another kind of object.
    #[error("the PEM text does not hold a {expected}")]
    Label {
        /// The label that was expected.
        expected: &'static str,
    },
}

/// The PEM text of DER bytes: lines of 64 characters ending in a line feed.
///
/// # Errors
/// [`PemError::Malformed`] for a label that is not allowed in PEM.
pub fn encode(label: &str, der: &[u8]) -> Result<String, PemError> {
    der::pem::encode_string(label, LineEnding::LF, der).map_err(PemError::Malformed)
}

/// The DER bytes of PEM text. Text before the BEGIN line is skipped (RFC 7468 2), text after the END line is
/// an error.
///
/// # Errors
/// [`PemError`] says what is wrong with the text.
pub fn decode(labels: &[&'static str], text: &[u8]) -> Result<Vec<u8>, PemError> {
    let text = text.trim_ascii_end();
    let text = cut_after_end(text)?;
    let mut decoder = Decoder::new_detect_wrap(text).map_err(PemError::Malformed)?;
    if !labels.contains(&decoder.type_label()) {
        return Err(PemError::Label {
            expected: labels.first().copied().unwrap_or_default(),
        });
    }
    let mut der = Vec::new();
    decoder.decode_to_end(&mut der).map_err(PemError::Malformed)?;
    Ok(der)
}

/// Whether the bytes look like PEM text rather than DER.
#[must_use]
pub fn is_pem(bytes: &[u8]) -> bool {
    find(bytes, BEGIN).is_some()
}

/// The text up to its first END line; an error when more than that is there.
fn cut_after_end(text: &[u8]) -> Result<&[u8], PemError> {
    let Some(end) = find(text, END) else {
        return Ok(text);
    };
    let after_mark = text.get(end + END.len()..).unwrap_or_default();
    let Some(dashes) = find(after_mark, DASHES) else {
        return Ok(text);
    };
    let rest = after_mark.get(dashes + DASHES.len()..).unwrap_or_default();
    if rest.is_empty() {
        Ok(text)
    } else {
        Err(PemError::TrailingBytes { count: rest.len() })
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_before_is_skipped_and_text_after_refused() {
        let der = vec![0x30; 100];
        let text = encode(CERTIFICATE, &der).unwrap();
        let with_preamble = format!("Certificate Request:\n    Data:\n{text}\n\r\n");
        assert_eq!(decode(&[CERTIFICATE], with_preamble.as_bytes()).unwrap(), der);
        let twice = format!("{text}{text}");
        assert!(matches!(
            decode(&[CERTIFICATE], twice.as_bytes()),
            Err(PemError::TrailingBytes { .. })
        ));
        assert!(matches!(
            decode(&[CRL], text.as_bytes()),
            Err(PemError::Label { .. })
        ));
        let windows = text.replace('\n', "\r\n");
        assert_eq!(decode(&[CERTIFICATE], windows.as_bytes()).unwrap(), der);
    }
}
