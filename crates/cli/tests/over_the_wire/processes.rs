//! Processes that end with the test at the latest.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, Stdio},
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
    said: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Background {
    /// Starts it and waits for a line.
    pub(crate) fn start(mut command: Command, ready: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let said = Arc::clone(&said);
            // Read to the end, so that the process never waits for a reader.
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    said.0.lock().unwrap().push(line);
                    said.1.notify_all();
                }
            });
        }
        let process = Self { child, said };
        process.says(ready);
        process
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for a line with this in it; the line.
    pub(crate) fn says(&self, wanted: &str) -> String {
        let mut said = self.said.0.lock().unwrap();
        loop {
            if let Some(line) = said.iter().find(|line| line.contains(wanted)) {
                return line.clone();
            }
            let (lines, late) = self.said.1.wait_timeout(said, PATIENCE).unwrap();
            assert!(!late.timed_out(), "never said {wanted:?}: {lines:?}");
            said = lines;
        }
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
