//! The program `chancery` on a data directory of its own.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(50);

/// The program, and where it works.
pub(super) struct Program {
    program: PathBuf,
    pub(super) directory: PathBuf,
}

/// A process in the background, ended with this value.
pub(super) struct Background(Child);

impl Program {
    /// The program beside this one, in an empty directory.
    pub(super) fn new(directory: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("chancery");
        ensure!(
            program.is_file(),
            "{} is not there: cargo build --release -p chancery-cli",
            program.display()
        );
        Ok(Self {
            program,
            directory: fs::canonicalize(directory)?,
        })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.directory)
            .env("CHANCERY_DATA_DIR", self.data())
            .stdin(Stdio::null())
            .args(words);
        command
    }

    /// Runs a command, which has to succeed.
    pub(super) fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.command(words).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            bail!("chancery {}: {}", words.join(" "), text(&output.stderr));
        }
        Ok(text(&output.stdout))
    }

    /// The JSON of a command.
    pub(super) fn json(&self, words: &[&str]) -> anyhow::Result<Value> {
        let text = self.run(&[words, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("chancery {}", words.join(" ")))
    }

    /// Starts a command that goes on.
    pub(super) fn start(&self, words: &[&str], log: &str) -> anyhow::Result<Background> {
        let log = File::create(self.directory.join(log))?;
        let child = self.command(words).stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Background(child))
    }
}

impl Background {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It keeps nothing that is looked at afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for something that happens by itself.
pub(super) fn until(what: &str, mut happened: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let began = Instant::now();
    while !happened()? {
        ensure!(
            began.elapsed() < PATIENCE,
            "waited {} s, and still not: {what}",
            PATIENCE.as_secs()
        );
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Addresses nobody listens on.
pub(super) fn free_addresses() -> anyhow::Result<[String; 2]> {
    // Both are held until both are known, so that they differ.
    let first = TcpListener::bind("127.0.0.1:0")?;
    let second = TcpListener::bind("127.0.0.1:0")?;
    Ok([first.local_addr()?.to_string(), second.local_addr()?.to_string()])
}
