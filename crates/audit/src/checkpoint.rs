//! The checkpoint: what an audit key says about the log at one moment (reference: C2SP tlog-checkpoint).

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    frontier::{Frontier, MAX_SIZE},
    hash::TreeHash,
    key::{NoteSigner, NoteVerifier},
    note::{NoteError, SignedNote},
};

/// Name, size and root of a log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log this is about: one line, not empty. It is also the name of the key that signs.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// The root of the tree of all leaves.
    pub root: TreeHash,
}

impl Checkpoint {
    /// The checkpoint of a log of this name that has this frontier.
    pub fn of(origin: &str, frontier: &Frontier) -> Self {
        Self {
            origin: origin.to_owned(),
            size: frontier.size(),
            root: frontier.root(),
        }
    }

    /// Reads the text of a checkpoint note: origin, size in decimal, root in base64, each on its line.
    ///
    /// # Errors
    /// If the text has another form. Extension lines are refused: none is defined for this log, and what is
    /// signed must be understood.
    pub fn parse_body(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Lines);
        };
        check_origin(origin)?;
        Ok(Self {
            origin: origin.to_owned(),
            size: parse_size(size)?,
            root: parse_root(root)?,
        })
    }

    /// The text that is signed.
    ///
    /// # Errors
    /// If the origin is empty or is more than one line.
    pub fn body(&self) -> Result<String, CheckpointError> {
        check_origin(&self.origin)?;
        Ok(format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root.as_bytes())
        ))
    }

    /// Signs the checkpoint.
    ///
    /// # Errors
    /// If the signer's name is not the origin, or the origin is empty or is more than one line.
    pub fn sign(&self, signer: &NoteSigner) -> Result<SignedNote, CheckpointError> {
        self.require_origin(signer.verifier())?;
        SignedNote::sign(&self.body()?, signer).map_err(CheckpointError::Note)
    }

    /// Reads a signed checkpoint and believes it only if the key of `verifier` has signed it.
    ///
    /// # Errors
    /// If the bytes are no note, the signature is missing or wrong, the text is no checkpoint, or it is
    /// about another log than the key is for.
    pub fn open(bytes: &[u8], verifier: &NoteVerifier) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes).map_err(CheckpointError::Note)?;
        note.verify(verifier).map_err(CheckpointError::Note)?;
        let checkpoint = Self::parse_body(note.text())?;
        checkpoint.require_origin(verifier)?;
        Ok(checkpoint)
    }

    fn require_origin(&self, verifier: &NoteVerifier) -> Result<(), CheckpointError> {
        if self.origin == verifier.name() {
            Ok(())
        } else {
            Err(CheckpointError::OtherLog {
                origin: self.origin.clone(),
                signer: verifier.name().to_owned(),
            })
        }
    }
}

/// A checkpoint that cannot be read, made or believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note that carries the checkpoint is not one, or is not signed as it should be.
    #[error("the checkpoint's note cannot be used")]
    Note(#[source] NoteError),
    /// The text has not three lines.
    #[error("a checkpoint has three lines: origin, size, root")]
    Lines,
    /// The origin is empty or has a control character in it.
    #[error("a checkpoint's origin is one line that is not empty")]
    Origin,
    /// The size is not a decimal number without leading zeros, or over 2^62.
    #[error("a checkpoint's size is a decimal number of at most 2^62 without leading zeros")]
    Size,
    /// The root is not 32 bytes in base64.
    #[error("a checkpoint's root is 32 bytes in base64")]
    Root,
    /// The checkpoint is about another log than the key signs for.
    #[error("a checkpoint of log {origin} cannot be signed by the key of {signer}")]
    OtherLog {
        /// The log the checkpoint is about.
        origin: String,
        /// The name of the key.
        signer: String,
    },
}

fn check_origin(origin: &str) -> Result<(), CheckpointError> {
    if origin.is_empty() || origin.contains(char::is_control) {
        return Err(CheckpointError::Origin);
    }
    Ok(())
}

fn parse_size(text: &str) -> Result<u64, CheckpointError> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    let size: u64 = text
        .parse()
        .ok()
        .filter(|_| canonical)
        .ok_or(CheckpointError::Size)?;
    if size > MAX_SIZE {
        Err(CheckpointError::Size)
    } else {
        Ok(size)
    }
}

fn parse_root(text: &str) -> Result<TreeHash, CheckpointError> {
    let bytes = STANDARD.decode(text).map_err(|_| CheckpointError::Root)?;
    TreeHash::try_from(bytes.as_slice()).map_err(|_| CheckpointError::Root)
}
