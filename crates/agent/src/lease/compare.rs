//! The custodian's own build beside the digests of a lease.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use chancery_api::{DigestValue, HashName};
use sha2::{Sha256, Sha384, Sha512};

use crate::{AgentError, one_line};

/// The digest of a file's content.
///
/// # Errors
/// [`AgentError::File`].
pub fn digest_of(path: &Path, hash: HashName) -> Result<DigestValue, AgentError> {
    let failed = || AgentError::file(path);
    let mut file = File::open(path).map_err(failed())?;
    let bytes = match hash {
        HashName::Sha256 => hashed::<Sha256>(&mut file),
        HashName::Sha384 => hashed::<Sha384>(&mut file),
        HashName::Sha512 => hashed::<Sha512>(&mut file),
    }
    .map_err(failed())?;
    DigestValue::new(hash, bytes).map_err(|error| AgentError::BadFile {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

fn hashed<H: sha2::Digest>(file: &mut File) -> io::Result<Vec<u8>> {
    let mut hash = H::new();
    let mut part = vec![0; 64 * 1024];
    loop {
        let read = match file.read(&mut part) {
            Ok(0) => return Ok(hash.finalize().to_vec()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(part.get(..read).unwrap_or_default());
    }
}

/// Own files compared with the digests of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Own files whose digest the lease names.
    pub matching: BTreeMap<String, DigestValue>,
    /// Own files whose digest it does not name.
    pub unknown: BTreeMap<String, DigestValue>,
    /// Digests of the lease that no own file has.
    pub not_covered: BTreeSet<DigestValue>,
}

impl Comparison {
    /// Compares files with digests, all of which are by one hash function.
    ///
    /// # Errors
    /// [`AgentError::File`].
    pub fn of<P: AsRef<Path>>(digests: &[DigestValue], files: &[P]) -> Result<Self, AgentError> {
        let mut found = Self {
            not_covered: digests.iter().cloned().collect(),
            ..Self::default()
        };
        let named = found.not_covered.clone();
        let hash = digests.first().map_or(HashName::Sha256, DigestValue::hash);
        for path in files {
            let path = path.as_ref();
            let digest = digest_of(path, hash)?;
            found.not_covered.remove(&digest);
            let name = path.display().to_string();
            if named.contains(&digest) {
                found.matching.insert(name, digest);
            } else {
                found.unknown.insert(name, digest);
            }
        }
        Ok(found)
    }

    /// Whether every digest of the lease is that of an own file, and every own file is named.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unknown.is_empty() && self.not_covered.is_empty()
    }

    /// What came of it, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, digest) in &self.matching {
            lines.push(format!("  SAME       {}  {digest}", one_line(name)));
        }
        for (name, digest) in &self.unknown {
            lines.push(format!(
                "  NOT NAMED  {}  {digest}: the lease does not name it",
                one_line(name)
            ));
        }
        for digest in self.not_covered.iter().take(MOST_SHOWN) {
            lines.push(format!("  NOT YOURS  {digest}: none of your files has it"));
        }
        if let Some(more) = self
            .not_covered
            .len()
            .checked_sub(MOST_SHOWN)
            .filter(|more| *more > 0)
        {
            lines.push(format!("  NOT YOURS  and {more} further digests"));
        }
        lines.push(format!(
            "  {} of {} digests of the lease are those of your files",
            self.matching.values().collect::<BTreeSet<_>>().len(),
            self.matching.values().collect::<BTreeSet<_>>().len() + self.not_covered.len()
        ));
        lines
    }
}

/// How many digests are shown.
const MOST_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn own_files_are_told_from_those_of_the_lease() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, name).unwrap();
            path
        };
        let (same, other, third) = (file("same"), file("other"), file("third"));
        let digests: Vec<_> = [&same, &third]
            .into_iter()
            .map(|path| digest_of(path, HashName::Sha384).unwrap())
            .collect();
        assert_eq!(
            digest_of(&file("abc"), HashName::Sha256).unwrap().to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let found = Comparison::of(&digests, &[same.clone(), other]).unwrap();
        assert_eq!((found.matching.len(), found.unknown.len()), (1, 1));
        assert!(found.not_covered.contains(&digests[1]) && !found.is_complete());
        let text = found.lines().join("\n");
        assert!(
            text.contains("SAME") && text.contains("NOT NAMED") && text.contains("NOT YOURS"),
            "{text}"
        );
        assert!(text.contains("1 of 2 digests"), "{text}");
        assert!(Comparison::of(&digests, &[same, third]).unwrap().is_complete());
        assert!(Comparison::of(&digests, &[dir.path().join("none")]).is_err());
    }
}
