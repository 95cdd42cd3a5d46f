//! What people are told: most programs show nothing of why the module refused.

use std::{
    fs::OpenOptions,
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
};

/// Lines for the person at the terminal. A reason is written when it is known, and once more when the process ends, so that it
/// is the last line after whatever the program itself says.
pub struct Notices {
    quiet: bool,
    last: Mutex<Option<String>>,
}

/// Every line begins with it.
const NAME: &str = "chancery-pkcs11: ";
/// Of the process, where it has one.
const TERMINAL: &str = "/dev/tty";

impl Notices {
    /// To standard error, or to nobody.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            last: Mutex::default(),
        }
    }

    /// Writes one line.
    pub fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        let line = format!("{NAME}{}\n", on_one_line(line));
        let mut standard = std::io::stderr();
        // Where standard error is closed there is nobody to tell.
        let _ = standard.write_all(line.as_bytes());
        // A person whose program writes its errors elsewhere sits at the terminal all the same.
        if !standard.is_terminal()
            && let Ok(mut terminal) = OpenOptions::new().write(true).open(TERMINAL)
        {
            let _ = terminal.write_all(line.as_bytes());
        }
    }

    /// Writes the reason of a failure, and keeps it for the last line.
    pub fn tell(&self, reason: &str) {
        self.say(reason);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }

    /// What failed has gone well meanwhile.
    pub fn forget(&self) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Writes the reason that was kept, once.
    pub fn repeat(&self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reason) = last {
            self.say(&reason);
        }
    }
}

/// Foreign text cannot pretend to be another line, nor command a terminal.
fn on_one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notices")
    }
}
