//! Where a PIN comes from: never from the command line or the environment.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use chancery_api::SecretText;
use chancery_driver::Pin;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    AgentError,
    kept::{open_private, write_private},
    terminal::ask_secret,
};

/// Longest line read as a PIN, in bytes.
const MOST_BYTES: usize = 256;
/// Longest file of rehearsal PINs, in bytes.
const MOST_FILE_BYTES: u64 = 1024 * 1024;

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
                ask_secret(&format!("PIN for token {token}: ")).map_err(|error| AgentError::NoPin {
                    name: token.to_owned(),
                    why: format!("no terminal to ask at ({error}); use --pin-file"),
                })?
            }
            Self::File(path) => first_line(&mut open_private(path)?).map_err(AgentError::file(path))?,
            Self::Stdin => unbuffered_stdin()
                .and_then(|mut stdin| first_line(&mut stdin))
                .map_err(AgentError::file("-"))?,
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
        let text = whole(&mut open_private(path)?).map_err(AgentError::file(path))?;
        serde_json::from_slice(&text).map_err(|error| AgentError::BadFile {
            path: path.to_owned(),
            why: error.to_string(),
        })
    }

    /// Writes the file, 0600, whole or not at all, durable when this returns.
    ///
    /// # Errors
    /// [`AgentError::File`].
    pub fn save(&self, path: &Path) -> Result<(), AgentError> {
        let text = json(self).map_err(|error| AgentError::BadFile {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        write_private(path, &text)
    }
}

// What follows reads and writes PINs in buffers that are as large as they get from the start: one that grows leaves what it held
// in freed memory.

/// Standard input itself: the buffer in front of it is never wiped.
fn unbuffered_stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Reads up to the first line feed and no byte more. The text is for [`Pin::from_prompt`], which wipes it.
fn first_line(source: &mut impl Read) -> io::Result<String> {
    let mut line = Zeroizing::new(Vec::with_capacity(MOST_BYTES));
    let mut byte = Zeroizing::new([0]);
    while line.len() < MOST_BYTES && line.last() != Some(&b'\n') {
        match source.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) => line.extend_from_slice(byte.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    std::str::from_utf8(&line)
        .map(str::to_owned)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the line is no text"))
}

fn whole(file: &mut File) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = file.metadata()?.len();
    let length = usize::try_from(length)
        .ok()
        .filter(|_| length <= MOST_FILE_BYTES)
        .ok_or(io::ErrorKind::FileTooLarge)?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn json(value: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut length = Length(0);
    serde_json::to_writer_pretty(&mut length, value)?;
    let mut text = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer_pretty(&mut *text, value)?;
    Ok(text)
}

/// Counts what would be written, in bytes.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn some() -> RehearsalPins {
        let pins = TokenPins {
            user_pin: Some(SecretText::new("648219".to_owned())),
            so_pin: SecretText::new("3537363231383830".to_owned()),
        };
        let tokens = (0..40)
            .map(|index| (format!("token-{index}"), pins.clone()))
            .collect();
        RehearsalPins {
            tokens,
            ..RehearsalPins::default()
        }
    }

    #[test]
    fn a_pin_is_the_first_line_and_nothing_behind_it_is_read() {
        let mut source = &b"648219\r\nthe next line\n"[..];
        assert_eq!(first_line(&mut source).unwrap(), "648219\r\n");
        assert_eq!(source, b"the next line\n");
        assert_eq!(first_line(&mut &b"648219"[..]).unwrap(), "648219");
        let endless = vec![b'1'; 10 * MOST_BYTES];
        let mut source = endless.as_slice();
        assert_eq!(first_line(&mut source).unwrap().len(), MOST_BYTES);
        assert_eq!(source.len(), 9 * MOST_BYTES);
        let nonsense = first_line(&mut &b"\xFF\xFE\n"[..]).unwrap_err();
        assert_eq!(nonsense.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn buffers_with_pins_never_grow() {
        let pins = some();
        let text = json(&pins).unwrap();
        assert_eq!(text.len(), text.capacity());
        assert_eq!(*text, serde_json::to_vec_pretty(&pins).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pins.json");
        pins.save(&path).unwrap();
        let read = whole(&mut File::open(&path).unwrap()).unwrap();
        assert_eq!((read.len(), read.capacity()), (text.len(), text.len()));
        assert_eq!(RehearsalPins::load(&path).unwrap(), pins);
    }

    #[test]
    fn a_file_planted_beside_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, victim) = (dir.path().join("pins.json"), dir.path().join("victim"));
        fs::write(&victim, b"as it was").unwrap();
        let planted = dir.path().join(format!("pins.json.{}.new", std::process::id()));
        symlink(&victim, &planted).unwrap();
        some().save(&path).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"as it was");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            3,
            "nothing temporary is left"
        );
    }
}
