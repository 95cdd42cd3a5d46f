//! What a plugging process says while it runs: lines for people on standard error, or JSON, one object a line, on standard
//! output.

use std::io::{self, Write as _};

use serde::Serialize;

/// Says lines.
#[derive(Clone, Copy)]
pub(super) struct Teller {
    json: bool,
}

/// Something that happened.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    /// Stable name of what happened.
    event: &'static str,
    /// The token concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    /// The port of its slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The same for people.
    text: String,
}

impl Teller {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(super) fn tell(self, line: &Line<'_>) {
        // Who closed the stream does not want to know.
        if self.json {
            let _ = serde_json::to_string(line)
                .map_err(io::Error::other)
                .and_then(|line| writeln!(io::stdout().lock(), "{line}"));
        } else if let Some(token) = line.token {
            let _ = writeln!(io::stderr().lock(), "{token}: {}", line.text);
        } else {
            let _ = writeln!(io::stderr().lock(), "{}", line.text);
        }
    }
}

impl<'a> Line<'a> {
    pub(super) fn new(event: &'static str, text: impl Into<String>) -> Self {
        Self {
            event,
            token: None,
            port: None,
            text: text.into(),
        }
    }

    pub(super) fn token(mut self, name: &'a str) -> Self {
        self.token = Some(name);
        self
    }

    pub(super) fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }
}
