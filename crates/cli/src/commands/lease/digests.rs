//! Digests as people and their tools write them.

use std::path::{Path, PathBuf};

use chancery_agent::digest_of;
use chancery_api::{DigestValue, FailureKind, HashName};

use crate::{commands::read_input, error::CliError};

/// Longest list of digests read, in bytes: 100 000 lines of `sha512sum`.
const LONGEST: u64 = 32 * 1024 * 1024;

/// Reads a list of digests: `sha256:hex` a line, or what `sha256sum`, `sha384sum` and `sha512sum` print.
pub(crate) fn read_list(path: &Path) -> Result<Vec<DigestValue>, CliError> {
    let bytes = read_input(path, LONGEST)?;
    let invalid = |why: String| CliError::new(FailureKind::Invalid, format!("{}{why}", path.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid(" is no text".to_owned()))?;
    let digests = list(text).map_err(|(line, why)| invalid(format!(", line {line}: {why}")))?;
    if digests.is_empty() {
        return Err(invalid(" has no digests in it".to_owned()));
    }
    Ok(digests)
}

/// The digests of a list; the number of the line that is none, and why.
fn list(text: &str) -> Result<Vec<DigestValue>, (usize, String)> {
    let mut digests: Vec<DigestValue> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let digest = of_line(line).map_err(|why| (number + 1, why))?;
        if digests.first().is_some_and(|first| first.hash() != digest.hash()) {
            return Err((
                number + 1,
                "one list has digests by one hash function only".to_owned(),
            ));
        }
        digests.push(digest);
    }
    Ok(digests)
}

fn of_line(line: &str) -> Result<DigestValue, String> {
    if let Ok(digest) = line.parse() {
        return Ok(digest);
    }
    // `sha256sum` puts a backslash before a line whose file name it had to escape.
    let line = line.strip_prefix('\\').unwrap_or(line);
    let digits = line.split_ascii_whitespace().next().unwrap_or_default();
    let hash = [HashName::Sha256, HashName::Sha384, HashName::Sha512]
        .into_iter()
        .find(|hash| 2 * hash.length() == digits.len());
    let (Some(hash), Ok(bytes)) = (hash, hex::decode(digits)) else {
        return Err("neither sha256:HEX nor a line of sha256sum, sha384sum or sha512sum".to_owned());
    };
    DigestValue::new(hash, bytes).map_err(|error| error.to_string())
}

/// A digest as it is written, or that of a file.
pub(crate) fn of_word(word: &str, hash: HashName) -> Result<DigestValue, CliError> {
    if let Ok(digest) = word.parse() {
        return Ok(digest);
    }
    let path = PathBuf::from(word);
    if !path.exists() {
        return Err(CliError::with_remedy(
            FailureKind::NotFound,
            format!("{word:?} is neither a digest nor a file"),
            "a digest is written sha256:HEX, sha384:HEX or sha512:HEX",
        ));
    }
    Ok(digest_of(&path, hash)?)
}

/// Reads `sha256`, `sha384`, `sha512`.
pub(crate) fn hash_name(text: &str) -> Result<HashName, String> {
    HashName::from_name(text).ok_or_else(|| format!("{text:?} is none of sha256, sha384, sha512"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_from_several_tools() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!("# built by ci\n\nsha256:{hex}\n{hex}  fit.itb\n{hex} *fit.itb\n\\{hex}  a\\nb\n");
        let digests = list(&text).unwrap();
        assert_eq!(digests.len(), 4);
        assert!(
            digests
                .iter()
                .all(|digest| digest.to_string() == format!("sha256:{hex}"))
        );
        let mixed = format!("sha256:{hex}\n{}  x\n", "ab".repeat(48));
        assert_eq!(list(&mixed).unwrap_err().0, 2);
        for bad in ["sha1:00", "abc", "fit.itb", &format!("sha256:{hex}00")] {
            assert_eq!(list(bad).unwrap_err().0, 1, "{bad}");
        }
        assert!(list("\n# nothing\n").unwrap().is_empty());
    }
}
