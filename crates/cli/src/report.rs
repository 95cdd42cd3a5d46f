//! What a command answers with.

use std::io::{self, Write as _};

use chancery_agent::own_lines;
use chancery_api::FailureKind;
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;

/// An outcome, as text for people and as JSON for programs.
#[derive(Debug)]
pub(crate) struct Report {
    text: String,
    json: Value,
    code: u8,
    /// Whether the text is for another program, byte by byte.
    raw: bool,
}

impl Report {
    /// An outcome whose JSON is `view`.
    pub(crate) fn new<T: Serialize + ?Sized>(view: &T, text: impl Into<String>) -> Result<Self, CliError> {
        let json = serde_json::to_value(view).map_err(|error| {
            CliError::new(FailureKind::Internal, format!("the answer is no JSON: {error}"))
        })?;
        Ok(Self {
            text: text.into(),
            json,
            code: 0,
            raw: false,
        })
    }

    /// Text that is the output itself, such as PEM; its JSON is one string.
    pub(crate) fn raw(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            json: Value::String(text.clone()),
            text,
            code: 0,
            raw: true,
        }
    }

    /// All there is to say was said while the command ran.
    pub(crate) const fn told() -> Self {
        Self {
            text: String::new(),
            json: Value::Null,
            code: 0,
            raw: false,
        }
    }

    /// The command did what it was asked, and what it found deserves an exit code of its own.
    pub(crate) const fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The text, ending with a line feed unless it is empty. But for [`Report::raw`] no terminal obeys what is in it.
    pub(crate) fn text(&self) -> String {
        let text = if self.raw {
            self.text.clone()
        } else {
            own_lines(&self.text)
        };
        if text.is_empty() || text.ends_with('\n') {
            text
        } else {
            text + "\n"
        }
    }

    /// The exit code.
    pub(crate) const fn code(&self) -> u8 {
        self.code
    }

    /// Prints the outcome to standard output and returns the exit code. A reader that has gone away is no failure.
    pub(crate) fn print(&self, as_json: bool) -> u8 {
        let text = if as_json && self.json.is_null() {
            String::new()
        } else if as_json {
            format!("{:#}\n", self.json)
        } else {
            self.text()
        };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => self.code,
            Err(error) => CliError::Output(error).print(false),
        }
    }
}
