//! Starting a node in the background when none answers.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use chancery_api::{Failure, FailureKind};
use thiserror::Error;

use crate::{
    client::{Client, ClientError, POLL},
    layout::{DataDir, LayoutError},
};

/// Exit code of a node that found another on its data directory: that of a conflict.
pub const EXIT_IN_USE: u8 = FailureKind::Conflict.exit_code();

/// Why no node could be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The program cannot be run.
    #[error("cannot run {}", .exe.display())]
    Spawn {
        /// The program.
        exe: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The log cannot be written.
    #[error("cannot use the node's log {}", .path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The node ended at once.
    #[error("the node did not start ({status}): {said}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        said: String,
    },
    /// The node does not answer.
    #[error("no node answers after {seconds} s ({holder}): {said}")]
    Silent {
        /// How long was waited.
        seconds: u64,
        /// Who has the data directory.
        holder: String,
        /// The last lines the started node wrote.
        said: String,
    },
    /// The connection to a node that is there, or the data directory.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl From<LayoutError> for StartError {
    fn from(error: LayoutError) -> Self {
        Self::Client(error.into())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let message = match &error {
            StartError::Client(_) => String::new(),
            StartError::Spawn { source, .. } | StartError::Log { source, .. } => format!("{error}: {source}"),
            StartError::Ended { .. } | StartError::Silent { .. } => error.to_string(),
        };
        match error {
            StartError::Client(error) => error.into(),
            _ => Self::new(FailureKind::Unavailable, message)
                .with_remedy("chancery serve runs the node in the foreground and shows why"),
        }
    }
}

/// How long a node may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often to start again after finding the directory in use by a node that was about to end.
const STARTS: u32 = 5;
/// A log that is longer, in bytes, is put aside (`node.log.1`) before the next node writes.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;
/// How much of the log is shown: bytes, lines.
const SHOWN_BYTES: u64 = 4096;
const SHOWN_LINES: usize = 12;
/// How the line begins in which a program says why it ends; from there on it is shown, without the log before it.
const LAST_WORDS: &str = "chancery: ";

/// Connects to the node of a data directory, and starts one in the background when there is none: `exe` with `args`, which has
/// to call [`crate::serve`] with `background` set and end with [`crate::ServeError::exit_code`]. Its output goes to the node's
/// log, its working directory is the data directory: paths in `args` must be absolute.
///
/// Two that do this at once end with the same node: the started one that finds the directory in use gives up, and its
/// starter waits for the other.
///
/// # Errors
/// [`StartError`] with the last lines the node wrote.
pub fn ensure_running(
    directory: &DataDir,
    exe: &Path,
    args: &[impl AsRef<OsStr>],
) -> Result<Client, StartError> {
    let deadline = Instant::now() + PATIENCE;
    let mut running: Option<Started> = None;
    let mut starts = 0;
    loop {
        if let Some(client) = Client::attempt(directory)? {
            if let Some(started) = running {
                started.let_go();
            }
            return Ok(client);
        }
        if let Some(started) = &mut running
            && let Some(status) = started.ended()?
        {
            if status.code() != Some(i32::from(EXIT_IN_USE)) || starts >= STARTS {
                let said = started.said();
                // It may have been another's node that answers now.
                return match Client::attempt(directory)? {
                    Some(client) => Ok(client),
                    None => Err(StartError::Ended { status, said }),
                };
            }
            if directory.node()?.is_none() {
                running = None;
            }
        } else if running.is_none() {
            running = Some(Started::start(directory, exe, args)?);
            starts += 1;
        }
        if Instant::now() >= deadline {
            let holder = match directory.node()? {
                Some(pid) => format!("process {pid} has the data directory"),
                None => "nobody has the data directory".to_owned(),
            };
            let said = running.as_ref().map(Started::said).unwrap_or_default();
            return Err(StartError::Silent {
                seconds: PATIENCE.as_secs(),
                holder,
                said,
            });
        }
        std::thread::sleep(POLL);
    }
}

/// A node that was started here.
struct Started {
    child: Child,
    exe: PathBuf,
    log: PathBuf,
    /// Where its part of the log begins.
    from: u64,
}

impl Started {
    fn start(directory: &DataDir, exe: &Path, args: &[impl AsRef<OsStr>]) -> Result<Self, StartError> {
        let log = directory.log();
        let (out, from) = open_log(&log).map_err(|source| StartError::Log {
            path: log.clone(),
            source,
        })?;
        let err = out.try_clone().map_err(|source| StartError::Log {
            path: log.clone(),
            source,
        })?;
        let child = Command::new(exe)
            .args(args)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| StartError::Spawn {
                exe: exe.to_owned(),
                source,
            })?;
        Ok(Self {
            child,
            exe: exe.to_owned(),
            log,
            from,
        })
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, StartError> {
        self.child.try_wait().map_err(|source| StartError::Spawn {
            exe: self.exe.clone(),
            source,
        })
    }

    /// The last lines it wrote.
    fn said(&self) -> String {
        tail(&self.log, self.from).unwrap_or_else(|_| format!("{} cannot be read", self.log.display()))
    }

    /// Leaves it running. Should it end before this process, nothing of it stays.
    fn let_go(mut self) {
        std::thread::spawn(move || self.child.wait());
    }
}

fn open_log(path: &Path) -> io::Result<(File, u64)> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

fn tail(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        from.max(end.saturating_sub(SHOWN_BYTES)).min(end),
    ))?;
    let mut bytes = Vec::new();
    file.take(SHOWN_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if let Some(at) = lines.iter().rposition(|line| line.starts_with(LAST_WORDS)) {
        let words = lines.get(at..).unwrap_or_default().join("\n");
        return Ok(words.strip_prefix(LAST_WORDS).unwrap_or(&words).to_owned());
    }
    let shown = lines
        .get(lines.len().saturating_sub(SHOWN_LINES)..)
        .unwrap_or_default();
    if shown.is_empty() {
        return Ok("it wrote nothing".to_owned());
    }
    Ok(shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_log_is_that_of_this_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        fs::write(&path, "of an earlier start\n").unwrap();
        let (_, from) = open_log(&path).unwrap();
        assert_eq!(tail(&path, from).unwrap(), "it wrote nothing");
        let lines: String = (0..100).map(|n| format!("line {n}\n\n")).collect();
        fs::write(&path, format!("of an earlier start\n{lines}")).unwrap();
        let shown = tail(&path, from).unwrap();
        assert_eq!(shown.lines().count(), SHOWN_LINES);
        assert!(
            shown.starts_with("line 88") && shown.ends_with("line 99"),
            "{shown}"
        );
        fs::write(&path, "10:00 INFO line\nchancery: the reason\n  do: the remedy\n").unwrap();
        assert_eq!(tail(&path, 0).unwrap(), "the reason\n  do: the remedy");
    }

    #[test]
    fn a_long_log_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        File::create(&path).unwrap().set_len(LOG_LIMIT + 1).unwrap();
        assert_eq!(open_log(&path).unwrap().1, 0);
        assert!(dir.path().join("node.log.1").exists());
    }

    #[test]
    fn a_program_that_is_missing_or_fails_is_reported_with_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::create(&dir.path().join("data")).unwrap();
        let none: [&str; 0] = [];
        assert!(matches!(
            ensure_running(&data, Path::new("/nonexistent/program"), &none),
            Err(StartError::Spawn { .. })
        ));
        let script = ["-c", "echo first; echo the reason >&2; exit 3"];
        let error = ensure_running(&data, Path::new("/bin/sh"), &script).unwrap_err();
        assert!(matches!(&error, StartError::Ended { status, .. } if status.code() == Some(3)));
        assert!(error.to_string().ends_with("first\nthe reason"), "{error}");
        assert_eq!(Failure::from(error).kind, FailureKind::Unavailable);
    }
}
