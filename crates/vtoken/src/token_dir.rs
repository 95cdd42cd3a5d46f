//! The directory of a token.
//!
//! | file | content |
//! |---|---|
//! | `lock` | locked while the token is open, see [`crate::lock`] |
//! | `key` | the data key, sealed, see [`crate::seal`] |
//! | `about` | name of the device and day of making, in clear, so that a list needs no key |
//! | `state.log` | all else, see [`crate::log`] |
//!
//! A directory is made under a name that starts with a dot and renamed when everything in it is durable, and
//! destroyed the other way round: under a token's name there is always a whole token.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_cvc::Reference;
use time::Date;
use time::macros::format_description;

use crate::cipher::{RootKey, random};
use crate::codec;
use crate::error::{ManageError, OpenError, StoreFailure};
use crate::files::Files;
use crate::lock::{Held, LockError};
use crate::log::Log;
use crate::name::TokenName;
use crate::seal::{AtRest, SEALED_KEY_LENGTH, hex};
use crate::state::State;

/// What stands in `about`. Not authenticated: it is a label until the device's certificates were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// Holder reference of the device certificate.
    pub(crate) device_id: Reference,
    /// Day of making.
    pub(crate) created: Date,
}

const LOCK: &str = "lock";
const KEY: &str = "key";
const ABOUT: &str = "about";
const ABOUT_TITLE: &str = "chancery virtual token 1";
/// Start of names of directories that are being made or destroyed.
const UNFINISHED: &str = ".unfinished-";

/// How often a directory in the making may be swept away before it could be locked.
const ATTEMPTS: u32 = 16;

/// Takes the lock of a token.
pub(crate) fn lock(files: &dyn Files, directory: &Path) -> Result<Held, OpenError> {
    // Without this look the lock file would be made in any directory that happens to be there.
    let key = directory.join(KEY);
    match files.read(&key, length_limit()) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(OpenError::NotFound(directory.to_owned()));
        }
        read => read.map_err(OpenError::doing("read", &key))?,
    };
    let path = directory.join(LOCK);
    files
        .lock(&path)
        .map_err(|error| OpenError::from_lock(error, &path))
}

/// Opens the data key of a token.
pub(crate) fn read_key(files: &dyn Files, directory: &Path, at_rest: &AtRest) -> Result<RootKey, OpenError> {
    let path = directory.join(KEY);
    let sealed = files
        .read(&path, length_limit())
        .map_err(OpenError::doing("read", &path))?;
    Ok(at_rest.unseal(&sealed)?)
}

/// Reads `about`; `None` where there is no token.
pub(crate) fn read_about(files: &dyn Files, directory: &Path) -> Result<Option<About>, ManageError> {
    let path = directory.join(ABOUT);
    let bytes = match files.read(&path, length_limit()) {
        Ok(bytes) => bytes,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(StoreFailure::doing("read", &path)(error).into()),
    };
    let about = str::from_utf8(&bytes).ok().and_then(About::parse);
    about.map(Some).ok_or_else(|| ManageError::Damaged {
        file: path,
        reason: "it is not the description of a token".to_owned(),
    })
}

/// The process that has a token open, if one has.
pub(crate) fn holder(files: &dyn Files, directory: &Path) -> Result<Option<u32>, ManageError> {
    let path = directory.join(LOCK);
    Ok(files
        .lock_holder(&path)
        .map_err(StoreFailure::doing("read", &path))?)
}

/// Makes a token: all of it, or nothing that [`list`](crate::list) would show.
pub(crate) fn create(
    files: &Arc<dyn Files>,
    tokens_dir: &Path,
    name: &TokenName,
    at_rest: &AtRest,
    made: &State,
    about: &About,
) -> Result<(), ManageError> {
    ensure_directory(files.as_ref(), tokens_dir)?;
    sweep(files.as_ref(), tokens_dir);
    let directory = tokens_dir.join(name.as_str());
    let staged = Staged::new(files.as_ref(), tokens_dir)?;
    let key = RootKey::random()?;
    staged.write(KEY, &at_rest.seal(&key)?)?;
    staged.write(ABOUT, about.to_text().as_bytes())?;
    let snapshot = codec::encode(&made.as_changes());
    Log::create(Arc::clone(files), &staged.path, key, &snapshot)?;
    staged.publish(&directory).map_err(|failure| match failure {
        Publish::Taken => ManageError::NameTaken(name.clone()),
        Publish::Store(failure) => failure.into(),
    })
}

/// Destroys a token that nobody has open.
pub(crate) fn destroy(files: &dyn Files, tokens_dir: &Path, name: &TokenName) -> Result<(), ManageError> {
    let directory = tokens_dir.join(name.as_str());
    let lock = lock(files, &directory).map_err(|error| match error {
        OpenError::InUse { pid } => ManageError::InUse {
            name: name.clone(),
            pid,
        },
        OpenError::Io { doing, path, source } => StoreFailure::Io { doing, path, source }.into(),
        OpenError::ReadOnly(path) => {
            StoreFailure::doing("lock", &path)(io::ErrorKind::ReadOnlyFilesystem.into()).into()
        }
        _ => ManageError::NotFound(name.clone()),
    })?;
    let going = tokens_dir.join(unfinished_name()?);
    files
        .rename(&directory, &going)
        .map_err(StoreFailure::doing("rename", &directory))?;
    files
        .sync_dir(tokens_dir)
        .map_err(StoreFailure::doing("sync", tokens_dir))?;
    files
        .remove(&going)
        .map_err(StoreFailure::doing("remove", &going))?;
    files
        .sync_dir(tokens_dir)
        .map_err(StoreFailure::doing("sync", tokens_dir))?;
    drop(lock);
    sweep(files, tokens_dir);
    Ok(())
}

/// Makes a directory, one level, unless it is there.
pub(crate) fn ensure_directory(files: &dyn Files, path: &Path) -> Result<(), StoreFailure> {
    match files.create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(StoreFailure::doing("create", path)(error));
        }
        _ => {}
    }
    // Also when it was there: whoever made it may have died before this.
    let parent = parent_of(path);
    files
        .sync_dir(parent)
        .map_err(StoreFailure::doing("sync", parent))
}

/// The directory a path is in.
pub(crate) fn parent_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// A directory in the making, locked so that nobody sweeps it away.
pub(crate) struct Staged<'a> {
    files: &'a dyn Files,
    path: PathBuf,
    parent: PathBuf,
    _lock: Held,
}

/// Why a directory did not get its name.
pub(crate) enum Publish {
    /// The name is taken.
    Taken,
    /// The disk failed.
    Store(StoreFailure),
}

impl From<StoreFailure> for Publish {
    fn from(failure: StoreFailure) -> Self {
        Self::Store(failure)
    }
}

impl<'a> Staged<'a> {
    /// An empty directory in `parent`.
    pub(crate) fn new(files: &'a dyn Files, parent: &Path) -> Result<Self, StoreFailure> {
        for _ in 0..ATTEMPTS {
            let path = parent.join(unfinished_name()?);
            files
                .create_dir(&path)
                .map_err(StoreFailure::doing("create", &path))?;
            let lock = match files.lock(&path.join(LOCK)) {
                Ok(lock) => lock,
                // Before it was locked somebody took it for a dead one and swept it away.
                Err(LockError::InUse { .. }) => continue,
                Err(LockError::Io(error)) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(LockError::Io(error)) => {
                    let _ = files.remove(&path);
                    return Err(StoreFailure::doing("lock", &path)(error));
                }
            };
            // Whoever sweeps holds the lock meanwhile: what is there now stays.
            if files.list(&path).is_ok() {
                return Ok(Self {
                    files,
                    path,
                    parent: parent.to_owned(),
                    _lock: lock,
                });
            }
        }
        Err(StoreFailure::doing("create a directory in", parent)(
            io::ErrorKind::ResourceBusy.into(),
        ))
    }

    /// Adds a file, durable but for its name.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), StoreFailure> {
        let path = self.path.join(name);
        let mut file = self
            .files
            .create(&path)
            .map_err(StoreFailure::doing("create", &path))?;
        file.write_at(0, content)
            .map_err(StoreFailure::doing("write", &path))?;
        file.sync().map_err(StoreFailure::doing("sync", &path))
    }

    /// Gives the directory its name, durably.
    pub(crate) fn publish(self, name: &Path) -> Result<(), Publish> {
        self.files
            .sync_dir(&self.path)
            .map_err(StoreFailure::doing("sync", &self.path))?;
        // A directory never replaces one that has files in it: two makers of one name cannot both succeed.
        self.files
            .rename(&self.path, name)
            .map_err(|error| match error.kind() {
                io::ErrorKind::DirectoryNotEmpty
                | io::ErrorKind::AlreadyExists
                | io::ErrorKind::NotADirectory => Publish::Taken,
                _ => StoreFailure::doing("rename", name)(error).into(),
            })?;
        Ok(self
            .files
            .sync_dir(&self.parent)
            .map_err(StoreFailure::doing("sync", &self.parent))?)
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // After publishing there is nothing under this name any more.
        let _ = self.files.remove(&self.path);
    }
}

/// Removes what died in the making or in destruction. Best effort: it is out of sight, and there is a next time.
pub(crate) fn sweep(files: &dyn Files, parent: &Path) {
    for name in files.list(parent).unwrap_or_default() {
        if !name.to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
            continue;
        }
        let path = parent.join(name);
        if matches!(files.lock_holder(&path.join(LOCK)), Ok(None))
            && let Ok(_lock) = files.lock(&path.join(LOCK))
        {
            let _ = files.remove(&path);
        }
    }
}

fn unfinished_name() -> Result<String, StoreFailure> {
    Ok(format!("{UNFINISHED}{}", hex(&random::<8>()?)))
}

/// No small file of a token is longer, in bytes.
fn length_limit() -> u64 {
    u64::try_from(SEALED_KEY_LENGTH).map_or(4096, |length| length.max(4096))
}

impl About {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != ABOUT_TITLE {
            return None;
        }
        let device_id = Reference::new(lines.next()?.strip_prefix("device ")?).ok()?;
        let day = lines.next()?.strip_prefix("made ")?;
        let created = Date::parse(day, format_description!("[year]-[month]-[day]")).ok()?;
        lines.next().is_none().then_some(Self { device_id, created })
    }

    fn to_text(&self) -> String {
        format!(
            "{ABOUT_TITLE}\ndevice {}\nmade {}\n",
            self.device_id, self.created
        )
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn about_is_read_back_and_nothing_else_is_taken() {
        let about = About {
            device_id: Reference::new("UTCHDABCDEF00000").unwrap(),
            created: date!(2026 - 01 - 09),
        };
        let text = about.to_text();
        assert_eq!(About::parse(&text), Some(about));
        for bad in [
            "",
            "chancery virtual token 2\n",
            &text.replace('-', "/"),
            &format!("{text}x\n"),
        ] {
            assert_eq!(About::parse(bad), None, "{bad:?}");
        }
    }
}
