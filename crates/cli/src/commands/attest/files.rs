//! Files given on the command line.

use std::{fs, path::PathBuf};

use chancery_attest::{Input, MAX_INPUT, NamedInput};

use crate::{commands::read_input, error::CliError};

/// Reads files and tells what each is. A file that is not evidence is a result, one that cannot be read a failure.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<NamedInput>, CliError> {
    let limit = u64::try_from(MAX_INPUT).unwrap_or(u64::MAX);
    paths
        .iter()
        .map(|path| {
            let bytes = read_input(path, limit)?;
            Ok((path.display().to_string(), Input::recognise(&bytes)))
        })
        .collect()
}

/// A file by its whole path, so that it is known again from another directory; as it was given when it has none.
pub(super) fn whole_path(name: &str) -> String {
    fs::canonicalize(name).map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}
