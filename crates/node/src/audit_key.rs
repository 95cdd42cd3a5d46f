//! The key that signs the head of the audit log: Ed25519, in software, sealed at rest.
//!
//! The file `audit.key` is JSON: a header in clear with the key's public part, and the private seed under AES-256-GCM with the
//! header's canonical JSON as additional data. The encryption key is HKDF-SHA-256 (RFC 5869) of the machine secret, or of
//! Argon2id (RFC 9106) over a passphrase.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    encoding::{AsDer, PublicKeyX509Der},
    hkdf::{HKDF_SHA256, Salt},
    signature::{Ed25519KeyPair, KeyPair},
};
use chancery_api::{Base64, InstallationId, canonical_json};
use chancery_audit::{NoteSigner, NoteVerifier};
use chancery_vtoken::{AtRest, atomic};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::info;
use zeroize::Zeroizing;

use crate::{
    layout::DataDir,
    machine_secret::{self, SecretError},
};

/// The audit key, open.
#[derive(Debug)]
pub struct AuditKey {
    /// Signs heads of the log, under the name `chancery/` and the installation's id.
    pub signer: NoteSigner,
    /// SubjectPublicKeyInfo (RFC 8410), DER.
    pub public_key: Vec<u8>,
}

/// Why the audit key cannot be used.
#[derive(Debug, Error)]
pub enum AuditKeyError {
    /// The file is not what this program writes, or was altered.
    #[error("the audit key {} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by a later version of this program.
    #[error("the audit key {} has version {version}, which this version does not know", .path.display())]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The secret does not open it, or it was altered.
    #[error("the audit key {} does not open: another {under}, or the file was altered", .path.display())]
    DoesNotOpen {
        /// The file.
        path: PathBuf,
        /// What it is sealed under.
        under: &'static str,
    },
    /// It is sealed under something else than what was given.
    #[error("the audit key {} is sealed under a {sealed}, not under a {given}", .path.display())]
    OtherSecret {
        /// The file.
        path: PathBuf,
        /// What it is sealed under.
        sealed: &'static str,
        /// What was given.
        given: &'static str,
    },
    /// It belongs to another installation.
    #[error("the audit key {} is the one of {name}, not of this installation", .path.display())]
    OtherInstallation {
        /// The file.
        path: PathBuf,
        /// Name of the key.
        name: String,
    },
    /// The machine secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The disk.
    #[error("cannot {doing} the audit key {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The crypto library or the random source.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    header: Header,
    nonce: Base64,
    sealed: Base64,
}

/// Stored in clear and authenticated; fields are never renamed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    v: u32,
    /// C2SP signed-note, "Verifier keys".
    vkey: String,
    under: Under,
    salt: Base64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Under {
    MachineSecret,
    Passphrase { memory_kib: u32, passes: u32 },
}

const VERSION: u32 = 1;
/// No file is longer, in bytes.
const LIMIT: u64 = 16 * 1024;
const SEED: usize = 32;
const SALT: usize = 16;
const PURPOSE: &[u8] = b"chancery audit key v1";

/// Argon2id cost of a new passphrase: 64 MiB, 3 passes, one lane (RFC 9106 section 4, second choice but for lanes).
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// What a stored cost may be at most: an altered file must not eat the machine.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 64;

impl AuditKey {
    /// Opens the key; makes it at the first start. The caller holds the node's lock.
    ///
    /// # Errors
    /// [`AuditKeyError`]. A key that is there is never replaced.
    pub fn open_or_create(
        directory: &DataDir,
        at_rest: &AtRest,
        installation: InstallationId,
    ) -> Result<Self, AuditKeyError> {
        let path = directory.audit_key();
        let name = format!("chancery/{installation}");
        match read(&path)? {
            Some(stored) => Self::open(&path, &stored, at_rest, &name),
            // A log that was signed before is not gone on with under another key.
            None if directory.path().join("marks/audit-head").exists() => Err(AuditKeyError::Damaged {
                path,
                reason: "it is gone, and the log was signed with it: restore it from a backup".to_owned(),
            }),
            None => Self::create(&path, at_rest, &name),
        }
    }

    /// What others need to verify the log's heads, without opening the key; `None` before the first start.
    ///
    /// The text is only what the file says; it counts when something that was kept elsewhere says the same.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verifier(directory: &DataDir) -> Result<Option<NoteVerifier>, AuditKeyError> {
        let path = directory.audit_key();
        read(&path)?
            .map(|stored| verifier(&path, &stored.header))
            .transpose()
    }

    fn create(path: &Path, at_rest: &AtRest, name: &str) -> Result<Self, AuditKeyError> {
        // Filled in place: a value handed over would leave copies on its way.
        let mut seed = Zeroizing::new([0; SEED]);
        fill(seed.as_mut_slice())?;
        let key = Self::from_seed(path, seed.as_slice(), name)?;
        let header = Header {
            v: VERSION,
            vkey: key.signer.verifier().to_vkey(),
            under: match at_rest {
                AtRest::MachineSecret(secret) => {
                    machine_secret::read_or_create(secret)?;
                    Under::MachineSecret
                }
                AtRest::Passphrase(_) => Under::Passphrase {
                    memory_kib: MEMORY_KIB,
                    passes: PASSES,
                },
            },
            salt: Base64(random::<SALT>()?.to_vec()),
        };
        let nonce: [u8; NONCE_LEN] = random()?;
        let sealing = sealing_key(path, &header, at_rest)?;
        let sealed = seal(
            &sealing,
            Nonce::assume_unique_for_key(nonce),
            aad(path, &header)?,
            &seed,
        )?;
        let stored = Stored {
            header,
            nonce: Base64(nonce.to_vec()),
            sealed: Base64(sealed),
        };
        let mut bytes = serde_json::to_vec_pretty(&stored).map_err(|error| damaged(path, error))?;
        bytes.push(b'\n');
        atomic::create(path, &bytes).map_err(|source| AuditKeyError::Io {
            doing: "write",
            path: path.to_owned(),
            source,
        })?;
        info!(key = %key.signer.verifier().id(), "made the key that signs the audit log");
        Ok(key)
    }

    fn open(path: &Path, stored: &Stored, at_rest: &AtRest, name: &str) -> Result<Self, AuditKeyError> {
        let verifier = verifier(path, &stored.header)?;
        if verifier.name() != name {
            return Err(AuditKeyError::OtherInstallation {
                path: path.to_owned(),
                name: verifier.name().to_owned(),
            });
        }
        let key = sealing_key(path, &stored.header, at_rest)?;
        let nonce = Nonce::try_assume_unique_for_key(&stored.nonce.0)
            .map_err(|_| damaged(path, "the nonce has the wrong length"))?;
        let mut plain = Zeroizing::new(stored.sealed.0.clone());
        let seed = key
            .open_in_place(nonce, aad(path, &stored.header)?, &mut plain)
            .map_err(|_| AuditKeyError::DoesNotOpen {
                path: path.to_owned(),
                under: kind_of(at_rest),
            })?;
        let key = Self::from_seed(path, seed, name)?;
        if *key.signer.verifier() != verifier {
            return Err(damaged(path, "its public part is that of another key"));
        }
        Ok(key)
    }

    fn from_seed(path: &Path, seed: &[u8], name: &str) -> Result<Self, AuditKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| damaged(path, "it does not hold an Ed25519 seed"))?;
        let public_key: PublicKeyX509Der<'_> = pair
            .public_key()
            .as_der()
            .map_err(|_| AuditKeyError::Crypto("encode the audit key's public part"))?;
        let public_key = public_key.as_ref().to_vec();
        let signer = NoteSigner::new(name, pair).map_err(|error| damaged(path, error))?;
        Ok(Self { signer, public_key })
    }
}

fn read(path: &Path) -> Result<Option<Stored>, AuditKeyError> {
    let io = |source| AuditKeyError::Io {
        doing: "read",
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(io)?;
    let version = serde_json::from_slice::<serde_json::Value>(&bytes)
        .map_err(|error| damaged(path, error))?
        .pointer("/header/v")
        .and_then(serde_json::Value::as_u64)
        .and_then(|version| u32::try_from(version).ok())
        .ok_or_else(|| damaged(path, "it names no version"))?;
    if version != VERSION {
        return Err(AuditKeyError::UnknownVersion {
            path: path.to_owned(),
            version,
        });
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| damaged(path, error))
}

fn verifier(path: &Path, header: &Header) -> Result<NoteVerifier, AuditKeyError> {
    NoteVerifier::parse_vkey(&header.vkey).map_err(|error| damaged(path, error))
}

fn aad(path: &Path, header: &Header) -> Result<Aad<Vec<u8>>, AuditKeyError> {
    canonical_json(header)
        .map(Aad::from)
        .map_err(|error| damaged(path, error))
}

fn sealing_key(path: &Path, header: &Header, at_rest: &AtRest) -> Result<LessSafeKey, AuditKeyError> {
    let secret = match (at_rest, header.under) {
        (AtRest::MachineSecret(secret), Under::MachineSecret) => machine_secret::read(secret)?,
        (AtRest::Passphrase(passphrase), Under::Passphrase { memory_kib, passes }) => {
            stretch(path, passphrase, &header.salt.0, memory_kib, passes)?
        }
        (_, sealed) => {
            return Err(AuditKeyError::OtherSecret {
                path: path.to_owned(),
                sealed: match sealed {
                    Under::MachineSecret => MACHINE_SECRET,
                    Under::Passphrase { .. } => PASSPHRASE,
                },
                given: kind_of(at_rest),
            });
        }
    };
    Salt::new(HKDF_SHA256, &header.salt.0)
        .extract(secret.as_slice())
        .expand(&[PURPOSE], &AES_256_GCM)
        .map(|okm| LessSafeKey::new(UnboundKey::from(okm)))
        .map_err(|_| AuditKeyError::Crypto("derive the key that seals the audit key"))
}

fn stretch(
    path: &Path,
    passphrase: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<Zeroizing<[u8; 32]>, AuditKeyError> {
    let out_of_range = || damaged(path, "its derivation costs are out of range");
    if memory_kib > MOST_MEMORY_KIB || passes > MOST_PASSES {
        return Err(out_of_range());
    }
    let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(|_| out_of_range())?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .map_err(|_| AuditKeyError::Crypto("stretch the passphrase"))?;
    Ok(key)
}

const fn kind_of(at_rest: &AtRest) -> &'static str {
    match at_rest {
        AtRest::MachineSecret(_) => MACHINE_SECRET,
        AtRest::Passphrase(_) => PASSPHRASE,
    }
}

const MACHINE_SECRET: &str = "machine secret";
const PASSPHRASE: &str = "passphrase";

/// The sealed seed and its tag. The buffer has room for both: one that grew would leave the seed in freed memory.
fn seal(
    key: &LessSafeKey,
    nonce: Nonce,
    aad: Aad<Vec<u8>>,
    seed: &[u8; SEED],
) -> Result<Vec<u8>, AuditKeyError> {
    let mut sealed = Zeroizing::new(Vec::with_capacity(SEED + AES_256_GCM.tag_len()));
    sealed.extend_from_slice(seed);
    let tag = key
        .seal_in_place_separate_tag(nonce, aad, &mut sealed)
        .map_err(|_| AuditKeyError::Crypto("seal the audit key"))?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(std::mem::take(&mut *sealed))
}

/// Random bytes that are no secret.
fn random<const N: usize>() -> Result<[u8; N], AuditKeyError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> Result<(), AuditKeyError> {
    getrandom::fill(bytes).map_err(|_| AuditKeyError::Crypto("draw random bytes"))
}

fn damaged(path: &Path, reason: impl ToString) -> AuditKeyError {
    AuditKeyError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
