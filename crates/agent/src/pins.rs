//! Where a PIN comes from: never from the command line or the environment.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use chancery_api::SecretText;
use chancery_driver::Pin;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::AgentError;

/// Longest line read as a PIN, in bytes.
const MOST_BYTES: u64 = 256;

/// Where the PIN of a token comes from.
#[derive(Clone, Debug)]
pub enum PinSource {
    /// Typed at this machine's terminal.
    Prompt,
    /// First line of a file that nobody else may read.
    File(PathBuf),
    /// First line of standard input.
    Stdin,
    /// The rehearsal file of an installation that says it is one.
    Rehearsal(PathBuf),
}

impl PinSource {
    pub(crate) fn user_pin(&self, token: &str) -> Result<Pin, AgentError> {
        let text = match self {
            Self::Prompt => {
                rpassword::prompt_password(format!("PIN for token {token}: ")).map_err(|error| {
                    AgentError::NoPin {
                        name: token.to_owned(),
                        why: format!("no terminal to ask at ({error}); use --pin-file"),
                    }
                })?
            }
            Self::File(path) => first_line(&mut open_private(path)?).map_err(AgentError::file(path))?,
            Self::Stdin => first_line(&mut io::stdin().lock()).map_err(AgentError::file("-"))?,
            Self::Rehearsal(path) => {
                let pins = RehearsalPins::load(path)?;
                let entry = pins.tokens.get(token).ok_or_else(|| AgentError::NoPin {
                    name: token.to_owned(),
                    why: format!("{} has none for it", path.display()),
                })?;
                entry
                    .user_pin
                    .as_ref()
                    .map(|pin| pin.secret_text().to_owned())
                    .ok_or_else(|| AgentError::NoPin {
                        name: token.to_owned(),
                        why: "it has no user PIN".to_owned(),
                    })?
            }
        };
        Pin::from_prompt(text).map_err(|source| AgentError::Pin {
            name: token.to_owned(),
            source,
        })
    }
}

/// PINs of one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPins {
    /// User PIN; a token opened by a quorum has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_pin: Option<SecretText>,
    /// SO-PIN, 16 hexadecimal digits.
    pub so_pin: SecretText,
}

/// `rehearsal-pins.json`: PINs of an installation that is for rehearsal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsalPins {
    /// Says what the file is for.
    #[serde(rename = "for")]
    pub purpose: String,
    /// PINs by token name.
    pub tokens: BTreeMap<String, TokenPins>,
}

impl Default for RehearsalPins {
    fn default() -> Self {
        Self {
            purpose: "rehearsal only: real PINs belong in heads".to_owned(),
            tokens: BTreeMap::new(),
        }
    }
}

impl RehearsalPins {
    /// Reads the file; an empty set when there is none.
    ///
    /// # Errors
    /// [`AgentError::BadFile`] when others may read it or it cannot be understood.
    pub fn load(path: &Path) -> Result<Self, AgentError> {
        if !path.try_exists().map_err(AgentError::file(path))? {
            return Ok(Self::default());
        }
        let mut text = Zeroizing::new(String::new());
        open_private(path)?
            .read_to_string(&mut text)
            .map_err(AgentError::file(path))?;
        serde_json::from_str(&text).map_err(|error| AgentError::BadFile {
            path: path.to_owned(),
            why: error.to_string(),
        })
    }

    /// Writes the file, 0600, whole or not at all, durable when this returns.
    ///
    /// # Errors
    /// [`AgentError::File`].
    pub fn save(&self, path: &Path) -> Result<(), AgentError> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| AgentError::BadFile {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        write_private(path, &Zeroizing::new(text))
    }
}

/// Writes a file that only its owner may read: beside it, synced, renamed over it, directory synced.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), AgentError> {
    let failed = || AgentError::file(path);
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = directory.join(name);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(directory)?.sync_all()
    })();
    if written.is_err() {
        // What is left beside the file is of no use; the first error is the one that counts.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(failed())
}

/// Opens a file that nobody but its owner may read or write.
pub(crate) fn open_private(path: &Path) -> Result<File, AgentError> {
    let file = File::open(path).map_err(AgentError::file(path))?;
    let metadata = file.metadata().map_err(AgentError::file(path))?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(AgentError::BadFile {
            path: path.to_owned(),
            why: format!("others may read it; type: chmod 600 {}", path.display()),
        });
    }
    Ok(file)
}

fn first_line(source: &mut impl io::Read) -> io::Result<String> {
    let mut line = String::new();
    io::BufReader::new(source.take(MOST_BYTES)).read_line(&mut line)?;
    Ok(line)
}
