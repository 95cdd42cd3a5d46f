//! The node's socket: where it is, how it is made, who may use it.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

/// Longest path a socket address holds, in bytes: `sun_path` of unix(7) without its final zero.
const LONGEST_PATH: usize = 107;
const NAME: &str = "node.sock";
const NEW_NAME: &str = "node.sock.new";
const OPEN_FILES: &str = "/proc/self/fd";

/// Makes the socket, mode 0600, in place of one that a dead node left. The caller holds the lock.
pub(crate) fn bind(directory: &Path) -> io::Result<UnixListener> {
    let new = directory.join(NEW_NAME);
    remove(&new)?;
    let listener = UnixListener::bind(Address::of(directory, NEW_NAME)?.path())?;
    fs::set_permissions(&new, PermissionsExt::from_mode(0o600))?;
    // Whoever connects finds the old socket, which refuses, or the new one in its final state.
    fs::rename(&new, directory.join(NAME))?;
    Ok(listener)
}

/// Takes the socket away. The caller holds the lock.
pub(crate) fn unbind(directory: &Path) -> io::Result<()> {
    remove(&directory.join(NAME))
}

/// Connects to the node; `None` when none listens.
pub(crate) fn connect(directory: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(Address::of(directory, NAME)?.path()) {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether a process of user `peer` may talk to a node of user `own`: the same user and the superuser may.
pub(crate) const fn allowed(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// A socket's path, however long that of its directory is.
struct Address {
    path: PathBuf,
    /// Keeps the short way to the directory open.
    _directory: Option<File>,
}

impl Address {
    fn of(directory: &Path, name: &str) -> io::Result<Self> {
        let path = directory.join(name);
        if path.as_os_str().len() <= LONGEST_PATH {
            return Ok(Self {
                path,
                _directory: None,
            });
        }
        if !Path::new(OPEN_FILES).is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the path has more than {LONGEST_PATH} bytes: use a data directory with a shorter one"
                ),
            ));
        }
        let directory = File::open(directory)?;
        let path = Path::new(OPEN_FILES)
            .join(directory.as_raw_fd().to_string())
            .join(name);
        Ok(Self {
            path,
            _directory: Some(directory),
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn only_the_owner_and_the_superuser_may_connect() {
        assert!(allowed(1000, 1000));
        assert!(allowed(0, 1000));
        assert!(allowed(0, 0));
        assert!(!allowed(1001, 1000));
        assert!(!allowed(1000, 0));
        assert!(!allowed(65534, 1000));
    }

    #[test]
    fn a_socket_is_private_replaces_a_dead_one_and_may_lie_deep() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120)).join("e".repeat(120));
        fs::create_dir_all(&deep).unwrap();
        for directory in [dir.path(), &deep] {
            assert!(connect(directory).unwrap().is_none());
            drop(bind(directory).unwrap());
            assert!(
                connect(directory).unwrap().is_none(),
                "nobody listens on what a dead node left"
            );
            let listener = bind(directory).unwrap();
            let mode = fs::metadata(directory.join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let mut client = connect(directory).unwrap().unwrap();
            client.write_all(b"x").unwrap();
            let mut byte = [0];
            listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
            assert_eq!(byte, *b"x");
            unbind(directory).unwrap();
            assert!(!directory.join(NEW_NAME).exists() && !directory.join(NAME).exists());
        }
    }
}
