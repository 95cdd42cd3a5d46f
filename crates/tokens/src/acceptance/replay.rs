//! A log played to another token.

use chancery_iso7816::tlv::Reader;
use chancery_iso7816::{StatusWord, Transport, TransportError};
use serde::Serialize;

use super::Exchange;

/// Where the other token behaves differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// The exchange, counted from 1.
    pub number: usize,
    /// Header of its command, hexadecimal.
    pub command: String,
    /// What differs: `status`, `structure` or `length`.
    pub what: &'static str,
    /// As it was logged.
    pub logged: String,
    /// As it is here.
    pub here: String,
}

/// How two tokens compare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Exchanges played.
    pub played: usize,
    /// Exchanges whose commands were not written down and cannot be made up.
    pub skipped: usize,
    /// Where they differ.
    pub deviations: Vec<Deviation>,
}

/// Plays a log to a token whose user PIN is `pin`. Where the log left out a PIN, a right or a wrong one is presented, whichever
/// the token in the log was given.
///
/// Answers are compared by status word, and then by structure: nesting of data objects, or length where there are none. Keys,
/// signatures and random bytes differ, of course.
///
/// # Errors
/// The link failed.
pub fn replay(
    exchanges: &[Exchange],
    token: &mut impl Transport,
    pin: &[u8],
) -> Result<Comparison, TransportError> {
    let mut comparison = Comparison::default();
    for (index, exchange) in exchanges.iter().enumerate() {
        let logged = exchange.answer();
        let Some(status) = status_of(&logged) else {
            // The token was pulled here; what comes after it has been powered again.
            token.reset()?;
            comparison.skipped += 1;
            continue;
        };
        let Some(command) = to_send(exchange, status, pin) else {
            comparison.skipped += 1;
            continue;
        };
        let here = token.transmit(&command)?;
        comparison.played += 1;
        if let Some((what, logged, here)) = difference(exchange, &logged, &here) {
            comparison.deviations.push(Deviation {
                number: index + 1,
                command: exchange.c.get(..8).unwrap_or(&exchange.c).to_owned(),
                what,
                logged,
                here,
            });
        }
    }
    Ok(comparison)
}

/// The command, or one in its place; `None` when there is none.
fn to_send(exchange: &Exchange, status: StatusWord, pin: &[u8]) -> Option<Vec<u8>> {
    let command = exchange.command();
    if !exchange.hidden {
        return Some(command);
    }
    // VERIFY of the user PIN.
    let &[_, 0x20, 0x00, 0x81] = command.as_slice() else {
        return None;
    };
    let mut presented = pin.to_vec();
    if status != StatusWord::OK
        && let Some(last) = presented.last_mut()
    {
        *last ^= 0x01;
    }
    let length = u8::try_from(presented.len()).ok()?;
    Some([&command, &[length][..], &presented].concat())
}

fn difference(exchange: &Exchange, logged: &[u8], here: &[u8]) -> Option<(&'static str, String, String)> {
    let (Some(status), Some(status_here)) = (status_of(logged), status_of(here)) else {
        return Some(("status", hex::encode_upper(logged), "no status word".to_owned()));
    };
    // 6282 tells that a file ended, which firmware versions say at different times.
    let alike = |status: StatusWord| {
        if status == StatusWord(0x6282) {
            StatusWord::OK
        } else {
            status
        }
    };
    if alike(status) != alike(status_here) {
        return Some((
            "status",
            format!("{:04X}", status.0),
            format!("{:04X}", status_here.0),
        ));
    }
    let body = |answer: &[u8]| {
        answer
            .get(..answer.len().saturating_sub(2))
            .unwrap_or_default()
            .to_vec()
    };
    let (logged, here) = (body(logged), body(here));
    if let Some(length) = exchange.length {
        return (length != here.len()).then(|| ("length", length.to_string(), here.len().to_string()));
    }
    match (shape(&logged), shape(&here)) {
        (Some(logged), Some(here)) => (logged != here).then_some(("structure", logged, here)),
        _ => {
            (logged.len() != here.len()).then(|| ("length", logged.len().to_string(), here.len().to_string()))
        }
    }
}

/// Nesting of data objects by tag; `None` when the bytes are none.
fn shape(bytes: &[u8]) -> Option<String> {
    fn walk(bytes: &[u8], depth: usize, text: &mut String) -> Option<()> {
        let mut objects = Reader::new(bytes);
        while let Some(object) = objects.next().ok()? {
            if !text.is_empty() && !text.ends_with('{') {
                text.push(' ');
            }
            text.push_str(&format!("{:X}", object.tag.0));
            // The first byte of a tag says whether objects are in it.
            let constructed = object.raw.first().is_some_and(|first| first & 0x20 != 0);
            if constructed && depth < DEEPEST {
                text.push('{');
                walk(object.value, depth + 1, text)?;
                text.push('}');
            }
        }
        Some(())
    }
    if bytes.is_empty() {
        return Some(String::new());
    }
    let mut text = String::new();
    walk(bytes, 0, &mut text)?;
    Some(text)
}

/// Deepest nesting compared.
const DEEPEST: usize = 8;

fn status_of(answer: &[u8]) -> Option<StatusWord> {
    answer
        .last_chunk::<2>()
        .map(|status| StatusWord(u16::from_be_bytes(*status)))
}
