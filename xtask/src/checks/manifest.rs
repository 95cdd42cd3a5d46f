//! The little of `Cargo.toml` the checks need: the package's name and the names of its dependencies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::run::Workspace;

/// What a crate says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The package's name.
    pub(crate) name: String,
    /// Packages it is built with, build scripts included.
    pub(crate) dependencies: BTreeSet<String>,
    /// Packages its tests use.
    pub(crate) dev_dependencies: BTreeSet<String>,
}

impl Manifest {
    /// Reads the manifest in `folder`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("Cargo.toml");
        let text =
            std::fs::read_to_string(&path).map_err(Failure::io(format!("reading {}", path.display())))?;
        Ok(Self::parse(&text))
    }

    /// Reads manifests of the usual shape: one key a line, dependencies as keys of a table or as tables of their own.
    fn parse(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut section = Section::Other;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = Section::of(header);
                if let Some((table, name)) = header.rsplit_once('.')
                    && let Some(names) = manifest.names_of(Section::of(table))
                {
                    names.insert(name.trim_matches('"').to_owned());
                }
            } else if let Some((key, value)) = line.split_once('=') {
                let key = key.trim().split('.').next().unwrap_or_default().trim_matches('"');
                if section == Section::Package && key == "name" {
                    value.trim().trim_matches('"').clone_into(&mut manifest.name);
                } else if let Some(names) = manifest.names_of(section) {
                    names.insert(renamed_from(value).unwrap_or(key).to_owned());
                }
            }
        }
        manifest
    }

    const fn names_of(&mut self, section: Section) -> Option<&mut BTreeSet<String>> {
        match section {
            Section::Dependencies => Some(&mut self.dependencies),
            Section::DevDependencies => Some(&mut self.dev_dependencies),
            Section::Package | Section::Other => None,
        }
    }
}

/// The folders of `crates/`, in order.
///
/// # Errors
/// When the folder cannot be listed.
pub(crate) fn crate_folders(workspace: &Workspace) -> Result<Vec<PathBuf>, Failure> {
    let crates = workspace.root().join("crates");
    let listing = || Failure::io(format!("listing {}", crates.display()));
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(&crates).map_err(listing())? {
        let path = entry.map_err(listing())?.path();
        if path.join("Cargo.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Package,
    Dependencies,
    DevDependencies,
    Other,
}

impl Section {
    fn of(header: &str) -> Self {
        match header.rsplit('.').next() {
            Some("package") => Self::Package,
            Some("dependencies" | "build-dependencies") => Self::Dependencies,
            Some("dev-dependencies") => Self::DevDependencies,
            _ => Self::Other,
        }
    }
}

/// The package a dependency is renamed from: the `package` of an inline table.
fn renamed_from(value: &str) -> Option<&str> {
    let (_, after) = value.split_once("package = \"")?;
    after.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_dependency_is_seen() {
        let manifest = Manifest::parse(
            r#"
            [package]
            name = "chancery-keys"
            [lints]
            workspace = true
            [dependencies]
            one.workspace = true
            two = { version = "1", features = ["x"] } # a reason
            # three = "1"
            four = { package = "real-four", version = "1" }
            [target.'cfg(unix)'.dependencies]
            five = "1"
            [dependencies.six]
            version = "1"
            [build-dependencies]
            seven = "1"
            [dev-dependencies]
            eight = "1"
            [[bin]]
            name = "other"
            "#,
        );
        assert_eq!(manifest.name, "chancery-keys");
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(names(&manifest.dependencies), "five one real-four seven six two");
        assert_eq!(names(&manifest.dev_dependencies), "eight");
    }
}
