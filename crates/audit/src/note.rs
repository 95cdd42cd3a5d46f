//! The signed note: a text and signature lines under it (reference: C2SP signed-note).

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::key::{KeyId, NoteSigner, NoteVerifier, check_name};

/// The longest note that is read or made, in bytes.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;

/// The most signature lines a note may have.
pub const MAX_SIGNATURES: usize = 64;

/// A text with signatures, none of which has been checked yet unless [`SignedNote::verify`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key, as the line claims.
    pub name: String,
    /// Identifier of the key, as the line claims.
    pub id: KeyId,
    /// The signature; 64 bytes for Ed25519, other lengths for algorithms that are not known here.
    pub signature: Vec<u8>,
}

impl SignedNote {
    /// Signs a text, which must end with a line feed.
    ///
    /// # Errors
    /// If the text does not end with a line feed, has control characters, or is too long.
    pub fn sign(text: &str, signer: &NoteSigner) -> Result<Self, NoteError> {
        check_text(text)?;
        let note = Self {
            text: text.to_owned(),
            signatures: vec![signer.sign(text)],
        };
        let bytes = note.encode().len();
        if bytes > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong { bytes });
        }
        Ok(note)
    }

    /// Reads a note.
    ///
    /// # Errors
    /// If it is over [`MAX_NOTE_BYTES`] or [`MAX_SIGNATURES`], or not of the form of a signed note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong { bytes: bytes.len() });
        }
        let note = str::from_utf8(bytes).map_err(|source| NoteError::NotText { source })?;
        // The text may have blank lines of its own: the last one ends it.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let text = format!("{text}\n");
        check_text(&text)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let mut signatures = Vec::new();
        for (index, line) in lines.split('\n').enumerate() {
            if index >= MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            let signature =
                NoteSignature::parse(line).ok_or(NoteError::SignatureLine { number: index + 1 })?;
            signatures.push(signature);
        }
        Ok(Self { text, signatures })
    }

    /// The note as it is stored and sent: text, blank line, signature lines.
    pub fn encode(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            signature.encode_to(&mut note);
        }
        note
    }

    /// Adds another key's signature.
    ///
    /// # Errors
    /// If the note would have more than [`MAX_SIGNATURES`].
    pub fn add_signature(&mut self, signer: &NoteSigner) -> Result<(), NoteError> {
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(signer.sign(&self.text));
        Ok(())
    }

    /// Checks the signatures of one key; those of other keys are passed over, as the format demands.
    ///
    /// # Errors
    /// If the note has no signature of this key, or one that is wrong.
    pub fn verify(&self, verifier: &NoteVerifier) -> Result<(), NoteError> {
        let mut found = false;
        for signature in self
            .signatures
            .iter()
            .filter(|signature| verifier.is_named_by(signature))
        {
            verifier.verify(&self.text, signature)?;
            found = true;
        }
        if found {
            Ok(())
        } else {
            Err(NoteError::NotSigned {
                name: verifier.name().to_owned(),
                id: verifier.id(),
            })
        }
    }

    /// The text, with the line feed it ends with.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in their order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, blob) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        check_name(name).ok()?;
        let blob = STANDARD.decode(blob).ok()?;
        let (id, signature) = blob.split_first_chunk::<4>()?;
        if signature.is_empty() {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            id: KeyId(*id),
            signature: signature.to_vec(),
        })
    }

    fn encode_to(&self, note: &mut String) {
        let mut blob = self.id.0.to_vec();
        blob.extend_from_slice(&self.signature);
        note.push_str(SIGNATURE_MARK);
        note.push_str(&self.name);
        note.push(' ');
        STANDARD.encode_string(blob, note);
        note.push('\n');
    }
}

/// A note that cannot be read, made or believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The note is too long.
    #[error("a note of {bytes} bytes is over the limit of {MAX_NOTE_BYTES}")]
    TooLong {
        /// Length of the note in bytes.
        bytes: usize,
    },
    /// The note is not UTF-8.
    #[error("the note is not UTF-8")]
    NotText {
        /// Where it stops being UTF-8.
        source: std::str::Utf8Error,
    },
    /// The text does not end with a line feed, or has a control character in it.
    #[error("the text of a note ends with a line feed and has no other control characters")]
    Text,
    /// There is no blank line with signature lines under it.
    #[error("the note has no signature lines under a blank line")]
    NoSignatures,
    /// There are too many signature lines.
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A signature line has another form.
    #[error("signature line {number} is not an em dash, a key name and base64")]
    SignatureLine {
        /// Number of the line, from 1.
        number: usize,
    },
    /// The key that was asked about has not signed the note.
    #[error("the note is not signed by {name} ({id})")]
    NotSigned {
        /// Name of the key.
        name: String,
        /// Identifier of the key.
        id: KeyId,
    },
    /// The signature is wrong: somebody changed text or signature.
    #[error("the signature of {name} ({id}) under the note is wrong")]
    BadSignature {
        /// Name of the key.
        name: String,
        /// Identifier of the key.
        id: KeyId,
    },
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') || text.contains(|c: char| c < ' ' && c != '\n') {
        return Err(NoteError::Text);
    }
    Ok(())
}

/// An em dash (U+2014) and a space start each signature line.
const SIGNATURE_MARK: &str = "\u{2014} ";
