//! A line on the terminal for work that takes over a second.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// Shows what is being waited for until it is dropped; nothing in the first second, nothing when nobody looks.
pub(crate) struct Progress(Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>);

impl Progress {
    /// Begins waiting.
    pub(crate) fn start(what: &str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let what = chancery_agent::one_line(what);
        let (end, ended) = mpsc::channel();
        let shower = thread::spawn(move || {
            let mut seconds = 0_u32;
            while ended.recv_timeout(SECOND) == Err(RecvTimeoutError::Timeout) {
                seconds += 1;
                let _ = write!(io::stderr(), "\r\x1b[2K.. {what}, {seconds} s");
            }
            if seconds > 0 {
                let _ = write!(io::stderr(), "\r\x1b[2K");
            }
        });
        Self(Some((end, shower)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, shower)) = self.0.take() {
            drop(end);
            // It cannot panic; were it to, the line would only stay.
            let _ = shower.join();
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
