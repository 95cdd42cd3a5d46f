//! Where the socket is, and that nobody else can put one there.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Longest path of a socket, in bytes: `sun_path` of unix(7) without its final zero.
pub const LONGEST_PATH: usize = 107;
/// While a socket is made it has this at the end of its name.
const NEW: &str = ".new";

/// Why a socket cannot be where it should.
#[derive(Debug, Error)]
pub enum SocketPathError {
    /// No socket can be there.
    #[error(
        "the path of the socket {} has {length} bytes, and a socket's path has at most {limit}: use a data directory \
         with a shorter path", .path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
        /// Longest path in bytes.
        limit: usize,
    },
    /// The directory is not this user's alone.
    #[error("{} is open to others (mode {mode:04o}) or belongs to another user ({owner}): chmod 700", .directory.display())]
    Exposed {
        /// The directory.
        directory: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
    },
    /// The disk.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Refuses a path that no socket can have; `reserve` bytes are kept free.
pub(super) fn check_length(path: &Path, reserve: usize) -> Result<(), SocketPathError> {
    let length = path.as_os_str().len();
    let limit = LONGEST_PATH - reserve;
    if length > limit {
        return Err(SocketPathError::TooLong {
            path: path.to_owned(),
            length,
            limit,
        });
    }
    Ok(())
}

/// The name under which a socket is made before it gets its own.
pub(super) fn name_while_made(path: &Path) -> Result<PathBuf, SocketPathError> {
    check_length(path, NEW.len())?;
    let mut name = path.as_os_str().to_owned();
    name.push(NEW);
    Ok(name.into())
}

/// Makes the directory of a socket, mode 0700, unless it is there and this user's alone.
pub(super) fn prepare_directory(path: &Path, own_uid: u32) -> Result<(), SocketPathError> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let doing = |doing| {
        move |source| SocketPathError::Io {
            doing,
            path: directory.to_owned(),
            source,
        }
    };
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(doing("make")(error)),
        _ => {}
    }
    let metadata = fs::metadata(directory).map_err(doing("look at"))?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 || metadata.uid() != own_uid {
        return Err(SocketPathError::Exposed {
            directory: directory.to_owned(),
            mode,
            owner: metadata.uid(),
        });
    }
    Ok(())
}

/// Removes a socket that a dead process left. Anything else under its name stays, and is an error.
pub(super) fn remove_socket(path: &Path) -> Result<(), SocketPathError> {
    let doing = |doing| {
        move |source| SocketPathError::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    };
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            fs::remove_file(path).map_err(doing("remove the socket"))
        }
        Ok(_) => Err(doing("make a socket in place of")(
            io::ErrorKind::AlreadyExists.into(),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(doing("look at")(error)),
    }
}

/// Lets the owner alone connect.
pub(super) fn make_private(path: &Path) -> Result<(), SocketPathError> {
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(|source| SocketPathError::Io {
        doing: "make private",
        path: path.to_owned(),
        source,
    })
}
