//! What the center remembers outside the database: one small file a name, in `marks/`.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use chancery_center::Marks;
use chancery_vtoken::atomic;

use crate::DataDir;

/// Marks as files, 0600, replaced whole.
pub(crate) struct MarkFiles(PathBuf);

impl MarkFiles {
    pub(crate) fn of(data_dir: &DataDir) -> Self {
        Self(data_dir.path().join("marks"))
    }

    fn replace(&self, name: &str, value: &[u8]) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(&self.0) {
            Ok(()) => atomic::sync_parent(&self.0)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        atomic::replace(&self.0.join(name), value)
    }
}

impl Marks for MarkFiles {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(sentence(&path, &error)),
        }
    }

    fn save(&self, name: &str, value: &[u8]) -> Result<(), String> {
        self.replace(name, value)
            .map_err(|error| sentence(&self.0.join(name), &error))
    }
}

fn sentence(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_replaced_whole_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::create(&dir.path().join("data")).unwrap();
        let marks = MarkFiles::of(&data_dir);
        assert_eq!(marks.load("audit-head").unwrap(), None);
        marks.save("audit-head", b"a longer value").unwrap();
        marks.save("audit-head", b"short").unwrap();
        assert_eq!(marks.load("audit-head").unwrap().as_deref(), Some(&b"short"[..]));
    }
}
