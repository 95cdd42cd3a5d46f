//! Processes beside the one that shows the steps.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chancery_api::FailureKind;
use rustix::process::{Pid, Signal, kill_process};

use super::guide::{Guide, at, quoted, typed};
use crate::error::CliError;

/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(50);

/// A process in the background, with its output in a file. It is ended when this is dropped.
pub(super) struct Background {
    child: Mutex<Option<Child>>,
    log: PathBuf,
    line: String,
}

impl Background {
    fn new(mut command: Command, log: PathBuf, line: String) -> Result<Self, CliError> {
        let failed = || CliError::file("write", &log);
        let out = File::create(&log).map_err(failed())?;
        let err = out.try_clone().map_err(failed())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(CliError::file("run", Path::new(&line)))?;
        Ok(Self {
            child: Mutex::new(Some(child)),
            log,
            line,
        })
    }

    /// What it wrote so far.
    pub(super) fn written(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Lets it go on when this process ends.
    pub(super) fn leave(self) {
        self.take();
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Waits until it ends, which it has to do with success.
    pub(super) fn succeeded(self) -> Result<(), CliError> {
        match self.wait() {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.failure(&format!("{} ended with {status}", self.line))),
            None => Err(self.failure(&format!("{} does not end", self.line))),
        }
    }

    /// Asks it to end, as a service manager does, and waits. (Where nobody is at a terminal, Ctrl-C may be ignored.)
    pub(super) fn end(self) -> Result<(), CliError> {
        self.terminate();
        match self.wait() {
            Some(_) => Ok(()),
            None => Err(self.failure(&format!("{} does not end", self.line))),
        }
    }

    /// A failure with what it wrote last.
    pub(super) fn failure(&self, what: &str) -> CliError {
        let written = self.written();
        let last = written
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("it wrote nothing");
        CliError::with_remedy(
            FailureKind::Unavailable,
            format!("{what}: {}", chancery_agent::one_line(last)),
            format!("all it wrote is in {}", self.log.display()),
        )
    }

    fn terminate(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = child
            .as_ref()
            .and_then(|child| i32::try_from(child.id()).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended already; its number is nobody else's before it is waited for.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    fn wait(&self) -> Option<ExitStatus> {
        let mut child = self.take()?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => std::thread::sleep(STEP),
                Err(_) => return None,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        None
    }

    fn take(&self) -> Option<Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut child) = self.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Guide {
    /// Shows a command and starts it in the background.
    pub(super) fn spawn(&self, words: &[&str], log: &str) -> Result<Background, CliError> {
        self.spawn_as(typed(words), words, self.directory(), log)
    }

    /// Shows a command of another machine, which has this data directory, and starts it in the background.
    pub(super) fn spawn_at(&self, machine: &Path, words: &[&str], log: &str) -> Result<Background, CliError> {
        self.spawn_as(typed(&at(machine, words)), words, machine, log)
    }

    fn spawn_as(
        &self,
        line: String,
        words: &[&str],
        directory: &Path,
        log: &str,
    ) -> Result<Background, CliError> {
        self.say(format!("$ {line} &"))?;
        let exe = std::env::current_exe().map_err(CliError::file("find", Path::new("this program")))?;
        let mut command = Command::new(exe);
        command.env("CHANCERY_DATA_DIR", directory).args(words);
        Background::new(command, self.out(log), line)
    }

    /// Shows a line for the shell and starts it in the background.
    pub(super) fn spawn_shell(
        &self,
        line: &str,
        surroundings: &[(&str, &Path)],
        log: &str,
    ) -> Result<Background, CliError> {
        for (name, value) in surroundings {
            self.say(format!(
                "$ export {name}={}",
                quoted(&value.display().to_string())
            ))?;
        }
        self.say(format!("$ {line} &"))?;
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("exec {line}"))
            .envs(surroundings.iter().copied());
        Background::new(command, self.out(log), line.to_owned())
    }

    /// Shows a line for the shell and runs it.
    pub(super) fn shell(&self, line: &str) -> Result<(), CliError> {
        self.say(format!("$ {line}"))?;
        let output = Command::new("sh")
            .arg("-c")
            .arg(line)
            .stdin(Stdio::null())
            .output()
            .map_err(CliError::file("run", Path::new("sh")))?;
        for written in [&output.stdout, &output.stderr] {
            for line in String::from_utf8_lossy(written).lines() {
                self.say(format!("  {line}"))?;
            }
        }
        if output.status.success() {
            return Ok(());
        }
        Err(CliError::new(
            FailureKind::Refused,
            format!("{line} ended with {}", output.status),
        ))
    }

    /// Whether the outcome is JSON.
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }
}
