//! The archive of attestations: what proves the origin of keys, kept outside the tokens.
//!
//! A key's authenticated request is in CExx of its token from birth on, and gone for ever as soon as a certificate is
//! stored there. Whoever generates a key, or is about to write or delete CExx, calls [`Archive::keep`] before:
//!
//! ```no_run
//! # fn example(card: &mut chancery_driver::Authenticated<Box<dyn chancery_iso7816::Transport>>,
//! #     data_dir: &std::path::Path, now: time::OffsetDateTime) -> Result<(), chancery_tokens::archive::ArchiveError> {
//! use chancery_schsm::KeyId;
//! use chancery_tokens::archive::Archive;
//!
//! let archive = Archive::below(data_dir);
//! let kept = archive.keep(card, KeyId(1), now)?;
//! # Ok(())
//! # }
//! ```

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chancery_attest::{Attestation, AttestationError, KeyFingerprint, Seen, Transcript, kcv_of};
use chancery_cvc::DeviceChain;
use chancery_driver::origin::{self, OriginProof};
use chancery_driver::{AppletAccess, KeyCertificate};
use chancery_schsm::{KeyContainer, KeyId};
use chancery_vtoken::atomic;
use time::OffsetDateTime;

/// A directory of attestations, one file for each key and place where it was seen. Nothing in it is ever overwritten.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
}

/// Where an attestation is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was written now, and is durable.
    New(PathBuf),
    /// The same was kept before.
    Before(PathBuf),
}

/// A file of the archive.
#[derive(Debug)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds, or why that cannot be read.
    pub attestation: Result<Attestation, ArchiveError>,
}

impl Kept {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::New(path) | Self::Before(path) => path,
        }
    }

    /// Whether it was written now.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }
}

/// Why an attestation was not kept, or the archive not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The token.
    #[error("reading the proof of the key's origin")]
    Card(#[from] chancery_driver::Error),
    /// A file of the archive is no attestation, or was changed.
    #[error("a file of the archive")]
    Attestation(#[from] AttestationError),
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
    /// The request of a key that was just made is not on the token.
    #[error("the request of key {0} is not on the token")]
    Gone(KeyId),
    /// The archive holds so many different attestations for one key that something is wrong.
    #[error("{} holds {MAX_VARIANTS} attestations for one key", .0.display())]
    TooMany(PathBuf),
}

impl Archive {
    /// The archive of a data directory; it is made when something is first kept.
    #[must_use]
    pub fn below(data_dir: &Path) -> Self {
        Self {
            directory: data_dir.join(DIRECTORY),
        }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps what key `id` of a token has to show. `None` when CExx holds no request (any more): there is nothing to
    /// keep. Needs no PIN.
    ///
    /// # Errors
    /// [`ArchiveError`]; who was about to overwrite CExx must not go on then.
    pub fn keep(
        &self,
        card: &mut impl AppletAccess,
        id: KeyId,
        now: OffsetDateTime,
    ) -> Result<Option<Kept>, ArchiveError> {
        let proof = origin::read(card, id)?;
        attestation_of(&proof, id, now)
            .map(|attestation| self.save(&attestation))
            .transpose()
    }

    /// Keeps that a key was wrapped into a file, so that its passport knows of this copy. `None` when neither the container
    /// nor the archive has the key's request.
    ///
    /// # Errors
    /// [`ArchiveError`]; the copy is made, and only not noted.
    pub fn keep_wrapped(
        &self,
        container: &KeyContainer,
        chain: &[u8],
        file: &Path,
        now: OffsetDateTime,
    ) -> Result<Option<Kept>, ArchiveError> {
        let Some(certificate) = container.certificate() else {
            return Ok(None);
        };
        let seen = Seen {
            file: Some(file.display().to_string()),
            kcv: kcv_of(container.blob()).map(|kcv| hex::encode_upper(kcv.0)),
            ..Seen::default()
        };
        let attestation = match KeyCertificate::recognise(certificate.to_vec()) {
            KeyCertificate::Request(request) => Attestation::new(&request, chain, now, seen).ok(),
            other => {
                let known = match other.public_key() {
                    Some(key) => self.of_key(KeyFingerprint::of(&key))?,
                    None => Vec::new(),
                };
                known
                    .first()
                    .and_then(|(_, known)| Attestation::new(known.request(), known.chain(), now, seen).ok())
            }
        };
        attestation.map(|attestation| self.save(&attestation)).transpose()
    }

    /// Keeps an attestation. It is durable when this returns.
    ///
    /// # Errors
    /// [`ArchiveError::Io`], [`ArchiveError::TooMany`].
    pub fn save(&self, attestation: &Attestation) -> Result<Kept, ArchiveError> {
        self.make_directory()?;
        let stem = attestation.file_stem();
        for variant in 1..=MAX_VARIANTS {
            let name = match variant {
                1 => format!("{stem}.json"),
                _ => format!("{stem}-{variant}.json"),
            };
            let path = self.directory.join(name);
            match atomic::create(&path, &attestation.encode()) {
                Ok(()) => return Ok(Kept::New(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if read(&path).is_ok_and(|kept| says_the_same(&kept, attestation)) {
                        return Ok(Kept::Before(path));
                    }
                }
                Err(source) => {
                    return Err(ArchiveError::Io {
                        doing: "write",
                        path,
                        source,
                    });
                }
            }
        }
        Err(ArchiveError::TooMany(self.directory.clone()))
    }

    /// Keeps the transcript of a key generation beside the attestation of the key; the file is as private as the data
    /// directory. It is durable when this returns.
    ///
    /// # Errors
    /// [`ArchiveError::Io`]; there is one transcript for each key, and it is never overwritten.
    pub fn save_transcript(
        &self,
        transcript: &Transcript,
        attestation: &Attestation,
    ) -> Result<PathBuf, ArchiveError> {
        self.make_directory()?;
        let path = self
            .directory
            .join(format!("{}{TRANSCRIPT}", attestation.file_stem()));
        match atomic::create(&path, &transcript.encode()) {
            Ok(()) => Ok(path),
            Err(source) => Err(ArchiveError::Io {
                doing: "write",
                path,
                source,
            }),
        }
    }

    /// Whether this very transcript is kept here, byte for byte: then this installation recorded it. Transcripts of others
    /// are not taken in.
    ///
    /// # Errors
    /// [`ArchiveError::Io`].
    pub fn has_transcript(&self, transcript: &Transcript) -> Result<bool, ArchiveError> {
        let wanted = transcript.encode();
        for path in self.files(|name| name.ends_with(TRANSCRIPT))? {
            let io = |source| ArchiveError::Io {
                doing: "read",
                path: path.clone(),
                source,
            };
            // A link would lead to what somebody else may write.
            let found = fs::symlink_metadata(&path).map_err(io)?;
            let as_long = u64::try_from(wanted.len()).is_ok_and(|length| length == found.len());
            if found.is_file() && as_long && fs::read(&path).map_err(io)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every attestation in the archive with its file, by name. A file that cannot be read comes as its error.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] when the directory cannot be read; one that is not there is empty.
    pub fn list(&self) -> Result<Vec<Entry>, ArchiveError> {
        let paths = self.files(|name| name.ends_with(".json") && !name.ends_with(TRANSCRIPT))?;
        Ok(paths
            .into_iter()
            .map(|path| Entry {
                attestation: read(&path),
                path,
            })
            .collect())
    }

    /// The attestations of one key.
    ///
    /// # Errors
    /// As [`Archive::list`]; files that cannot be read are left out.
    pub fn of_key(&self, key: KeyFingerprint) -> Result<Vec<(PathBuf, Attestation)>, ArchiveError> {
        let all = self.list()?.into_iter();
        Ok(all
            .filter_map(|entry| Some((entry.path, entry.attestation.ok()?)))
            .filter(|(_, attestation)| attestation.key() == key)
            .collect())
    }

    /// Files of the directory whose names are wanted, in order; none when there is no directory.
    fn files(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, ArchiveError> {
        let io = |source| ArchiveError::Io {
            doing: "list",
            path: self.directory.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(io)?.path();
            if wanted(&path.file_name().unwrap_or_default().to_string_lossy()) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn make_directory(&self) -> Result<(), ArchiveError> {
        let io = |doing| {
            move |source| ArchiveError::Io {
                doing,
                path: self.directory.clone(),
                source,
            }
        };
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Ok(()) => atomic::sync_parent(&self.directory).map_err(io("make")),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(io("make")(error)),
        }
    }
}

/// What a token shows for key `id`, as an attestation; `None` when it has no request to show, or one that cannot be
/// read and so proves nothing.
#[must_use]
pub fn attestation_of(proof: &OriginProof, id: KeyId, now: OffsetDateTime) -> Option<Attestation> {
    let request = proof.request()?;
    let token = DeviceChain::parse(&proof.chain)
        .ok()
        .and_then(|chain| chain.device_name().map(ToString::to_string));
    let seen = Seen {
        token,
        file: None,
        key_id: Some(id.0),
        label: proof
            .description
            .as_ref()
            .map(|description| description.label.clone()),
        firmware: Some(proof.firmware.to_string()),
        key_domain: proof
            .attributes
            .as_ref()
            .and_then(|attributes| attributes.key_domain),
        kcv: proof
            .domain
            .as_ref()
            .filter(|domain| domain.is_complete())
            .map(|domain| hex::encode_upper(domain.kcv.0)),
    };
    Attestation::new(request, &proof.chain, now, seen).ok()
}

/// Whether saving the second beside the first would add nothing: the same proof of a key in the same place. A label
/// or a firmware that changed since is no reason for another file.
fn says_the_same(kept: &Attestation, new: &Attestation) -> bool {
    let (before, now) = (kept.seen(), new.seen());
    kept.proves_the_same(new)
        && before.token == now.token
        && before.key_id == now.key_id
        && before.file == now.file
        && before.kcv == now.kcv
}

fn read(path: &Path) -> Result<Attestation, ArchiveError> {
    let io = |source| ArchiveError::Io {
        doing: "read",
        path: path.to_owned(),
        source,
    };
    let length = fs::metadata(path).map_err(io)?.len();
    if length > u64::try_from(Attestation::MAX_LEN).unwrap_or(u64::MAX) {
        return Err(AttestationError::TooLong {
            len: Attestation::MAX_LEN + 1,
        }
        .into());
    }
    Ok(Attestation::parse(&fs::read(path).map_err(io)?)?)
}

/// Name of the directory in a data directory.
pub const DIRECTORY: &str = "attestations";

/// How the names of transcripts end.
const TRANSCRIPT: &str = ".transcript.json";

/// Files for one key: one for each token and file it was seen in.
const MAX_VARIANTS: u32 = 256;
