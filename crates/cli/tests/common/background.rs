//! Processes in the background that say lines, and end with the test at the latest.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything that should happen at once may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A process, and the lines it has said.
pub(crate) struct Background {
    child: Child,
    said: Arc<(Mutex<Said>, Condvar)>,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    /// Streams that may say more.
    open: usize,
}

impl Background {
    /// Starts it and waits for a line.
    #[track_caller]
    pub(crate) fn start(command: Command, ready: &str) -> Self {
        let process = Self::begin(command);
        process.says(ready);
        process
    }

    /// Starts it.
    pub(crate) fn begin(mut command: Command) -> Self {
        Self::from(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    /// Waits for a line with this in it, said before or now; the line.
    #[track_caller]
    pub(crate) fn says(&self, wanted: &str) -> String {
        let mut said = self.said.0.lock().unwrap();
        loop {
            if let Some(line) = said.lines.iter().find(|line| line.contains(wanted)) {
                return line.clone();
            }
            assert!(said.open > 0, "ended before it said {wanted:?}: {:?}", said.lines);
            let (more, late) = self.said.1.wait_timeout(said, PATIENCE).unwrap();
            said = more;
            assert!(!late.timed_out(), "never said {wanted:?}: {:?}", said.lines);
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.wait();
    }

    /// It is gone without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// A process that was started; what it says is read from those of its streams that are piped and nobody took.
impl From<Child> for Background {
    fn from(mut child: Child) -> Self {
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        let said = Arc::<(Mutex<Said>, Condvar)>::default();
        for stream in streams.into_iter().flatten() {
            said.0.lock().unwrap().open += 1;
            let said = Arc::clone(&said);
            // Read to the end, so that the process never waits for a reader.
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    said.0.lock().unwrap().lines.push(line);
                    said.1.notify_all();
                }
                said.0.lock().unwrap().open -= 1;
                said.1.notify_all();
            });
        }
        Self { child, said }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
