//! A terminal with a program at it, and somebody who reads and types.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

/// How long a program may take to say what is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A terminal and the program at it.
pub(crate) struct Terminal {
    keyboard: File,
    process: Child,
    seen: Arc<Seen>,
    /// What was waited for lies before here.
    mark: usize,
}

#[derive(Default)]
struct Seen {
    state: Mutex<(Vec<u8>, bool)>,
    more: Condvar,
}

impl Terminal {
    /// Starts a program with a terminal of this size as its controlling terminal.
    pub(crate) fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let device = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let mut at_terminal = Command::new("setsid");
        at_terminal
            // Signals that whoever started the tests ignores are not ignored at a terminal.
            .args(["--ctty", "--wait", "env", "--default-signal"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm")
            .stdin(Stdio::from(device.try_clone().unwrap()))
            .stdout(Stdio::from(device.try_clone().unwrap()))
            .stderr(Stdio::from(device));
        if let Some(directory) = command.get_current_dir() {
            at_terminal.current_dir(directory);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => at_terminal.env(name, value),
                None => at_terminal.env_remove(name),
            };
        }
        let process = at_terminal.spawn().unwrap();
        drop(at_terminal);
        let seen = Arc::new(Seen::default());
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let fills = Arc::clone(&seen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The last program that closes the terminal ends this with an error. Linux may give that error before the last words: to who
            // was about to wait when they were written and the terminal closed. They come when it is read again.
            let mut errors = 0;
            while errors < 2 {
                let Ok(length @ 1..) = screen.read(&mut bytes) else {
                    errors += 1;
                    continue;
                };
                errors = 0;
                fills.state.lock().unwrap().0.extend_from_slice(&bytes[..length]);
                fills.more.notify_all();
            }
            fills.state.lock().unwrap().1 = true;
            fills.more.notify_all();
        });
        Self {
            keyboard,
            process,
            seen,
            mark: 0,
        }
    }

    /// Waits until this appears, after what was waited for before; gives what came up to its end.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut state = self.seen.state.lock().unwrap();
        loop {
            let new = String::from_utf8_lossy(&state.0[self.mark..]).into_owned();
            if let Some(place) = new.find(words) {
                let upto = place + words.len();
                self.mark += upto;
                return new[..upto].to_owned();
            }
            assert!(
                !state.1 && Instant::now() < end,
                "waited in vain for {words:?}: {new}"
            );
            state = self
                .seen
                .more
                .wait_timeout(state, Duration::from_secs(1))
                .unwrap()
                .0;
        }
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Presses a key.
    pub(crate) fn type_key(&mut self, key: u8) {
        self.keyboard.write_all(&[key]).unwrap();
    }

    /// Types a line once the terminal shows nothing of what is typed.
    #[track_caller]
    pub(crate) fn type_unseen(&mut self, line: &str) {
        self.wait_unseen();
        self.type_line(line);
    }

    /// Waits until the terminal shows nothing of what is typed.
    #[track_caller]
    pub(crate) fn wait_unseen(&self) {
        let end = Instant::now() + PATIENCE;
        while self.settings().local_modes.contains(LocalModes::ECHO) {
            assert!(Instant::now() < end, "what is typed is still shown");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The terminal's settings.
    pub(crate) fn settings(&self) -> Termios {
        tcgetattr(&self.keyboard).unwrap()
    }

    /// Waits for the end; exit code and everything that was on the screen.
    pub(crate) fn end(self) -> (i32, String) {
        let (code, text, _) = self.end_with_settings();
        (code, text)
    }

    /// Waits for the end; exit code, everything that was on the screen, and the settings in which the terminal was left.
    pub(crate) fn end_with_settings(mut self) -> (i32, String, Termios) {
        let mut state = self.seen.state.lock().unwrap();
        let end = Instant::now() + PATIENCE;
        while !state.1 {
            assert!(
                Instant::now() < end,
                "it does not end: {}",
                String::from_utf8_lossy(&state.0)
            );
            state = self
                .seen
                .more
                .wait_timeout(state, Duration::from_secs(1))
                .unwrap()
                .0;
        }
        let text = String::from_utf8_lossy(&state.0).into_owned();
        drop(state);
        let settings = self.settings();
        (self.process.wait().unwrap().code().unwrap_or(-1), text, settings)
    }

    /// The program's process; `setsid` has become it.
    pub(crate) fn process(&self) -> &Child {
        &self.process
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
