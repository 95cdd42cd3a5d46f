//! Public files that commands write.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chancery_api::FailureKind;
use uuid::Uuid;

use crate::{commands::token::opening::is_stream, error::CliError};

/// Whether [`write_output`] could write this file, found out before anything is asked or decided.
pub(super) fn check_output(path: &Path) -> Result<(), CliError> {
    if path.is_dir() {
        return Err(CliError::new(
            FailureKind::Invalid,
            format!("cannot write {}: it is a directory", path.display()),
        ));
    }
    if is_pipe_or_device(path) {
        // To open a pipe is to begin, and to close it is to end, what somebody reads there.
        return Ok(());
    }
    let (_, beside) = beside(path);
    open_new(&beside)
        .and_then(|_| fs::remove_file(&beside))
        .map_err(CliError::file("write", path))
}

/// Writes a public file whole or not at all: beside it, synced, renamed over it. A pipe or a device is written to, and stays what it is.
pub(super) fn write_output(path: &Path, content: &[u8]) -> Result<(), CliError> {
    if is_pipe_or_device(path) {
        return OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut stream| stream.write_all(content).and_then(|()| stream.flush()))
            .map_err(CliError::file("write", path));
    }
    let (directory, beside) = beside(path);
    let written = open_new(&beside).and_then(|mut file| {
        let written = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            // What was made here is of no use; the first error is the one that counts.
            let _ = fs::remove_file(&beside);
        }
        written
    });
    written
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(CliError::file("write", path))
}

/// Such as `/dev/stdout` and `/dev/null`, by whatever name.
fn is_pipe_or_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| is_stream(there.file_type()))
}

/// The directory of a file, and a name in it under which the file is written first: one that nobody knows before.
fn beside(path: &Path) -> (&Path, PathBuf) {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let mut beside = path.file_name().unwrap_or_default().to_owned();
    beside.push(format!(".{}.new", Uuid::new_v4().simple()));
    (directory, directory.join(beside))
}

/// Makes a file where nothing is, not even a link: others may write in the directory.
fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_written_whole_and_never_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), folder.path().join("link"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        symlink(folder.path().join("nothing"), folder.path().join("dangling")).unwrap();
        for planted in ["link", "dangling", "victim"] {
            let error = open_new(&folder.path().join(planted)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{planted}");
        }
        // A link where the file belongs gives way to the file.
        check_output(&link).unwrap();
        write_output(&link, b"card").unwrap();
        assert_eq!(fs::read(&link).unwrap(), b"card");
        assert!(!link.is_symlink());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            3,
            "nothing is left over"
        );
        assert!(!folder.path().join("nothing").exists());
        check_output(folder.path()).unwrap_err();
    }

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("null");
        symlink("/dev/null", &device).unwrap();
        check_output(&device).unwrap();
        write_output(&device, b"card").unwrap();
        assert!(device.is_symlink());
        assert!(is_pipe_or_device(Path::new("/dev/null")));
        // A pipe that somebody reads.
        let (mut reader, writer) = io::pipe().unwrap();
        let pipe = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        write_output(Path::new(&pipe), b"card").unwrap();
        drop(writer);
        let mut read = Vec::new();
        io::Read::read_to_end(&mut reader, &mut read).unwrap();
        assert_eq!(read, b"card");
    }
}
