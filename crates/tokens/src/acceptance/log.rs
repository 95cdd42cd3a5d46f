//! The exchange with a token, written down without PINs, shares and keys.

use std::sync::{Arc, Mutex, PoisonError};

use chancery_iso7816::{CommandApdu, Transport, TransportError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// First line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// Format of the log.
    pub chancery_apdu_log: u32,
    /// Device id of the token.
    pub device: String,
    /// Version of its firmware.
    pub firmware: String,
    /// Its option word, where it tells it.
    #[serde(default)]
    pub options: Option<u16>,
}

impl LogHead {
    /// The format written here.
    pub const FORMAT: u32 = 1;
}

/// One exchange. Bytes are hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The command, or its four bytes of header when its body is not written down.
    pub c: String,
    /// The answer, or its status word when its body is not written down; empty when none came.
    #[serde(default)]
    pub a: String,
    /// Whether the command's body was left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Length of an answer whose body was left out, in bytes, status word not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Takes lines.
pub type Sink = Box<dyn FnMut(&str) + Send>;

/// Writes every exchange that passes to a sink, one line of JSON each.
pub struct ApduLog<T> {
    inner: T,
    sink: Arc<Mutex<Sink>>,
}

impl<T: Transport> ApduLog<T> {
    /// Between a driver and `inner`.
    #[must_use]
    pub fn new(inner: T, sink: Sink) -> Self {
        Self {
            inner,
            sink: Arc::new(Mutex::new(sink)),
        }
    }
}

impl<T: Transport> Transport for ApduLog<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let answer = self.inner.transmit(command);
        let exchange = describe(command, answer.as_ref().ok().map(|answer| answer.as_slice()));
        // A value of strings and numbers is always JSON.
        if let Ok(line) = serde_json::to_string(&exchange) {
            let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
            (sink)(&line);
        }
        answer
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}

/// What may be written down of an exchange. Only what is known to hold no secret is.
fn describe(command: &[u8], answer: Option<&[u8]>) -> Exchange {
    let shown = Shown::of(command);
    let header = command.get(..4).unwrap_or(command);
    let hidden = !shown.command && command.len() > 4;
    let (body, status) = answer
        .and_then(|answer| answer.split_last_chunk::<2>())
        .map_or((&[][..], &[][..]), |(body, status)| (body, status.as_slice()));
    Exchange {
        c: hex::encode_upper(if shown.command { command } else { header }),
        a: hex::encode_upper(if shown.answer {
            [body, status].concat()
        } else {
            status.to_vec()
        }),
        hidden,
        length: (!shown.answer && answer.is_some()).then_some(body.len()),
    }
}

/// Which bodies of an exchange hold no secret.
struct Shown {
    command: bool,
    answer: bool,
}

impl Shown {
    const NOTHING: Self = Self {
        command: false,
        answer: false,
    };
    const ALL: Self = Self {
        command: true,
        answer: true,
    };

    fn of(command: &[u8]) -> Self {
        let Ok(parsed) = CommandApdu::parse(command) else {
            return Self::NOTHING;
        };
        // What goes through a secure channel is no business of a log.
        if parsed.class & 0x7F != 0 {
            return Self::NOTHING;
        }
        let empty = parsed.data().is_empty();
        let private = parsed.p1 == 0xCD;
        match parsed.instruction {
            // SELECT, ENUMERATE, DELETE, certificates, key generation, signatures.
            0xA4 | 0x58 | 0xE4 | 0x22 | 0x2A | 0x46 | 0x68 => Self::ALL,
            // READ and UPDATE of public files. P1-P2 0000 is the current file, whichever that is; 2F10 can hold anything.
            0xB1 | 0xD7 if parsed.p1 != 0 && !private && (parsed.p1, parsed.p2) != (0x2F, 0x10) => Self::ALL,
            // VERIFY, INITIALIZE DEVICE, key domains, quorum: questions only.
            0x20 | 0x50 | 0x52 | 0x54 if empty => Self::ALL,
            // Random bytes: the length is enough.
            0x84 if empty => Self {
                command: true,
                answer: false,
            },
            _ => Self::NOTHING,
        }
    }
}

/// Why a log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It is longer than any log.
    #[error("the log has more than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// It does not begin as a log does.
    #[error("this is no APDU log: {why}")]
    NoHead {
        /// Why.
        why: String,
    },
    /// A line is none of a log.
    #[error("line {line}: {why}")]
    Line {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// Longest log read, in bytes.
const LONGEST: usize = 256 * 1024 * 1024;

/// Longest line, in bytes: command and answer at their longest.
const LONGEST_LINE: usize = 4 * 66_000 + 200;

/// Reads a log.
///
/// # Errors
/// [`LogError`] with the line.
pub fn parse_log(text: &[u8]) -> Result<(LogHead, Vec<Exchange>), LogError> {
    if text.len() > LONGEST {
        return Err(LogError::TooLong { limit: LONGEST });
    }
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty());
    let no_head = |why: String| LogError::NoHead { why };
    let (_, head) = lines.next().ok_or_else(|| no_head("it is empty".to_owned()))?;
    let head: LogHead = serde_json::from_slice(head).map_err(|error| no_head(error.to_string()))?;
    if head.chancery_apdu_log != LogHead::FORMAT {
        return Err(no_head(format!(
            "its format {} is not known here",
            head.chancery_apdu_log
        )));
    }
    let exchanges = lines
        .map(|(number, line)| {
            let wrong = |why: String| LogError::Line {
                line: number + 1,
                why,
            };
            if line.len() > LONGEST_LINE {
                return Err(wrong("it is too long".to_owned()));
            }
            let exchange: Exchange =
                serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
            exchange.check().map_err(wrong)?;
            Ok(exchange)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((head, exchanges))
}

impl Exchange {
    /// The command's bytes: all of it, or its header.
    pub(super) fn command(&self) -> Vec<u8> {
        hex::decode(&self.c).unwrap_or_default()
    }

    /// The answer's bytes.
    pub(super) fn answer(&self) -> Vec<u8> {
        hex::decode(&self.a).unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        let command = hex::decode(&self.c).map_err(|error| format!("command: {error}"))?;
        let answer = hex::decode(&self.a).map_err(|error| format!("answer: {error}"))?;
        if command.len() < 4 {
            return Err("a command has at least four bytes".to_owned());
        }
        if answer.len() == 1 {
            return Err("an answer has at least two bytes".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(command: &str, answer: &str) -> Exchange {
        describe(
            &hex::decode(command).unwrap(),
            Some(&hex::decode(answer).unwrap()),
        )
    }

    #[test]
    fn pins_shares_and_keys_are_in_no_log() {
        for (command, secret) in [
            ("0020008106363438323139", "363438323139"),
            ("00200088083537363231383830", "3537363231383830"),
            ("002400810C363438323139313131313131", "313131313131"),
            ("002C00810E3537363231383830363438323139", "3537363231383830"),
            (
                "805000001C800200018106363438323139820835373632313838309101039201 01",
                "363438323139",
            ),
            (
                "8052000020000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F00",
                "0A0B0C0D",
            ),
            ("00D72F1008AABBCCDDEEFF0011", "AABBCCDD"),
            ("00D7CD0108AABBCCDDEEFF0011", "AABBCCDD"),
            ("00D7000008AABBCCDDEEFF0011", "AABBCCDD"),
            ("8074019308AABBCCDDEEFF0011", "AABBCCDD"),
            ("0C20008108AABBCCDDEEFF0011", "AABBCCDD"),
            ("8C52000008AABBCCDDEEFF0011", "AABBCCDD"),
            // No command at all, but perhaps a PIN in it.
            ("00200081FF363438323139", "363438323139"),
        ] {
            let exchange = logged(&command.replace(' ', ""), "9000");
            assert!(exchange.hidden, "{command}");
            assert_eq!(exchange.c.len(), 8, "{command}");
            assert!(
                !serde_json::to_string(&exchange).unwrap().contains(secret),
                "{command}"
            );
        }
        for (command, answer) in [
            ("8072019200", "AABBCCDD9000"),
            ("805A018100", "AABBCCDD9000"),
            ("8062018000", "AABBCCDD9000"),
            ("0084000008", "AABBCCDD9000"),
            ("00B1CD0104540200000000", "AABBCCDD9000"),
        ] {
            let exchange = logged(command, answer);
            assert_eq!(
                (exchange.a.as_str(), exchange.length),
                ("9000", Some(4)),
                "{command}"
            );
        }
    }

    #[test]
    fn questions_are_written_down_whole() {
        for command in [
            "00200081",
            "8052000000",
            "8050000000",
            "8054000004",
            "80580000000000",
        ] {
            let exchange = logged(command, "63C3");
            assert_eq!((exchange.c.as_str(), exchange.a.as_str()), (command, "63C3"));
            assert!(!exchange.hidden);
        }
    }

    #[test]
    fn a_log_is_read_line_by_line() {
        let head = r#"{"chancery_apdu_log":1,"device":"UTCHDAAAAAA","firmware":"4.1","options":1}"#;
        let good = format!("{head}\n{{\"c\":\"00200081\",\"a\":\"63C3\"}}\n\n");
        let (read, exchanges) = parse_log(good.as_bytes()).unwrap();
        assert_eq!((read.options, exchanges.len()), (Some(1), 1));
        for bad in [
            String::new(),
            "{}".to_owned(),
            head.replace(":1,", ":2,"),
            format!("{head}\nnonsense"),
            format!("{head}\n{{\"c\":\"0020\"}}"),
            format!("{head}\n{{\"c\":\"0020008\"}}"),
            format!("{head}\n{{\"c\":\"00200081\",\"a\":\"90\"}}"),
        ] {
            assert!(parse_log(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
