//! Lines on the socket: calls in, replies out.

use std::{borrow::Cow, io};

use chancery_api::{Failure, FailureKind, MAX_MESSAGE, Method, PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::buffer::Buffer;

/// Takes lines out of a stream of bytes.
pub(crate) struct LineReader<R> {
    source: R,
    buffer: Buffer,
    /// So many bytes are known to hold no line feed.
    scanned: usize,
}

/// A line is longer than [`MAX_MESSAGE`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Bytes asked for in one read, and what a waiting connection keeps.
const CHUNK: usize = 16 * 1024;

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: Buffer::with_capacity(0),
            scanned: 0,
        }
    }

    /// Reads what there is; 0 at the end. Nothing is lost when this is cancelled.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.source.read_buf(self.buffer.room_for(CHUNK)).await
    }

    /// Length of the next line, line feed included, when it is complete.
    pub(crate) fn next_line(&mut self) -> Result<Option<usize>, TooLong> {
        let unseen = self.buffer.as_slice().get(self.scanned..).unwrap_or_default();
        let end = unseen.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(self.buffer.len(), |end| self.scanned + end + 1);
        if length > MAX_MESSAGE || (end.is_none() && length == MAX_MESSAGE) {
            return Err(TooLong);
        }
        if end.is_none() {
            self.scanned = length;
        }
        Ok(end.map(|_| length))
    }

    pub(crate) fn line(&self, length: usize) -> &[u8] {
        self.buffer.as_slice().get(..length).unwrap_or_default()
    }

    pub(crate) fn consume(&mut self, length: usize) {
        self.buffer.consume(length);
        self.scanned = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * CHUNK {
            self.buffer = Buffer::with_capacity(0);
        }
    }

    /// Whether no part of a line is waiting.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// A call as it was received; its parameters are read once the method is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceivedCall<'a> {
    v: u32,
    #[serde(borrow)]
    pub(crate) method: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) params: &'a RawValue,
}

/// The one member calls of every version have.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

impl<'a> ReceivedCall<'a> {
    /// Reads a line.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, Failure> {
        let call: Result<Self, _> = serde_json::from_slice(line);
        let version = match &call {
            Ok(call) => call.v,
            Err(_) => serde_json::from_slice::<Versioned>(line).map_or(PROTOCOL_VERSION, |call| call.v),
        };
        if version != PROTOCOL_VERSION {
            return Err(Failure::new(
                FailureKind::Version,
                format!("the call has version {version}, the node speaks {PROTOCOL_VERSION}"),
            )
            .with_remedy(format!(
                "use the program the node was started with, or end the node: kill {}",
                std::process::id()
            )));
        }
        call.map_err(|error| {
            Failure::new(
                FailureKind::Invalid,
                format!("the line is not a call: {}", without_values(&error)),
            )
        })
    }
}

/// Reads a method's parameters.
pub(crate) fn params<M: Method>(params: &RawValue) -> Result<M, Failure> {
    serde_json::from_str(params.get()).map_err(|error| {
        Failure::new(
            FailureKind::Invalid,
            format!(
                "the parameters of {} cannot be read: {}",
                M::NAME,
                without_values(&error)
            ),
        )
    })
}

/// The line that answers a successful call.
pub(crate) fn ok<T: Serialize>(reply: &T) -> Result<Buffer, Failure> {
    let line = line(&Answer::Ok(reply)).map_err(|error| {
        Failure::new(
            FailureKind::Internal,
            format!("the answer cannot be written: {error}"),
        )
    })?;
    if line.len() > MAX_MESSAGE {
        return Err(
            Failure::new(FailureKind::Invalid, "the answer is longer than a message may be")
                .with_remedy("ask for fewer at once"),
        );
    }
    Ok(line)
}

/// The line that answers a failed call.
pub(crate) fn failed(failure: &Failure) -> Buffer {
    line(&Answer::<()>::Failed(failure)).unwrap_or_else(|_| {
        let mut line = Buffer::with_capacity(0);
        line.push(b"{\"failed\":{\"kind\":\"internal\",\"message\":\"the failure cannot be written\"}}\n");
        line
    })
}

/// Writes one value and a line feed.
pub(crate) fn line<T: Serialize>(value: &T) -> serde_json::Result<Buffer> {
    let mut line = Buffer::with_capacity(1024);
    serde_json::to_writer(&mut line, value)?;
    line.push(b"\n");
    Ok(line)
}

/// [`chancery_api::Reply`] with the reply as it is.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answer<'a, T> {
    Ok(&'a T),
    Failed(&'a Failure),
}

/// What is wrong, without the text values that the reader quotes: one of them may be a PIN.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let mut shown = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => {
                if quoted {
                    shown.push_str("\"..\"");
                }
                quoted = !quoted;
            }
            _ if quoted => {}
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use chancery_api::{Call, Condition, HsmStatus, Perform, Reply};

    use super::*;

    #[tokio::test]
    async fn lines_come_out_whole_however_they_went_in() {
        let mut reader = LineReader::new(&b"one\n\ntwo\nhal"[..]);
        assert_eq!(reader.next_line(), Ok(None));
        assert!(reader.fill().await.unwrap() > 0);
        for expected in [&b"one\n"[..], b"\n", b"two\n"] {
            let length = reader.next_line().unwrap().unwrap();
            assert_eq!(reader.line(length), expected);
            reader.consume(length);
        }
        assert_eq!(reader.next_line(), Ok(None));
        assert!(!reader.is_empty());
        assert_eq!(reader.fill().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_longest_line_passes_and_a_longer_one_does_not() {
        for (length, fits) in [(MAX_MESSAGE - 1, true), (MAX_MESSAGE, false)] {
            let mut bytes = vec![b' '; length];
            bytes.push(b'\n');
            let mut reader = LineReader::new(bytes.as_slice());
            let outcome = loop {
                match reader.next_line() {
                    Ok(None) => assert!(reader.fill().await.unwrap() > 0),
                    other => break other,
                }
            };
            assert_eq!(outcome.is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn a_call_and_its_answers_are_those_of_the_interface() {
        let call = serde_json::to_vec(&Call::new(&HsmStatus { hsm: "hsm-a".into() }).unwrap()).unwrap();
        let call = ReceivedCall::parse(&call).unwrap();
        assert_eq!(call.method, "hsm.status");
        assert_eq!(params::<HsmStatus>(call.params).unwrap().hsm, "hsm-a");

        let reply: Reply = serde_json::from_slice(ok(&7).unwrap().as_slice()).unwrap();
        assert!(matches!(reply, Reply::Ok(value) if value == 7));
        let failure = Failure::blocked(
            "no",
            vec![Condition::new("quorum", "1 of 2", "unlock", vec!["eve".into()])],
        );
        let reply: Reply = serde_json::from_slice(failed(&failure).as_slice()).unwrap();
        assert!(matches!(reply, Reply::Failed(back) if back == failure));
    }

    #[test]
    fn another_version_is_told_from_nonsense() {
        let kind = |line: &str| ReceivedCall::parse(line.as_bytes()).unwrap_err().kind;
        assert_eq!(kind(r#"{"v":2,"method":"x","params":{}}"#), FailureKind::Version);
        assert_eq!(kind(r#"{"v":2,"verb":"x","id":9}"#), FailureKind::Version);
        for nonsense in [
            "",
            "{",
            "[]",
            "null",
            r#"{"v":1}"#,
            r#"{"v":1,"method":"x","params":{},"x":0}"#,
            "\u{0}",
        ] {
            assert_eq!(kind(nonsense), FailureKind::Invalid, "{nonsense:?}");
        }
        assert!(ReceivedCall::parse(b"\xff\xfe").is_err());
    }

    #[test]
    fn a_failure_never_repeats_a_pin() {
        let json = r#"{"act":{"payload":"","signature":""},"so_pins":"57621880\"quoted"}"#;
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let failure = params::<Perform>(&raw).unwrap_err();
        assert!(failure.message.contains("act.perform"), "{failure}");
        assert!(
            !failure.message.contains("5762") && !failure.message.contains("quoted"),
            "{failure}"
        );
    }
}
