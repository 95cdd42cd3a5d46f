//! Encryption at rest: what a token's or factory's data key is sealed under.
//!
//! The file `key` holds a random 256-bit data key under a key that comes from [`AtRest`]:
//!
//! ```text
//! "CHVTKEY" 01 | kind (1 machine secret, 2 passphrase) | memory KiB (4) | passes (4) | salt (16)
//!              | nonce (12) | sealed data key (32) | tag (16)
//! ```
//!
//! Everything before the nonce is authenticated. For a machine secret the two cost fields are zero.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::cipher::{Cipher, CipherFailure, RootKey, random};

/// What protects keys on disk.
#[derive(Clone)]
pub enum AtRest {
    /// A file of 32 random bytes, readable by its owner alone (mode 0600); made when a factory or token is
    /// created and it is missing.
    MachineSecret(PathBuf),
    /// A passphrase, stretched with Argon2id.
    Passphrase(Zeroizing<String>),
}

impl fmt::Debug for AtRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MachineSecret(path) => f.debug_tuple("MachineSecret").field(path).finish(),
            Self::Passphrase(_) => f.write_str("Passphrase(..)"),
        }
    }
}

/// Why keys at rest cannot be sealed or opened.
#[derive(Debug, Error)]
pub enum SealError {
    /// The machine secret is not there; without it nothing sealed under it can be read again.
    #[error("the machine secret {} is missing", .0.display())]
    SecretMissing(PathBuf),
    /// Others can read the machine secret.
    #[error("the machine secret {} is readable by others (mode {mode:04o}): chmod 600 it", .path.display())]
    SecretExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The machine secret has the wrong size or is not a file.
    #[error("the machine secret {} is not a file of 32 bytes", .0.display())]
    SecretMalformed(PathBuf),
    /// The machine secret cannot be read or made.
    #[error("cannot read or create the machine secret {}", .path.display())]
    SecretIo {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The passphrase does not open the key, or the sealed key was altered.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The machine secret does not open the key, or the sealed key was altered.
    #[error("the key is sealed under another machine secret than {}", .0.display())]
    WrongSecret(PathBuf),
    /// Sealed under a passphrase, opened with a machine secret.
    #[error("the key is sealed under a passphrase")]
    NeedsPassphrase,
    /// Sealed under a machine secret, opened with a passphrase.
    #[error("the key is sealed under a machine secret")]
    NeedsMachineSecret,
    /// Not a key file, or one with parameters out of range.
    #[error("not a sealed key: {0}")]
    Malformed(&'static str),
    /// Written by a later version of this program.
    #[error("the key file has version {0}, which this version does not know")]
    UnknownVersion(u8),
    /// Crypto library or random source.
    #[error(transparent)]
    Cipher(#[from] CipherFailure),
}

const MAGIC: &[u8; 7] = b"CHVTKEY";
const VERSION: u8 = 1;
const KIND_SECRET: u8 = 1;
const KIND_PASSPHRASE: u8 = 2;
const SALT: usize = 16;
const HEADER: usize = 7 + 1 + 1 + 4 + 4 + SALT;
/// Bytes of a sealed key.
pub(crate) const SEALED_KEY_LENGTH: usize = HEADER + 32 + Cipher::OVERHEAD;

/// Argon2id cost of a new passphrase: 64 MiB, 3 passes, one lane (RFC 9106, section 4, second choice but for lanes).
const PASSPHRASE_MEMORY_KIB: u32 = 64 * 1024;
const PASSPHRASE_PASSES: u32 = 3;
/// What a stored cost may be at most: a forged file must not eat the machine.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 64;

impl AtRest {
    /// Seals a data key. Makes the machine secret when it is missing.
    pub(crate) fn seal(&self, key: &RootKey) -> Result<Vec<u8>, SealError> {
        let salt: [u8; SALT] = random()?;
        let (kind, memory, passes) = match self {
            Self::MachineSecret(path) => {
                create_secret(path)?;
                (KIND_SECRET, 0, 0)
            }
            Self::Passphrase(_) => (KIND_PASSPHRASE, PASSPHRASE_MEMORY_KIB, PASSPHRASE_PASSES),
        };
        let mut sealed = Vec::with_capacity(SEALED_KEY_LENGTH);
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&[VERSION, kind]);
        sealed.extend_from_slice(&memory.to_be_bytes());
        sealed.extend_from_slice(&passes.to_be_bytes());
        sealed.extend_from_slice(&salt);
        let cipher = self.cipher(&Header {
            kind,
            memory,
            passes,
            salt,
        })?;
        let body = cipher.seal(&sealed, key.expose())?;
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens a data key. A missing machine secret is an error here.
    pub(crate) fn unseal(&self, sealed: &[u8]) -> Result<RootKey, SealError> {
        let (raw, body) = sealed
            .split_at_checked(HEADER)
            .ok_or(SealError::Malformed("shorter than its header"))?;
        let header = Header::parse(raw)?;
        let plain = self.cipher(&header)?.open(raw, body).ok_or_else(|| match self {
            Self::MachineSecret(path) => SealError::WrongSecret(path.clone()),
            Self::Passphrase(_) => SealError::WrongPassphrase,
        })?;
        let mut key = Zeroizing::new([0u8; 32]);
        if plain.len() != key.len() {
            return Err(SealError::Malformed("the data key has the wrong length"));
        }
        key.copy_from_slice(&plain);
        Ok(RootKey::from_bytes(key))
    }

    fn cipher(&self, header: &Header) -> Result<Cipher, SealError> {
        let key = match (self, header.kind) {
            (Self::MachineSecret(path), KIND_SECRET) => RootKey::from_bytes(read_secret(path)?),
            (Self::Passphrase(passphrase), KIND_PASSPHRASE) => {
                RootKey::from_bytes(stretch(passphrase, header)?)
            }
            (Self::MachineSecret(_), _) => return Err(SealError::NeedsPassphrase),
            (Self::Passphrase(_), _) => return Err(SealError::NeedsMachineSecret),
        };
        Ok(key.cipher(&header.salt, "data key")?)
    }
}

struct Header {
    kind: u8,
    memory: u32,
    passes: u32,
    salt: [u8; SALT],
}

impl Header {
    fn parse(raw: &[u8]) -> Result<Self, SealError> {
        let malformed = SealError::Malformed("shorter than its header");
        let Some((magic, rest)) = raw.split_first_chunk::<7>() else {
            return Err(malformed);
        };
        if magic != MAGIC {
            return Err(SealError::Malformed("it does not start with CHVTKEY"));
        }
        let Some(([version, kind], rest)) = rest.split_first_chunk::<2>() else {
            return Err(malformed);
        };
        if *version != VERSION {
            return Err(SealError::UnknownVersion(*version));
        }
        let Some((memory, rest)) = rest.split_first_chunk::<4>() else {
            return Err(malformed);
        };
        let Some((passes, rest)) = rest.split_first_chunk::<4>() else {
            return Err(malformed);
        };
        let Some((salt, _)) = rest.split_first_chunk::<SALT>() else {
            return Err(malformed);
        };
        if !matches!(*kind, KIND_SECRET | KIND_PASSPHRASE) {
            return Err(SealError::Malformed("unknown kind"));
        }
        Ok(Self {
            kind: *kind,
            memory: u32::from_be_bytes(*memory),
            passes: u32::from_be_bytes(*passes),
            salt: *salt,
        })
    }
}

fn stretch(passphrase: &str, header: &Header) -> Result<Zeroizing<[u8; 32]>, SealError> {
    if header.memory > MAX_MEMORY_KIB || header.passes > MAX_PASSES {
        return Err(SealError::Malformed("its derivation costs are out of range"));
    }
    let params = Params::new(header.memory, header.passes, 1, Some(32))
        .map_err(|_| SealError::Malformed("its derivation costs are out of range"))?;
    let mut key = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &header.salt, key.as_mut_slice())
        .map_err(|_| CipherFailure)?;
    Ok(key)
}

fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let io = |source| SealError::SecretIo {
        path: path.to_owned(),
        source,
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SealError::SecretMissing(path.to_owned()));
        }
        Err(error) => return Err(io(error)),
    };
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() || metadata.len() != 32 {
        return Err(SealError::SecretMalformed(path.to_owned()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SealError::SecretExposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut secret = Zeroizing::new([0u8; 32]);
    file.read_exact(secret.as_mut_slice()).map_err(io)?;
    Ok(secret)
}

/// Makes the secret unless it is there. Whoever reads the path sees all 32 bytes or no file, and of two processes
/// that do this at once both go on with the same secret.
fn create_secret(path: &Path) -> Result<(), SealError> {
    let io = |source| SealError::SecretIo {
        path: path.to_owned(),
        source,
    };
    if path.try_exists().map_err(io)? {
        return sync_directory_of(path).map_err(io);
    }
    let mut name = path
        .file_name()
        .ok_or_else(|| SealError::SecretMalformed(path.to_owned()))?
        .to_owned();
    name.push(format!(".new-{}", hex(&random::<8>()?)));
    let temporary = path.with_file_name(name);
    let secret = Zeroizing::new(random::<32>()?);
    let written = write_secret(&temporary, &secret).and_then(|()| std::fs::hard_link(&temporary, path));
    let removed = std::fs::remove_file(&temporary);
    match written {
        // Somebody else was faster: theirs is the secret.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
        Ok(()) => removed.map_err(io)?,
    }
    sync_directory_of(path).map_err(io)
}

/// Makes the secret's name durable, also when another process has made it: what is sealed under it must not
/// outlive it.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn write_secret(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secret_at(dir: &tempfile::TempDir) -> (AtRest, PathBuf) {
        let path = dir.path().join("machine-secret");
        (AtRest::MachineSecret(path.clone()), path)
    }

    #[test]
    fn a_machine_secret_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let (at_rest, path) = secret_at(&dir);
        let key = RootKey::random().unwrap();
        let sealed = at_rest.seal(&key).unwrap();
        assert_eq!(sealed.len(), SEALED_KEY_LENGTH);
        let first = std::fs::read(&path).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
        at_rest.seal(&key).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        assert_eq!(at_rest.unseal(&sealed).unwrap().expose(), key.expose());
    }

    #[test]
    fn a_missing_exposed_short_or_other_secret_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (at_rest, path) = secret_at(&dir);
        let sealed = at_rest.seal(&RootKey::random().unwrap()).unwrap();

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let error = at_rest.unseal(&sealed).unwrap_err();
        assert!(
            matches!(error, SealError::SecretExposed { mode: 0o640, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("chmod 600"));

        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            at_rest.unseal(&sealed),
            Err(SealError::SecretMissing(_))
        ));
        assert!(!path.exists(), "opening never makes a secret");

        at_rest.seal(&RootKey::random().unwrap()).unwrap();
        assert!(matches!(at_rest.unseal(&sealed), Err(SealError::WrongSecret(_))));

        write_short(&path);
        assert!(matches!(
            at_rest.unseal(&sealed),
            Err(SealError::SecretMalformed(_))
        ));
    }

    fn write_short(path: &Path) {
        std::fs::write(path, [1; 31]).unwrap();
    }

    #[test]
    fn a_passphrase_opens_what_it_sealed_and_another_does_not() {
        let key = RootKey::random().unwrap();
        let right = AtRest::Passphrase(Zeroizing::new("correct horse".into()));
        let wrong = AtRest::Passphrase(Zeroizing::new("correct horsf".into()));
        let sealed = right.seal(&key).unwrap();
        assert_eq!(right.unseal(&sealed).unwrap().expose(), key.expose());
        assert!(matches!(wrong.unseal(&sealed), Err(SealError::WrongPassphrase)));
        let secret = AtRest::MachineSecret(PathBuf::from("/nonexistent"));
        assert!(matches!(secret.unseal(&sealed), Err(SealError::NeedsPassphrase)));
        assert!(!format!("{right:?}").contains("horse"));
    }

    #[test]
    fn every_altered_byte_of_a_sealed_key_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (at_rest, _) = secret_at(&dir);
        let sealed = at_rest.seal(&RootKey::random().unwrap()).unwrap();
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(at_rest.unseal(&altered).is_err(), "byte {index}");
            assert!(at_rest.unseal(&sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn absurd_derivation_costs_are_refused_before_they_are_paid() {
        let passphrase = AtRest::Passphrase(Zeroizing::new("x".into()));
        let mut sealed = Vec::from(*MAGIC);
        sealed.extend_from_slice(&[VERSION, KIND_PASSPHRASE]);
        sealed.extend_from_slice(&u32::MAX.to_be_bytes());
        sealed.extend_from_slice(&3u32.to_be_bytes());
        sealed.extend_from_slice(&[0; SALT + 60]);
        assert!(matches!(passphrase.unseal(&sealed), Err(SealError::Malformed(_))));
    }
}
