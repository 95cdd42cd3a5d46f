//! The data directory: what is where, and what it says about itself.
//!
//! | name | content | written by |
//! |---|---|---|
//! | `installation.json` | the pinned first manager: what all rights go back to | `init`, once |
//! | `center.db` | the database | the node |
//! | `node.sock`, `node.lock`, `node.log` | socket, lock with process id, log | the node |
//! | `audit.key` | the key that signs the audit log's head, sealed | the node |
//! | `machine.secret` | 32 random bytes under which keys at rest are sealed | whoever is first |
//! | `tokens/`, `factory/` | virtual tokens and what made them | `vtoken` |
//! | `network.toml` | where the node listens on the network | `serve` |
//! | `network/` | the node's own TLS key and certificate | the node |
//! | `out/` | what was exported | the command line |

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use chancery_api::Installation;
use chancery_vtoken::{AtRest, LockFile, atomic};
use thiserror::Error;

use crate::system;

/// A data directory that is there and belongs to its owner alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir(PathBuf);

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// There is no such directory.
    #[error("there is no data directory {}: chancery init makes one", .0.display())]
    Missing(PathBuf),
    /// The path is something else.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Others may look into it.
    #[error("data directory {0} is open to others (mode {mode:04o}): chmod 700 {0}", .path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user.
    #[error("data directory {} belongs to user {owner}, this is user {user}", .path.display())]
    OtherOwner {
        /// The directory.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// User id of this process.
        user: u32,
    },
    /// `installation.json` is not there.
    #[error("{} is not initialised: chancery init does that", .0.display())]
    NotInitialised(PathBuf),
    /// `installation.json` is not there, and what a node writes is.
    #[error("{}/installation.json is missing beside a database: restore it from a backup", .0.display())]
    InstallationMissing(PathBuf),
    /// `installation.json` is there.
    #[error("{} is initialised already; what it pins is never replaced", .0.display())]
    AlreadyInitialised(PathBuf),
    /// `installation.json` cannot be understood.
    #[error("{} is damaged: restore it from a backup, without it nobody has any right", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// `installation.json` was written by a later version of this program.
    #[error("{} has version {version}, which this version does not know", .path.display())]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
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

/// Largest `installation.json` read, in bytes. A real one has about 10 000.
const INSTALLATION_LIMIT: u64 = 1024 * 1024;
const INSTALLATION_VERSION: u32 = 1;

impl DataDir {
    /// Takes a directory that is there.
    ///
    /// # Errors
    /// When it is missing, open to others, or belongs to another user (the superuser may use anybody's).
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LayoutError::Missing(path.to_owned()));
            }
            Err(error) => return Err(doing("look at", path)(error)),
        };
        let metadata = fs::metadata(&path).map_err(doing("look at", &path))?;
        if !metadata.is_dir() {
            return Err(LayoutError::NotADirectory(path));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(LayoutError::Exposed { path, mode });
        }
        let user = system::user_id();
        if user != 0 && metadata.uid() != user {
            return Err(LayoutError::OtherOwner {
                path,
                owner: metadata.uid(),
                user,
            });
        }
        Ok(Self(path))
    }

    /// Takes a directory, and makes it (mode 0700, parents too) when it is missing.
    ///
    /// # Errors
    /// As [`DataDir::open`], and when it cannot be made.
    pub fn create(path: &Path) -> Result<Self, LayoutError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(doing("make", path))?;
        let directory = Self::open(path)?;
        atomic::sync_parent(&directory.0).map_err(doing("sync", &directory.0))?;
        Ok(directory)
    }

    /// The directory, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the directory says about itself.
    #[must_use]
    pub fn installation_file(&self) -> PathBuf {
        self.0.join("installation.json")
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join("center.db")
    }

    /// The node's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("node.sock")
    }

    /// The node's lock.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("node.lock")
    }

    /// The log of a node that runs in the background.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("node.log")
    }

    /// The key that signs the head of the audit log, sealed.
    #[must_use]
    pub fn audit_key(&self) -> PathBuf {
        self.0.join("audit.key")
    }

    /// The secret under which keys at rest are sealed.
    #[must_use]
    pub fn machine_secret(&self) -> PathBuf {
        self.0.join("machine.secret")
    }

    /// The virtual tokens, a directory each.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.0.join("tokens")
    }

    /// The factory of the virtual tokens.
    #[must_use]
    pub fn factory(&self) -> PathBuf {
        self.0.join("factory")
    }

    /// The node's own TLS key and certificate.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.0.join("network")
    }

    /// Where the node listens on the network.
    #[must_use]
    pub fn network_settings(&self) -> PathBuf {
        self.0.join("network.toml")
    }

    /// What was exported.
    #[must_use]
    pub fn out(&self) -> PathBuf {
        self.0.join("out")
    }

    /// How keys at rest are sealed unless a passphrase is asked for: under the machine secret.
    #[must_use]
    pub fn at_rest(&self) -> AtRest {
        AtRest::MachineSecret(self.machine_secret())
    }

    /// Process id of the node, 0 when it is not known yet; `None` when no node runs.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub fn node(&self) -> Result<Option<u32>, LayoutError> {
        LockFile::holder(&self.lock()).map_err(doing("look at", &self.lock()))
    }

    /// Reads `installation.json`. That it holds is checked by `chancery-center`.
    ///
    /// # Errors
    /// When it is missing, damaged or of a later version.
    pub fn installation(&self) -> Result<Installation, LayoutError> {
        let path = self.installation_file();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(if self.node_was_here()? {
                    LayoutError::InstallationMissing(self.0.clone())
                } else {
                    LayoutError::NotInitialised(self.0.clone())
                });
            }
            Err(error) => return Err(doing("read", &path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(INSTALLATION_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(doing("read", &path))?;
        match serde_json::from_slice::<Installation>(&bytes) {
            Ok(installation) if installation.v == INSTALLATION_VERSION => Ok(installation),
            Ok(installation) => Err(LayoutError::UnknownVersion {
                path,
                version: installation.v,
            }),
            Err(source) => match serde_json::from_slice::<Versioned>(&bytes) {
                Ok(Versioned { v }) if v != INSTALLATION_VERSION => {
                    Err(LayoutError::UnknownVersion { path, version: v })
                }
                _ => Err(LayoutError::Damaged { path, source }),
            },
        }
    }

    /// Whether something is there that only the node of an installation writes.
    fn node_was_here(&self) -> Result<bool, LayoutError> {
        for path in [self.database(), self.audit_key(), self.0.join("marks")] {
            if path.try_exists().map_err(doing("look at", &path))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes `installation.json`, once and for all: of two that do it at the same time one succeeds.
    ///
    /// # Errors
    /// [`LayoutError::AlreadyInitialised`], or when it cannot be written.
    pub fn save_installation(&self, installation: &Installation) -> Result<(), LayoutError> {
        let path = self.installation_file();
        let mut bytes = serde_json::to_vec_pretty(installation).map_err(|source| LayoutError::Damaged {
            path: path.clone(),
            source,
        })?;
        bytes.push(b'\n');
        match atomic::create(&path, &bytes) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(LayoutError::AlreadyInitialised(self.0.clone()))
            }
            other => other.map_err(doing("write", &path)),
        }
    }

    /// The owner must be the user of this process: what a node writes has to stay readable for its owner.
    pub(crate) fn require_owner(&self) -> Result<(), LayoutError> {
        let owner = fs::metadata(&self.0).map_err(doing("look at", &self.0))?.uid();
        let user = system::user_id();
        if owner == user {
            return Ok(());
        }
        Err(LayoutError::OtherOwner {
            path: self.0.clone(),
            owner,
            user,
        })
    }
}

/// The one member every version of the file has.
#[derive(serde::Deserialize)]
struct Versioned {
    v: u32,
}

/// For `map_err`: names what was being done.
pub(crate) fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    move |source| LayoutError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_open_to_others_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        DataDir::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o750)).unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert!(matches!(error, LayoutError::Exposed { mode: 0o750, .. }));
        assert!(error.to_string().contains("chmod 700 "), "{error}");
        assert!(matches!(DataDir::create(&path), Err(LayoutError::Exposed { .. })));
    }

    #[test]
    fn what_is_no_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            DataDir::open(&dir.path().join("none")),
            Err(LayoutError::Missing(_))
        ));
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(matches!(DataDir::open(&file), Err(LayoutError::NotADirectory(_))));
    }

    #[test]
    fn an_installation_file_that_is_missing_damaged_or_newer_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::create(&dir.path().join("data")).unwrap();
        assert!(matches!(data.installation(), Err(LayoutError::NotInitialised(_))));
        fs::write(data.audit_key(), b"").unwrap();
        assert!(matches!(
            data.installation(),
            Err(LayoutError::InstallationMissing(_))
        ));
        fs::write(data.installation_file(), b"{\"v\":1}").unwrap();
        assert!(matches!(data.installation(), Err(LayoutError::Damaged { .. })));
        fs::write(data.installation_file(), b"{\"v\":2,\"new\":true}").unwrap();
        assert!(matches!(
            data.installation(),
            Err(LayoutError::UnknownVersion { version: 2, .. })
        ));
    }
}
