//! Files of this user in folders that somebody else may have prepared: links are not followed, nothing of others is written to or
//! believed.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::{fs::OFlags, process::geteuid};

/// Opens a file that is this user's alone.
///
/// # Errors
/// It is not there, it is a link or no plain file, it is somebody else's, or others may use it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // A pipe in its place would be waited for.
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(careful.bits()).unwrap_or_default())
        .open(path)?;
    let found = file.metadata()?;
    if found.is_file() && is_mine(&found) && found.mode() & 0o077 == 0 {
        Ok(file)
    } else {
        Err(refused("the file is not this user's alone"))
    }
}

/// Puts a file of this user's alone into `folder`, which is made when it is not there: in one step, so that a reader sees the old
/// or the new one.
///
/// # Errors
/// The system's; or the folder, or the one it is in, belongs to somebody else or can be changed by others.
pub(crate) fn replace(folder: &Path, name: &OsStr, content: &[u8]) -> io::Result<()> {
    let around = folder.parent().filter(|path| !path.as_os_str().is_empty());
    for (folder, is_around) in [(around.unwrap_or_else(|| Path::new(".")), true), (folder, false)] {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if !is_safe(&fs::symlink_metadata(folder)?, is_around) {
            return Err(refused("the folder is not this user's alone"));
        }
    }
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut made = OsStr::new(".").to_owned();
    made.push(name);
    made.push(format!(".{}.{number}", std::process::id()));
    let made = folder.join(made);
    // Left over by a process that had our number.
    let _ = fs::remove_file(&made);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&made)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&made, folder.join(name)));
    if written.is_err() {
        let _ = fs::remove_file(&made);
    }
    written
}

/// A folder in which nobody else exchanges what is ours: our own, closed to others; around it also one of the system's, where
/// others may add but not remove (`/tmp`).
fn is_safe(folder: &Metadata, around: bool) -> bool {
    let closed = folder.mode() & 0o022 == 0;
    let of_system = folder.uid() == 0 && (closed || folder.mode() & 0o1000 != 0);
    folder.is_dir() && (is_mine(folder) && closed || around && of_system)
}

fn is_mine(found: &Metadata) -> bool {
    found.uid() == geteuid().as_raw()
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn name() -> &'static OsStr {
        OsStr::new("a.json")
    }

    #[test]
    fn a_link_is_neither_read_nor_written_through() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("chancery/pkcs11");
        replace(&folder, name(), b"old").unwrap();
        let victim = place.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        let path = folder.join("a.json");
        fs::remove_file(&path).unwrap();
        symlink(&victim, &path).unwrap();
        assert!(open(&path).is_err());
        // Every name that could be taken for the file in the making.
        for number in 0..64 {
            let guess = format!(".a.json.{}.{number}", std::process::id());
            symlink(&victim, folder.join(guess)).unwrap();
        }
        replace(&folder, name(), b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        let mut text = String::new();
        open(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "new");
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    }

    #[test]
    fn a_folder_of_somebody_else_or_a_link_to_one_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let elsewhere = place.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let linked = place.path().join("linked");
        symlink(&elsewhere, &linked).unwrap();
        assert!(replace(&linked, name(), b"x").is_err());
        assert!(replace(&linked.join("deeper"), name(), b"x").is_err());
        let open_to_all = place.path().join("open");
        for (path, mode) in [(open_to_all.clone(), 0o777), (open_to_all.join("deeper"), 0o700)] {
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(replace(&path, name(), b"x").is_err(), "{}", path.display());
        }
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        // Where everybody may put something, and only the owner take it away, a folder of one's own is safe.
        let shared = tempfile::tempdir_in("/tmp").unwrap();
        replace(shared.path(), name(), b"x").unwrap();
    }

    #[test]
    fn only_plain_files_of_our_own_are_read() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.json");
        fs::write(&path, "x").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o602, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open(&path).is_ok(), good, "{mode:o}");
        }
        assert!(open(place.path()).is_err());
        let pipe = place.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(open(&pipe).is_err(), "and nobody waits for a writer");
    }
}
