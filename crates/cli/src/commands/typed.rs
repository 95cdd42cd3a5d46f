//! Lines that somebody types.

use std::{
    fs::File,
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    os::fd::AsFd as _,
    path::Path,
};

use chancery_agent::{drop_typed, own_lines};

use crate::error::CliError;

/// Longest line, in bytes: what a terminal gives at most.
const LONGEST: usize = 4096;

/// Asks somebody at the terminal, who types a line; whether there is anybody has been looked at before. What was typed before the
/// question is shown answers nothing.
pub(super) fn typed_line(question: &str) -> Result<String, CliError> {
    if io::stdin().is_terminal() {
        drop_typed(io::stdin()).map_err(CliError::file("ask at", Path::new("the terminal")))?;
    }
    let mut shown = io::stderr().lock();
    // Who closed the stream is not asked.
    let _ = shown
        .write_all(own_lines(question).as_bytes())
        .and_then(|()| shown.flush());
    drop(shown);
    input_line()
}

/// The next line of standard input.
pub(super) fn input_line() -> Result<String, CliError> {
    let read = if io::stdin().is_terminal() {
        terminal_line()
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    };
    read.map_err(CliError::file("read from", Path::new("the terminal")))
}

/// The next line of the terminal, and no byte more: a buffer would keep what was typed before the next question.
fn terminal_line() -> io::Result<String> {
    let mut terminal = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match terminal.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if line.len() == LONGEST => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
            }
            Ok(_) => line.extend_from_slice(&byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if byte == *b"\n" {
            break;
        }
    }
    String::from_utf8(line)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "what was typed is no text"))
}
