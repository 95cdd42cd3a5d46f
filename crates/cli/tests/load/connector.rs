//! The agent at an HSM's side: a process of its own that can be killed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::background::Background;

/// How long a process may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

type Told = Arc<(Mutex<Vec<String>>, Condvar)>;

/// An agent, or the place where one was killed.
pub(crate) struct Connector {
    running: Option<Background>,
    told: Told,
}

impl Connector {
    /// Starts one; its node need not know the token yet.
    pub(crate) fn start(command: Command) -> Self {
        let mut connector = Self {
            running: None,
            told: Told::default(),
        };
        connector.run(command);
        connector
    }

    /// Starts another one, and waits until its node talks to the token.
    pub(crate) fn again(&mut self, command: Command) {
        let before = self.told("connected");
        self.run(command);
        let connected = |told: &mut Vec<String>| count(told, "connected") <= before;
        let (told, timeout) = self
            .told
            .1
            .wait_timeout_while(self.told.0.lock().unwrap(), PATIENCE, connected)
            .unwrap();
        assert!(!timeout.timed_out(), "{told:?}");
    }

    fn run(&mut self, mut command: Command) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.running = Some(child.into());
        let told = Arc::clone(&self.told);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap();
                let name = event["event"].as_str().unwrap().to_owned();
                if name == "refused" || name == "ended" {
                    eprintln!("agent: {line}");
                }
                told.0.lock().unwrap().push(name);
                told.1.notify_all();
            }
        });
    }

    /// How often its agents told this.
    pub(crate) fn told(&self, event: &str) -> usize {
        count(&self.told.0.lock().unwrap(), event)
    }

    /// It is gone without a word.
    pub(crate) fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }
}

fn count(told: &[String], event: &str) -> usize {
    told.iter().filter(|name| *name == event).count()
}
