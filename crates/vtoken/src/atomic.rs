//! Private files that appear whole or not at all, and are durable when a function here returns. For what stands beside
//! tokens; a token's own files go through [`Files`](crate::Files).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Makes a file, mode 0600.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is one: of two processes one succeeds. Others of the file system.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path)?;
    let done = write(&temporary, bytes).and_then(|()| fs::hard_link(&temporary, path));
    // The first error is the one that says why.
    let removed = fs::remove_file(&temporary);
    done?;
    removed?;
    sync_parent(path)
}

/// Makes or replaces a file, mode 0600.
///
/// # Errors
/// Those of the file system; the earlier file is as it was unless only the last flush failed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path)?;
    write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| {
            // The first error is the one that says why.
            let _ = fs::remove_file(&temporary);
        })?;
    sync_parent(path)
}

/// Makes the entries of the directory a path is in durable.
///
/// # Errors
/// Those of the file system.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name in the same directory that nobody else uses.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}", u64::from_be_bytes(random)));
    Ok(path.with_file_name(temporary))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_made_once_private_and_without_traces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"first").unwrap();
        assert_eq!(
            create(&path, b"second").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing temporary is left"
        );
    }

    #[test]
    fn a_file_is_replaced_whole_or_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // What cannot be replaced leaves nothing behind.
        let directory = dir.path().join("directory");
        fs::create_dir(&directory).unwrap();
        replace(&directory, b"new").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
