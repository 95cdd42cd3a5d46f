//! The files of a world, made once and copied: to make tokens, people, HSMs and a CA takes a second of the processor, a copy does not.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use chancery_api::Installation;

/// What lies in a world's directory, and what its center is started with.
pub struct Template {
    pub installation: Installation,
    pub audit_pkcs8: Vec<u8>,
    /// Path in the directory, mode, and what is in it; nothing for a directory. Directories come before what they hold.
    entries: Vec<(PathBuf, u32, Option<Vec<u8>>)>,
}

impl Template {
    /// Takes up a directory on which no center works.
    pub fn of(dir: &Path, installation: Installation, audit_pkcs8: Vec<u8>) -> Self {
        let mut entries = Vec::new();
        take(dir, Path::new(""), &mut entries);
        Self {
            installation,
            audit_pkcs8,
            entries,
        }
    }

    /// Another directory that holds the same.
    pub fn copy(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (place, mode, content) in &self.entries {
            let path = dir.path().join(place);
            match content {
                None => fs::create_dir(&path),
                Some(bytes) => fs::write(&path, bytes),
            }
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(*mode)))
            .expect("a copy");
        }
        dir
    }
}

fn take(dir: &Path, place: &Path, entries: &mut Vec<(PathBuf, u32, Option<Vec<u8>>)>) {
    for entry in fs::read_dir(dir.join(place)).expect("a directory") {
        let entry = entry.expect("an entry");
        let place = place.join(entry.file_name());
        let metadata = entry.metadata().expect("what it is");
        let mode = metadata.permissions().mode();
        if metadata.is_dir() {
            entries.push((place.clone(), mode, None));
            take(dir, &place, entries);
        } else if metadata.is_file() {
            let content = fs::read(entry.path()).expect("its content");
            entries.push((place, mode, Some(content)));
        }
    }
}
