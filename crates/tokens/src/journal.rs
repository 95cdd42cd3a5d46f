//! What work of several steps has done so far, on disk, so that it can be finished or undone later.
//!
//! Each work has a file of its own, mode 0600, named by its id, such as `init-1`. The first line says what is to be done; every
//! step adds a line before it begins and one when it is done. A line counts once it is durable and ends with a line feed: what
//! a crash left of a line is dropped. A step that was begun and not done may or may not have happened: whoever finishes or
//! undoes the work looks at the token to find out. When the work is finished or undone its file is gone.
//!
//! Neither PINs nor shares nor keys in clear go into a journal: plans and details are written as they are given.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let now = 0;
//! use chancery_tokens::journal::{Begin, Journal};
//!
//! let journal = Journal::new("data/journal");
//! let mut work = journal.begin(&Begin { kind: "wrap", device: "DENK0404144", token: "DENK0404144", now }, &"the plan")?;
//! work.step("key 1", &(), || Ok::<_, std::io::Error>("blob.bin"))?;
//! work.finish()?;
//! # Ok(())
//! # }
//! ```

mod error;
mod file;
mod record;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use error::{JournalError, StepError};
pub use record::{Record, Step};

use file::{Line, LineFile};
use record::Head;

/// The journals of an installation: a directory.
#[derive(Clone, Debug)]
pub struct Journal {
    directory: PathBuf,
}

/// What is begun.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// Kind of work: lower case letters, as `init`; the first part of its id.
    pub kind: &'a str,
    /// Device id of the token.
    pub device: &'a str,
    /// What to call the token in a sentence.
    pub token: &'a str,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// Work under way: nobody else finishes or undoes it while this lives.
#[derive(Debug)]
pub struct Work {
    record: Record,
    file: LineFile,
}

impl Journal {
    /// In this directory, which is made when the first work begins.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Begins work. `plan` is what finishing it later needs to know; it must hold no secret.
    ///
    /// # Errors
    /// [`JournalError`]: the disk.
    pub fn begin(&self, begin: &Begin<'_>, plan: &impl Serialize) -> Result<Work, JournalError> {
        file::ensure_directory(&self.directory)?;
        let head = Head {
            version: Head::VERSION,
            kind: begin.kind.to_owned(),
            device: begin.device.to_owned(),
            token: begin.token.to_owned(),
            begun: begin.now,
            plan: to_value(plan)?,
        };
        for number in 1..=MOST_OPEN {
            let id = format!("{}-{number}", begin.kind);
            let path = self.path(&id);
            let Some(mut file) = LineFile::create(&path)? else {
                continue;
            };
            if let Err(error) = file.append(&Line::Head(head.clone())) {
                // Without its first line it is no journal.
                let _ = fs::remove_file(&path);
                return Err(error);
            }
            return Ok(Work {
                record: Record::new(id, head),
                file,
            });
        }
        Err(JournalError::TooMany {
            kind: begin.kind.to_owned(),
        })
    }

    /// Everything not finished, oldest first.
    ///
    /// # Errors
    /// [`JournalError`]: the disk, or a file that is no journal.
    pub fn list(&self) -> Result<Vec<Record>, JournalError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(JournalError::io("list", &self.directory)(error)),
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(JournalError::io("list", &self.directory))?.path();
            let Some(id) = id_of(&path) else { continue };
            match LineFile::open(&path)? {
                None => {}
                Some(opened) => {
                    let busy = opened.file.is_none();
                    if let Some(mut record) = Record::read(id, &path, opened.lines)? {
                        record.busy = busy;
                        records.push(record);
                    }
                }
            }
        }
        records.sort_by(|a, b| (a.begun, &a.id).cmp(&(b.begun, &b.id)));
        Ok(records)
    }

    /// Takes work up again: the one with this id, or the only one there is.
    ///
    /// # Errors
    /// [`JournalError::None`], [`JournalError::Several`], [`JournalError::NotFound`], [`JournalError::Busy`], or the disk.
    pub fn take(&self, id: Option<&str>) -> Result<Work, JournalError> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => {
                let mut all = self.list()?;
                match (all.pop(), all.is_empty()) {
                    (Some(only), true) => only.id,
                    (None, _) => return Err(JournalError::None),
                    (Some(last), false) => {
                        return Err(JournalError::Several {
                            ids: all.into_iter().chain([last]).map(|record| record.id).collect(),
                        });
                    }
                }
            }
        };
        let path = self.path(&id);
        if id_of(&path).as_deref() != Some(&id) {
            return Err(JournalError::NotFound { id });
        }
        let Some(opened) = LineFile::open(&path)? else {
            return Err(JournalError::NotFound { id });
        };
        let Some(file) = opened.file else {
            return Err(JournalError::Busy { id });
        };
        match Record::read(id.clone(), &path, opened.lines)? {
            Some(record) => Ok(Work { record, file }),
            None => Err(JournalError::NotFound { id }),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}{EXTENSION}"))
    }
}

impl Work {
    /// What is known of it.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Its id, by which it is taken up again.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Notes that a step begins. Durable when this returns.
    ///
    /// # Errors
    /// [`JournalError`]: the disk. The step must then not begin.
    pub fn begin_step(&mut self, name: &str, detail: &impl Serialize) -> Result<(), JournalError> {
        self.note(name, false, to_value(detail)?)
    }

    /// Notes that a step is done. Durable when this returns.
    ///
    /// # Errors
    /// [`JournalError`]: the disk.
    pub fn end_step(&mut self, name: &str, detail: &impl Serialize) -> Result<(), JournalError> {
        self.note(name, true, to_value(detail)?)
    }

    /// Notes that a step that was begun has not happened after all. Durable when this returns.
    ///
    /// # Errors
    /// [`JournalError`]: the disk.
    pub fn forget_step(&mut self, name: &str) -> Result<(), JournalError> {
        self.file.append(&Line::Forget(name.to_owned()))?;
        self.record.forget(name);
        Ok(())
    }

    /// Takes a step between its two notes; what it gives is noted with the second.
    ///
    /// # Errors
    /// [`StepError::Journal`] when it was not begun (or, done, could not be noted), [`StepError::Step`] when it failed.
    pub fn step<R: Serialize, E>(
        &mut self,
        name: &str,
        detail: &impl Serialize,
        step: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, StepError<E>> {
        self.begin_step(name, detail)?;
        let result = step().map_err(StepError::Step)?;
        self.end_step(name, &result)?;
        Ok(result)
    }

    /// The work is finished, or undone: its file goes.
    ///
    /// # Errors
    /// [`JournalError`]: the disk.
    pub fn finish(self) -> Result<(), JournalError> {
        self.file.remove()
    }

    fn note(&mut self, name: &str, done: bool, detail: Value) -> Result<(), JournalError> {
        let step = Step {
            name: name.to_owned(),
            done,
            detail,
        };
        self.file.append(&Line::Step(step.clone()))?;
        self.record.add(step);
        Ok(())
    }
}

fn to_value(value: &impl Serialize) -> Result<Value, JournalError> {
    serde_json::to_value(value).map_err(JournalError::Encode)
}

/// The id in a file's name: letters, digits and dashes.
fn id_of(path: &Path) -> Option<String> {
    let id = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!id.is_empty() && id.len() <= 64 && id.bytes().all(good)).then(|| id.to_owned())
}

/// Takes the lock of a journal; `false` when somebody has it, and is not merely looking.
fn lock(file: &File) -> io::Result<bool> {
    for attempt in 1..=ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// How often a lock is tried: who looks at all journals has each for a moment, and so has a process that is being started.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

const EXTENSION: &str = ".journal";

/// Most works of one kind that are open at once.
const MOST_OPEN: u32 = 999;

#[cfg(test)]
mod tests;
