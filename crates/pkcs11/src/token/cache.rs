//! What tokens said before, on disk: public files only, so that a program need not read them all again for one signature.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chancery_schsm::Fid;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files;

/// The folder of a user's cache. Its files are the user's alone (mode 0600); one that is not is not read.
#[derive(Clone, Debug)]
pub struct CacheFolder(PathBuf);

/// What was read from a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    /// The objects it listed: as long as it lists the same, its files are taken to be the same until a signature shows
    /// otherwise.
    pub(super) list: Vec<Fid>,
    /// Files, `None` of those that are not there.
    pub(super) files: BTreeMap<Fid, Option<Vec<u8>>>,
    /// Firmware: major, minor.
    pub(super) firmware: (u8, u8),
    /// Whether the user's PIN was right when this module presented it last.
    pub(super) pin_good: bool,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// Version of this format.
    v: u32,
    /// What the token is reached by.
    name: String,
    firmware: (u8, u8),
    pin_good: bool,
    list: Vec<u16>,
    files: Vec<(u16, Option<String>)>,
}

/// Version of the format.
const VERSION: u32 = 1;
/// A cache file is shorter, in bytes.
const LONGEST: u64 = 8 * 1024 * 1024;
/// An older one is not read: what was changed on the token since, without changing its list, is then seen at last.
const OLDEST: Duration = Duration::from_secs(24 * 3600);

impl CacheFolder {
    /// This folder; it is made when something is kept.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// What is remembered of the token that is reached by this name; nothing that is damaged, old or open to others.
    pub(super) fn load(&self, name: &str) -> Option<Remembered> {
        let file = files::open(&self.path(name)).ok()?;
        let metadata = file.metadata().ok()?;
        let age = metadata.modified().ok()?.elapsed().unwrap_or_default();
        if age > OLDEST || metadata.len() > LONGEST {
            return None;
        }
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        let stored: Stored = serde_json::from_str(&text).ok()?;
        if stored.v != VERSION || stored.name != name {
            return None;
        }
        let mut files = BTreeMap::new();
        for (file, content) in stored.files {
            let content = match content {
                Some(digits) => Some(from_hex(&digits)?),
                None => None,
            };
            files.insert(Fid(file), content);
        }
        Some(Remembered {
            list: stored.list.into_iter().map(Fid).collect(),
            files,
            firmware: stored.firmware,
            pin_good: stored.pin_good,
        })
    }

    /// Remembers; what cannot be written is not remembered.
    pub(super) fn store(&self, name: &str, what: &Remembered) {
        let stored = Stored {
            v: VERSION,
            name: name.to_owned(),
            firmware: what.firmware,
            pin_good: what.pin_good,
            list: what.list.iter().map(|file| file.0).collect(),
            files: what
                .files
                .iter()
                .map(|(file, content)| (file.0, content.as_deref().map(to_hex)))
                .collect(),
        };
        let Ok(text) = serde_json::to_vec(&stored) else {
            return;
        };
        let _ = files::replace(&self.0, file_name(name).as_ref(), &text);
    }

    /// Forgets.
    pub(super) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(file_name(name))
    }
}

fn file_name(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let digits = to_hex(digest.get(..16).unwrap_or_default());
    format!("{digits}.json")
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    pairs
        .iter()
        .map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_remembered_is_private_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheFolder::new(&folder.path().join("deep/er"));
        assert_eq!(cache.load("a"), None);
        let what = Remembered {
            list: vec![Fid(0xCC01), Fid(0xC401)],
            files: [(Fid(0xC401), Some(vec![1, 0xAB])), (Fid(0xCE01), None)].into(),
            firmware: (4, 1),
            pin_good: true,
        };
        cache.store("a", &what);
        assert_eq!(cache.load("a"), Some(what.clone()));
        assert_eq!(cache.load("b"), None);
        let path = cache.path("a");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(cache.load("a"), None, "open to others");
        cache.store("a", &what);
        let stolen = folder.path().join("stolen");
        fs::rename(&path, &stolen).unwrap();
        std::os::unix::fs::symlink(&stolen, &path).unwrap();
        assert_eq!(cache.load("a"), None, "a link");
        cache.store("a", &what);
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
        fs::write(&path, "{\"v\":1").unwrap();
        assert_eq!(cache.load("a"), None, "damaged");
        cache.remove("a");
        assert!(!path.exists());
    }
}
