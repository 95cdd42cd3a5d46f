//! The machine secret: 32 random bytes in a file of the data directory, for its owner alone.
//!
//! It is the same file under which virtual tokens seal their keys; whoever is first makes it.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use chancery_vtoken::atomic;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why the machine secret cannot be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It is not there; what is sealed under it cannot be read again without it.
    #[error("the machine secret {} is missing: restore it from a backup", .0.display())]
    Missing(PathBuf),
    /// Others can read it.
    #[error("the machine secret {0} is readable by others (mode {mode:04o}): chmod 600 {0}", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It has the wrong size or is not a file.
    #[error("the machine secret {} is not a file of 32 bytes", .0.display())]
    Malformed(PathBuf),
    /// The disk, or the random source.
    #[error("cannot read or make the machine secret {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Length in bytes.
const LENGTH: usize = 32;

/// Reads the secret.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<[u8; LENGTH]>, SecretError> {
    let io = |source| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SecretError::Missing(path.to_owned()));
        }
        Err(error) => return Err(io(error)),
    };
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() || metadata.len() != LENGTH as u64 {
        return Err(SecretError::Malformed(path.to_owned()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut secret = Zeroizing::new([0; LENGTH]);
    file.read_exact(secret.as_mut_slice()).map_err(io)?;
    Ok(secret)
}

/// Reads the secret, and makes it when it is missing.
pub(crate) fn read_or_create(path: &Path) -> Result<Zeroizing<[u8; LENGTH]>, SecretError> {
    match read(path) {
        Err(SecretError::Missing(_)) => {}
        other => return other,
    }
    let io = |source| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    let mut secret = Zeroizing::new([0; LENGTH]);
    getrandom::fill(secret.as_mut_slice()).map_err(|error| io(io::Error::other(error)))?;
    match atomic::create(path, secret.as_slice()) {
        // Another process was faster: theirs is the secret.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(io(error)),
        Ok(()) => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_secret_is_made_once_and_never_by_reading() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("machine.secret");
        assert!(matches!(read(&path), Err(SecretError::Missing(_))));
        let made = read_or_create(&path).unwrap();
        assert_ne!(*made, [0; LENGTH]);
        assert_eq!(*read_or_create(&path).unwrap(), *made);
        assert_eq!(*read(&path).unwrap(), *made);
    }

    #[test]
    fn an_exposed_or_short_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("machine.secret");
        read_or_create(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o604)).unwrap();
        assert!(matches!(
            read(&path),
            Err(SecretError::Exposed { mode: 0o604, .. })
        ));
        std::fs::write(&path, [1; 31]).unwrap();
        assert!(matches!(read_or_create(&path), Err(SecretError::Malformed(_))));
    }
}
