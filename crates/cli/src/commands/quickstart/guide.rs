//! Runs commands as if they were typed, and shows them.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use chancery_api::FailureKind;
use clap::Parser as _;

use crate::{cli::Cli, commands::input_line, context::Context, error::CliError, report::Report};

/// The one who types.
pub(super) struct Guide {
    pub(super) context: Context,
    directory: PathBuf,
    pub(super) json: bool,
    interactive: bool,
}

impl Guide {
    /// On a data directory.
    pub(super) fn new(directory: PathBuf, json: bool, interactive: bool) -> Self {
        Self {
            context: Context::at(directory.clone(), false),
            directory,
            json,
            interactive,
        }
    }

    /// The data directory as it was named.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file among what is given out.
    pub(super) fn out(&self, name: &str) -> PathBuf {
        self.directory.join("out").join(name)
    }

    /// Says a line: on standard output, or beside the JSON.
    pub(super) fn say(&self, text: impl AsRef<str>) -> Result<(), CliError> {
        let text = text.as_ref();
        if self.json {
            self.context.tell(text);
            return Ok(());
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .map_err(CliError::Output)
    }

    /// Begins a step.
    pub(super) fn step(&self, number: u8, title: &str, explanation: &str) -> Result<(), CliError> {
        self.say(format!("\n== {number}. {title} =="))?;
        if !self.interactive {
            return Ok(());
        }
        self.say(explanation)?;
        self.say("Press Enter to go on.")?;
        // Somebody may think for longer than the node waits.
        self.context.disconnect();
        input_line().map(drop)
    }

    /// Shows a command and runs it.
    pub(super) fn run(&self, words: &[&str]) -> Result<Report, CliError> {
        self.run_as(&typed(words), words, &self.context)
    }

    /// Shows a command of another machine, which has this data directory, and runs it there.
    pub(super) fn run_at(&self, machine: &Path, words: &[&str]) -> Result<Report, CliError> {
        self.run_as(
            &typed(&at(machine, words)),
            words,
            &Context::at(machine.to_owned(), false),
        )
    }

    fn run_as(&self, line: &str, words: &[&str], context: &Context) -> Result<Report, CliError> {
        self.say(format!("$ {line}"))?;
        let parsed = Cli::try_parse_from(std::iter::once("chancery").chain(words.iter().copied()));
        let cli = parsed.map_err(|error| CliError::new(FailureKind::Internal, error.to_string()))?;
        let report = cli.command.run(context)?;
        for line in report.text().lines() {
            self.say(format!("  {line}"))?;
        }
        if report.code() == 0 {
            return Ok(report);
        }
        Err(CliError::new(
            FailureKind::Refused,
            format!("{line} found what must not be"),
        ))
    }
}

/// The words of a command on another machine.
pub(super) fn at<'a>(machine: &'a Path, words: &[&'a str]) -> Vec<&'a str> {
    let directory = machine.to_str().unwrap_or_default();
    [&["--data-dir", directory], words].concat()
}

/// A command as it is typed, with the quotes a shell needs.
pub(super) fn typed(words: &[&str]) -> String {
    let mut line = "chancery".to_owned();
    for word in words {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    line
}

/// A word with the quotes a shell needs.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_a_shell_takes_them() {
        assert_eq!(typed(&["cert", "show", "#7"]), "chancery cert show '#7'");
        assert_eq!(
            typed(&["x", "CN=A B,O=C", "it's", ""]),
            r"chancery x 'CN=A B,O=C' 'it'\''s' ''"
        );
    }
}
