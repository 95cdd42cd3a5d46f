//! A screen for one person's eyes: the terminal's alternate screen, which is wiped when it is left and keeps nothing to scroll back to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcgetwinsize, tcsetattr};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::terminal::{self, Kept, Unread};

/// Longest line that is read, in bytes.
const MOST_BYTES: usize = 4096;

const ENTER: &[u8] = b"\x1b[?1049h\x1b[2J\x1b[H";
const CLEAR: &[u8] = b"\x1b[2J\x1b[H";

/// No key (`_POSIX_VDISABLE`, IEEE Std 1003.1, 11.1.9).
const NO_KEY: u8 = 0;

/// Why nothing can be shown to one person alone.
#[derive(Debug, Error)]
pub enum ScreenError {
    /// This process has no terminal.
    #[error("there is no terminal to show a secret at: {0}")]
    NoTerminal(#[source] io::Error),
    /// The terminal cannot clear what it showed.
    #[error("this terminal (TERM={0}) has no screen that could be cleared after a secret was shown")]
    Plain(String),
    /// What is to be shown would be broken into pieces.
    #[error(
        "the terminal is {columns} columns by {rows} lines; {needed_columns} by {needed_rows} are needed to show a secret in one piece"
    )]
    TooSmall {
        /// Its columns.
        columns: u16,
        /// Its lines.
        rows: u16,
        /// Columns needed.
        needed_columns: u16,
        /// Lines needed.
        needed_rows: u16,
    },
    /// The terminal failed.
    #[error("the terminal failed")]
    Io(#[from] io::Error),
}

/// The alternate screen of this process's terminal, until it is dropped or a signal ends the process. Meanwhile no key suspends the
/// process: the shell would come back under a secret.
#[derive(Debug)]
pub struct PrivateScreen {
    terminal: File,
    /// Gives the terminal its settings back, after the screen is left.
    _kept: Kept,
}

impl PrivateScreen {
    /// Whether there is a terminal with a screen of this size; shows nothing.
    ///
    /// # Errors
    /// [`ScreenError`].
    pub fn check(columns: u16, rows: u16) -> Result<(), ScreenError> {
        terminal_of(columns, rows).map(drop)
    }

    /// Goes to the alternate screen.
    ///
    /// # Errors
    /// [`ScreenError`].
    pub fn open(columns: u16, rows: u16) -> Result<Self, ScreenError> {
        let terminal = terminal_of(columns, rows)?;
        terminal::watch()?;
        let kept = Kept::of(&terminal, Unread::Dropped)?;
        let mut screen = Self {
            terminal,
            _kept: kept,
        };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> io::Result<()> {
        let mut undo = terminal::hold();
        let mut settings = tcgetattr(&self.terminal)?;
        settings.special_codes[SpecialCodeIndex::VSUSP] = NO_KEY;
        tcsetattr(&self.terminal, OptionalActions::Now, &settings)?;
        undo.screen = true;
        self.terminal.write_all(ENTER)
    }

    /// Clears the screen and shows this text.
    ///
    /// # Errors
    /// The terminal failed.
    pub fn show(&mut self, text: &str) -> io::Result<()> {
        let _held = terminal::hold();
        self.terminal.write_all(CLEAR)?;
        self.terminal.write_all(text.as_bytes())?;
        self.terminal.flush()
    }

    /// Shows a prompt and reads a line, without its end. What is typed is seen when `seen` says so.
    ///
    /// # Errors
    /// The terminal failed or came to its end ([`io::ErrorKind::UnexpectedEof`]).
    pub fn ask(&mut self, prompt: &str, seen: bool) -> io::Result<Zeroizing<String>> {
        {
            let _held = terminal::hold();
            // First of all, and not undone before somebody is asked for something that may be seen: a paste goes on between two lines.
            let mut settings = tcgetattr(&self.terminal)?;
            settings.local_modes.set(LocalModes::ECHO, seen);
            tcsetattr(&self.terminal, OptionalActions::Now, &settings)?;
            self.terminal.write_all(prompt.as_bytes())?;
            self.terminal.flush()?;
        }
        let line = self.line();
        if !seen {
            let _held = terminal::hold();
            self.terminal.write_all(b"\n")?;
        }
        line
    }

    fn line(&mut self) -> io::Result<Zeroizing<String>> {
        // As large as it gets from the start: a buffer that grows leaves what it held in freed memory.
        let mut line = Zeroizing::new(Vec::with_capacity(MOST_BYTES));
        let mut byte = Zeroizing::new([0]);
        loop {
            match self.terminal.read(byte.as_mut_slice()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if byte.as_slice() == b"\n" => break,
                Ok(_) if line.len() < MOST_BYTES => line.extend_from_slice(byte.as_slice()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        std::str::from_utf8(&line)
            .map(|line| Zeroizing::new(line.trim_end_matches('\r').to_owned()))
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "what was typed is no text"))
    }
}

impl Drop for PrivateScreen {
    fn drop(&mut self) {
        terminal::hold().leave();
    }
}

fn terminal_of(needed_columns: u16, needed_rows: u16) -> Result<File, ScreenError> {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(ScreenError::NoTerminal)?;
    let kind = std::env::var("TERM").unwrap_or_default();
    if kind.is_empty() || kind == "dumb" {
        return Err(ScreenError::Plain(kind));
    }
    let size = tcgetwinsize(&terminal).map_err(io::Error::from)?;
    let (columns, rows) = (size.ws_col, size.ws_row);
    // A terminal that does not know its size says zero.
    let fits = |have, needed| have == 0 || have >= needed;
    if fits(columns, needed_columns) && fits(rows, needed_rows) {
        Ok(terminal)
    } else {
        Err(ScreenError::TooSmall {
            columns,
            rows,
            needed_columns,
            needed_rows,
        })
    }
}
